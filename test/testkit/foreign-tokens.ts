/** Tokens as clusters and identity providers sign them, and as attackers would like them to be. */
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';

export interface ForeignKey {
  readonly kid: string;
  readonly alg: 'RS256' | 'ES256';
  readonly key: KeyObject;
  /** JWK, public. */
  readonly jwk: Readonly<Record<string, unknown>> & { readonly kty: string };
  readonly publicPem: string;
}

export const makeForeignKey = (kid: string, alg: 'RS256' | 'ES256' = 'RS256'): ForeignKey => {
  const { privateKey, publicKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = publicKey.export({ format: 'jwk' });
  return {
    kid,
    alg,
    key: privateKey,
    jwk: { ...jwk, kty: jwk.kty ?? '', kid, alg, use: 'sig' },
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
};

type Claims = Readonly<Record<string, unknown>>;

export const signForeign = (
  { kid, alg, key }: ForeignKey,
  claims: Claims,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, typ: 'JWT', ...header }).sign(key);

const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Nobody has signed it. */
export const unsigned = (claims: Claims): string => `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`;

/** HS256 with the text of the public key as its secret. */
export const signedWithPublicKey = ({ kid, publicPem }: ForeignKey, claims: Claims): string => {
  const input = `${part({ alg: 'HS256', kid, typ: 'JWT' })}.${part(claims)}`;
  return `${input}.${createHmac('sha256', publicPem).update(input).digest('base64url')}`;
};

/** A token under a header or payload of one's own text: members twice, or spelled so that readers disagree. */
export const respelled = (
  token: string,
  spell: { readonly header?: string; readonly payload?: string },
): string => {
  const [header = '', payload = '', signature = ''] = token.split('.');
  return [
    spell.header === undefined ? header : part(spell.header),
    spell.payload === undefined ? payload : part(spell.payload),
    signature,
  ].join('.');
};
