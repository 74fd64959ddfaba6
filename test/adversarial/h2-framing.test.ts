/**
 * HTTP/2 that no client library would send, octet by octet, on a proven connection. What becomes a request is refused with a
 * reason; what nghttp2 refuses before that is on record as well; and of none of it the agent behind sees anything.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { REASONS, type ReasonCode } from '../../src/core/reasons.ts';
import { recordsOf } from '../testkit/attack.ts';
import { forgeChain } from '../testkit/forge.ts';
import { type HttpDoors, SPOOFED, startHttpDoors } from '../testkit/http-doors.ts';
import {
  END_HEADERS,
  END_STREAM,
  type Field,
  type H2Peer,
  h2Frame,
  headerBlock,
  openH2,
  requestFields,
  TYPE,
  uint32,
} from '../testkit/raw-h2.ts';

const RST = { protocolError: 1, streamClosed: 5, cancel: 8, calm: 11 };
const WHOLE = END_HEADERS | END_STREAM;

let doors: HttpDoors;
const peers: H2Peer[] = [];
beforeAll(async () => {
  doors = await startHttpDoors();
});
beforeEach(() => {
  doors.wire.text = '';
  for (const peer of peers.splice(0)) peer.close();
});
afterAll(() => {
  for (const peer of peers.splice(0)) peer.close();
  doors.stop();
});

const planning = () => doors.mesh.domain.agent('planning/abc123');
const chain = (): string =>
  forgeChain(doors.mesh.domain, [planning()], { scope: ['cloud:read', 'cloud:write'] });
const open = async (): Promise<H2Peer> => {
  const peer = await openH2(doors.witness, planning());
  peers.push(peer);
  return peer;
};
const good = (fields: readonly Field[] = []): Field[] => requestFields({ chain: chain(), fields });
const without = (name: string): Field[] => good().filter(([given]) => given !== name);
const instead = (name: string, value: string): Field[] =>
  good().map(([given, old]) => [given, given === name ? value : old] as const);
const headers = (fields: readonly Field[], flags = WHOLE, stream = 1): Buffer =>
  h2Frame(TYPE.headers, flags, stream, headerBlock(fields));

/** Whoever behaves is served, on another connection. */
const expectServes = async (): Promise<void> => {
  const peer = await open();
  expect(await peer.ask(good())).toMatchObject({ status: 200, body: 'ok', whole: true });
  peer.close();
};
const reasonsOn = (peer: H2Peer): unknown[] =>
  doors.witness
    .log()
    .filter(({ kind, hop }) => kind === 'decision' && String(hop).startsWith(`${peer.peer.session}.`))
    .map(({ reason }) => reason);
const expectOnRecord = async (peer: H2Peer, reasons: readonly ReasonCode[]): Promise<void> => {
  await expect.poll(() => reasonsOn(peer), { timeout: 5000 }).toEqual(reasons);
};

describe('requests that are refused with a reason', () => {
  it.each<readonly [string, () => readonly Field[], ReasonCode]>([
    ['host and :authority that differ', () => good([['host', 'other.mesh']]), 'http_malformed'],
    ['another scheme', () => instead(':scheme', 'ftp'), 'http_malformed'],
    [
      'CONNECT',
      () => [
        [':method', 'CONNECT'],
        [':authority', 'metadata.internal:80'],
        ['delegation-chain', chain()],
      ],
      'http_upgrade',
    ],
    ['a method that nobody knows', () => instead(':method', 'STEAL'), 'route_unmatched'],
    ['a method in lower case', () => instead(':method', 'get'), 'route_unmatched'],
    ['two chains', () => good([['delegation-chain', chain()]]), 'http_header_duplicate'],
    [
      'two authorizations',
      () =>
        good([
          ['authorization', 'Bearer a'],
          ['authorization', 'Bearer b'],
        ]),
      'http_header_duplicate',
    ],
    ['a body over the limit', () => good([['content-length', '99999']]), 'http_body_too_large'],
    ...[
      '/a/../b',
      '/a/./b',
      '/a//b',
      '/a\\b',
      '/a;b',
      '/%2e%2e/a',
      '/a%2fb',
      '/a%00',
      '/a%5cb',
      '/a#b',
      '/%zz',
    ].map((path) => [`the path ${path}`, () => instead(':path', path), 'target_not_canonical'] as const),
  ])('%s', async (_, fields, reason) => {
    const peer = await open();
    const body = fields().some(([name]) => name === 'content-length') ? '' : undefined;
    const stream = peer.newStream();
    peer.write(headers(fields(), body === undefined ? WHOLE : END_HEADERS, stream));
    const answer = await peer.answerOn(stream);
    expect({ code: answer.code, status: answer.status }).toEqual({
      code: reason,
      status: REASONS[reason].status,
    });
    expect(answer.hop).toBe(`${peer.peer.session}.1`);
    expect(recordsOf(doors.witness, answer.hop ?? '')).toMatchObject([
      { kind: 'decision', direction: 'inbound', verdict: 'deny', reason },
    ]);
    expect(doors.wire.text).toBe('');
    // The connection is as good as before.
    expect(await peer.ask(good())).toMatchObject({ status: 200, whole: true });
  });
});

describe('streams that are reset, and on record', () => {
  it.each<readonly [string, () => readonly Buffer[]]>([
    ['a name in upper case', () => [headers(good([['X-A', '1']]))]],
    ['two methods', () => [headers([[':method', 'GET'], ...good()])]],
    ['two paths', () => [headers([...good().slice(0, 4), [':path', '/b'], ...good().slice(4)])]],
    ['no method', () => [headers(without(':method'))]],
    ['no scheme', () => [headers(without(':scheme'))]],
    ['no path', () => [headers(without(':path'))]],
    ['a pseudo-header behind a header', () => [headers([...without(':path'), [':path', '/']])]],
    ['a pseudo-header that nobody knows', () => [headers([[':hopgate', '1'], ...good()])]],
    ['a pseudo-header of responses', () => [headers([[':status', '200'], ...good()])]],
    ['Connection', () => [headers(good([['connection', 'close']]))]],
    ['Keep-Alive', () => [headers(good([['keep-alive', '1']]))]],
    ['Proxy-Connection', () => [headers(good([['proxy-connection', 'close']]))]],
    ['Transfer-Encoding', () => [headers(good([['transfer-encoding', 'chunked']]))]],
    ['Upgrade', () => [headers(good([['upgrade', 'websocket']]))]],
    ['TE other than trailers', () => [headers(good([['te', 'gzip']]))]],
    ['an empty path', () => [headers(instead(':path', ''))]],
    ['a path without a slash', () => [headers(instead(':path', 'vpcs'))]],
    ['a target in absolute form', () => [headers(instead(':path', 'https://inventory.mesh/vpcs'))]],
    ['a space in the path', () => [headers(instead(':path', '/a b'))]],
    ['neither host nor :authority', () => [headers(without(':authority'))]],
    [
      'two hosts',
      () => [
        headers(
          good([
            ['host', 'inventory.mesh'],
            ['host', 'inventory.mesh'],
          ]),
        ),
      ],
    ],
    ['an asterisk for GET', () => [headers(instead(':path', '*'))]],
    [
      'extended CONNECT, which nobody has offered',
      () => [headers([[':method', 'CONNECT'], [':protocol', 'websocket'], ...without(':method')])],
    ],
    ['a length and no body', () => [headers(good([['content-length', '5']]))]],
    [
      'two lengths',
      () => [
        headers(
          good([
            ['content-length', '1'],
            ['content-length', '1'],
          ]),
          END_HEADERS,
        ),
      ],
    ],
    ['a length that is none', () => [headers(good([['content-length', '+1']]), END_HEADERS)]],
    ['three hundred headers', () => [headers(good(Array.from({ length: 300 }, (_, at) => [`a${at}`, '1'])))]],
    [
      'a header block over 32 KiB',
      () => [
        headers(good([['x', 'a'.repeat(15_000)]]), END_STREAM),
        h2Frame(TYPE.continuation, 0, 1, headerBlock([['y', 'b'.repeat(16_000)]])),
        h2Frame(TYPE.continuation, END_HEADERS, 1, headerBlock([['z', 'b'.repeat(16_000)]])),
      ],
    ],
  ])('%s', async (_, frames) => {
    const peer = await open();
    peer.write(...frames());
    const answer = await peer.answerOn(1);
    expect(answer.status).toBe(0);
    expect([RST.protocolError, RST.calm]).toContain(answer.reset);
    expect(peer.goaway).toBeUndefined();
    peer.close();
    await expectOnRecord(peer, ['http_malformed']);
    expect(doors.wire.text).toBe('');
  });

  it('what has no place in a value or a name does not reach anybody: neither those who decide nor the agent', async () => {
    const peer = await open();
    const answer = await peer.ask(
      good([
        ['x-crlf', 'a\r\nX-Smuggled: 1'],
        ['x-nul', 'a\0b'],
        ['x-lf', 'a\nb'],
        ['', 'nameless'],
        ['x smuggled', '1'],
        ['x-smuggled:', '1'],
        ['x-kept', '1'],
      ]),
    );
    expect(answer).toMatchObject({ status: 200, whole: true });
    expect(doors.wire.text).toMatch(/^x-kept: 1\r$/m);
    expect(doors.wire.text.toLowerCase()).not.toMatch(/smuggled|x-crlf|x-nul|x-lf|nameless/);
  });
});

describe('headers that claim what only we may say', () => {
  /** Those of HTTP/1.1's connections are malformed here, and so is TE. */
  const OF_CONNECTIONS = new Set(['keep-alive', 'proxy-connection', 'te']);

  it('do not get through in any spelling, and what was verified stands once', async () => {
    const peer = await openH2(doors.target, planning());
    peers.push(peer);
    const spoofed = SPOOFED.map((name) => name.toLowerCase()).filter((name) => !OF_CONNECTIONS.has(name));
    const answer = await peer.ask(good([...new Set(spoofed)].map((name) => [name, 'spoofed'] as const)));
    expect(answer).toMatchObject({ status: 200, whole: true });
    const seen = doors.target.seen.at(-1);
    expect(JSON.stringify(seen)).not.toContain('spoofed');
    expect(seen?.headers).toMatchObject({
      host: 'inventory.mesh',
      'hopgate-principal': 'mailto:alice@company.com',
      'hopgate-caller': planning().id,
      'hopgate-hop': peer.peer.hop,
    });
    const names = (seen?.rawHeaders ?? []).filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    expect(names).toHaveLength(new Set(names).size);
    expect(names.filter((name) => name.includes('_') || name.startsWith(':'))).toEqual([]);
  });

  it('TE: trailers is an affair of this connection', async () => {
    const peer = await open();
    expect(await peer.ask(good([['te', 'trailers']]))).toMatchObject({ status: 200, whole: true });
    // What we say to the agent of ours.
    expect(doors.wire.text.toLowerCase()).toMatch(/^te: trailers\r\nconnection: te\r$/m);
  });

  it('crumbs of a cookie are one cookie', async () => {
    const peer = await open();
    await peer.ask(
      good([
        ['cookie', 'a=1'],
        ['cookie', 'b=2'],
      ]),
    );
    expect(doors.wire.text).toMatch(/^cookie: a=1; b=2\r$/m);
  });
});

describe('connections that end, on record', () => {
  const many = (count: number, one: (at: number) => Buffer): Buffer[] =>
    Array.from({ length: count }, (_, at) => one(at));

  it.each<readonly [string, () => readonly Buffer[]]>([
    ['a stream with an even number', () => [headers(good(), WHOLE, 2)]],
    ['a request on stream 0', () => [headers(good(), WHOLE, 0)]],
    ['DATA on a stream that nobody opened', () => [h2Frame(TYPE.data, END_STREAM, 1, 'x')]],
    ['a window that grows by nothing', () => [h2Frame(TYPE.window, 0, 0, uint32(0))]],
    ['a window past its end', () => [h2Frame(TYPE.window, 0, 0, uint32(0x7fffffff))]],
    [
      'a window of 2^31',
      () => [h2Frame(TYPE.settings, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(0x80000000)]))],
    ],
    ['a frame over its size', () => [h2Frame(TYPE.data, 0, 1, 'x'.repeat(16_385))]],
    ['SETTINGS of no length that it could have', () => [h2Frame(TYPE.settings, 0, 0, 'abc')]],
    ['a promise of the client', () => [h2Frame(TYPE.push, END_HEADERS, 1, uint32(2))]],
    ['an index that no table has', () => [h2Frame(TYPE.headers, WHOLE, 1, Buffer.alloc(5, 0xff))]],
    [
      'a PING in the middle of a header block',
      () => [headers(good(), END_STREAM), h2Frame(TYPE.ping, 0, 0, '12345678')],
    ],
    ['a CONTINUATION of nothing', () => [h2Frame(TYPE.continuation, END_HEADERS, 1, '')]],
    [
      'a flood of CONTINUATION',
      () => [headers(good(), END_STREAM), ...many(4000, () => h2Frame(TYPE.continuation, 0, 1, ''))],
    ],
    [
      'a flood of CONTINUATION with something in it',
      () => [
        headers(good(), END_STREAM),
        ...many(4000, (at) => h2Frame(TYPE.continuation, 0, 1, headerBlock([[`x${at}`, 'y'.repeat(500)]]))),
      ],
    ],
    ['a flood of SETTINGS', () => many(20_000, () => h2Frame(TYPE.settings, 0, 0, ''))],
    ['a flood of PING', () => many(20_000, () => h2Frame(TYPE.ping, 0, 0, '12345678'))],
    [
      'sixty settings in one frame',
      () => [
        h2Frame(
          TYPE.settings,
          0,
          0,
          Buffer.concat(many(60, () => Buffer.concat([Buffer.of(0, 9), uint32(1)]))),
        ),
      ],
    ],
    ['a flood of malformed streams', () => many(100, (at) => headers(good([['X', '1']]), WHOLE, 1 + 2 * at))],
  ])('%s', async (_, frames) => {
    const peer = await open();
    peer.write(...frames());
    await peer.until(() => false);
    await expectOnRecord(peer, ['http_malformed']);
    expect(doors.wire.text).toBe('');
    await expectServes();
  });

  it('rapid reset: no more than a few requests get through, each is on record, and others are served meanwhile', async () => {
    const peer = await open();
    const fields = headerBlock(good());
    peer.write(
      ...many(2000, (at) =>
        Buffer.concat([
          h2Frame(TYPE.headers, WHOLE, 1 + 2 * at, fields),
          h2Frame(TYPE.reset, 0, 1 + 2 * at, uint32(RST.cancel)),
        ]),
      ),
    );
    const served = expectServes();
    await peer.until(() => false);
    await served;
    const reasons = reasonsOn(peer);
    expect(reasons.length).toBeLessThan(500);
    expect(reasons).toContain('http_malformed');
  });

  it('more streams at once than it may have', async () => {
    const peer = await open();
    peer.write(...many(300, (at) => headers(good([['content-length', '1']]), END_HEADERS, 1 + 2 * at)));
    await peer.until(() => false);
    await expect.poll(() => reasonsOn(peer)).toContain('http_malformed');
    expect(reasonsOn(peer).length).toBeLessThanOrEqual(102);
    await expectServes();
  });
});

describe('bodies that are not what was announced', () => {
  const post = (length: string): Buffer =>
    headers(
      requestFields({ chain: chain(), method: 'POST', fields: [['content-length', length]] }),
      END_HEADERS,
    );
  const outcomesOn = (peer: H2Peer) =>
    recordsOf(doors.witness, `${peer.peer.session}.1`).filter(({ kind }) => kind === 'outcome');

  it.each<readonly [string, () => readonly Buffer[]]>([
    ['less', () => [h2Frame(TYPE.data, END_STREAM, 1, 'abc')]],
    ['more', () => [h2Frame(TYPE.data, END_STREAM, 1, 'abcdefgh')]],
    ['more, and never an end', () => [h2Frame(TYPE.data, 0, 1, 'abcdefgh')]],
    [
      'a pseudo-header in the trailers',
      () => [h2Frame(TYPE.data, 0, 1, 'abcde'), headers([[':path', '/smuggled']])],
    ],
    [
      'trailers that are not the end',
      () => [h2Frame(TYPE.data, 0, 1, 'abcde'), headers([['x', '1']], END_HEADERS)],
    ],
    [
      'Transfer-Encoding in the trailers',
      () => [h2Frame(TYPE.data, 0, 1, 'abcde'), headers([['transfer-encoding', 'chunked']])],
    ],
  ])('%s: no whole request reaches the agent, and the outcome says so', async (_, frames) => {
    const peer = await open();
    peer.write(post('5'));
    peer.write(...frames());
    const answer = await peer.answerOn(1);
    expect(answer.status).not.toBe(200);
    peer.close();
    await expect
      .poll(() => outcomesOn(peer).length + reasonsOn(peer).length, { timeout: 5000 })
      .toBeGreaterThan(0);
    for (const { result } of outcomesOn(peer)) expect(['client_aborted', 'http_malformed']).toContain(result);
    expect(doors.wire.text).not.toContain('smuggled');
    await expectServes();
  });

  it.each([
    ['announced', RST.cancel],
    ['not announced', RST.cancel],
    ['announced', 0],
    ['not announced', 0],
  ])(
    'a client that resets its stream in a body whose length is %s, with code %i: the agent has no whole request of it',
    async (length, code) => {
      const peer = await open();
      const fields = requestFields({ chain: chain(), method: 'POST' });
      peer.write(length === 'announced' ? post('5') : headers(fields, END_HEADERS));
      peer.write(h2Frame(TYPE.data, 0, 1, 'ab'));
      await doors.wire.has('ab');
      peer.write(h2Frame(TYPE.reset, 0, 1, uint32(code)));
      await expect
        .poll(() => outcomesOn(peer), { timeout: 5000 })
        .toMatchObject([{ result: 'client_aborted' }]);
      expect(doors.wire.text).not.toMatch(/\r\n0\r\n/);
      peer.close();
      doors.wire.text = '';
      await expectServes();
    },
  );

  it('headers behind the trailers end the connection', async () => {
    const peer = await open();
    peer.write(post('5'), h2Frame(TYPE.data, 0, 1, 'abcde'), headers([['x', '1']]), headers([['y', '1']]));
    await peer.until(() => false);
    await expectServes();
  });

  it('DATA without octets, without end, ends the connection', async () => {
    const peer = await open();
    peer.write(post('5'), ...Array.from({ length: 5000 }, () => h2Frame(TYPE.data, 0, 1, '')));
    await peer.until(() => false);
    await expect.poll(() => reasonsOn(peer)).toContain('http_malformed');
    await expectServes();
  });

  it('a body that stands still is given up', async () => {
    const peer = await open();
    peer.write(post('5'), h2Frame(TYPE.data, 0, 1, 'ab'));
    const answer = await peer.answerOn(1);
    expect([answer.code, answer.reset]).toContain('http_timeout');
    expect(outcomesOn(peer)).toMatchObject([{ result: 'http_timeout' }]);
    await expectServes();
  });
});
