/** People: their keys, what they may grant, and which identity provider's word counts for whom. */
import { z } from 'zod';
import { idPattern, principal, scopeMember, scopePattern, thumbprint, trustDomain } from '../config/forms.ts';
import { isBase64urlOf } from '../core/encoding/base64url.ts';
import {
  HARD_LINK_TTL_SECONDS,
  HARD_MAX_DEPTH,
  MAX_PRINCIPAL_GROUPS,
  MAX_SCOPE_PATTERNS,
} from '../core/limits.ts';
import { isGroup } from '../core/trust/attributes.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none, why } from './forms.ts';

export const publicKey = z
  .string('a public Ed25519 key: base64url of 32 octets')
  .refine((text) => isBase64urlOf(text, 32), 'a public Ed25519 key: base64url of 32 octets')
  .describe('`x` of an Ed25519 JWK.');

const keyName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a name of 1 to 64 letters, digits, ".", "_", "-"');

/** Every agent type that is registered at the moment at which the bundle is made. */
export const ANY_AGENT = '*';

const ttlSeconds = z.int().min(1).max(HARD_LINK_TTL_SECONDS);
const depth = z.int().min(1).max(HARD_MAX_DEPTH);
const delegatees = z
  .array(z.union([idPattern, z.literal(ANY_AGENT)]))
  .min(1)
  .max(256)
  .describe('Agents to whom the first link may go; "*": any type that is registered.');

/** The most that somebody may grant. */
export const ceiling = z.strictObject({
  scope: z.array(scopePattern).min(1).max(MAX_SCOPE_PATTERNS),
  maxTtlSeconds: ttlSeconds,
  maxDepth: depth,
  delegatees,
  domains: z.array(trustDomain).min(1).max(64),
});
export type Ceiling = z.output<typeof ceiling>;

const ceilingWish = z.strictObject({
  scope: z
    .array(scopeMember)
    .min(1)
    .max(MAX_SCOPE_PATTERNS)
    .optional()
    .describe('Patterns, or names of scope sets; by default all scope sets of the policy.'),
  maxTtlSeconds: ttlSeconds.optional(),
  maxDepth: depth.optional(),
  delegatees: delegatees.optional(),
  domains: z.array(trustDomain).min(1).max(64).optional(),
});
export type CeilingWish = z.output<typeof ceilingWish>;

export const principalKey = z.strictObject({
  x: publicKey,
  name: keyName,
  addedAt: z.int().describe('Seconds.'),
});

const groups = z
  .array(z.string().refine(isGroup, 'a group: 1 to 128 printable ASCII characters without spaces'))
  .max(MAX_PRINCIPAL_GROUPS)
  .refine((list) => new Set(list).size === list.length, 'a group stands there twice')
  .describe('What policy goes by. An admin says it; what an identity provider says of groups is not in it.');

export const principalRecord = z.strictObject({
  uri: principal,
  human: z.boolean(),
  keys: z.array(principalKey).max(16),
  ceiling,
  approver: z.boolean().describe('May decide approvals with its keys.'),
  groups,
});
export type PrincipalRecord = z.output<typeof principalRecord>;

const uriParams = z.strictObject({ uri: principal });
const keyWish = z.strictObject({ x: publicKey, name: keyName });
const standing = {
  human: z.boolean().optional(),
  approver: z.boolean().optional(),
  ceiling: ceilingWish.optional(),
  groups: groups.optional(),
};

export const issuerUrl = z
  .string('an issuer: an https URL')
  .max(512)
  .refine((text) => issuerFault(text) === undefined, {
    error: ({ input }) => issuerFault(String(input)) ?? 'an issuer: an https URL',
    abort: true,
  });

/** What is wrong with the URL of an issuer (OpenID Connect Discovery §3); http is for this machine alone. */
export const issuerFault = (text: string): string | undefined => {
  if (!URL.canParse(text)) return 'an issuer: an https URL';
  const { protocol, hostname, search, hash, username, password } = new URL(text);
  const local = ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && local))
    return 'an issuer is an https URL; http only on this machine';
  if (search !== '' || hash !== '' || username !== '' || password !== '')
    return 'an issuer has no query, no fragment and no user';
  return undefined;
};

/** Asymmetric ones only: with a shared secret, or with none, whoever checks could make the token. */
export const idTokenAlg = z.enum(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519']);
export type IdTokenAlg = z.output<typeof idTokenAlg>;

/** What members of a group get. Delegatees are not in it: an L0 after a login goes to the login's own session. */
export const groupCeiling = z.strictObject({
  scope: z.array(scopePattern).max(MAX_SCOPE_PATTERNS).default([]),
  maxTtlSeconds: ttlSeconds.default(3600),
  maxDepth: depth.default(4),
});
export type GroupCeiling = z.output<typeof groupCeiling>;

export const oidcIssuer = z.strictObject({
  issuer: issuerUrl,
  clientId: z.string().min(1).max(256),
  audience: z.string().min(1).max(256).describe('What `aud` must contain; the client id unless said.'),
  algs: z.array(idTokenAlg).min(1),
  groupsClaim: z.string().min(1).max(64),
  scopes: z.string().max(256).describe('What the login asks the provider for.'),
  groups: z.record(z.string().min(1).max(256), groupCeiling),
  autoRegister: z
    .boolean()
    .describe('Whether whom the provider knows becomes a principal by the first login.'),
});
export type OidcIssuer = z.output<typeof oidcIssuer>;

/** The one way from a token to a principal: (iss, sub), never an email. */
export const oidcSubject = z.strictObject({
  issuer: issuerUrl,
  subject: z.string().min(1).max(255),
  principal,
});
export type OidcSubject = z.output<typeof oidcSubject>;

/** What a CLI needs to begin a login. */
const loginIssuer = oidcIssuer.pick({ issuer: true, clientId: true, scopes: true });

const MANAGERS = ['admin', 'operator'] as const;
const READERS = ['admin', 'operator', 'auditor'] as const;

export const principalEndpoints = {
  listPrincipals: endpoint({
    name: 'listPrincipals',
    method: 'GET',
    path: '/v1/principals',
    summary: 'Everybody on whose authority agents may act',
    access: READERS,
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({ principals: z.array(principalRecord) }),
    status: 200,
  }),
  getPrincipal: endpoint({
    name: 'getPrincipal',
    method: 'GET',
    path: '/v1/principals/{uri}',
    summary: 'One principal, with its keys and its ceiling',
    access: READERS,
    changes: false,
    params: uriParams,
    query: none,
    body: noBody,
    answer: principalRecord,
    status: 200,
  }),
  addPrincipal: endpoint({
    name: 'addPrincipal',
    method: 'POST',
    path: '/v1/principals',
    summary: 'Register a principal: whose key is whose is an admin’s to say',
    // A key speaks as a human: who may give one is an admin.
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ uri: principal, ...standing, keys: z.array(keyWish).max(16).default([]), why }),
    answer: principalRecord,
    status: 201,
  }),
  changePrincipal: endpoint({
    name: 'changePrincipal',
    method: 'PUT',
    path: '/v1/principals/{uri}',
    summary: 'Change what a principal may; to widen it is an admin’s',
    access: MANAGERS,
    changes: true,
    params: uriParams,
    query: none,
    body: z.strictObject({ ...standing, why }),
    answer: principalRecord,
    status: 200,
  }),
  removePrincipal: endpoint({
    name: 'removePrincipal',
    method: 'DELETE',
    path: '/v1/principals/{uri}',
    summary: 'Remove a principal: every chain that starts from it ends',
    access: MANAGERS,
    changes: true,
    params: uriParams,
    query: none,
    body: z.strictObject({ why }),
    answer: noBody,
    status: 204,
  }),
  addPrincipalKey: endpoint({
    name: 'addPrincipalKey',
    method: 'POST',
    path: '/v1/principals/{uri}/keys',
    summary: 'A further key of a principal',
    // A key speaks as a human: who may give one is an admin.
    access: ['admin'],
    changes: true,
    params: uriParams,
    query: none,
    body: z.strictObject({ ...keyWish.shape, why }),
    answer: principalRecord,
    status: 201,
  }),
  removePrincipalKey: endpoint({
    name: 'removePrincipalKey',
    method: 'DELETE',
    path: '/v1/principals/{uri}/keys/{thumbprint}',
    summary: 'Remove a key: every chain that it signed ends',
    access: MANAGERS,
    changes: true,
    params: z.strictObject({ uri: principal, thumbprint }),
    query: none,
    body: z.strictObject({ why }),
    answer: principalRecord,
    status: 200,
  }),
  listLoginIssuers: endpoint({
    name: 'listLoginIssuers',
    method: 'GET',
    path: '/v1/logins/issuers',
    summary: 'Where people log in, and as which client',
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({ issuers: z.array(loginIssuer) }),
    status: 200,
  }),
  listOidcIssuers: endpoint({
    name: 'listOidcIssuers',
    method: 'GET',
    path: '/v1/oidc/issuers',
    summary: 'Identity providers, what their groups give, and who is registered with them',
    access: READERS,
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({ issuers: z.array(oidcIssuer), subjects: z.array(oidcSubject) }),
    status: 200,
  }),
  putOidcIssuer: endpoint({
    name: 'putOidcIssuer',
    method: 'PUT',
    path: '/v1/oidc/issuers',
    summary: 'Trust an identity provider for logins, or change how',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({
      issuer: issuerUrl,
      clientId: oidcIssuer.shape.clientId,
      audience: oidcIssuer.shape.audience.optional(),
      algs: z.array(idTokenAlg).min(1).default(['RS256', 'ES256']),
      groupsClaim: oidcIssuer.shape.groupsClaim.default('groups'),
      scopes: oidcIssuer.shape.scopes.default('openid'),
      groups: z.record(z.string().min(1).max(256), groupCeiling),
      autoRegister: z.boolean().default(false),
      why,
    }),
    answer: oidcIssuer,
    status: 200,
  }),
  removeOidcIssuer: endpoint({
    name: 'removeOidcIssuer',
    method: 'DELETE',
    path: '/v1/oidc/issuers',
    summary: 'Trust an identity provider no longer; its subjects go with it',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ issuer: issuerUrl, why }),
    answer: noBody,
    status: 204,
  }),
  putOidcSubject: endpoint({
    name: 'putOidcSubject',
    method: 'PUT',
    path: '/v1/oidc/subjects',
    summary: 'Who (issuer, sub) is',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ ...oidcSubject.shape, why }),
    answer: oidcSubject,
    status: 200,
  }),
  removeOidcSubject: endpoint({
    name: 'removeOidcSubject',
    method: 'DELETE',
    path: '/v1/oidc/subjects',
    summary: 'Whom (issuer, sub) no longer is',
    access: MANAGERS,
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ issuer: issuerUrl, subject: oidcSubject.shape.subject, why }),
    answer: noBody,
    status: 204,
  }),
};
