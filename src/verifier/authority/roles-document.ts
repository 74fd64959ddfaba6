/** The roles document: made from the keys, shown to who signs it, signed by the root. */
import { z } from 'zod';
import { jwkOf } from '../../core/keys.ts';
import { mintRoles, type Roles } from '../../core/trust/roles.ts';
import type { SigningKey } from '../../edge/keys/signing-key.ts';
import type { KeyRecord, KeyRole } from './key-records.ts';

const jwk = z.strictObject({ crv: z.literal('Ed25519'), kty: z.literal('OKP'), x: z.string() });
const time = z.int().min(0);

/** Members of SPEC.md section 9; their forms are checked by the core when it is signed. */
export const rolesPayload = z.strictObject({
  trust_domain: z.string(),
  epoch: z.int().min(1),
  iat: time,
  exp: time,
  root: jwk,
  policy: z.array(jwk),
  timestamp: z.array(jwk),
  issuers: z.array(jwk),
  root_issuers: z.array(jwk),
  x509: z.array(z.string()),
});
export type RolesPayload = z.output<typeof rolesPayload>;

/** What a verifier without its root key hands to whoever has it. */
export const rolesRequest = z.strictObject({
  v: z.literal(1),
  request: z.literal('roles'),
  payload: rolesPayload,
});
export type RolesRequest = z.output<typeof rolesRequest>;

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
