/**
 * Private keys at rest: sealed with AES-256-GCM under a key-encryption key, each to its own label, so that none can be put
 * in another's place. The key-encryption key stands in a file of mode 0600: as it is, or, with a passphrase, itself sealed
 * under a key that scrypt derives (RFC 7914). As it is, it protects copies of the database and backups without it, and
 * nothing from who reads that file; with a passphrase it protects the whole folder from who hasn't got that.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { decodeBase64url } from '../../core/encoding/base64url.ts';
import { writeFilesAtomic } from '../store/atomic-file.ts';

/** Whose message is for the person at the keyboard. */
export class KeyEncryptionError extends Error {}

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** A passphrase stands in a file and is typed by nobody: there is no reason for a short one. */
const MIN_PASSPHRASE = 16;
const COST = { N: 2 ** 17, r: 8, p: 1 } as const;
const LABEL = 'hopgate key-encryption key';

const sealWith = (key: Buffer, octets: Uint8Array, label: string): string => {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(label));
  return Buffer.concat([nonce, cipher.update(octets), cipher.final(), cipher.getAuthTag()]).toString(
    'base64url',
  );
};

const openWith = (key: Buffer, sealed: string, label: string): Buffer | undefined => {
  const octets = decodeBase64url(sealed);
  if (octets === undefined || octets.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key, octets.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(label));
  decipher.setAuthTag(octets.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(octets.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
};

const stretch = (
  passphrase: string,
  salt: Buffer,
  { N, r, p }: { readonly N: number; readonly r: number; readonly p: number },
): Promise<Buffer> =>
  new Promise((resolve, reject) =>
    scrypt(passphrase, salt, KEY_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    ),
  );

const kekFile = z.union([
  z.strictObject({ v: z.literal(1), key: z.string() }),
  z.strictObject({
    v: z.literal(1),
    // Bounded: who can write this file must not choose how much memory a start takes.
    scrypt: z.strictObject({
      salt: z.string().min(22).max(86),
      N: z
        .int()
        .min(2 ** 14)
        .max(2 ** 20),
      r: z.int().min(8).max(16),
      p: z.int().min(1).max(4),
    }),
    sealed: z.string(),
  }),
]);
type KekFile = z.output<typeof kekFile>;

export interface KeyEncryptionOptions {
  /** Of the key-encryption key; made when it is not there. */
  readonly file: string;
  /** File with the passphrase; white space at its end doesn't count. */
  readonly passphraseFile?: string | undefined;
}

/** Reads a passphrase. Throws {@link KeyEncryptionError} for one of fewer than 16 characters. */
export const readPassphrase = (file: string): string => {
  const passphrase = readFileSync(file, 'utf8').trimEnd();
  if (passphrase.length < MIN_PASSPHRASE)
    throw new KeyEncryptionError(`${file}: a passphrase has at least ${MIN_PASSPHRASE} characters`);
  return passphrase;
};

export class KeyEncryption {
  private readonly kek: Buffer;
  /** Whether the folder alone is not enough to read the keys. */
  readonly hasPassphrase: boolean;

  private constructor(kek: Buffer, hasPassphrase: boolean) {
    this.kek = kek;
    this.hasPassphrase = hasPassphrase;
  }

  /**
   * Opens the key-encryption key, or makes it. One that stands there as it is gets sealed when a passphrase is configured
   * (copies from before stay open). Throws {@link KeyEncryptionError} for a wrong or missing passphrase and a broken file.
   */
  static async open({ file, passphraseFile }: KeyEncryptionOptions): Promise<KeyEncryption> {
    const passphrase = passphraseFile === undefined ? undefined : readPassphrase(passphraseFile);
    if (!existsSync(file)) return KeyEncryption.write(file, randomBytes(KEY_BYTES), passphrase);
    const content = readKekFile(file);
    if ('key' in content) {
      const kek = decodeBase64url(content.key);
      if (kek?.length !== KEY_BYTES) throw new KeyEncryptionError(`${file} holds no key of 32 octets`);
      return passphrase === undefined
        ? new KeyEncryption(kek, false)
        : KeyEncryption.write(file, kek, passphrase);
    }
    if (passphrase === undefined)
      throw new KeyEncryptionError(`${file} is sealed with a passphrase; configure the file that holds it`);
    const salt = decodeBase64url(content.scrypt.salt) ?? Buffer.alloc(0);
    const kek = openWith(await stretch(passphrase, salt, content.scrypt), content.sealed, LABEL);
    if (kek?.length !== KEY_BYTES)
      throw new KeyEncryptionError(
        `${file} is sealed with another passphrase than that in ${passphraseFile}`,
      );
    return new KeyEncryption(kek, true);
  }

  private static async write(
    file: string,
    kek: Buffer,
    passphrase: string | undefined,
  ): Promise<KeyEncryption> {
    let content: KekFile = { v: 1, key: kek.toString('base64url') };
    if (passphrase !== undefined) {
      const salt = randomBytes(16);
      content = {
        v: 1,
        scrypt: { salt: salt.toString('base64url'), ...COST },
        sealed: sealWith(await stretch(passphrase, salt, COST), kek, LABEL),
      };
    }
    writeFilesAtomic([{ file, content: `${JSON.stringify(content)}\n` }]);
    return new KeyEncryption(kek, passphrase !== undefined);
  }

  /** Seals octets to a label: base64url of nonce (12), ciphertext, tag (16). */
  seal(octets: Uint8Array, label: string): string {
    return sealWith(this.kek, octets, label);
  }

  /** Opens what was sealed to this very label; `undefined` when it was not, or was changed. */
  unseal(sealed: string, label: string): Buffer | undefined {
    return openWith(this.kek, sealed, label);
  }
}

const readKekFile = (file: string): KekFile => {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const read = kekFile.safeParse(content);
  if (!read.success) throw new KeyEncryptionError(`${file} is no key-encryption key of this version`);
  return read.data;
};
