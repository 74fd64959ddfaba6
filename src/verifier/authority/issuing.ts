/** What the registry asks of the authority: credentials for an agent that has been attested. */
import type { KeyObject } from 'node:crypto';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { KeyBinding } from '../../core/trust/wit.ts';

export interface SvidRequest {
  readonly id: AgentId;
  /** ECDSA P-256, the public half, as a CSR proved it. */
  readonly key: KeyObject;
  /** At most; an SVID ends with the CA that signed it. */
  readonly ttlSeconds: number;
}

export interface TokensRequest {
  readonly id: AgentId;
  /** Public agent key, base64url of 32 octets. */
  readonly agentX: string;
  /** Public audit key, base64url of 32 octets. */
  readonly auditX: string;
  /** Seconds: that of the SVID, so that neither outlives the other. */
  readonly exp: number;
  /** Facts that attestation has shown. */
  readonly attested: Readonly<Record<string, string>>;
}

/**
 * Filled by `Authority`. Neither method writes to the ledger: who asks records what was issued, in the commit that
 * makes it count. Throws `RangeError` for an ID of another trust domain, `Refusal` when no key of the role is active.
 */
export interface Issuing {
  readonly trustDomain: string;
  svid(request: SvidRequest): Promise<{
    readonly pem: string;
    /** Seconds. */
    readonly notAfter: number;
  }>;
  tokens(request: TokensRequest): { readonly wit: string; readonly keyBinding: KeyBinding };
}
