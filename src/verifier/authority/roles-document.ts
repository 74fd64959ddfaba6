/** The roles document: made from the keys, shown to who signs it, signed by the root. */
import { createHash } from 'node:crypto';
import type { RolesPayload } from '../../api/keys.ts';
import { jwkOf, thumbprintOf } from '../../core/keys.ts';
import { mintRoles, type Roles } from '../../core/trust/roles.ts';
import type { SigningKey } from '../../edge/keys/signing-key.ts';
import type { KeyRecord, KeyRole } from './key-records.ts';

/** Keys in the order in which they were made, so that one state has one document. */
export const payloadOf = (
  keys: readonly KeyRecord[],
  document: {
    readonly trustDomain: string;
    readonly root: string;
    readonly epoch: number;
    readonly iat: number;
    readonly exp: number;
  },
): RolesPayload => {
  const publicKeys = (role: KeyRole): string[] =>
    keys
      .filter((key) => key.role === role)
      .toSorted((a, b) => a.madeAt - b.madeAt || (a.thumbprint < b.thumbprint ? -1 : 1))
      .map((key) => key.public);
  return {
    trust_domain: document.trustDomain,
    epoch: document.epoch,
    iat: document.iat,
    exp: document.exp,
    root: jwkOf(document.root),
    policy: publicKeys('policy').map(jwkOf),
    timestamp: publicKeys('timestamp').map(jwkOf),
    issuers: publicKeys('wit-issuer').map(jwkOf),
    root_issuers: publicKeys('root-issuer').map(jwkOf),
    x509: publicKeys('svid-ca'),
  };
};

export const signRoles = (payload: RolesPayload, root: SigningKey): string =>
  mintRoles(payload, root.sign, root.thumbprint);

/** The public halves that roles name, by role; as `KeyRecord.public`. */
export const namedBy = (roles: Roles): Readonly<Record<KeyRole, readonly string[]>> => ({
  'svid-ca': roles.x509.map((der) => der.toString('base64url')),
  'wit-issuer': roles.issuers,
  'root-issuer': roles.rootIssuers,
  policy: roles.policy,
  timestamp: roles.timestamp,
});

/** The name of a public half as `KeyRecord.public` has it: RFC 7638 of a key, SHA-256 of a certificate. */
export const thumbprintOfPublic = (publicHalf: string): string =>
  publicHalf.length === 43
    ? thumbprintOf(publicHalf)
    : createHash('sha256').update(Buffer.from(publicHalf, 'base64url')).digest('base64url');
