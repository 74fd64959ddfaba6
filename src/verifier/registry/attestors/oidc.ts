/** Attestation by an access token that a company’s identity provider gives to a client for itself (RFC 6749 §4.4). */
import { createRemoteJWKSet, type JWTVerifyGetKey } from 'jose';
import type { ClientIssuerConfig } from '../../../config/attestation-schema.ts';
import type { Json, JsonObject } from '../../../core/encoding/json.ts';
import { isObject } from '../../../core/encoding/members.ts';
import { Refusal } from '../../refusal.ts';
import type { Attestor } from './attestor.ts';
import { type ForeignJwt, readForeignJwt, verifyForeignJwt } from './jwt.ts';

const CACHE_MS = 600_000;
/** A new `kid` has the keys fetched again, but not more often, however many there are. */
const COOLDOWN_MS = 30_000;
const FETCH_TIMEOUT_MS = 5000;
const MAX_ROLES = 64;

interface Issuer extends Omit<ClientIssuerConfig, 'jwksUri' | 'audience'> {
  readonly audience: string;
  readonly keys: JWTVerifyGetKey;
}

const issuerOf = ({ issuer, jwksUri, audience, algorithms }: ClientIssuerConfig, ours: string): Issuer => ({
  issuer,
  audience: audience ?? ours,
  algorithms,
  keys: createRemoteJWKSet(new URL(jwksUri), {
    cacheMaxAge: CACHE_MS,
    cooldownDuration: COOLDOWN_MS,
    timeoutDuration: FETCH_TIMEOUT_MS,
  }),
});

/** `audience` is what a token must be for where its issuer's configuration says nothing. */
export const oidcAttestor = (issuers: readonly ClientIssuerConfig[], audience: string): Attestor<'oidc'> => {
  const byName = new Map(issuers.map((one) => [one.issuer, issuerOf(one, audience)]));
  return {
    method: 'oidc',
    attest: async ({ token }, { now }) => {
      const issuer = byName.get(String(readForeignJwt(token).claims.iss));
      if (issuer === undefined)
        throw new Refusal('attestation_refused', 'the access token is by no issuer that is known here');
      const jwt = await verifyForeignJwt(token, { ...issuer, now, from: issuer.issuer });
      const clientId = clientOf(jwt);
      return { method: 'oidc', ...factsOf(jwt.claims, clientId, issuer.issuer) };
    },
  };
};

const refused = (detail: string): Refusal => new Refusal('attestation_refused', detail);
const text = (value: Json | undefined): string =>
  typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value) ? value : '';

/** The members that a token has when a person has logged in: then `azp` is whose page it was, and no workload. */
const OF_A_LOGIN = ['sid', 'session_state', 'auth_time', 'nonce', 'at_hash'];

/** The client that the token was given to, for itself. Throws `attestation_refused`. */
const clientOf = ({ header, claims }: ForeignJwt): string => {
  // Keycloak says what a token is in the payload, RFC 9068 in the header. An ID token says neither.
  const isAccessToken = claims.typ === 'Bearer' || /^(?:application\/)?at\+jwt$/i.test(text(header.typ));
  if (!isAccessToken || (claims.typ !== undefined && claims.typ !== 'Bearer'))
    throw refused('the token is no access token (typ)');
  const login = OF_A_LOGIN.find((name) => claims[name] !== undefined);
  if (login !== undefined)
    throw refused(`the token is from a person’s login (${login}); use the client-credentials grant`);
  const clientId = text(claims.client_id);
  if (clientId === '') throw refused('the token has no client_id: it is from no client-credentials grant');
  if (claims.azp !== undefined && claims.azp !== clientId) throw refused('azp and client_id disagree');
  return clientId;
};

const factsOf = (
  claims: JsonObject,
  clientId: string,
  issuer: string,
): { readonly facts: readonly string[]; readonly values: Readonly<Record<string, string>> } => {
  const sub = text(claims.sub);
  if (sub === '') throw refused('the token has no sub');
  const access = claims.realm_access;
  const roles = access !== undefined && isObject(access) && Array.isArray(access.roles) ? access.roles : [];
  return {
    facts: [
      `oidc:iss=${issuer}`,
      `oidc:sub=${sub}`,
      `oidc:client_id=${clientId}`,
      ...(claims.azp === undefined ? [] : [`oidc:azp=${clientId}`]),
      ...roles
        .slice(0, MAX_ROLES)
        .map(text)
        .filter((role) => role !== '')
        .map((role) => `oidc:role=${role}`),
    ],
    values: { sub, client_id: clientId },
  };
};
