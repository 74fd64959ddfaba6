/** Keys at rest: what opens them, and what doesn't. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { KeyEncryption, KeyEncryptionError } from '../../../../src/edge/keys/key-encryption.ts';
import { makeFolder } from '../../../testkit/authority.ts';

const SECRET = Buffer.from('a private key');

const fileIn = (directory: string): string => path.join(directory, 'kek');
const passphraseIn = (directory: string, text: string): string => {
  const file = path.join(directory, `passphrase-${text.length}`);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};

describe('without a passphrase', () => {
  it('the key-encryption key is a file of mode 0600, and what is sealed stays readable', async () => {
    const file = fileIn(makeFolder(onTestFinished));
    const sealed = (await KeyEncryption.open({ file })).seal(SECRET, 'policy');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await KeyEncryption.open({ file });
    expect(again.hasPassphrase).toBe(false);
    expect(again.unseal(sealed, 'policy')).toEqual(SECRET);
    expect(Buffer.from(sealed, 'base64url').includes(SECRET)).toBe(false);
  });

  it('a sealed key opens under no other label, under no other key, and not when an octet was changed', async () => {
    const one = await KeyEncryption.open({ file: fileIn(makeFolder(onTestFinished)) });
    const other = await KeyEncryption.open({ file: fileIn(makeFolder(onTestFinished)) });
    const sealed = one.seal(SECRET, 'policy');
    expect(one.unseal(sealed, 'timestamp')).toBeUndefined();
    expect(other.unseal(sealed, 'policy')).toBeUndefined();
    const octets = Buffer.from(sealed, 'base64url');
    for (const index of octets.keys()) {
      const changed = Buffer.from(octets);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(one.unseal(changed.toString('base64url'), 'policy')).toBeUndefined();
    }
    expect(one.unseal(octets.subarray(0, 20).toString('base64url'), 'policy')).toBeUndefined();
  });
});

describe('with a passphrase', () => {
  const passphrase = 'correct horse battery staple';

  it('the folder alone opens nothing', async () => {
    const directory = makeFolder(onTestFinished);
    const file = fileIn(directory);
    const passphraseFile = passphraseIn(directory, `${passphrase}\n`);
    const sealed = (await KeyEncryption.open({ file, passphraseFile })).seal(SECRET, 'root');
    const again = await KeyEncryption.open({ file, passphraseFile });
    expect(again.hasPassphrase).toBe(true);
    expect(again.unseal(sealed, 'root')).toEqual(SECRET);
    await expect(KeyEncryption.open({ file })).rejects.toThrow('is sealed with a passphrase');
    const wrong = passphraseIn(directory, `${passphrase}, not`);
    await expect(KeyEncryption.open({ file, passphraseFile: wrong })).rejects.toThrow('another passphrase');
  });

  it('one that is configured later seals the key that is there', async () => {
    const directory = makeFolder(onTestFinished);
    const file = fileIn(directory);
    const sealed = (await KeyEncryption.open({ file })).seal(SECRET, 'root');
    const passphraseFile = passphraseIn(directory, passphrase);
    expect((await KeyEncryption.open({ file, passphraseFile })).unseal(sealed, 'root')).toEqual(SECRET);
    expect(readFileSync(file, 'utf8')).not.toContain('"key"');
    await expect(KeyEncryption.open({ file })).rejects.toThrow('is sealed with a passphrase');
  });

  it('a short one is refused, and nothing is made', async () => {
    const directory = makeFolder(onTestFinished);
    const passphraseFile = passphraseIn(directory, 'too short      \n');
    const opening = KeyEncryption.open({ file: fileIn(directory), passphraseFile });
    await expect(opening).rejects.toThrow('at least 16 characters');
    expect(() => statSync(fileIn(directory))).toThrow();
  });
});

it.each([
  '',
  'nonsense',
  '{"v":2,"key":"AAAA"}',
  '{"v":1,"key":"AAAA"}',
  // Half a gigabyte times 16: a start must not be made to take it.
  '{"v":1,"scrypt":{"salt":"AAAAAAAAAAAAAAAAAAAAAA","N":1073741824,"r":16,"p":1},"sealed":"AAAA"}',
])('a file that is none is refused by name: %s', async (content) => {
  const directory = makeFolder(onTestFinished);
  const file = fileIn(directory);
  writeFileSync(file, content);
  const passphraseFile = passphraseIn(directory, 'correct horse battery staple');
  const opening = KeyEncryption.open({ file, passphraseFile });
  await expect(opening).rejects.toThrow(KeyEncryptionError);
  await expect(opening).rejects.toThrow(file);
});
