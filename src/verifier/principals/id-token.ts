/** An ID token, verified once (OpenID Connect Core §3.1.3.7): what is left of it are facts, never the token. */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { OidcIssuer } from '../../api/principals.ts';
import { isCanonicalBase64url } from '../../core/encoding/base64url.ts';
import { sha256Base64url } from '../../core/encoding/jws.ts';
import { CLOCK_SKEW_SECONDS } from '../../core/limits.ts';
import { type IdentityProvider, ProviderUnavailable } from '../../edge/oidc/identity-provider.ts';
import { Refusal } from '../refusal.ts';

export const MAX_ID_TOKEN_BYTES = 16_384;
const MAX_GROUPS = 512;

export interface VerifiedLogin {
  readonly issuer: string;
  readonly subject: string;
  readonly groups: readonly string[];
  /** Seconds. */
  readonly issuedAt: number;
  readonly exp: number;
  readonly authTime: number;
  readonly acr: string | undefined;
  readonly nonce: string | undefined;
  /** base64url SHA-256 of the token as sent. */
  readonly tokenHash: string;
  /** Of its signing input: one and the same token has several signatures under ECDSA. */
  readonly tokenId: string;
}

const refuse = (detail: string): Refusal => new Refusal('login_refused', detail);

/** A sentence for each of jose's findings; none repeats what stood in the token. */
const refusalOf = (error: unknown, { algs }: OidcIssuer, now: number): Refusal => {
  if (error instanceof ProviderUnavailable)
    return new Refusal(
      'api_unavailable',
      `the identity provider can't be asked for its keys: ${error.message}`,
    );
  if (error instanceof errors.JWTExpired)
    return new Refusal('login_expired', `the ID token has expired; it is ${now} here`);
  if (error instanceof errors.JWTClaimValidationFailed)
    return error.reason === 'check_failed' && (error.claim === 'nbf' || error.claim === 'iat')
      ? new Refusal('login_expired', `the ID token is from the future (${error.claim}); it is ${now} here`)
      : refuse(`the ID token's ${error.claim} is not the one expected`);
  if (error instanceof errors.JOSEAlgNotAllowed)
    return refuse(`the ID token is signed with another algorithm than ${algs.join(', ')}`);
  if (error instanceof errors.JWKSNoMatchingKey)
    return refuse('the ID token is signed with a key that its issuer does not publish');
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return refuse('the signature of the ID token is wrong');
  return refuse('this is not an ID token');
};

/**
 * Verifies signature, issuer, audience, authorised party, times and type. The nonce and whether it was used before are the
 * login's to judge. Refuses with `login_refused`, `login_expired`, `api_unavailable`.
 */
export const verifyIdToken = async (
  text: string,
  trusted: OidcIssuer,
  provider: IdentityProvider,
  now: number,
): Promise<VerifiedLogin> => {
  const parts = text.split('.');
  // Spellings that decode alike would pass for tokens that were never used.
  if (text.length > MAX_ID_TOKEN_BYTES || parts.length !== 3 || !parts.every(isCanonicalBase64url))
    throw refuse('this is not an ID token');
  let claims: JWTPayload;
  try {
    const { payload, protectedHeader } = await jwtVerify(text, provider.keyFor, {
      algorithms: [...trusted.algs],
      issuer: trusted.issuer,
      audience: trusted.audience,
      clockTolerance: CLOCK_SKEW_SECONDS,
      currentDate: new Date(now * 1000),
      requiredClaims: ['sub', 'iat', 'exp'],
    });
    if (protectedHeader.typ !== undefined && protectedHeader.typ.toUpperCase() !== 'JWT')
      throw refuse('this is a token of another type than an ID token');
    claims = payload;
  } catch (error) {
    throw error instanceof Refusal ? error : refusalOf(error, trusted, now);
  }
  checkParty(claims, trusted);
  const issuedAt = timeOf(claims.iat) ?? 0;
  if (issuedAt > now + CLOCK_SKEW_SECONDS)
    throw new Refusal('login_expired', `the ID token is from the future (iat); it is ${now} here`);
  const { sub, acr, nonce } = claims;
  if (typeof sub !== 'string' || sub === '' || sub.length > 255)
    throw refuse("the ID token's sub is no name");
  return {
    issuer: trusted.issuer,
    subject: sub,
    groups: groupsOf(claims[trusted.groupsClaim]),
    issuedAt,
    exp: timeOf(claims.exp) ?? 0,
    authTime: timeOf(claims.auth_time) ?? issuedAt,
    acr: typeof acr === 'string' && acr.length <= 255 ? acr : undefined,
    nonce: typeof nonce === 'string' ? nonce : undefined,
    tokenHash: sha256Base64url(text),
    tokenId: sha256Base64url(text.slice(0, text.lastIndexOf('.'))),
  };
};

const timeOf = (value: unknown): number | undefined =>
  typeof value === 'number' && value > 0 ? Math.floor(value) : undefined;

/** Made for us, and an ID token: access and logout tokens by the same keys have the same form. */
const checkParty = (claims: JWTPayload, { clientId, audience }: OidcIssuer): void => {
  const { aud, azp } = claims;
  const several = Array.isArray(aud) && aud.length > 1;
  if ((several || audience !== clientId) && azp === undefined)
    throw refuse('the ID token is for several audiences and names no authorised party (azp)');
  if (azp !== undefined && azp !== clientId) throw refuse('the ID token was made for another client (azp)');
  // Keycloak says in the payload what a token is.
  if (claims.typ !== undefined && claims.typ !== 'ID')
    throw refuse('this is a token of another type than an ID token');
  if (claims.events !== undefined) throw refuse('this is a logout token');
};

const groupsOf = (value: unknown): readonly string[] => {
  const list = Array.isArray(value) ? value : [value];
  return [...new Set(list.filter((one) => typeof one === 'string' && one !== '' && one.length <= 256))].slice(
    0,
    MAX_GROUPS,
  ) as string[];
};
