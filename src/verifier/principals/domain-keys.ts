/** Whose signatures count in the trust domain. */
import type { SigningKey } from '../../edge/keys/signing-key.ts';

/** What the authority and the registry know. */
export interface DomainKeys {
  readonly trustDomain: string;
  /** Signs an L0 after a login. Throws a `Refusal` when no key of the role is active. */
  rootIssuer(): SigningKey;
  /** Public keys, base64url of 32 octets: those that the roles in force name. */
  rootIssuers(): readonly string[];
  /** Those that they name, for whatever. */
  roleKeys(): readonly string[];
  issuers(): readonly string[];
  agentTypes(): Promise<readonly string[]>;
}
