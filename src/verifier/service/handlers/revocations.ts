/** Revocation at the API: answered when the bundle that tells sidecars is out. */
import type { revocationEndpoints } from '../../../api/revocations.ts';
import type { AgentId } from '../../../core/spiffe-id.ts';
import type { Clock } from '../../../ports.ts';
import type { Enforcement } from '../../policy/enforcement.ts';
import type { Records } from '../../records.ts';
import { previewRevocation } from '../../revocation/preview.ts';
import type { Revocations } from '../../revocation/revocations.ts';
import type { Handlers } from '../handler.ts';

export const revocationHandlers = ({
  records,
  clock,
  revocations,
  enforcement,
}: {
  readonly records: Records;
  readonly clock: Clock;
  readonly revocations: Revocations;
  readonly enforcement: Enforcement;
}): Handlers<typeof revocationEndpoints> => ({
  listRevocations: async ({ query: { after, limit } }) => ({
    revocations: await revocations.list({ limit, ...(after !== undefined && { after }) }),
  }),
  previewRevocation: ({ body }) =>
    previewRevocation(
      { records, clock, revocations, seen: (agents) => enforcement.seen(agents) },
      body.target,
    ),
  revoke: ({ actor, body }) => revocations.revoke(actor, body.target, body.why),
  requestRevocation: ({ actor, body }) => revocations.request(actor, body),
  liftRevocation: ({ actor, body }) => revocations.lift(actor, body.agent as AgentId, body.why),
});
