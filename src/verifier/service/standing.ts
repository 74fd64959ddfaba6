/** What the service must know of who calls, and others keep. */
import type { AgentId } from '../../core/spiffe-id.ts';

/** The human behind a client, from a login or a registration. */
export interface Session {
  readonly principal: string | undefined;
  /** `<issuer>#<group>` */
  readonly groups: readonly string[];
}

/** Asked on every request: answers from memory or by one read of the store. */
export interface Standing {
  /** Whether an agent or client was revoked or retired, or this SVID of it is a lost one: it is nobody here then. Seconds. */
  isBarred(id: AgentId, svidIssuedAt: number): Promise<boolean>;
  sessionOf(id: AgentId): Promise<Session | undefined>;
}
