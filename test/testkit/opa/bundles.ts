/** Bundles for tests: the fixture that OPA has built and signed, and others made of its files. */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { CompactSign } from 'jose';
import { extract, type Header, pack } from 'tar-stream';
import type { BundleRules } from '../../../src/edge/opa/bundle.ts';
import { digestFile } from '../../../src/edge/opa/bundle-digest.ts';
import { readSigningKey, type SignaturePolicy } from '../../../src/edge/opa/bundle-signature.ts';

export const fixtureFile = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Built, and signed with ES256, by OPA itself; revision 7. */
export const FIXTURE = readFileSync(fixtureFile('authz.tar.gz'));
export const FIXTURE_KEY: SignaturePolicy = {
  key: readSigningKey(fixtureFile('authz.pub.pem')),
  keyId: undefined,
  scope: undefined,
};

export const RULES: BundleRules = {
  maxBytes: 1_048_576,
  memoryBytes: 33_554_432,
  maxSteps: 1_000_000,
  signature: FIXTURE_KEY,
};

export type Files = Record<string, string | Buffer>;

/** The files of the fixture, without its signature. */
export const fixtureFiles = async (): Promise<Files> => {
  const files: Files = {};
  const reader = extract();
  reader.end(gunzipSync(FIXTURE));
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    files[entry.header.name.replace(/^\//, '')] = Buffer.concat(chunks);
  }
  delete files['.signatures.json'];
  return files;
};

export const withRevision = (files: Files, revision: string): Files => ({
  ...files,
  '.manifest': JSON.stringify({ ...JSON.parse(String(files['.manifest'])), revision }),
});

/** A tar.gz of these entries, in this order, whatever they are. */
export const archive = async (
  entries: readonly (readonly [Partial<Header> & { readonly name: string }, string | Buffer])[],
): Promise<Buffer> => {
  const writer = pack();
  for (const [header, content] of entries) writer.entry(header, content);
  writer.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of writer as AsyncIterable<Buffer>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
};

export const bundleOf = (files: Files): Promise<Buffer> =>
  archive(Object.entries(files).map(([name, content]) => [{ name: `/${name}` }, content]));

export interface Signer {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export const newSigner = (): Signer => generateKeyPairSync('ed25519');

export interface Signing {
  readonly alg?: string;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** `.signatures.json` over these files, as OPA makes it. */
export const signatureOf = async (files: Files, signer: Signer, signing: Signing = {}): Promise<string> => {
  const { alg = 'EdDSA', header = { kid: 'default', typ: 'JWT' }, claims = { keyid: 'default' } } = signing;
  const listed = Object.entries(files).map(([name, content]) => ({
    name,
    hash: digestFile(name, Buffer.from(content), 'SHA-256'),
    algorithm: 'SHA-256',
  }));
  const payload = Buffer.from(JSON.stringify({ files: listed, ...claims }));
  const token = await new CompactSign(payload).setProtectedHeader({ alg, ...header }).sign(signer.privateKey);
  return JSON.stringify({ signatures: [token] });
};

export const signedBundle = async (files: Files, signer: Signer, signing?: Signing): Promise<Buffer> =>
  bundleOf({ ...files, '.signatures.json': await signatureOf(files, signer, signing) });

export const rulesOf = (signer: Signer, rest: Partial<BundleRules> = {}): BundleRules => ({
  ...RULES,
  signature: { key: signer.publicKey, keyId: undefined, scope: undefined },
  ...rest,
});

export const sha256 = (octets: string | Buffer): string => createHash('sha256').update(octets).digest('hex');

/** What the rule `allow` of the fixture permits. */
export const ALLOWED = {
  version: 'hopgate.dev/v1',
  principal: { id: 'mailto:alice@company.com', groups: ['staff', 'ops'] },
  request: { method: 'GET', path: '/reports/daily' },
  chain: { depth: 2 },
};
