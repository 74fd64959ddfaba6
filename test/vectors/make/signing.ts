/** Fixed Ed25519 keys and raw signing. Nothing here checks anything, so that every fault can be made. */
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';

export interface Key {
  readonly name: string;
  /** base64url of 32 octets. */
  readonly x: string;
  readonly jwk: { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string };
  readonly jkt: string;
  readonly sign: (message: Uint8Array) => Buffer;
}

export type Claims = Readonly<Record<string, unknown>>;

const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

export const b64u = (octets: Uint8Array | string): string => Buffer.from(octets).toString('base64url');
export const sha256 = (...parts: readonly (Uint8Array | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const jwkOf = (x: string): Key['jwk'] => ({ kty: 'OKP', crv: 'Ed25519', x });
const thumbprintOf = (x: string): string => b64u(sha256(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`));

/** A key that nobody needs to hold: its signatures are made by `forge`, or not at all. */
export const publicKey = (name: string, x: string, forge?: Key['sign']): Key => ({
  name,
  x,
  jwk: jwkOf(x),
  jkt: thumbprintOf(x),
  sign:
    forge ??
    (() => {
      throw new Error(`${name} can't sign`);
    }),
});

const byName = new Map<string, Key>();

/** The 32 octets of seed behind a name: SHA-256 of `hopgate vector key: <name>`. */
export const seedOf = (name: string): Buffer => sha256(`hopgate vector key: ${name}`);

/** The key pair of a name. */
export const key = (name: string): Key => {
  const known = byName.get(name);
  if (known !== undefined) return known;
  const secret = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seedOf(name)]),
    format: 'der',
    type: 'pkcs8',
  });
  const made = publicKey(name, createPublicKey(secret).export({ format: 'jwk' }).x as string, (message) =>
    sign(null, message, secret),
  );
  byName.set(name, made);
  return made;
};

/** The made key that has this thumbprint. */
export const keyByThumbprint = (jkt: string): Key | undefined =>
  [...byName.values()].find((made) => made.jkt === jkt);

/** RFC 8785 for strings, integers, booleans, arrays and objects. */
export const jcs = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${jcs(member)}`)
    .join(',')}}`;
};

export const headerOf = (typ: string, kid?: string): string =>
  kid === undefined ? `{"alg":"Ed25519","typ":"${typ}"}` : `{"alg":"Ed25519","kid":"${kid}","typ":"${typ}"}`;

/** A compact JWS over any octets under any header. */
export const rawJws = (header: Uint8Array | string, payload: Uint8Array | string, by: Key): string => {
  const input = `${b64u(header)}.${b64u(payload)}`;
  return `${input}.${b64u(by.sign(Buffer.from(input)))}`;
};

/** A compact JWS with the header of its type; the payload keeps the order of its members. */
export const jws = (typ: string, claims: Claims, by: Key, kid?: string): string =>
  rawJws(headerOf(typ, kid), JSON.stringify(claims), by);

export const signingInputOf = (text: string): string => text.slice(0, text.lastIndexOf('.'));
export const idOf = (link: string): string => b64u(sha256(signingInputOf(link)));

/** The same signing input with another signature. */
export const withSignature = (text: string, change: (signature: Buffer) => Uint8Array): string =>
  `${signingInputOf(text)}.${b64u(change(Buffer.from(text.slice(text.lastIndexOf('.') + 1), 'base64url')))}`;

/** `count` fixed octets for nonces, exporters and the like. */
export const octets = (name: string, count = 32): Buffer =>
  sha256(`hopgate vector octets: ${name}`).subarray(0, count);
export const jti = (name: string): string => b64u(octets(`jti ${name}`, 16));
