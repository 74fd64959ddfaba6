/** A bundle is taken when everything in it was signed by the configured key, and is understood; else it is refused whole. */
import { generateKeyPairSync } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { isRollback, readBundle } from '../../../../src/edge/opa/bundle.ts';
import { canonicalDocument } from '../../../../src/edge/opa/bundle-digest.ts';
import {
  archive,
  bundleOf,
  FIXTURE,
  FIXTURE_KEY,
  fixtureFiles,
  newSigner,
  RULES,
  rulesOf,
  signatureOf,
  signedBundle,
  withRevision,
} from '../../../testkit/opa/bundles.ts';

const files = await fixtureFiles();
const signer = newSigner();
const rules = rulesOf(signer);
const without = (name: string) => Object.fromEntries(Object.entries(files).filter(([one]) => one !== name));

describe('a bundle that OPA has built and signed', () => {
  test('is taken: its data, with fractions, escapes and members past the basic plane, has the digest that OPA signed', async () => {
    const bundle = await readBundle(FIXTURE, RULES);
    expect(bundle.revision).toBe('7');
    expect([...bundle.entrypoints.keys()].sort()).toEqual(
      ['allow', 'decision', 'fraction', 'guest', 'hoard', 'odd', 'spin'].map(
        (rule) => `hopgate/authz/${rule}`,
      ),
    );
  });

  test.each(['default', 'release'])('with the key id %s wanted', async (keyId) => {
    const reading = readBundle(FIXTURE, { ...RULES, signature: { ...FIXTURE_KEY, keyId } });
    if (keyId === 'default') await reading;
    else await expect(reading).rejects.toThrow('another key id');
  });

  test('is refused where a scope is wanted that it has not', async () => {
    await expect(
      readBundle(FIXTURE, { ...RULES, signature: { ...FIXTURE_KEY, scope: 'write' } }),
    ).rejects.toThrow('another scope');
  });

  test('is refused under another key, of the same kind and of another', async () => {
    for (const key of [
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
      signer.publicKey,
      generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
    ])
      await expect(readBundle(FIXTURE, { ...RULES, signature: { ...FIXTURE_KEY, key } })).rejects.toThrow(
        'not by the key',
      );
  });
});

test('a document is canonical as Go has it', () => {
  expect(
    canonicalDocument(
      Buffer.from(
        '{ "b":[1.0,1e3,-0, "<\\u2028&\\/\\u0041"], "\u{1F600}":1, "\uFB01":null, "a":{} , "a":{"c":true}}',
      ),
    ),
  ).toBe('{"a":{"c":true},"b":[1.0,1e3,-0,"<\\u2028&/A"],"\uFB01":null,"\u{1F600}":1}');
});

describe('a signature', () => {
  test.each([
    ['with a scope', { claims: { scope: 'write' } }, { scope: 'write' }, undefined],
    ['with the key id in the header alone', { claims: {} }, { keyId: 'default' }, undefined],
    ['with the key id in the claims alone', { header: {} }, { keyId: 'default' }, undefined],
    ['without any key id', { header: {}, claims: {} }, { keyId: 'default' }, 'another key id'],
    ['with a scope that nobody wants', { claims: { scope: 'write' } }, {}, 'another scope'],
  ])('%s', async (_what, signing, wanted, fault) => {
    const reading = readBundle(await signedBundle(files, signer, signing), {
      ...rules,
      signature: { key: signer.publicKey, keyId: undefined, scope: undefined, ...wanted },
    });
    if (fault === undefined) await reading;
    else await expect(reading).rejects.toThrow(fault);
  });

  test.each([
    ['RS256', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ])('with %s', async (alg, make) => {
    const other = make();
    await readBundle(await signedBundle(files, other, { alg }), rulesOf(other));
  });

  test('with the public key taken for a shared secret', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { createHmac } = await import('node:crypto');
    const head = Buffer.from('{"alg":"HS256","kid":"default"}').toString('base64url');
    const [, payload] = JSON.parse(await signatureOf(files, signer)).signatures[0].split('.');
    const secret = rsa.publicKey.export({ type: 'spki', format: 'pem' });
    const mac = createHmac('sha256', secret).update(`${head}.${payload}`).digest('base64url');
    const forged = {
      ...files,
      '.signatures.json': JSON.stringify({ signatures: [`${head}.${payload}.${mac}`] }),
    };
    await expect(readBundle(await bundleOf(forged), rulesOf(rsa))).rejects.toThrow('not by the key');
  });

  test('that says that nobody has signed', async () => {
    const head = Buffer.from('{"alg":"none"}').toString('base64url');
    const [, payload] = JSON.parse(await signatureOf(files, signer)).signatures[0].split('.');
    const forged = { ...files, '.signatures.json': JSON.stringify({ signatures: [`${head}.${payload}.`] }) };
    await expect(readBundle(await bundleOf(forged), rules)).rejects.toThrow('not by the key');
  });

  test('of two tokens', async () => {
    const [token] = JSON.parse(await signatureOf(files, signer)).signatures;
    const forged = { ...files, '.signatures.json': JSON.stringify({ signatures: [token, token] }) };
    await expect(readBundle(await bundleOf(forged), rules)).rejects.toThrow('not exactly one signature');
  });
});

describe('a bundle is refused', () => {
  const signed = async (content = files) => signatureOf(content, signer);
  test.each<[string, () => Promise<Buffer>, string]>([
    ['unsigned', () => bundleOf(files), 'not signed'],
    [
      'with another policy under the signature',
      async () => bundleOf({ ...files, 'authz.rego': 'package x', '.signatures.json': await signed() }),
      'authz.rego is not what was signed',
    ],
    [
      'with other data',
      async () =>
        bundleOf({
          ...files,
          'data.json': '{"principals":["mailto:eve@x"]}',
          '.signatures.json': await signed(),
        }),
      'data.json is not what was signed',
    ],
    [
      'with another manifest',
      async () => bundleOf({ ...withRevision(files, '9'), '.signatures.json': await signed() }),
      '.manifest is not what was signed',
    ],
    [
      'with a file more',
      async () => bundleOf({ ...files, 'more.wasm': 'x', '.signatures.json': await signed() }),
      'more.wasm is not signed',
    ],
    [
      'with a file less',
      async () => bundleOf({ ...without('authz.rego'), '.signatures.json': await signed() }),
      'a file that was signed is not in it',
    ],
    [
      'with a signature in a folder',
      async () => bundleOf({ ...files, 'a/.signatures.json': await signed() }),
      'not signed',
    ],
    ['with a delta', () => signedBundle({ ...files, 'patch.json': '{}' }, signer), 'delta'],
    ['with data in YAML', () => signedBundle({ ...files, 'data.yaml': 'a: 1' }, signer), 'data.yaml'],
    ['with data in folders', () => signedBundle({ ...files, 'a/data.json': '{}' }, signer), 'a/data.json'],
    ['without a manifest', () => signedBundle(without('.manifest'), signer), 'no .manifest'],
    [
      'without WebAssembly',
      () => signedBundle({ ...files, '.manifest': '{"revision":"1","roots":[""]}' }, signer),
      'no WebAssembly',
    ],
    ['without its module', () => signedBundle(without('policy.wasm'), signer), 'names policy.wasm'],
    [
      'with a module that is none',
      () => signedBundle({ ...files, 'policy.wasm': 'no' }, signer),
      'no WebAssembly',
    ],
    [
      'with an entrypoint that the module lacks',
      () =>
        signedBundle(
          { ...files, '.manifest': '{"wasm":[{"entrypoint":"a/b","module":"/policy.wasm"}]}' },
          signer,
        ),
      'no entrypoint a/b',
    ],
    ['that is no archive', async () => gzipSync(Buffer.alloc(700, 'x')), 'no tar'],
    ['that is no gzip', async () => Buffer.from('no'), 'no gzip'],
    ['that is cut off', async () => (await signedBundle(files, signer)).subarray(0, 40_000), 'no gzip'],
    ['that is larger than it may be', async () => Buffer.alloc(1_048_577), 'larger than 1048576 octets'],
    [
      'that grows when unpacked',
      async () => gzipSync(Buffer.alloc(4 * 1_048_576 + 1)),
      'larger than 4194304 octets when unpacked',
    ],
    ['that leads out of itself', () => archive([[{ name: 'a/../../etc/passwd' }, 'x']]), 'leads elsewhere'],
    ['that leads out by a backslash', () => archive([[{ name: 'a\\..\\b' }, 'x']]), 'leads elsewhere'],
    [
      'with a link',
      () => archive([[{ name: 'data.json', type: 'symlink', linkname: '/etc/passwd' }, '']]),
      'links or devices',
    ],
    [
      'with a file twice',
      () =>
        archive([
          [{ name: '/data.json' }, '{}'],
          [{ name: './data.json' }, '{"a":1}'],
        ]),
      'a file twice',
    ],
    [
      'with too many entries',
      () => archive(Array.from({ length: 4097 }, (_, index) => [{ name: `f${index}` }, ''] as const)),
      'more than 4096 entries',
    ],
  ])('%s', async (_what, make, fault) => {
    await expect(readBundle(await make(), rules)).rejects.toThrow(fault);
  });

  test('signed, where the configuration says that it isn’t', async () => {
    await expect(readBundle(FIXTURE, { ...RULES, signature: undefined })).rejects.toThrow('it is signed');
    expect((await readBundle(await bundleOf(files), { ...RULES, signature: undefined })).revision).toBe('7');
  });
});

test.each([
  ['7', '7', false],
  ['7', '8', false],
  ['9', '10', false],
  ['7', '6', true],
  ['7', '', true],
  ['7', '6f1c2d', true],
  ['6f1c2d', '7', false],
  ['6f1c2d', 'a', false],
])('after revision %s comes %j: rollback is %s', async (before, after, expected) => {
  const of = async (revision: string) =>
    readBundle(await signedBundle(withRevision(files, revision), signer), rules);
  expect(isRollback(await of(after), await of(before))).toBe(expected);
});
