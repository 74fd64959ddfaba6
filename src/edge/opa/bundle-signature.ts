/** `.signatures.json` of a bundle: who vouches for it, and for each of its files. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { compactVerify } from 'jose';
import { parseStrictObject } from '../../core/encoding/json.ts';
import { checkMembers, isObject, isString } from '../../core/encoding/members.ts';
import type { BundleFiles } from './bundle-archive.ts';
import { digestFile } from './bundle-digest.ts';
import { BundleFault } from './bundle-fault.ts';

export const SIGNATURES = '.signatures.json';

export interface SignaturePolicy {
  readonly key: KeyObject;
  readonly keyId: string | undefined;
  readonly scope: string | undefined;
}

const OF_CURVE: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  secp521r1: ['ES512'],
};
const MIN_RSA_BITS = 2048;

/** What a key may be used with: the key says, never the token. Empty for one that is good for nothing here. */
const algorithmsOf = (key: KeyObject): readonly string[] => {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return modulusLength < MIN_RSA_BITS ? [] : ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
    case 'ec':
      return OF_CURVE[namedCurve] ?? [];
    case 'ed25519':
      return ['EdDSA', 'Ed25519'];
    default:
      return [];
  }
};

/** Throws for a file that holds no such key; the message has the file's name alone. */
export const readSigningKey = (file: string): KeyObject => {
  let key: KeyObject;
  const pem = readFileSync(file, 'utf8');
  if (pem.includes('PRIVATE KEY'))
    throw new Error(`${file} holds a private key: only the public one belongs here`);
  try {
    key = createPublicKey(pem);
  } catch {
    throw new Error(`${file} holds no public key`);
  }
  if (algorithmsOf(key).length === 0)
    throw new Error(`${file} holds a key of a kind that we don’t take: RSA of 2048 bits, EC or Ed25519`);
  return key;
};

const verified = async (
  token: string,
  key: KeyObject,
): Promise<{ readonly payload: Uint8Array; readonly kid: string | undefined }> => {
  try {
    const { payload, protectedHeader } = await compactVerify(token, key, {
      algorithms: [...algorithmsOf(key)],
    });
    return { payload, kid: protectedHeader.kid };
  } catch {
    throw new BundleFault('its signature is not by the key that is configured');
  }
};

/** The one token of the file. OPA takes exactly one as well. */
const readToken = (octets: Buffer): string => {
  const parsed = parseStrictObject(octets);
  const tokens = parsed.ok ? parsed.value.signatures : undefined;
  const [token] = Array.isArray(tokens) && tokens.length === 1 ? tokens : [];
  if (typeof token !== 'string') throw new BundleFault(`${SIGNATURES} has not exactly one signature`);
  return token;
};

const FILE_MEMBERS = { name: isString, hash: isString, algorithm: isString };

/**
 * Every file is listed, every listed file is there, and each has the digest that was signed; key id and scope are those that are
 * configured. Throws {@link BundleFault}.
 */
export const verifySignature = async (files: BundleFiles, policy: SignaturePolicy): Promise<void> => {
  const signatures = files.get(SIGNATURES);
  if (signatures === undefined) throw new BundleFault('it is not signed');
  const { payload, kid } = await verified(readToken(signatures), policy.key);
  const claims = parseStrictObject(payload);
  if (!claims.ok) throw new BundleFault(`what is signed can’t be read (${claims.reason})`);
  const { keyid, scope, files: listed } = claims.value;
  if (policy.keyId !== undefined && (kid ?? keyid) !== policy.keyId)
    throw new BundleFault('its signature names another key id than the one configured');
  if ((scope ?? '') !== (policy.scope ?? ''))
    throw new BundleFault('its signature has another scope than the one configured');
  if (!Array.isArray(listed)) throw new BundleFault('its signature lists no files');
  const missing = new Set([...files.keys()].filter((name) => name !== SIGNATURES));
  for (const entry of listed) {
    if (!isObject(entry) || !checkMembers(entry, FILE_MEMBERS, 'file').ok)
      throw new BundleFault('its signature lists something that is no file');
    const { name, hash, algorithm } = entry as { name: string; hash: string; algorithm: string };
    const octets = files.get(name);
    if (octets === undefined) throw new BundleFault('a file that was signed is not in it');
    if (digestFile(name, octets, algorithm) !== hash.toLowerCase())
      throw new BundleFault(`${name} is not what was signed`);
    missing.delete(name);
  }
  const [unlisted] = missing;
  if (unlisted !== undefined) throw new BundleFault(`${unlisted} is not signed`);
};
