import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { expectAllowed, expectDenied, expectDeniedOn, expectProblem, recordsOf } from '../testkit/attack.ts';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { openSession, type RawPeer, type RawRequest, requestText } from '../testkit/raw-peer.ts';

const BODY_LIMIT = 4096;

let mesh: Mesh;
/** Its agent is an HTTP server. */
let target: MeshAgent;
/** Its agent writes down every octet, and answers what looks like the end of a request. */
let witness: MeshAgent;
let wire = '';
let wireServer: Server;
let onWire: (() => void) | undefined;
const wireHas = async (text: string): Promise<void> => {
  while (!wire.includes(text)) await new Promise<void>((resolve) => (onWire = resolve));
};

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );

beforeAll(async () => {
  mesh = await makeMesh({
    domain: { agents: ['planning/abc123', 'inventory/def456', 'security/s1'] },
    config: { limits: { headersTimeout: '1s', bodyTimeout: '1s', bodyBytes: BODY_LIMIT } },
  });
  wireServer = createServer((socket: Socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      wire += chunk.toString('latin1');
      onWire?.();
      const end = wire.indexOf('\r\n\r\n') + 4;
      const length = /^content-length: (\d+)/im.exec(wire.slice(0, end))?.[1];
      const whole = /^transfer-encoding/im.test(wire.slice(0, end))
        ? wire.endsWith('\r\n0\r\n\r\n')
        : wire.length >= end + Number(length ?? 0);
      if (whole) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  target = await mesh.start('inventory/def456');
  witness = await mesh.start('security/s1', { agentPort: await listen(wireServer) });
});
beforeEach(() => {
  wire = '';
});
afterAll(() => {
  wireServer.close();
  mesh.stop();
});

const planning = () => mesh.domain.agent('planning/abc123');
const chain = (): string => forgeChain(mesh.domain, [planning()], { scope: ['cloud:read', 'cloud:write'] });
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
    await expectDenied(witness, planning(), text(), reason);
    expect(wire).toBe('');
  });

  it('what Node would answer by itself is decided, and hop ids stay in step: an Expect that nobody knows', async () => {
    const peer = await openSession(target, planning());
    await expectDeniedOn(target, peer, requestText({ headers: ['Expect: 200-maybe'] }), 'chain_missing');
    const answer = await peer.ask(ask({ headers: ['Expect: 200-maybe'] }));
    expect(answer.status).toBe(200);
    expect(target.seen.at(-1)?.headers).not.toHaveProperty('expect');
    expect(target.seen.at(-1)?.headers['hopgate-hop']).toBe(peer.hop);
    peer.close();
  });

  /** The one body on the wire, however it is framed; throws where anything is left over. */
  const bodyOnWire = (): string => {
    const end = wire.indexOf('\r\n\r\n');
    const head = wire.slice(0, end).toLowerCase();
    const rest = wire.slice(end + 4);
    const length = /^content-length: (\d+)$/m.exec(head)?.[1];
    expect(head.includes('transfer-encoding')).toBe(length === undefined);
    if (length !== undefined) {
      expect(rest).toHaveLength(Number(length));
      return rest;
    }
    let body = '';
    let at = 0;
    for (;;) {
      const line = rest.indexOf('\r\n', at);
      const size = Number.parseInt(rest.slice(at, line), 16);
      body += rest.slice(line + 2, line + 2 + size);
      at = line + 2 + size + 2;
      if (size === 0) break;
    }
    expect(rest).toHaveLength(at);
    return body;
  };

  describe.each(['at once', 'piece by piece'])('chunks that come %s', (pace) => {
    it.each(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'POST', 'PUT', 'PATCH'])(
      '%s: the agent sees one request, whose body is the body',
      async (method) => {
        const peer = await openSession(witness, planning());
        const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
        const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n`;
        peer.requests++;
        const head = ask({ method, headers: ['Transfer-Encoding: chunked'] });
        if (pace === 'at once') peer.write(`${head}${chunk}0\r\n\r\n`);
        else {
          peer.write(head + chunk);
          await wireHas('smuggled');
          peer.write('0\r\n\r\n');
          await wireHas('\r\n0\r\n\r\n');
        }
        expect((await peer.readResponse(method)).status).toBe(200);
        expect(bodyOnWire()).toBe(smuggled);
        expect(wire.startsWith(`${method} /vpcs HTTP/1.1\r\n`)).toBe(true);
        expect(recordsOf(witness, peer.hop).filter(({ kind }) => kind === 'decision')).toHaveLength(1);
        expect(recordsOf(witness, `${peer.session}.2`)).toEqual([]);
        peer.close();
      },
    );
  });

  it.each(['GET', 'OPTIONS', 'DELETE'])(
    '%s with a length: the agent sees one request, with that length',
    async (method) => {
      const peer = await openSession(witness, planning());
      const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
      const answer = await peer.ask(
        ask({ method, headers: [`Content-Length: ${smuggled.length}`], body: smuggled }),
      );
      expect(answer.status).toBe(200);
      expect(bodyOnWire()).toBe(smuggled);
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
      const peer = await openSession(witness, planning());
      peer.write(ask({ method: 'POST', headers: ['Transfer-Encoding: chunked'], body }));
      await peer.ended();
      expect(
        witness
          .log()
          .filter(({ hop, reason }) => String(hop).startsWith(peer.session) && reason === 'http_malformed'),
      ).toHaveLength(1);
      expect(peer.pending.toString('latin1')).not.toContain(' 200 ');
      peer.close();
    }
  });
});

describe('targets', () => {
  it.each([
    '/pub/../admin',
    '/pub/..',
    '/..',
    '/./',
    '/pub/./x',
    '/pub/%2e%2e/admin',
    '/pub/%2E%2E/admin',
    '/pub/.%2e/admin',
    '/pub%2f..%2fadmin',
    '/pub\\..\\admin',
    '/pub%5c..%5cadmin',
    '//admin',
    '/pub//admin',
    '/pub/;/admin',
    '/pub;x=1',
    '/pub%3b',
    '/pub%00',
    '/pub%00.html',
    '/%',
    '/%2',
    '/%zz',
    '/%41',
    '/pub%20x%2fy',
    '/pub#x',
    '/pub?a#b',
    '/pub?a\\b',
    '/p%0d%0aX: 1',
    '/pub|x',
    '/pub"x',
    '/<pub>',
    '/{pub}',
    '/pub^',
    '/pub`',
    'http://inventory.mesh/vpcs',
    'https://evil.example/',
    '*',
    'vpcs',
    '?x',
    '.',
    'inventory.mesh:80',
    '/pub\u00e9',
    '/%C3%a9',
  ])('%s', async (path) => {
    const peer = await openSession(witness, planning());
    const answer = await peer.ask(ask({ target: path }));
    const reason = answer.code as ReasonCode;
    expect(['target_not_canonical', 'http_malformed']).toContain(reason);
    expectProblem(answer, reason);
    expect(recordsOf(witness, peer.hop)).toMatchObject([{ verdict: 'deny', reason }]);
    expect(wire).toBe('');
    peer.close();
  });

  it.each(['/', '/a/b/', '/a.b/-_~', '/x?y=/../z&u=http://e/', '/%20%C3%A9', "/a:b@c!$&'()*+,="])(
    '%s goes on octet for octet',
    async (path) => {
      await openSession(witness, planning()).then(async (peer) => {
        expect((await peer.ask(ask({ target: path }))).status).toBe(200);
        peer.close();
      });
      expect(wire.split('\r\n')[0]).toBe(`GET ${path} HTTP/1.1`);
    },
  );

  it('no query comes into the log', async () => {
    await expectAllowed(target, planning(), { chain: chain(), target: '/vpcs?token=secret-in-query' });
    expect(JSON.stringify(target.log())).not.toContain('secret-in-query');
  });
});

describe('headers that claim what only we may say', () => {
  const SPOOFED = [
    'Hopgate-Principal',
    'hopgate-caller',
    'HOPGATE-TASK',
    'Hopgate_Scope',
    'hopgate_hop',
    'Hopgate-Assertion',
    'hOpGaTe-CoNtExT',
    'Hopgate_Context',
    'Hopgate-Delegate',
    'hopgate-anything',
    'Delegation_Chain',
    'delegation-other',
    'X-Forwarded-Client-Cert',
    'x_forwarded_client_cert',
    'X-Forwarded_Client-Cert',
    'Proxy-Authorization',
    'Proxy_Authorization',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Proxy-Connection',
    'Content_Length',
    'Transfer_Encoding',
    'X-HTTP-Method-Override',
    'x_http_method_override',
    'X-Original-URL',
    'X-Rewrite-Url',
  ];

  it('none of them gets through in any spelling, and what was verified stands once', async () => {
    const peer = await openSession(target, planning());
    const text = ask({ headers: SPOOFED.map((name) => `${name}: spoofed`) });
    expect((await peer.ask(text)).status).toBe(200);
    const seen = target.seen.at(-1);
    expect(JSON.stringify(seen)).not.toContain('spoofed');
    const names = (seen?.rawHeaders ?? [])
      .filter((_, index) => index % 2 === 0)
      .map((name) => name.toLowerCase());
    for (const name of [
      'hopgate-principal',
      'hopgate-caller',
      'hopgate-task',
      'hopgate-scope',
      'hopgate-hop',
      'hopgate-assertion',
      'x-forwarded-client-cert',
      'host',
    ])
      expect(names.filter((one) => one === name)).toHaveLength(1);
    expect(names.filter((name) => name.includes('_'))).toEqual([]);
    expect(seen?.headers).toMatchObject({
      'hopgate-principal': 'mailto:alice@company.com',
      'hopgate-caller': planning().id,
      'hopgate-hop': peer.hop,
    });
    expect(seen?.headers).not.toHaveProperty('hopgate-context');
    peer.close();
  });

  it('what Connection names is dropped, but not what the agent relies on', async () => {
    await expectAllowed(target, planning(), {
      chain: chain(),
      headers: [
        'Connection: close, X-Secret, Host, hopgate-caller, x-forwarded-client-cert, Authorization',
        'X-Secret: 1',
        'Authorization: Bearer kept',
        'X-Kept: 1',
      ],
    });
    const headers = target.seen.at(-1)?.headers;
    expect(headers).toMatchObject({
      host: 'inventory.mesh',
      authorization: 'Bearer kept',
      'x-kept': '1',
      'hopgate-caller': planning().id,
    });
    expect(headers).not.toHaveProperty('x-secret');
    expect(headers?.['x-forwarded-client-cert']).toContain(planning().id);
  });

  it.each([
    ['hopgate=stolen', undefined],
    ['a=1,hopgate=stolen,b=2', 'a=1,b=2'],
    ['hopgate=one , hopgate=two,c=3', 'c=3'],
    ['HOPGATE=stolen,d=4', 'd=4'],
    ['hopgate =stolen,e=5', 'e=5'],
  ])('tracestate "%s"', async (value, rest) => {
    const held = chain();
    await expectAllowed(target, planning(), { chain: held, headers: [`tracestate: ${value}`] });
    expect(target.seen.at(-1)?.headers.tracestate).toBe(rest);
    const grant = mesh.domain.mintGrant(held, planning(), target.agent, { scope: ['cloud:read'] });
    await expectAllowed(target, planning(), {
      chain: held,
      grant,
      headers: [`Tracestate: ${value}`, 'X-Word: tracestate', 'X-Next: 1'],
    });
    const headers = target.seen.at(-1)?.headers;
    expect(headers).toMatchObject({ 'x-word': 'tracestate', 'x-next': '1' });
    expect(headers?.tracestate).toBe(
      [`hopgate=${headers?.['hopgate-context']}`, ...(rest === undefined ? [] : [rest])].join(','),
    );
  });

  it('two handles that disagree', async () => {
    await expectDenied(
      target,
      planning(),
      { chain: chain(), headers: ['Hopgate-Context: a', 'tracestate: hopgate=b'] },
      'context_conflict',
    );
  });

  it('no request inherits the context, the headers or the body of the one before', async () => {
    const peer = await openSession(target, planning());
    const held = chain();
    const grant = mesh.domain.mintGrant(held, planning(), target.agent, { scope: ['cloud:read'] });
    const contexts: unknown[] = [];
    for (const one of [grant, undefined, grant, undefined]) {
      expect(
        (
          await peer.ask(
            requestText({ chain: held, grant: one, headers: one === undefined ? [] : ['X-Mark: 1'] }),
          )
        ).status,
      ).toBe(200);
      const headers = target.seen.at(-1)?.headers;
      expect(headers?.['x-mark']).toBe(one === undefined ? undefined : '1');
      expect(headers?.tracestate === undefined).toBe(one === undefined);
      contexts.push(headers?.['hopgate-context']);
    }
    expect(contexts[0]).not.toBe(contexts[2]);
    expect(contexts.filter((context) => context === undefined)).toHaveLength(2);
    expect((await peer.ask(requestText({}))).code).toBe('chain_missing');
    peer.close();
  });
});

describe('pipelining', () => {
  const hopsOf = (peer: RawPeer) =>
    target.log().filter(({ kind, hop }) => kind === 'decision' && String(hop).startsWith(peer.session));

  it('each request is decided on its own and answered in its place', async () => {
    const peer = await openSession(target, planning());
    const texts = [
      ask({}),
      requestText({}),
      ask({ target: '/a/../b' }),
      ask({ method: 'POST', headers: ['Content-Length: 2'], body: 'ab' }),
      ask({ target: '/last' }),
    ];
    peer.write(texts.join(''));
    const codes = [];
    for (const _ of texts) codes.push((await peer.readResponse()).code ?? 'ok');
    expect(codes).toEqual(['ok', 'chain_missing', 'target_not_canonical', 'ok', 'ok']);
    expect(hopsOf(peer).map(({ hop, reason }) => [hop, reason])).toEqual(
      codes.map((code, index) => [`${peer.session}.${index + 1}`, code]),
    );
    peer.close();
  });

  it('garbage behind a request that is not answered yet is not answered in its place', async () => {
    const peer = await openSession(target, planning());
    peer.write(`${ask({})}GARBAGE\r\n\r\n`);
    await peer.ended();
    const text = peer.pending.toString('latin1');
    if (text !== '') expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).not.toContain('http_malformed');
    expect(hopsOf(peer).map(({ reason }) => reason)).toEqual(['ok', 'http_malformed']);
  });

  it('CONNECT behind a request that is not answered yet neither', async () => {
    const peer = await openSession(target, planning());
    peer.write(`${ask({})}CONNECT evil:80 HTTP/1.1\r\nHost: evil\r\n\r\n`);
    await peer.ended();
    expect(peer.pending.toString('latin1')).not.toContain('http_upgrade');
    expect(hopsOf(peer).map(({ reason }) => reason)).toEqual(['ok', 'http_upgrade']);
  });

  it('a refused body is not read as the next request', async () => {
    const peer = await openSession(witness, planning());
    const inner = ask({ target: '/inner' });
    peer.write(requestText({ method: 'POST', headers: [`Content-Length: ${inner.length}`], body: inner }));
    expect((await peer.readResponse()).code).toBe('chain_missing');
    expect(recordsOf(witness, `${peer.session}.2`)).toEqual([]);
    expect(wire).toBe('');
    peer.close();
  });
});

describe('bodies and clocks', () => {
  it('a chunked body over the limit', async () => {
    const peer = await openSession(target, planning());
    peer.requests++;
    const chunk = `1000\r\n${'x'.repeat(0x1000)}\r\n`;
    peer.write(ask({ method: 'POST', headers: ['Transfer-Encoding: chunked'], body: chunk }));
    peer.write(`${chunk}0\r\n\r\n`);
    expectProblem(await peer.readResponse(), 'http_body_too_large');
    await expect
      .poll(() => recordsOf(target, peer.hop))
      .toMatchObject([
        { verdict: 'permit' },
        { kind: 'outcome', result: 'http_body_too_large', status: 413 },
      ]);
    peer.close();
  });

  it('a body of just the limit passes', async () => {
    const peer = await openSession(target, planning());
    expect(
      (
        await peer.ask(
          ask({ method: 'POST', headers: [`Content-Length: ${BODY_LIMIT}`], body: 'x'.repeat(BODY_LIMIT) }),
        )
      ).status,
    ).toBe(200);
    peer.close();
  });

  it('headers that come one octet at a time', async () => {
    const peer = await openSession(target, planning());
    const text = ask({});
    let sent = 0;
    const timer = setInterval(() => peer.write(text.slice(sent, ++sent)), 40);
    const answer = await peer.readResponse();
    clearInterval(timer);
    expectProblem(answer, 'http_timeout');
    expect(recordsOf(target, `${peer.session}.1`)).toMatchObject([
      { verdict: 'deny', reason: 'http_timeout' },
    ]);
    await peer.ended();
  });

  it('a body that stands still', async () => {
    const peer = await openSession(target, planning());
    peer.requests++;
    peer.write(ask({ method: 'POST', headers: ['Content-Length: 10'], body: 'abc' }));
    expectProblem(await peer.readResponse(), 'http_timeout');
    await expect
      .poll(() => recordsOf(target, peer.hop))
      .toMatchObject([{ verdict: 'permit' }, { kind: 'outcome', result: 'http_timeout' }]);
    await peer.ended();
  });

  it('Expect: 100-continue is answered after the decision, and only then', async () => {
    const peer = await openSession(target, planning());
    peer.requests++;
    peer.write(ask({ method: 'POST', headers: ['Content-Length: 3', 'Expect: 100-continue'] }));
    expect((await peer.readResponse()).status).toBe(100);
    expect(recordsOf(target, peer.hop)).toMatchObject([{ verdict: 'permit' }]);
    peer.write('abc');
    expect((await peer.readResponse()).status).toBe(200);
    const before = target.seen.length;
    expectProblem(
      await peer.ask(requestText({ method: 'POST', headers: ['Content-Length: 3', 'Expect: 100-continue'] })),
      'chain_missing',
    );
    await peer.ended();
    expect(target.seen).toHaveLength(before);
  });
});
