/** The folder of an identity: what belongs together changes together, whatever happens between two files. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeyEncryption } from '../../../../src/edge/keys/key-encryption.ts';
import { makeSigningKey } from '../../../../src/edge/keys/signing-key.ts';
import { IdentityFolder, type KeptIdentity } from '../../../../src/edge/verifier/identity-folder.ts';
import { makeTlsKey } from '../../../../src/verifier/authority/certificates.ts';
import { sealedBundle } from '../../../testkit/core-bundle.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-folder-'));
});
afterEach(() => {
  chmodSync(directory, 0o700);
  rmSync(directory, { recursive: true, force: true });
});

const roles = ((): string => {
  const [, payload = ''] = sealedBundle().text.split('.');
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { roles: string }).roles;
})();
const identity = (wit = 'a.wit.one'): KeptIdentity => ({
  keys: { agent: makeSigningKey(), audit: makeSigningKey() },
  credentials: {
    svid: 'the SVID\n',
    svidKey: makeTlsKey(),
    wit,
    keyBinding: { exp: 1, kid: 'k', sig: 's' },
    roles,
  },
});
const at = (name: string): string => path.join(directory, name);
const x = (kept: KeptIdentity | undefined): string | undefined => kept?.keys.agent.x;

test('gives back what was written, in files that are the owner’s alone', () => {
  const folder = new IdentityFolder(directory);
  expect(folder.read()).toBeUndefined();
  const one = identity();
  folder.write(one);
  const read = folder.read();
  expect(x(read)).toBe(x(one));
  expect(read?.credentials).toMatchObject({ wit: 'a.wit.one', svid: 'the SVID\n', roles });
  expect(read?.credentials?.svidKey.equals(one.credentials?.svidKey ?? makeTlsKey())).toBe(true);
  for (const name of ['agent.key', 'audit.key', 'svid.key'])
    expect(statSync(at(name)).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).not.toContain('renewal.json');
});

test('a renewal leaves the agent key’s file as it is: how old it is says how old the key is', () => {
  const folder = new IdentityFolder(directory);
  const one = identity();
  folder.write(one);
  utimesSync(at('agent.key'), 1000, 1000);
  folder.write({ ...identity('a.wit.two'), keys: one.keys });
  expect(folder.keyMadeAt).toBe(1000);
  expect(folder.read()?.credentials?.wit).toBe('a.wit.two');
  folder.write(identity());
  expect(folder.keyMadeAt).toBeGreaterThan(1000);
});

test('a crash between two files is made good at the next start', () => {
  const folder = new IdentityFolder(directory);
  const one = identity();
  folder.write(one);
  const two = { ...identity('a.wit.two'), keys: one.keys };
  // As a crash leaves it: the journal is written, the new key is there, the new SVID and WIT are not.
  const scratch = new IdentityFolder(path.join(directory, 'scratch'));
  scratch.write(two);
  const files = ['svid.key', 'svid.pem', 'wit.jwt', 'key-binding.json', 'roles.jws'];
  const journal = Object.fromEntries(
    files.map((name) => [name, readFileSync(path.join(directory, 'scratch', name), 'utf8')]),
  );
  writeFileSync(at('renewal.json'), JSON.stringify(journal));
  writeFileSync(at('svid.key'), journal['svid.key'] ?? '');
  const read = folder.read();
  expect(read?.credentials?.wit).toBe('a.wit.two');
  expect(read?.credentials?.svidKey.equals(two.credentials?.svidKey ?? makeTlsKey())).toBe(true);
  expect(existsSync(at('renewal.json'))).toBe(false);
});

test('half a journal is no journal: what is there is whole', () => {
  const folder = new IdentityFolder(directory);
  folder.write(identity());
  writeFileSync(at('renewal.json'), '{"svid.key": "-----BEG');
  expect(folder.read()?.credentials?.wit).toBe('a.wit.one');
});

test('a journal names files of the folder, and none beside it', () => {
  const folder = new IdentityFolder(directory);
  folder.write(identity());
  writeFileSync(at('renewal.json'), JSON.stringify({ '../escaped.key': 'x' }));
  folder.read();
  expect(existsSync(path.join(directory, '..', 'escaped.key'))).toBe(false);
});

describe('with a key-encryption key', () => {
  const kek = (name = 'kek'): Promise<KeyEncryption> => KeyEncryption.open({ file: at(name) });

  test('private keys are sealed, those that hopgate join left in the clear too', async () => {
    const one = identity();
    new IdentityFolder(directory).write(one);
    const sealed = new IdentityFolder(directory, await kek());
    expect(x(sealed.read())).toBe(x(one));
    for (const name of ['agent.key', 'audit.key', 'svid.key']) expect(existsSync(at(name))).toBe(false);
    const files = readdirSync(directory).filter((name) => name !== 'kek');
    expect(files.map((name) => readFileSync(at(name), 'utf8')).join()).not.toContain('PRIVATE KEY');
    expect(x(sealed.read())).toBe(x(one));
  });

  test('under another one, or without, they stay shut; and none is put in another’s place', async () => {
    const sealed = new IdentityFolder(directory, await kek());
    sealed.write(identity());
    expect(() => new IdentityFolder(directory).read()).toThrow('sealed');
    await expect(async () => new IdentityFolder(directory, await kek('other')).read()).rejects.toThrow(
      'sealed',
    );
    writeFileSync(at('agent.key.sealed'), readFileSync(at('audit.key.sealed')));
    expect(() => sealed.read()).toThrow('sealed');
  });
});

test('the key of a rotation is kept until it has its place', () => {
  const folder = new IdentityFolder(directory);
  const one = identity();
  folder.write(one);
  const next = makeSigningKey();
  folder.keepNextKey(next);
  expect(folder.nextKey?.x).toBe(next.x);
  expect(x(folder.read())).toBe(x(one));
  folder.write({ ...one, keys: { ...one.keys, agent: next } });
  expect(folder.nextKey).toBeUndefined();
  expect(x(folder.read())).toBe(next.x);
});
