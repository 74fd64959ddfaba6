import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { expectDenied, expectDeniedOn, recordsOf } from '../testkit/attack.ts';
import { forgeChain } from '../testkit/forge.ts';
import { BODY_LIMIT, type HttpDoors, startHttpDoors } from '../testkit/http-doors.ts';
import { openSession, type RawRequest, requestText } from '../testkit/raw-peer.ts';

let doors: HttpDoors;
beforeAll(async () => {
  doors = await startHttpDoors();
});
beforeEach(() => {
  doors.wire.text = '';
});
afterAll(() => doors.stop());

const planning = () => doors.mesh.domain.agent('planning/abc123');
const chain = (): string =>
  forgeChain(doors.mesh.domain, [planning()], { scope: ['cloud:read', 'cloud:write'] });
const ask = (request: RawRequest): string => requestText({ chain: chain(), ...request });
/** A request in octets that no client library would send. */
const raw = (lines: readonly string[], body = '', end = '\r\n'): string =>
  `${lines.join(end)}${end}${end}${body}`;
const HOST = 'Host: inventory.mesh';

describe('framing', () => {
  const CHAIN = () => `Delegation-Chain: ${chain()}`;

  it.each<readonly [string, () => string, ReasonCode]>([
    [
      'CL and TE',
      () =>
        raw(
          ['POST / HTTP/1.1', HOST, CHAIN(), 'Content-Length: 4', 'Transfer-Encoding: chunked'],
          '0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n',
        ),
      'http_malformed',
    ],
    [
      'TE and CL',
      () =>
        raw(
          ['POST / HTTP/1.1', HOST, CHAIN(), 'Transfer-Encoding: chunked', 'Content-Length: 4'],
          '0\r\n\r\n',
        ),
      'http_malformed',
    ],
    [
      'two Content-Lengths',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Content-Length: 1', 'Content-Length: 2'], 'ab'),
      'http_malformed',
    ],
    [
      'the same Content-Length twice',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Content-Length: 1', 'Content-Length: 1'], 'a'),
      'http_malformed',
    ],
    [
      'a list as Content-Length',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Content-Length: 1, 1'], 'a'),
      'http_malformed',
    ],
    [
      'a signed Content-Length',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Content-Length: +1'], 'a'),
      'http_malformed',
    ],
    [
      'a hexadecimal Content-Length',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Content-Length: 0x1'], 'a'),
      'http_malformed',
    ],
    [
      'a Content-Length over 2^64',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Content-Length: 99999999999999999999'], 'a'),
      'http_malformed',
    ],
    [
      'an empty Content-Length',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Content-Length: '], 'a'),
      'http_malformed',
    ],
    [
      'another coding before chunked',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'),
      'http_malformed',
    ],
    [
      'another coding',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Transfer-Encoding: identity'], 'a'),
      'http_malformed',
    ],
    [
      'chunked twice',
      () =>
        raw(
          ['POST / HTTP/1.1', HOST, CHAIN(), 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
          '0\r\n\r\n',
        ),
      'http_malformed',
    ],
    [
      'chunked not last',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Transfer-Encoding: chunked, identity'], '0\r\n\r\n'),
      'http_malformed',
    ],
    [
      'a Transfer-Encoding with a tab',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Transfer-Encoding:\tchunked x'], '0\r\n\r\n'),
      'http_malformed',
    ],
    [
      'a space before the colon',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Transfer-Encoding : chunked'], '0\r\n\r\n'),
      'http_malformed',
    ],
    ['obs-fold', () => raw(['GET / HTTP/1.1', HOST, CHAIN(), 'X-A: 1', ' folded'], ''), 'http_malformed'],
    [
      'obs-fold with a tab',
      () => raw(['GET / HTTP/1.1', HOST, CHAIN(), 'X-A: 1', '\tfolded'], ''),
      'http_malformed',
    ],
    [
      'obs-fold of Transfer-Encoding',
      () => raw(['POST / HTTP/1.1', HOST, CHAIN(), 'Transfer-Encoding:', ' chunked'], '0\r\n\r\n'),
      'http_malformed',
    ],
    ['bare LF', () => raw(['GET / HTTP/1.1', HOST, CHAIN()], '', '\n'), 'http_malformed'],
    ['a bare LF in the headers', () => raw(['GET / HTTP/1.1', `${HOST}\nX-A: 1`, CHAIN()]), 'http_malformed'],
    [
      'a bare CR in a value',
      () => raw(['GET / HTTP/1.1', HOST, CHAIN(), 'X-A: a\rTransfer-Encoding: chunked']),
      'http_malformed',
    ],
    ['NUL in a value', () => raw(['GET / HTTP/1.1', HOST, CHAIN(), 'X-A: a\u0000b']), 'http_malformed'],
    [
      'a control character in a value',
      () => raw(['GET / HTTP/1.1', HOST, CHAIN(), 'X-A: a\u0001b']),
      'http_malformed',
    ],
    ['a space in a name', () => raw(['GET / HTTP/1.1', HOST, CHAIN(), 'X A: 1']), 'http_malformed'],
    ['a line without a colon', () => raw(['GET / HTTP/1.1', HOST, CHAIN(), 'nonsense']), 'http_malformed'],
    ['an empty name', () => raw(['GET / HTTP/1.1', HOST, CHAIN(), ': 1']), 'http_malformed'],
    ['a method that nobody knows', () => raw(['STEAL / HTTP/1.1', HOST, CHAIN()]), 'http_malformed'],
    ['a method in lower case', () => raw(['get / HTTP/1.1', HOST, CHAIN()]), 'http_malformed'],
    ['HTTP/1.0', () => raw(['GET / HTTP/1.0', HOST, CHAIN()]), 'http_malformed'],
    [
      'HTTP/1.0 with chunks',
      () => raw(['POST / HTTP/1.0', HOST, CHAIN(), 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
      'http_malformed',
    ],
    ['HTTP/0.9', () => 'GET /\r\n\r\n', 'http_malformed'],
    ['HTTP/2.0 in words', () => raw(['GET / HTTP/2.0', HOST, CHAIN()]), 'http_malformed'],
    ['HTTP/1.2', () => raw(['GET / HTTP/1.2', HOST, CHAIN()]), 'http_malformed'],
    ['the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http_malformed'],
    ['no Host', () => raw(['GET / HTTP/1.1', CHAIN()]), 'http_malformed'],
    ['two Hosts', () => raw(['GET / HTTP/1.1', HOST, 'Host: other.mesh', CHAIN()]), 'http_header_duplicate'],
    ['the same Host twice', () => raw(['GET / HTTP/1.1', HOST, HOST, CHAIN()]), 'http_header_duplicate'],
    [
      'two Authorizations',
      () => raw(['GET / HTTP/1.1', HOST, CHAIN(), 'Authorization: Bearer a', 'authorization: Bearer b']),
      'http_header_duplicate',
    ],
    [
      'two Content-Types',
      () =>
        raw([
          'POST / HTTP/1.1',
          HOST,
          CHAIN(),
          'Content-Type: a/b',
          'Content-Type: c/d',
          'Content-Length: 0',
        ]),
      'http_header_duplicate',
    ],
    ['garbage', () => '\u0016\u0003\u0001\u0002\u0000\u0001', 'http_malformed'],
    ['zeros', () => '\0'.repeat(64), 'http_malformed'],
    [
      'an upgrade to WebSocket',
      () =>
        ask({
          headers: [
            'Upgrade: websocket',
            'Connection: Upgrade',
            'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
          ],
        }),
      'http_upgrade',
    ],
    [
      'an upgrade to h2c',
      () =>
        ask({ headers: ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABk'] }),
      'http_upgrade',
    ],
    [
      'CONNECT',
      () => raw(['CONNECT metadata.internal:80 HTTP/1.1', 'Host: metadata.internal', CHAIN()]),
      'http_upgrade',
    ],
    ['headers over 32 KiB', () => ask({ headers: [`X-A: ${'a'.repeat(33_000)}`] }), 'http_headers_too_large'],
    [
      'a thousand small headers',
      () => ask({ headers: Array.from({ length: 1000 }, (_, index) => `a${index}: 1`) }),
      'http_headers_too_large',
    ],
    ['a target over 32 KiB', () => ask({ target: `/${'a'.repeat(33_000)}` }), 'http_headers_too_large'],
    [
      'a body over the limit',
      () =>
        ask({
          method: 'POST',
          headers: [`Content-Length: ${BODY_LIMIT + 1}`],
          body: 'x'.repeat(BODY_LIMIT + 1),
        }),
      'http_body_too_large',
    ],
    [
      'a body over the limit of which nothing comes',
      () => ask({ method: 'POST', headers: ['Content-Length: 999999999999'] }),
      'http_body_too_large',
    ],
  ])('%s', async (_, text, reason) => {
    await expectDenied(doors.witness, planning(), text(), reason);
    expect(doors.wire.text).toBe('');
  });

  it('what Node would answer by itself is decided, and hop ids stay in step: an Expect that nobody knows', async () => {
    const peer = await openSession(doors.target, planning());
    await expectDeniedOn(
      doors.target,
      peer,
      requestText({ headers: ['Expect: 200-maybe'] }),
      'chain_missing',
    );
    const answer = await peer.ask(ask({ headers: ['Expect: 200-maybe'] }));
    expect(answer.status).toBe(200);
    expect(doors.target.seen.at(-1)?.headers).not.toHaveProperty('expect');
    expect(doors.target.seen.at(-1)?.headers['hopgate-hop']).toBe(peer.hop);
    peer.close();
  });

  describe.each(['at once', 'piece by piece'])('chunks that come %s', (pace) => {
    it.each(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'POST', 'PUT', 'PATCH'])(
      '%s: the agent sees one request, whose body is the body',
      async (method) => {
        const peer = await openSession(doors.witness, planning());
        const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
        const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n`;
        peer.requests++;
        const head = ask({ method, headers: ['Transfer-Encoding: chunked'] });
        if (pace === 'at once') peer.write(`${head}${chunk}0\r\n\r\n`);
        else {
          peer.write(head + chunk);
          await doors.wire.has('smuggled');
          peer.write('0\r\n\r\n');
          await doors.wire.has('\r\n0\r\n\r\n');
        }
        expect((await peer.readResponse(method)).status).toBe(200);
        expect(doors.wire.body()).toBe(smuggled);
        expect(doors.wire.text.startsWith(`${method} /vpcs HTTP/1.1\r\n`)).toBe(true);
        expect(recordsOf(doors.witness, peer.hop).filter(({ kind }) => kind === 'decision')).toHaveLength(1);
        expect(recordsOf(doors.witness, `${peer.session}.2`)).toEqual([]);
        peer.close();
      },
    );
  });

  it.each(['GET', 'OPTIONS', 'DELETE'])(
    '%s with a length: the agent sees one request, with that length',
    async (method) => {
      const peer = await openSession(doors.witness, planning());
      const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
      const answer = await peer.ask(
        ask({ method, headers: [`Content-Length: ${smuggled.length}`], body: smuggled }),
      );
      expect(answer.status).toBe(200);
      expect(doors.wire.body()).toBe(smuggled);
      peer.close();
    },
  );

  it('chunks with a wrong size, an extension or an end that is none', async () => {
    for (const body of [
      'zz\r\nab\r\n0\r\n\r\n',
      '2\nab\r\n0\r\n\r\n',
      '-1\r\n\r\n0\r\n\r\n',
      'ffffffffffffffffff\r\nab',
      '2\r\nabcd\r\n0\r\n\r\n',
    ]) {
      const peer = await openSession(doors.witness, planning());
      peer.write(ask({ method: 'POST', headers: ['Transfer-Encoding: chunked'], body }));
      await peer.ended();
      expect(
        doors.witness
          .log()
          .filter(({ hop, reason }) => String(hop).startsWith(peer.session) && reason === 'http_malformed'),
      ).toHaveLength(1);
      expect(peer.pending.toString('latin1')).not.toContain(' 200 ');
      peer.close();
    }
  });
});
