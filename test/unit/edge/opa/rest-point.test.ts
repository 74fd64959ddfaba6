/** OPA over REST, played by a server of ours that does what no OPA should: whatever is no clear yes is a denial with its own code. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decisionPoints } from '../../../../src/config/decision-point-schema.ts';
import { openDecisionPoints } from '../../../../src/edge/opa/decision-points.ts';
import { makeLogger } from '../../../../src/edge/telemetry/log.ts';
import type { PointVerdict } from '../../../../src/ports.ts';
import { issueSvidCa } from '../../../../src/verifier/authority/certificates.ts';
import { forgeCertificate } from '../../../testkit/certificates.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

type Play = (request: IncomingMessage, response: ServerResponse, body: string) => void;

let server: Server;
let play: Play;
let heard: {
  method: string | undefined;
  url: string | undefined;
  authorization: string | undefined;
  body: string;
}[];
let connections = 0;
let directory: string;
const clock = new TestClock();
const closers: (() => unknown)[] = [];

beforeEach(async () => {
  heard = [];
  connections = 0;
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-opa-'));
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const { method, url, headers } = request;
      heard.push({ method, url, authorization: headers.authorization, body });
      play(request, response, body);
    });
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

const answer =
  (body: string | Buffer, status = 200): Play =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
/** Hears, and says nothing. */
const silence: Play = () => {};

const open = async (rest: Readonly<Record<string, unknown>> = {}) => {
  const { port } = server.address() as AddressInfo;
  const points = openDecisionPoints({
    config: decisionPoints.parse({
      org: { rest: { url: `http://127.0.0.1:${port}`, timeout: '5s', ...rest } },
    }),
    fileAt: (name) => path.join(directory, name),
    stateDirectory: directory,
    log: makeLogger('silent'),
    clock,
  });
  closers.push(() => points.stop());
  await points.start();
  const point = points.get('org');
  if (point === undefined) throw new Error('no such point');
  return Object.assign(points, {
    ask: async (rule = 'hopgate/authz/allow'): Promise<PointVerdict> => point.decide(rule, { version: 'x' }),
    askFor: async (caller: string): Promise<PointVerdict> =>
      point.decide('hopgate/authz/allow', { caller: { id: caller } }),
  });
};

const told = (verdict: PointVerdict): string => (verdict.ok ? 'ok' : verdict.reason);

test('asks as OPA wants to be asked, over connections that are kept', async () => {
  play = answer('{"result":true,"decision_id":"4ca636c1-55e4-417a-b1d8-4aceb67960d1"}');
  const { ask } = await open();
  expect(await ask()).toEqual({
    ok: true,
    value: true,
    decisionId: '4ca636c1-55e4-417a-b1d8-4aceb67960d1',
    revision: '',
  });
  await ask('a b/c?d');
  expect(heard).toEqual([
    {
      method: 'POST',
      url: '/v1/data/hopgate/authz/allow',
      authorization: undefined,
      body: '{"input":{"version":"x"}}',
    },
    {
      method: 'POST',
      url: '/v1/data/a%20b/c%3Fd',
      authorization: undefined,
      body: '{"input":{"version":"x"}}',
    },
  ]);
  for (let count = 0; count < 20; count++) await ask();
  // One is still taken while its answer is being read.
  expect(connections).toBeLessThanOrEqual(2);
});

test.each<[string, string]>([
  ['{"result":true}', 'ok'],
  ['{"result":{"allow":true}}', 'ok'],
  ['{"result":{"allow":true,"more":[1,{"a":null}]},"metrics":{"timer_server_handler_ns":1}}', 'ok'],
  ['{"result":false}', 'opa_denied'],
  ['{"result":{"allow":false}}', 'opa_denied'],
  ['{"result":{"allow":false,"reason":"not today"}}', 'opa_denied'],
  ['{}', 'opa_undefined'],
  ['{"decision_id":"1"}', 'opa_undefined'],
  ['{"warning":{"code":"api_usage_warning","message":"m"}}', 'opa_undefined'],
  ['{"result":null}', 'opa_result'],
  ['{"result":"true"}', 'opa_result'],
  ['{"result":1}', 'opa_result'],
  ['{"result":[true]}', 'opa_result'],
  ['{"result":{}}', 'opa_result'],
  ['{"result":{"Allow":true}}', 'opa_result'],
  ['{"result":{"allow":"true"}}', 'opa_result'],
  ['{"result":{"allow":1}}', 'opa_result'],
  ['{"result":{"allow":null}}', 'opa_result'],
  ['{"result":{"allow":false,"reason":{"allow":true}}}', 'opa_result'],
  ['{"result":{"__proto__":{"allow":true}}}', 'opa_result'],
  ['{"__proto__":{"result":true}}', 'opa_undefined'],
  // Two readers of one text.
  ['{"result":false,"result":true}', 'opa_result'],
  ['{"result":{"allow":false,"allow":true}}', 'opa_result'],
  ['{"result":true,"result":false}', 'opa_result'],
  ['\u{FEFF}{"result":true}', 'opa_result'],
  ['{"result":true}{"result":true}', 'opa_result'],
  ['{"result":true', 'opa_result'],
  ['', 'opa_result'],
  ['true', 'opa_result'],
  ['[{"result":true}]', 'opa_result'],
  ['<html>result: true</html>', 'opa_result'],
  ['{"result":true,"decision_id":7}', 'opa_result'],
  ['{"result":true,"decision_id":"a\\nb"}', 'opa_result'],
  [`{"result":true,"decision_id":"${'a'.repeat(129)}"}`, 'opa_result'],
])('the answer %s is %s', async (body, expected) => {
  play = answer(body);
  expect(told(await (await open()).ask())).toBe(expected);
});

test('a denial has the policy’s reason, as one line of bounded length, and OPA’s id', async () => {
  play = answer(
    JSON.stringify({
      result: { allow: false, reason: `no\r\n{"level":"info"}${'x'.repeat(500)}` },
      decision_id: 'd1',
    }),
  );
  const verdict = await (await open()).ask();
  expect(verdict).toMatchObject({ ok: false, reason: 'opa_denied', decisionId: 'd1' });
  const detail = verdict.ok ? '' : verdict.detail;
  expect(detail).toMatch(/^no \{"level":"info"\}x+…$/);
  expect(detail).toHaveLength(200);
});

test.each<[number, string]>([
  [400, 'opa_result'],
  [401, 'opa_result'],
  [404, 'opa_result'],
  [500, 'opa_result'],
  [204, 'opa_result'],
  [201, 'opa_result'],
  [429, 'opa_unavailable'],
  [502, 'opa_unavailable'],
  [503, 'opa_unavailable'],
  [504, 'opa_unavailable'],
])('a yes with status %i is %s', async (status, expected) => {
  play = answer('{"result":true}', status);
  expect(told(await (await open()).ask())).toBe(expected);
});

test('a redirection is not followed', async () => {
  play = (_request, response) => response.writeHead(307, { location: '/v1/data/other' }).end();
  expect(told(await (await open()).ask())).toBe('opa_result');
  expect(heard).toHaveLength(1);
});

describe('what takes too long is opa_timeout', () => {
  test.each<[string, Play]>([
    ['no answer', silence],
    ['headers alone', (_request, response) => response.writeHead(200).flushHeaders()],
    ['half an answer', (_request, response) => response.writeHead(200).write('{"result":')],
    ['a yes that doesn’t end', (_request, response) => response.writeHead(200).write('{"result":true}')],
    [
      'drops that keep coming',
      (_request, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write(' '), 5);
        response.on('close', () => clearInterval(timer));
      },
    ],
  ])('%s', async (_what, how) => {
    play = how;
    expect(told(await (await open({ timeout: '40ms' })).ask())).toBe('opa_timeout');
  });

  test('and the late answer to one is never the answer to the next', async () => {
    let late: (() => void) | undefined;
    play = (_request, response) => {
      late = () => response.end('{"result":true}');
    };
    const { ask } = await open({ timeout: '40ms' });
    expect(told(await ask())).toBe('opa_timeout');
    play = answer('{"result":false}');
    late?.();
    expect(told(await ask())).toBe('opa_denied');
    expect(connections).toBe(2);
  });
});

test.each<[string, Play, string]>([
  ['is cut off before it begins', (request) => request.socket.destroy(), 'opa_unavailable'],
  [
    'is cut off in the middle',
    (_request, response) => {
      response
        .writeHead(200, { 'content-length': 100 })
        .write('{"result":true}', () => response.socket?.resetAndDestroy());
    },
    'opa_unavailable',
  ],
  [
    'is no HTTP',
    (request) => {
      request.socket.write('hello\r\n\r\n');
    },
    'opa_unavailable',
  ],
  [
    'never ends to grow',
    (_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(16_384)));
      };
      response.on('drain', more);
      more();
    },
    'opa_result',
  ],
  [
    'is a yes after too much white space',
    (_request, response) => {
      response.end(`${' '.repeat(65_536)}{"result":true}`);
    },
    'opa_result',
  ],
])('an answer that %s', async (_what, how, expected) => {
  play = how;
  expect(told(await (await open()).ask())).toBe(expected);
});

describe('a decision point that doesn’t answer', () => {
  test('is not asked any more for a time, then once, and again when that is answered', async () => {
    play = (request) => request.socket.destroy();
    const points = await open({ breaker: { failures: 3, coolDown: '10s' } });
    const { ask } = points;
    for (let count = 0; count < 5; count++) expect(told(await ask())).toBe('opa_unavailable');
    expect(heard).toHaveLength(3);
    expect(points.states().get('org')).toMatchObject({ breaker: 'open' });

    clock.advanceSeconds(10);
    // It fails once more: another time of peace, after a single question.
    expect((await Promise.all([ask(), ask(), ask()])).map(told)).toEqual(Array(3).fill('opa_unavailable'));
    expect(heard).toHaveLength(4);

    clock.advanceSeconds(10);
    play = answer('{"result":true}');
    const both = await Promise.all([ask(), ask()]);
    expect(both.map(told)).toEqual(['ok', 'opa_unavailable']);
    expect(told(await ask())).toBe('ok');
    expect(points.states().get('org')).toEqual({ kind: 'rest', breaker: 'closed', inFlight: 0 });
  });

  test('answers in between, and is asked on', async () => {
    const { ask } = await open({ breaker: { failures: 2 } });
    for (let round = 0; round < 4; round++) {
      play = (request) => request.socket.destroy();
      expect(told(await ask())).toBe('opa_unavailable');
      play = answer('{"result":true}');
      expect(told(await ask())).toBe('ok');
    }
  });

  test('is not one that answers with nonsense: who makes a rule fail shuts no door to others', async () => {
    play = answer('{"code":"internal_error"}', 500);
    const { ask } = await open({ breaker: { failures: 2 } });
    for (let count = 0; count < 5; count++) expect(told(await ask())).toBe('opa_result');
    play = answer('{"result":true}');
    expect(told(await ask())).toBe('ok');
  });

  test('is too slow for what one caller asks: no door is shut to others', async () => {
    play = (_request, response, body) => {
      if (!body.includes('heavy')) response.end('{"result":true}');
    };
    const { askFor } = await open({ timeout: '40ms', breaker: { failures: 2, coolDown: '10s' } });
    const outcomes: string[] = [];
    for (let count = 0; count < 3; count++) outcomes.push(told(await askFor('heavy')));
    expect(outcomes).toEqual(['opa_timeout', 'opa_timeout', 'opa_unavailable']);
    expect(told(await askFor('light'))).toBe('ok');
    clock.advanceSeconds(10);
    expect([told(await askFor('heavy')), told(await askFor('heavy'))]).toEqual([
      'opa_timeout',
      'opa_unavailable',
    ]);
  });

  test('is not there at all', async () => {
    const { ask } = await open({ url: `unix:${path.join(directory, 'opa.sock')}` });
    expect(told(await ask())).toBe('opa_unavailable');
  });
});

test('more questions than may be under way are refused at once, and none is forgotten', async () => {
  const waiting: ServerResponse[] = [];
  let both: () => void = () => {};
  const arrived = new Promise<void>((resolve) => {
    both = resolve;
  });
  play = (_request, response) => {
    waiting.push(response);
    if (waiting.length === 2) both();
  };
  const points = await open({ maxInFlight: 2 });
  const first = [points.ask(), points.ask()];
  expect(told(await points.ask())).toBe('opa_unavailable');
  await arrived;
  for (const response of waiting) response.end('{"result":true}');
  expect((await Promise.all(first)).map(told)).toEqual(['ok', 'ok']);
  play = answer('{"result":true}');
  expect(told(await points.ask())).toBe('ok');
});

test('what one caller has under way leaves room for others', async () => {
  play = silence;
  const { askFor } = await open({ maxInFlight: 4, timeout: '100ms' });
  const waiting = [askFor('a'), askFor('a'), askFor('a')];
  expect(told(await askFor('a'))).toBe('opa_unavailable');
  expect(told(await askFor('b'))).toBe('opa_timeout');
  expect((await Promise.all(waiting)).map(told)).toEqual(Array(3).fill('opa_timeout'));
});

test('over a unix socket, below a path, with a token from a file', async () => {
  play = answer('{"result":true}');
  writeFileSync(path.join(directory, 'token'), 'abc.def\n');
  const socket = path.join(directory, 'opa.sock');
  const local = createServer((request, response) => server.emit('request', request, response));
  await new Promise<void>((resolve) => local.listen(socket, resolve));
  closers.push(() => local.close());
  expect(told(await (await open({ url: `unix:${socket}`, tokenFile: 'token' })).ask())).toBe('ok');
  const { port } = server.address() as AddressInfo;
  expect(told(await (await open({ url: `http://127.0.0.1:${port}/opa/`, tokenFile: 'token' })).ask())).toBe(
    'ok',
  );
  expect(heard.map(({ url, authorization }) => [url, authorization])).toEqual([
    ['/v1/data/hopgate/authz/allow', 'Bearer abc.def'],
    ['/opa/v1/data/hopgate/authz/allow', 'Bearer abc.def'],
  ]);
});

test.each(['', 'two words', 'a\r\nb', 'é'])('a token %j is refused before anything starts', async (token) => {
  writeFileSync(path.join(directory, 'token'), token);
  await expect(open({ tokenFile: 'token' })).rejects.toThrow(/token holds no bearer token$/);
});

describe('over https', () => {
  const listen = async (dns: string): Promise<{ url: string; caFile: string }> => {
    const authority = await issueSvidCa('company.com', {
      now: Math.floor(Date.now() / 1000),
      ttlSeconds: 3600,
    });
    const { svidPem, svidKeyPem } = await forgeCertificate(authority, { uris: [], dns: [dns] });
    writeFileSync(path.join(directory, 'ca.pem'), authority.certificatePem);
    const secure = createSecureServer({ cert: svidPem, key: svidKeyPem }, (request, response) =>
      server.emit('request', request, response),
    );
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      secure.closeAllConnections();
      secure.close();
    });
    return { url: `https://localhost:${(secure.address() as AddressInfo).port}`, caFile: 'ca.pem' };
  };

  test('by the authority that is configured, and by no other', async () => {
    play = answer('{"result":true}');
    const { url, caFile } = await listen('localhost');
    expect(told(await (await open({ url, caFile })).ask())).toBe('ok');
    expect(told(await (await open({ url })).ask())).toBe('opa_unavailable');
    expect(heard).toHaveLength(1);
  });

  test('under the name in the address', async () => {
    play = answer('{"result":true}');
    expect(told(await (await open(await listen('opa.company.com'))).ask())).toBe('opa_unavailable');
    expect(heard).toEqual([]);
  });
});
