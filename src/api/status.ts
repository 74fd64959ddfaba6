/** How the trust domain stands, at a glance; what needs somebody is said in sentences. */
import { z } from 'zod';
import { endpoint } from './endpoint.ts';
import { noBody, none } from './forms.ts';
import { KEY_ROLE } from './keys.ts';

const seconds = z.int().min(0).describe('Seconds.');
const count = z.int().min(0);
const order = z.strictObject({ epoch: z.int().min(1), seq: z.int().min(1) });

export const verifierStatus = z.strictObject({
  trustDomain: z.string(),
  now: seconds.describe('The verifier’s clock.'),
  root: z.strictObject({
    thumbprint: z.string(),
    here: z.boolean().describe('Whether the root key is on the verifier’s machine.'),
    rolesExp: seconds.describe('End of what it has signed.'),
  }),
  bundle: order.extend({
    stamped: z.boolean().describe('Whether a timestamp is over it.'),
    octets: count.describe('Of at most 8 MiB; a larger one is never published.'),
  }),
  keys: z.array(
    z.strictObject({
      role: KEY_ROLE,
      thumbprint: z.string(),
      state: z.enum(['next', 'active', 'retiring']),
      since: seconds.describe('When it was made.'),
      until: seconds.nullable().describe('When what it signed has ended, if that is known.'),
    }),
  ),
  policy: z.strictObject({ n: z.int(), revision: z.string(), digest: z.string() }).nullable(),
  sidecars: z.strictObject({
    reporting: count.describe('Heard of within the last two minutes.'),
    drifting: count.describe('Those that enforce another policy than the one in force.'),
    examples: z.array(z.string()).describe('Some of those that drift.'),
  }),
  agents: z.strictObject({
    live: count,
    expiring: count.describe('Live, and past two thirds of the life of their SVID: a renewal is overdue.'),
    expired: count.describe('Not retired, and without a valid SVID.'),
    retired: count,
  }),
  revocations: count,
  approvals: z.strictObject({ pending: count }),
  alarms: z
    .array(z.strictObject({ at: seconds, event: z.string(), about: z.string(), actor: z.string() }))
    .describe('Of the last day, the newest first.'),
  attention: z.array(z.string()).describe('What needs somebody; empty when nothing does.'),
});
export type VerifierStatus = z.output<typeof verifierStatus>;

export const statusEndpoints = {
  getStatus: endpoint({
    name: 'getStatus',
    method: 'GET',
    path: '/v1/status',
    summary: 'How the trust domain stands, and what needs somebody',
    access: ['admin', 'operator', 'auditor'],
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: verifierStatus,
    status: 200,
  }),
};
