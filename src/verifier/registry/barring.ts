/** What the registry asks of revocation: that an agent, or a key that it lost, counts for nothing from this commit on. */
import type { ReasonCode } from '../../core/reasons.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Actor } from '../actor.ts';
import type { Edit, EventBody } from '../records.ts';

export interface BarredBy {
  readonly actor: Actor;
  readonly why: string;
}

/**
 * Filled by revocation. What bars goes into the registry's own edit, so that an agent is retired, or its key replaced, and
 * barred in one commit or not at all. Both return the events that belong to it.
 */
export interface Barring {
  /** The agent is retired: nothing that it holds counts any more, at any position of a chain. */
  bar(edit: Edit, id: AgentId, by: BarredBy): Promise<readonly EventBody[]>;
  /** The agent has another key now; what was granted to the old one ends with `agent_key_lost`. */
  keyLost(edit: Edit, id: AgentId, thumbprint: string, by: BarredBy): Promise<readonly EventBody[]>;
  /** Why an agent, or this key of it, may have no credentials: `revoked_agent`, `revoked_key`, `agent_key_lost`. */
  barred(id: AgentId, thumbprint: string | undefined): Promise<ReasonCode | undefined>;
}
