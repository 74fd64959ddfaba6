/** Bundles that a real OPA has built and signed, from a server that speaks its protocol; what we refuse, OPA refuses too. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import { extract } from 'tar-stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decisionPoints } from '../../src/config/decision-point-schema.ts';
import { readBundle } from '../../src/edge/opa/bundle.ts';
import { readSigningKey } from '../../src/edge/opa/bundle-signature.ts';
import { openDecisionPoints } from '../../src/edge/opa/decision-points.ts';
import { archive, RULES, sha256 } from '../testkit/opa/bundles.ts';
import { type BuiltKey, buildBundle, opa, type PolicySource, writeKey } from './opa-process.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-opa-'));
const SOURCE: PolicySource = {
  entrypoints: ['hopgate/authz/allow'],
  // What OPA's digest has to get right: fractions, exponents, marks, members past the basic plane.
  data: { friends: ['alice'], weight: 0.1, text: '<\u2028&\u0001\u007f"\\/é', '\u{1F600}': 1, '\uFB01': [] },
  rego: 'package hopgate.authz\n\ndefault allow := false\n\nallow if input.who in data.friends\n',
};
/** For everybody. */
const TAMPERED = { ...SOURCE, rego: 'package hopgate.authz\n\nallow := true\n' };
let key: BuiltKey;
let other: BuiltKey;

beforeAll(() => {
  key = writeKey(directory, 'release');
  other = writeKey(directory, 'other');
});
afterAll(() => rmSync(directory, { recursive: true }));

const read = (file: string, by: BuiltKey, rest: { keyId?: string; scope?: string } = {}) =>
  readBundle(readFileSync(file), {
    ...RULES,
    signature: { key: readSigningKey(by.publicFile), keyId: rest.keyId, scope: rest.scope },
  });

/** Whether OPA takes it: it verifies what it builds from. */
const takenByOpa = (file: string, by: BuiltKey): boolean => {
  try {
    opa(
      directory,
      ...['build', '--bundle', '--verification-key', by.publicFile, '--signing-alg', by.alg],
      ...['--output', path.join(directory, 'taken.tar.gz'), file],
    );
    return true;
  } catch {
    return false;
  }
};

const filesOf = async (file: string): Promise<[string, Buffer][]> => {
  const reader = extract();
  reader.end(gunzipSync(readFileSync(file)));
  const files: [string, Buffer][] = [];
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    files.push([entry.header.name, Buffer.concat(chunks)]);
  }
  return files;
};

const repacked = async (
  file: string,
  change: (files: [string, Buffer][]) => [string, Buffer][],
): Promise<string> => {
  const output = path.join(directory, 'changed.tar.gz');
  writeFileSync(
    output,
    await archive(change(await filesOf(file)).map(([name, content]) => [{ name }, content])),
  );
  return output;
};

describe('a signature of OPA’s', () => {
  test.each(['RS256', 'ES256', 'EdDSA'] as const)('with %s', async (alg) => {
    const own = writeKey(directory, alg, alg);
    const file = buildBundle(directory, SOURCE, own, `of-${alg}`);
    expect((await read(file, own, { keyId: 'default' })).revision).toBe(`of-${alg}`);
    await expect(read(file, key)).rejects.toThrow('not by the key');
  });

  test('with a scope', async () => {
    const claims = path.join(directory, 'claims.json');
    writeFileSync(claims, JSON.stringify({ scope: 'write', keyid: 'release' }));
    const file = buildBundle(directory, SOURCE, key, 'scoped', '--claims-file', claims);
    await read(file, key, { scope: 'write' });
    await expect(read(file, key)).rejects.toThrow('another scope');
    await expect(read(file, key, { scope: 'read' })).rejects.toThrow('another scope');
  });
});

describe('we and OPA refuse', () => {
  const good = () => buildBundle(directory, SOURCE, key, 'good');
  const content = (files: [string, Buffer][], name: string): Buffer =>
    files.find(([one]) => one === name)?.[1] ?? Buffer.alloc(0);
  test.each<[string, () => Promise<string>, string]>([
    ['one by another key', async () => buildBundle(directory, SOURCE, other, 'other'), 'not by the key'],
    [
      'one that nobody has signed',
      async () => buildBundle(directory, SOURCE, undefined, 'unsigned'),
      'not signed',
    ],
    [
      'a file that was changed',
      async () =>
        repacked(good(), (files) =>
          files.map(([name, octets]) => [
            name,
            name === '/data.json' ? Buffer.from('{"friends":["eve"]}') : octets,
          ]),
        ),
      'data.json is not what was signed',
    ],
    [
      'another policy under the same signature',
      async () => {
        const bad = await filesOf(buildBundle(directory, TAMPERED, undefined, 'bad'));
        return repacked(good(), (files) =>
          files.map(([name, octets]) => [name, name === '/policy.wasm' ? content(bad, name) : octets]),
        );
      },
      'policy.wasm is not what was signed',
    ],
    [
      'a file that isn’t listed',
      async () => repacked(good(), (files) => [...files, ['/more.rego', Buffer.from('package more')]]),
      'more.rego is not signed',
    ],
    [
      'a listed file that is missing',
      async () => repacked(good(), (files) => files.filter(([name]) => name !== '/policy.wasm')),
      'a file that was signed is not in it',
    ],
    [
      'a signature that was cut off',
      async () =>
        repacked(good(), (files) =>
          files.map(([name, octets]) => [
            name,
            name === '/.signatures.json' ? Buffer.from(octets.toString().replace(/(.{8})"/, '"')) : octets,
          ]),
        ),
      '',
    ],
  ])('%s', async (_what, make, fault) => {
    const file = await make();
    await expect(read(file, key)).rejects.toThrow(fault);
    expect(takenByOpa(file, key)).toBe(false);
  });

  test('and take the one that is right, and the same with other white space', async () => {
    const file = good();
    await read(file, key);
    expect(takenByOpa(file, key)).toBe(true);
    const spaced = await repacked(file, (files) =>
      files.map(([name, octets]) => [
        name,
        name === '/data.json' ? Buffer.from(octets.toString().replaceAll(',', ' ,\n ')) : octets,
      ]),
    );
    await read(spaced, key);
    expect(takenByOpa(spaced, key)).toBe(true);
  });
});

describe('a server of bundles', () => {
  let current: Buffer;
  let waiting: (() => void)[] = [];
  const asked: { etag: string | undefined; status: number }[] = [];
  const etagOf = (octets: Buffer): string => `"${sha256(octets).slice(0, 16)}"`;
  const lines: Record<string, unknown>[] = [];
  let heard: () => void = () => {};
  const log = pino(
    { base: null },
    new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(String(chunk)));
        heard();
        done();
      },
    }),
  );
  const until = async (is: () => boolean): Promise<void> => {
    while (!is())
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
  };
  const publish = (file: string): void => {
    current = readFileSync(file);
    for (const look of waiting.splice(0)) look();
  };
  /** Waits, as long as the client lets it, for something that the client hasn't. */
  const server = createServer((request, response: ServerResponse) => {
    const etag = request.headers['if-none-match'];
    const respond = (): void => {
      if (response.headersSent || response.destroyed) return;
      const isNew = etag !== etagOf(current);
      asked.push({ etag, status: isNew ? 200 : 304 });
      response.writeHead(isNew ? 200 : 304, {
        'content-type': 'application/vnd.openpolicyagent.bundles',
        etag: etagOf(current),
      });
      response.end(isNew ? current : undefined);
      heard();
    };
    const seconds = /wait=([0-9]+)/.exec(String(request.headers.prefer))?.[1];
    if (etag !== etagOf(current) || seconds === undefined) return respond();
    const timer = setTimeout(respond, Number(seconds) * 1000);
    waiting.push(() => {
      clearTimeout(timer);
      respond();
    });
  });

  beforeEach(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    waiting = [];
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('brings what is new within a long poll, 304 where nothing is, and nothing that is older or another’s', async () => {
    publish(buildBundle(directory, SOURCE, key, '10'));
    const { port } = server.address() as AddressInfo;
    const points = openDecisionPoints({
      config: decisionPoints.parse({
        fast: {
          bundle: {
            url: `http://127.0.0.1:${port}/bundle.tar.gz`,
            publicKeyFile: key.publicFile,
            pollInterval: '1s',
            longPoll: '2s',
          },
        },
      }),
      fileAt: (name) => name,
      stateDirectory: directory,
      log,
    });
    await points.start();
    const told = (who: string): unknown => {
      const verdict = points.get('fast')?.decide('hopgate/authz/allow', { who });
      return verdict === undefined || verdict instanceof Promise ? verdict : [verdict.ok, verdict.revision];
    };
    expect(told('alice')).toEqual([true, '10']);
    await until(() => asked.some(({ status }) => status === 304));

    publish(buildBundle(directory, { ...SOURCE, data: { friends: ['bob'] } }, key, '11'));
    await until(() => lines.some(({ revision }) => revision === '11'));
    expect([told('alice'), told('bob')]).toEqual([
      [false, '11'],
      [true, '11'],
    ]);

    publish(buildBundle(directory, SOURCE, key, '9'));
    await until(() => lines.some(({ bundle }) => String(bundle).includes('9 is older than 11')));
    publish(buildBundle(directory, TAMPERED, other, '12'));
    await until(() => lines.some(({ bundle }) => String(bundle).includes('not by the key')));
    expect(told('alice')).toEqual([false, '11']);

    publish(buildBundle(directory, SOURCE, key, '13'));
    await until(() => lines.some(({ revision }) => revision === '13'));
    expect(told('alice')).toEqual([true, '13']);
    await points.stop();
  });
});
