/** Who speaks to the verifier, as it was proven on the connection. */
import type { Role } from '../api/endpoint.ts';
import type { AgentId } from '../core/spiffe-id.ts';

export interface Actor {
  /** `agent`: an SVID of an agent or client. `local`: whoever may open the verifier's own socket. `system`: the verifier itself. */
  readonly kind: 'anyone' | 'agent' | 'local' | 'system';
  /** For the ledger: a SPIFFE ID, `local:<uid>`, `system`, or the source address of who is nobody. */
  readonly name: string;
  readonly roles: ReadonlySet<Role>;
  readonly id: AgentId | undefined;
  /** The human behind a client, where a login or a registration says so. */
  readonly principal: string | undefined;
}

export const SYSTEM: Actor = {
  kind: 'system',
  name: 'system',
  roles: new Set(),
  id: undefined,
  principal: undefined,
};
