/**
 * The root key. It stands in a file of its own, sealed, so that it can be taken away: then roles are signed where it is,
 * and this verifier can change nothing that the root has to say.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { canonicalJson } from '../../core/encoding/json.ts';
import { type KeyEncryption, KeyEncryptionError } from '../../edge/keys/key-encryption.ts';
import { makeSigningKey, type SigningKey, signingKeyOf } from '../../edge/keys/signing-key.ts';
import { writeFilesAtomic } from '../../edge/store/atomic-file.ts';

/** The files of a verifier's key folder. */
export const keyFilesIn = (directory: string) => ({
  kek: path.join(directory, 'kek'),
  root: path.join(directory, 'root.key'),
});

const rootFile = z.strictObject({
  v: z.literal(1),
  role: z.literal('root'),
  trustDomain: z.string(),
  thumbprint: z.string(),
  sealed: z.string(),
});

/** What a sealed key is bound to: it opens in no other role, under no other name. */
export interface KeyName {
  readonly role: string;
  readonly thumbprint: string;
  readonly trustDomain: string;
}

const labelOf = ({ role, thumbprint, trustDomain }: KeyName): string =>
  canonicalJson({ role, thumbprint, trust_domain: trustDomain });

const pkcs8 = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'pkcs8' });

export const sealKey = (encryption: KeyEncryption, key: KeyObject, name: KeyName): string =>
  encryption.seal(pkcs8(key), labelOf(name));

/** Throws {@link KeyEncryptionError}: the key was sealed under another key-encryption key, or changed. */
export const unsealKey = (encryption: KeyEncryption, sealed: string, name: KeyName): KeyObject => {
  const octets = encryption.unseal(sealed, labelOf(name));
  if (octets === undefined)
    throw new KeyEncryptionError(
      `the ${name.role} key ${name.thumbprint} of ${name.trustDomain} does not open: it was changed, or sealed under another keys/kek; restore both from one backup`,
    );
  return createPrivateKey({ key: octets, format: 'der', type: 'pkcs8' });
};

/** Makes the root key of a new trust domain. */
export const makeRootKey = (file: string, trustDomain: string, encryption: KeyEncryption): SigningKey => {
  const root = makeSigningKey();
  const { thumbprint } = root;
  const sealed = sealKey(encryption, root.key, { role: 'root', thumbprint, trustDomain });
  const content = { v: 1, role: 'root', trustDomain, thumbprint, sealed };
  writeFilesAtomic([{ file, content: `${JSON.stringify(content)}\n` }]);
  return root;
};

/** The root key, or `undefined` when it is kept elsewhere. Throws {@link KeyEncryptionError} for a file that is none. */
export const readRootKey = (
  file: string,
  trustDomain: string,
  encryption: KeyEncryption,
): SigningKey | undefined => {
  if (!existsSync(file)) return undefined;
  const content = readRootFile(file);
  if (content.trustDomain !== trustDomain)
    throw new KeyEncryptionError(`${file} is the root of ${content.trustDomain}, not of ${trustDomain}`);
  const { role, thumbprint, sealed } = content;
  const root = signingKeyOf(unsealKey(encryption, sealed, { role, thumbprint, trustDomain }));
  if (root === undefined || root.thumbprint !== thumbprint)
    throw new KeyEncryptionError(`${file} holds another key than it names`);
  return root;
};

/** Trust domain and thumbprint, which are no secret and stand there unsealed. */
export const readRootFile = (file: string): z.output<typeof rootFile> => {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const read = rootFile.safeParse(content);
  if (!read.success) throw new KeyEncryptionError(`${file} is no root key of this version`);
  return read.data;
};

/**
 * The root key as a PEM that a passphrase protects (PKCS#8, AES-256): to be kept elsewhere. Opens with
 * {@link importRootKey} and with `openssl pkey`.
 */
export const exportRootKey = (root: SigningKey, passphrase: string): string =>
  root.key.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase }).toString();

/** Throws {@link KeyEncryptionError} for a wrong passphrase, or a key that is not Ed25519. */
export const importRootKey = (pem: string, passphrase: string | undefined): SigningKey => {
  let key: KeyObject;
  try {
    // OpenSSL asks the terminal for a passphrase that it isn't given; an empty one is wrong without asking.
    key = createPrivateKey({ key: pem, format: 'pem', passphrase: passphrase ?? '' });
  } catch {
    throw new KeyEncryptionError('no private key, or one with another passphrase');
  }
  const root = signingKeyOf(key);
  if (root === undefined)
    throw new KeyEncryptionError('the root key is an Ed25519 key; this is another kind');
  return root;
};

/** Takes the root key away from this machine. Overwriting would promise what file systems don't keep. */
export const removeRootKey = (file: string): void => rmSync(file);
