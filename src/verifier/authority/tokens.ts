/** WITs and key bindings, which end together. Time is passed in, in seconds; token ids are random. */
import { randomBytes } from 'node:crypto';
import type { AgentId } from '../../core/spiffe-id.ts';
import { type KeyBinding, mintKeyBinding, mintWit } from '../../core/trust/wit.ts';
import type { SigningKey } from '../../edge/keys/signing-key.ts';

/** 16 random octets, base64url: a `jti`. */
export const makeTokenId = (): string => randomBytes(16).toString('base64url');

export interface TokenOptions {
  readonly id: AgentId;
  /** Public agent key, base64url of 32 octets. */
  readonly agentX: string;
  /** Public audit key, base64url of 32 octets. */
  readonly auditX: string;
  readonly now: number;
  /** That of the SVID, so that neither outlives the other. */
  readonly exp: number;
  readonly attested?: Readonly<Record<string, string>>;
}

/** Issues a WIT and the key binding that goes with it; both end at `exp`. */
export const issueTokens = (
  issuer: SigningKey,
  { id, agentX, auditX, now, exp, attested }: TokenOptions,
): { readonly wit: string; readonly keyBinding: KeyBinding } => ({
  wit: mintWit(
    { sub: id, agentX, auditX, iat: now, exp, jti: makeTokenId(), ...(attested && { attested }) },
    issuer.sign,
    issuer.thumbprint,
  ),
  keyBinding: mintKeyBinding(id, agentX, exp, issuer.sign, issuer.thumbprint),
});
