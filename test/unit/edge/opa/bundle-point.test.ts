/** Bundles as they come from a server or a file: what is new comes into force, what is wrong is said, and the last good one stays. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DecisionPointsConfig, decisionPoints } from '../../../../src/config/decision-point-schema.ts';
import { type OpenDecisionPoints, openDecisionPoints } from '../../../../src/edge/opa/decision-points.ts';
import type { PointVerdict } from '../../../../src/ports.ts';
import {
  ALLOWED,
  bundleOf,
  FIXTURE,
  fixtureFile,
  fixtureFiles,
  newSigner,
  type Signer,
  sha256,
  signedBundle,
  withRevision,
} from '../../../testkit/opa/bundles.ts';

const LONG_POLL = 'application/vnd.openpolicyagent.bundles';
const files = await fixtureFiles();
const signer = newSigner();
const build = (revision: string, by: Signer = signer): Promise<Buffer> =>
  signedBundle(withRevision(files, revision), by);

let directory: string;
let lines: Record<string, unknown>[];
let heard: () => void = () => {};
const closers: (() => unknown)[] = [];

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

/** Resolves when the log has said so. */
const said = async (is: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> => {
  for (;;) {
    const line = lines.find(is);
    if (line !== undefined) return line;
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  }
};
const inForce = (revision: string) =>
  said((line) => line.revision === revision && String(line.msg).includes('in force'));
const refused = (why: string) => said((line) => String(line.bundle).includes(why));

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-bundle-'));
  lines = [];
  writeFileSync(path.join(directory, 'key.pem'), signer.publicKey.export({ type: 'spki', format: 'pem' }));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(directory, { recursive: true });
});

/** Polls within milliseconds: what a file can say begins with a second. */
const quickly = (config: DecisionPointsConfig): DecisionPointsConfig => {
  const bundle = config.fast?.bundle;
  return bundle?.pollInterval === 1 ? { fast: { bundle: { ...bundle, pollInterval: 0.01 } } } : config;
};

const open = async (bundle: Readonly<Record<string, unknown>>): Promise<OpenDecisionPoints> => {
  const points = openDecisionPoints({
    config: quickly(decisionPoints.parse({ fast: { bundle } })),
    fileAt: (name) => path.resolve(directory, name),
    stateDirectory: path.join(directory, 'state'),
    log,
  });
  closers.push(() => points.stop());
  await points.start();
  return points;
};

const ask = (
  points: OpenDecisionPoints,
  rule = 'allow',
  input: Record<string, unknown> = ALLOWED,
): PointVerdict => {
  const verdict = points.get('fast')?.decide(`hopgate/authz/${rule}`, input);
  // In this process there is nothing to wait for.
  if (verdict === undefined || verdict instanceof Promise) throw new Error('no answer at once');
  return verdict;
};
const told = (verdict: PointVerdict): string => (verdict.ok ? 'ok' : verdict.reason);

describe('a bundle in a file', () => {
  test('decides, each way with its own code, and says its revision', async () => {
    const points = await open({
      file: fixtureFile('authz.tar.gz'),
      publicKeyFile: fixtureFile('authz.pub.pem'),
    });
    expect(ask(points)).toEqual({ ok: true, value: true, decisionId: '', revision: '7' });
    expect(ask(points, 'allow', {})).toMatchObject({ reason: 'opa_denied', revision: '7' });
    expect(ask(points, 'decision', { principal: { id: 'bob' }, request: { method: 'PUT' } })).toMatchObject({
      reason: 'opa_denied',
      detail: 'bob may not PUT',
    });
    expect(ask(points, 'odd')).toMatchObject({ reason: 'opa_result' });
    // A number that over REST would be none of ours.
    expect(ask(points, 'fraction')).toMatchObject({ reason: 'opa_result' });
    expect(ask(points, 'guest')).toMatchObject({ reason: 'opa_undefined' });
    expect(ask(points, 'nowhere')).toMatchObject({ reason: 'opa_undefined' });
    expect(ask(points, 'spin')).toMatchObject({ reason: 'opa_timeout' });
    expect(ask(points, 'toString')).toMatchObject({ reason: 'opa_undefined' });
    expect(told(ask(points))).toBe('ok');
  });

  test('is not asked on by a caller whose questions break it off, and by others as ever', async () => {
    const points = await open({
      file: fixtureFile('authz.tar.gz'),
      publicKeyFile: fixtureFile('authz.pub.pem'),
      maxSteps: 100_000,
    });
    const heavy = { ...ALLOWED, caller: { id: 'heavy' } };
    const outcomes = Array.from({ length: 6 }, () => told(ask(points, 'spin', heavy)));
    expect(outcomes).toEqual([...Array(5).fill('opa_timeout'), 'opa_unavailable']);
    expect(told(ask(points, 'allow', heavy))).toBe('opa_unavailable');
    expect(told(ask(points, 'allow', { ...ALLOWED, caller: { id: 'light' } }))).toBe('ok');
  });

  test('is read again when it changes; one that is wrong is said once and changes nothing', async () => {
    writeFileSync(path.join(directory, 'b'), await build('7'));
    const points = await open({ file: 'b', publicKeyFile: 'key.pem' });
    writeFileSync(path.join(directory, 'b'), await build('8', newSigner()));
    await refused('not by the key');
    expect(points.states().get('fast')).toMatchObject({
      revision: '7',
      fault: expect.stringContaining('refused'),
    });
    expect(told(ask(points))).toBe('ok');
    writeFileSync(path.join(directory, 'b'), await build('10'));
    await inForce('10');
    expect(points.states().get('fast')).toEqual({ kind: 'bundle', revision: '10', fault: undefined });
  });

  test('without a signature counts where the configuration says so, and there alone', async () => {
    writeFileSync(path.join(directory, 'b'), await bundleOf(files));
    expect(told(ask(await open({ file: 'b', publicKeyFile: 'key.pem' })))).toBe('opa_unavailable');
    expect(told(ask(await open({ file: 'b', signature: 'none' })))).toBe('ok');
  });

  test('that is missing denies', async () => {
    const points = await open({ file: 'none', publicKeyFile: 'key.pem' });
    expect(ask(points)).toMatchObject({ reason: 'opa_unavailable', revision: '' });
    expect(points.states().get('fast')).toMatchObject({ revision: undefined });
  });

  test('that was good is kept, and verified again at the next start', async () => {
    const bundle = path.join(directory, 'b');
    writeFileSync(bundle, await build('7'));
    const first = await open({ file: 'b', publicKeyFile: 'key.pem' });
    await first.stop();
    const kept = path.join(directory, 'state/opa/fast.bundle.tar.gz');
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    expect(sha256(readFileSync(kept))).toBe(sha256(readFileSync(bundle)));

    // Neither a missing file nor an older one takes it away.
    rmSync(bundle);
    const second = await open({ file: 'b', publicKeyFile: 'key.pem' });
    expect(told(ask(second))).toBe('ok');
    await second.stop();
    writeFileSync(bundle, await build('6'));
    const third = await open({ file: 'b', publicKeyFile: 'key.pem' });
    await refused('revision 6 is older than 7');
    expect(ask(third)).toMatchObject({ ok: true, revision: '7' });
    await third.stop();

    // What somebody wrote there is no more than what comes over the network.
    rmSync(bundle);
    writeFileSync(kept, await build('9', newSigner()));
    expect(told(ask(await open({ file: 'b', publicKeyFile: 'key.pem' })))).toBe('opa_unavailable');
  });

  test('signed by a key that takes the old one’s place', async () => {
    const next = newSigner();
    writeFileSync(path.join(directory, 'b'), await build('7'));
    const points = await open({ file: 'b', publicKeyFile: 'key.pem' });
    writeFileSync(path.join(directory, 'key.pem'), next.publicKey.export({ type: 'spki', format: 'pem' }));
    // The one in the file is by the old key: said, and in force until there is another.
    await refused('not by the key');
    expect(told(ask(points))).toBe('ok');
    writeFileSync(path.join(directory, 'b'), await build('8', next));
    await inForce('8');
  });

  test.each([
    ['a private key', () => signer.privateKey.export({ type: 'pkcs8', format: 'pem' }), 'private key'],
    ['no key', () => 'nothing', 'no public key'],
  ])('with %s configured: nothing starts', async (_what, pem, fault) => {
    writeFileSync(path.join(directory, 'key.pem'), pem());
    await expect(open({ file: 'b', publicKeyFile: 'key.pem' })).rejects.toThrow(fault);
  });
});

describe('a bundle from a server', () => {
  interface Asked {
    readonly headers: IncomingMessage['headers'];
    readonly url: string | undefined;
    readonly answer: (status: number, headers?: Record<string, string>, body?: Buffer) => void;
  }
  let server: Server;
  let url: string;
  let asked: Asked[];
  let arrived: () => void;

  beforeEach(async () => {
    asked = [];
    arrived = () => {};
    server = createServer((request: IncomingMessage, response: ServerResponse) => {
      asked.push({
        headers: request.headers,
        url: request.url,
        answer: (status, headers = {}, body) => response.writeHead(status, headers).end(body),
      });
      arrived();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/authz.tar.gz?channel=a`;
    closers.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
  });

  /** The next question that has not been taken. */
  const next = async (): Promise<Asked> => {
    for (;;) {
      const one = asked.shift();
      if (one !== undefined) return one;
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    }
  };

  test('is asked for with its ETag, and the server may wait', async () => {
    writeFileSync(path.join(directory, 'token'), 't0ken');
    const opening = open({ url, publicKeyFile: 'key.pem', longPoll: '5m', tokenFile: 'token' });
    const first = await next();
    expect(first.url).toBe('/authz.tar.gz?channel=a');
    expect(first.headers).toMatchObject({ prefer: 'modes=snapshot;wait=300', authorization: 'Bearer t0ken' });
    expect(first.headers['if-none-match']).toBeUndefined();
    first.answer(200, { etag: '"a"', 'content-type': LONG_POLL }, await build('7'));
    const points = await opening;
    expect(told(ask(points))).toBe('ok');

    const second = await next();
    expect(second.headers['if-none-match']).toBe('"a"');
    second.answer(304, { 'content-type': LONG_POLL });
    const third = await next();
    expect(third.headers['if-none-match']).toBe('"a"');
    third.answer(200, { etag: '"b"', 'content-type': LONG_POLL }, await build('8'));
    await inForce('8');
    expect((await next()).headers['if-none-match']).toBe('"b"');
  });

  test('is polled where the server doesn’t say that it can wait', async () => {
    const opening = open({ url, publicKeyFile: 'key.pem', pollInterval: '1s' });
    const first = await next();
    expect(first.headers.prefer).toBe('modes=snapshot');
    first.answer(200, { etag: '"a"' }, await build('7'));
    await opening;
    (await next()).answer(304);
    (await next()).answer(200, { etag: '"c"' }, await build('9'));
    await inForce('9');
  });

  test('that could not be had for a while and is the same still is no fault any more', async () => {
    const opening = open({ url, publicKeyFile: 'key.pem', pollInterval: '1s' });
    (await next()).answer(200, { etag: '"a"' }, await build('7'));
    const points = await opening;
    (await next()).answer(500);
    await refused('the server answered 500');
    expect(points.states().get('fast')).toMatchObject({ fault: expect.stringContaining('500') });
    (await next()).answer(304);
    // By the time that it asks again, what it heard has been taken.
    const again = await next();
    expect(points.states().get('fast')).toMatchObject({ revision: '7', fault: undefined });
    again.answer(304);
  });

  test.each<[string, (asked: Asked) => Promise<void>, string]>([
    [
      'by another key',
      async ({ answer }) => answer(200, { etag: '"b"' }, await build('8', newSigner())),
      'not by the key',
    ],
    [
      'older than the last',
      async ({ answer }) => answer(200, { etag: '"b"' }, await build('6')),
      'older than 7',
    ],
    ['unsigned', async ({ answer }) => answer(200, { etag: '"b"' }, await bundleOf(files)), 'not signed'],
    ['that is a page', async ({ answer }) => answer(200, {}, Buffer.from('<html>')), 'no gzip'],
    ['that is not there', async ({ answer }) => answer(404), 'answered 404'],
    ['that is elsewhere', async ({ answer }) => answer(302, { location: '/other' }), 'answered 302'],
    ['too large', async ({ answer }) => answer(200, {}, Buffer.alloc(600_000)), 'more than 524288 octets'],
  ])('%s is refused, said, and asked for again in full', async (_what, bad, fault) => {
    const opening = open({ url, publicKeyFile: 'key.pem', pollInterval: '1s', maxBytes: '512KiB' });
    (await next()).answer(200, { etag: '"a"' }, await build('7'));
    const points = await opening;
    await bad(await next());
    await refused(fault);
    expect(ask(points)).toMatchObject({ ok: true, revision: '7' });
    const after = await next();
    expect(after.headers['if-none-match']).not.toBe('"b"');
    after.answer(200, { etag: '"c"' }, await build('8'));
    await inForce('8');
  });

  test('that has none keeps nobody waiting who has kept one', async () => {
    const opening = open({ url, publicKeyFile: 'key.pem' });
    (await next()).answer(200, { etag: '"a"' }, await build('7'));
    await (await opening).stop();
    // It starts, and the server has not answered.
    const points = await open({ url, publicKeyFile: 'key.pem' });
    expect(told(ask(points))).toBe('ok');
    await next();
  });

  test('that can’t be reached denies', async () => {
    const points = await open({ url: 'unix:/nowhere/opa.sock', publicKeyFile: 'key.pem' });
    expect(told(ask(points))).toBe('opa_unavailable');
  });

  test('of another is none of ours', async () => {
    const opening = open({ url, publicKeyFile: 'key.pem' });
    (await next()).answer(200, {}, FIXTURE);
    expect(told(ask(await opening))).toBe('opa_unavailable');
  });
});
