/** What the registry keeps of an agent that has enrolled, and of every key that one has ever had. */
import { z } from 'zod';
import { type AgentView, entryName } from '../../api/registry.ts';
import { thumbprint } from '../../config/forms.ts';
import { type AgentId, isAgentId } from '../../core/spiffe-id.ts';
import { kind } from '../records.ts';

const agentId = z.custom<AgentId>(isAgentId, 'an agent ID');
const seconds = z.int().min(0);

const agentRecord = z.strictObject({
  id: agentId,
  state: z.enum(['live', 'retired']),
  /** Public keys, base64url of 32 octets. */
  agentX: z.string(),
  thumbprint,
  auditX: z.string(),
  /** Names of the P-256 keys of the SVID and of the one before it, as in `HELD_KEY`. */
  svidKeys: z.array(z.string()).max(2),
  serial: z.string(),
  entry: entryName,
  attestor: z.string(),
  facts: z.array(z.string()),
  enrolledAt: seconds,
  renewedAt: seconds,
  svidNotAfter: seconds,
  /** Another key has taken the name over then: SVIDs from before are nobody's. */
  svidsSince: seconds.optional(),
});
export type AgentRecord = z.output<typeof agentRecord>;

/** `agent/<SPIFFE ID>` */
export const AGENT = kind('agent', agentRecord);

/** `held-key/<thumbprint>`, `held-key/p256-<digest>`: whose a key is. It is nobody else's, ever, and has one use. */
export const HELD_KEY = kind(
  'held-key',
  z.strictObject({
    id: agentId,
    use: z.enum(['agent', 'audit', 'svid']),
    /** `ended`: another one took its place. */
    state: z.enum(['held', 'ended']),
  }),
);

export const svidKeyName = (digest: string): string => `p256-${digest}`;

export const viewOf = (record: AgentRecord, now: number): AgentView => ({
  id: record.id,
  state: record.state === 'retired' ? 'retired' : record.svidNotAfter <= now ? 'expired' : 'live',
  thumbprint: record.thumbprint,
  entry: record.entry,
  attestor: record.attestor,
  facts: [...record.facts],
  enrolledAt: record.enrolledAt,
  renewedAt: record.renewedAt,
  svidNotAfter: record.svidNotAfter,
});
