/** Our parser of HTTP/1.1 requests: what it reads, what it refuses, and that it is the same however the octets are cut. */
import { describe, expect, test } from 'vitest';
import { readAsNode, readRequests } from '../../../testkit/h1-requests.ts';

const GET = 'GET / HTTP/1.1\r\n';
const POST = 'POST /a HTTP/1.1\r\nHost: a\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
const read = (text: string) => readRequests([Buffer.from(text, 'latin1')]);

describe('reads', () => {
  test.each([
    ['no field at all', `${GET}\r\n`, { method: 'GET', target: '/', headers: [] }],
    ['an absolute target', 'GET http://a/b?c=d#e HTTP/1.1\r\n\r\n', { target: 'http://a/b?c=d#e' }],
    ['an asterisk', 'OPTIONS * HTTP/1.1\r\n\r\n', { method: 'OPTIONS', target: '*' }],
    ['white space around a value', `${GET}A: \t b c \t\r\n\r\n`, { headers: ['A', 'b c'] }],
    ['a body of known length', `${POST}Content-Length: 2\r\n\r\nhi`, { body: 'hi' }],
    ['a length of nothing', `${POST}Content-Length: 0\r\n\r\n`, { body: '' }],
    ['chunks with trailers', `${CHUNKED}2\r\nhi\r\n0\r\nA: b\r\n\r\n`, { body: 'hi', trailers: ['A', 'b'] }],
    ['Connection: close', `${GET}Connection: x, close\r\n\r\n`, { closes: true }],
    ['HTTP/1.0, to be refused by its version', 'GET / HTTP/1.0\r\n\r\n', { closes: true }],
    [
      'a switch of protocols',
      `${GET}Upgrade: websocket\r\nConnection: upgrade\r\n\r\nmore`,
      { upgrades: true },
    ],
    ['Upgrade that Connection does not name', `${GET}Upgrade: websocket\r\n\r\n`, { upgrades: false }],
  ])('%s', (_, text, expected) => {
    const { requests, fault } = read(text);
    expect(fault).toBeUndefined();
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject(expected);
  });

  test('one request after the other', () => {
    const { requests } = read(`${CHUNKED}1\r\nx\r\n0\r\n\r\n${GET}\r\n${POST}Content-Length: 1\r\n\r\ny`);
    expect(requests.map(({ method, body }) => method + body)).toEqual(['POSTx', 'GET', 'POSTy']);
  });
});

const REFUSED: Readonly<Record<string, string>> = {
  'a bare LF behind the request line': 'GET / HTTP/1.1\nHost: a\r\n\r\n',
  'a bare LF behind a field': `${GET}A: b\nC: d\r\n\r\n`,
  'a bare CR': `${GET}A: b\rC: d\r\n\r\n`,
  'an empty line before the request': `\r\n${GET}\r\n`,
  'two spaces': 'GET  / HTTP/1.1\r\n\r\n',
  'a tab in the request line': 'GET\t/ HTTP/1.1\r\n\r\n',
  'a space behind the version': 'GET / HTTP/1.1 \r\n\r\n',
  'a space in the target': 'GET /a b HTTP/1.1\r\n\r\n',
  'an octet above ASCII in the target': 'GET /\xe9 HTTP/1.1\r\n\r\n',
  'a control character in the target': 'GET /\x01 HTTP/1.1\r\n\r\n',
  'a target that is neither a path nor a URL': 'GET ?a HTTP/1.1\r\n\r\n',
  'authority form': 'GET a:80 HTTP/1.1\r\n\r\n',
  'no target': 'GET HTTP/1.1\r\n\r\n',
  'no version': 'GET /\r\n\r\n',
  'a lower-case version': 'GET / http/1.1\r\n\r\n',
  'another version': 'GET / HTTP/1.2\r\n\r\n',
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a method that is no token': 'G(T / HTTP/1.1\r\n\r\n',
  'a method without end': `${'A'.repeat(33)} / HTTP/1.1\r\n\r\n`,
  'a field without a name': `${GET}: b\r\n\r\n`,
  'a space before the colon': `${GET}A : b\r\n\r\n`,
  'a folded line': `${GET}A: b\r\n c\r\n\r\n`,
  'a NUL in a value': `${GET}A: \0\r\n\r\n`,
  'two lengths': `${POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`,
  'a list of lengths': `${POST}Content-Length: 1, 1\r\n\r\nx`,
  'a signed length': `${POST}Content-Length: +1\r\n\r\nx`,
  'length and chunks': `${POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'another coding': `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'a coding with a tab': `${POST}Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n`,
  'a chunk without a size': `${CHUNKED}\r\n\r\n`,
  'a chunk longer than its size': `${CHUNKED}1\r\nxy\r\n0\r\n\r\n`,
  'a trailer that frames': `${CHUNKED}0\r\nContent-Length: 1\r\n\r\n`,
  TLS: '\x16\x03\x01\x02\x00',
};

describe('refuses', () => {
  test.each(Object.entries(REFUSED))('%s', (_, text) => {
    expect(read(text).fault).toBe('malformed');
  });

  test('a head that is too large, by octets and by fields', () => {
    expect(read(`${GET}A: ${'b'.repeat(32 * 1024)}`).fault).toBe('too-large');
    expect(read(`${GET}${'A: b\r\n'.repeat(201)}\r\n`).fault).toBe('too-large');
    expect(read(`${GET}${'A: b\r\n'.repeat(200)}\r\n`).fault).toBeUndefined();
  });

  test('as malformed, and not for its size, what is as large as it may be or no head', () => {
    expect(read(`${GET}${'A: b\r\n'.repeat(199)}Content-Length: x\r\n\r\n`).fault).toBe('malformed');
    expect(read(`${CHUNKED}0\r\nA: ${'b'.repeat(32 * 1024)}`).fault).toBe('malformed');
    expect(read(`${CHUNKED}0\r\n${'A: b\r\n'.repeat(201)}\r\n`).fault).toBe('malformed');
  });
});

const WHOLE = [
  `${GET}Host: a\r\nX: y\r\n\r\n`,
  `${CHUNKED}3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: u\r\n\r\n${GET}\r\n`,
  `${POST}Content-Length: 5\r\n\r\nhello${GET}Connection: close\r\n\r\n`,
];

describe('reads the same however it is cut', () => {
  test.each([...WHOLE, ...Object.values(REFUSED)])('%j', (text) => {
    const octets = Buffer.from(text, 'latin1');
    const whole = readRequests([octets]);
    for (let at = 1; at < octets.length; at++) {
      const cut = readRequests([octets.subarray(0, at), octets.subarray(at)]);
      expect({ at, ...cut }).toEqual({ at, ...whole });
    }
    expect(readRequests([...octets].map((octet) => Buffer.of(octet)))).toEqual(whole);
  });
});

/** A small generator with a seed: what fails can be made again. */
const randomOf = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

const PIECES = [
  ...['\r', '\n', '\r\n', '\t', ' ', '\0', ':', ';', ',', '0', '1', 'f', '-', '\x7f', '\x80', '\x0b', '\xa0'],
  ...[
    '\r\n\r\n',
    'chunked',
    'Content-Length: 1\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
  ],
  ...[
    'Upgrade: x\r\n',
    'Connection: upgrade\r\n',
    'HTTP/1.1',
    'Expect: 100-continue\r\n',
    '/',
    '#',
    '?',
    '"',
  ],
];

test('what it accepts, Node reads as the same requests', async () => {
  const random = randomOf(20_260_101);
  for (let turn = 0; turn < 3000; turn++) {
    let text = (WHOLE[random(WHOLE.length)] as string) + (random(3) === 0 ? WHOLE[random(WHOLE.length)] : '');
    for (let bends = 1 + random(2); bends > 0; bends--) {
      const at = random(text.length);
      text = text.slice(0, at) + PIECES[random(PIECES.length)] + text.slice(at + random(3));
    }
    const ours = read(text);
    if (ours.requests.length === 0) continue;
    const { requests } = await readAsNode(Buffer.from(text, 'latin1'));
    const known = ours.requests.map(({ closes: _, ...request }) => request);
    // Where we refuse, Node may read on.
    const theirs = requests.slice(0, known.length);
    expect({ text, requests: theirs }).toEqual({ text, requests: known.slice(0, theirs.length) });
    // Node reads nothing behind a request that closes; and it knows the methods of the IANA registry alone.
    const missing = ours.requests[theirs.length];
    const before = ours.requests.slice(0, theirs.length);
    const isKnown = missing === undefined || before.some(({ closes }) => closes);
    if (!isKnown && missing !== undefined && /^(?:GET|POST)$/.test(missing.method))
      expect({ text, missing }).toBeUndefined();
  }
}, 60_000);
