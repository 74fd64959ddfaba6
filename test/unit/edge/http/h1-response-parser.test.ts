/** Our parser of HTTP/1.1 responses: what it reads, what it refuses, and that it is the same however the octets are cut. */
import { describe, expect, test } from 'vitest';
import { ResponseParser } from '../../../../src/edge/http/h1-response-parser.ts';
import { type Reading, readResponse, readWhole } from '../../../testkit/h1-responses.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const LONG = 32 * 1024;

interface Read {
  readonly octets: string;
  readonly reading?: Reading;
  readonly status: number;
  readonly body?: string;
  readonly trailers?: readonly string[];
  readonly keepsAlive: boolean;
  readonly rest?: string;
  readonly informations?: readonly number[];
  readonly end?: 'whole' | 'upgrade';
}

const READ: Readonly<Record<string, Read>> = {
  'a body of known length': {
    octets: `${OK}Content-Length: 5\r\n\r\nhello`,
    status: 200,
    body: 'hello',
    keepsAlive: true,
  },
  'an empty body': { octets: `${OK}content-length: 0\r\n\r\n`, status: 200, keepsAlive: true },
  'a body in chunks': {
    octets: `${CHUNKED}5\r\nhello\r\nA\r\n, wide wor\r\n2\r\nld\r\n0\r\n\r\n`,
    status: 200,
    body: 'hello, wide world',
    keepsAlive: true,
  },
  trailers: {
    octets: `${CHUNKED}1\r\nx\r\n0\r\ngrpc-status: 0\r\nX-Sum:  a b \r\n\r\n`,
    status: 200,
    body: 'x',
    trailers: ['grpc-status', '0', 'X-Sum', 'a b'],
    keepsAlive: true,
  },
  'chunk extensions, which mean nothing': {
    octets: `${CHUNKED}1;a;b=c;d="e f"\r\nx\r\n0;last\r\n\r\n`,
    status: 200,
    body: 'x',
    keepsAlive: true,
  },
  'a body that ends with the connection': {
    octets: `${OK}Content-Type: text/plain\r\n\r\nall of it`,
    status: 200,
    body: 'all of it',
    keepsAlive: false,
  },
  'no reason phrase': { octets: 'HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n', status: 404, keepsAlive: true },
  'octets above ASCII in reason and values': {
    octets: 'HTTP/1.1 200 \xd6K\r\nx: \xe9\r\ncontent-length: 0\r\n\r\n',
    status: 200,
    keepsAlive: true,
  },
  'HTTP/1.0, once': {
    octets: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi',
    status: 200,
    body: 'hi',
    keepsAlive: false,
  },
  'Connection: close': {
    octets: `${OK}Connection: foo , CLOSE\r\nContent-Length: 0\r\n\r\n`,
    status: 200,
    keepsAlive: false,
  },
  'HEAD: a length and no body': {
    octets: `${OK}Content-Length: 500\r\n\r\n`,
    reading: { method: 'HEAD' },
    status: 200,
    keepsAlive: true,
  },
  'HEAD: chunks announced and no body': {
    octets: CHUNKED,
    reading: { method: 'HEAD' },
    status: 200,
    keepsAlive: true,
  },
  'HEAD: nothing announced, as by a server that ends bodies by closing': {
    octets: `${OK}\r\n`,
    reading: { method: 'HEAD' },
    status: 200,
    keepsAlive: false,
  },
  '204': { octets: 'HTTP/1.1 204 No Content\r\n\r\n', status: 204, keepsAlive: true },
  '304 with the length of what was not sent': {
    octets: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n',
    status: 304,
    keepsAlive: true,
  },
  'interim responses, 100 dropped': {
    octets: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}content-length: 1\r\n\r\n.`,
    status: 200,
    body: '.',
    informations: [103],
    keepsAlive: true,
  },
  '101 that was asked for': {
    octets: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n\x81\x00',
    reading: { mayUpgrade: true },
    status: 101,
    rest: '\x81\x00',
    end: 'upgrade',
    keepsAlive: false,
  },
  'an upgrade that is declined': {
    octets: `${OK}content-length: 2\r\n\r\nno`,
    reading: { mayUpgrade: true },
    status: 200,
    body: 'no',
    keepsAlive: true,
  },
  'what comes behind it is no part of it': {
    octets: `${OK}content-length: 1\r\n\r\nx${OK}content-length: 0\r\n\r\n`,
    status: 200,
    body: 'x',
    rest: `${OK}content-length: 0\r\n\r\n`,
    keepsAlive: true,
  },
  'what comes behind chunks is no part of them': {
    octets: `${CHUNKED}0\r\n\r\n\r\n`,
    status: 200,
    rest: '\r\n',
    keepsAlive: true,
  },
  '200 fields': {
    octets: `${OK}${'a: b\r\n'.repeat(199)}content-length: 0\r\n\r\n`,
    status: 200,
    keepsAlive: true,
  },
  'a head of 32 KiB': {
    octets: `${OK}content-length: 0\r\nx: ${'y'.repeat(LONG - OK.length - 26)}\r\n\r\n`,
    status: 200,
    keepsAlive: true,
  },
};

/** Octets, and what is refused in them. */
const REFUSED: Readonly<Record<string, readonly [octets: string, fault: RegExp, reading?: Reading]>> = {
  'another version': ['HTTP/2.0 200 OK\r\n\r\n', /status line/],
  'HTTP/1.2': ['HTTP/1.2 200 OK\r\n\r\n', /status line/],
  'HTTP/0.9': ['<html>\r\n\r\n', /status line/],
  'small letters': ['http/1.1 200 OK\r\n\r\n', /status line/],
  'another protocol': ['SSH-2.0-OpenSSH\r\n', /status line/],
  'an empty line before it': [`\r\n${OK}content-length: 0\r\n\r\n`, /status line/],
  'two spaces': ['HTTP/1.1  200 OK\r\n\r\n', /status line/],
  'a tab': ['HTTP/1.1\t200 OK\r\n\r\n', /status line/],
  'no space behind the status': ['HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n', /status line/],
  'a status of two digits': ['HTTP/1.1 20 OK\r\n\r\n', /status line/],
  'a status of four digits': ['HTTP/1.1 2000 OK\r\n\r\n', /status line/],
  'a status with a sign': ['HTTP/1.1 +20 OK\r\n\r\n', /status line/],
  'a status below 100': ['HTTP/1.1 099 OK\r\n\r\n', /status line/],
  'a status above 599': ['HTTP/1.1 600 OK\r\n\r\n', /status line/],
  'a NUL in the reason': ['HTTP/1.1 200 O\0K\r\n\r\n', /status line/],
  'a bare LF behind the status line': ['HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n', /status line/],
  'bare LFs alone, which never end': ['HTTP/1.1 200 OK\ncontent-length: 0\n\n', /CR or LF alone/],
  'a bare LF behind a field': [`${OK}a: b\nc: d\r\n\r\n`, /control character/],
  'a bare CR behind a field': [`${OK}a: b\rc: d\r\n\r\n`, /control character/],
  'a CR before the CRLF': [`${OK}a: b\r\r\n\r\n`, /control character/],
  'a folded line': [`${OK}a: b\r\n c\r\n\r\n`, /no field name/],
  'a line folded by a tab': [`${OK}a: b\r\n\tc\r\n\r\n`, /no field name/],
  'a space before the first field': [`${OK} a: b\r\n\r\n`, /no field name/],
  'no name': [`${OK}: b\r\n\r\n`, /no field name/],
  'no colon': [`${OK}a\r\n\r\n`, /no token/],
  'a space before the colon': [`${OK}content-length : 0\r\n\r\n`, /no token/],
  'a tab before the colon': [`${OK}a\t: b\r\n\r\n`, /no token/],
  'a name that is no token': [`${OK}a(b): c\r\n\r\n`, /no token/],
  'a name above ASCII': [`${OK}\xe9: c\r\n\r\n`, /no field name/],
  'a NUL in a value': [`${OK}a: b\0c\r\n\r\n`, /control character/],
  'a DEL in a value': [`${OK}a: b\x7f\r\n\r\n`, /control character/],
  'an escape in a value': [`${OK}a: \x1b[2J\r\n\r\n`, /control character/],
  '201 fields': [`${OK}${'a: b\r\n'.repeat(201)}\r\n`, /more than 200 fields/],
  'a head of 32 KiB and one': [`${OK}x: ${'y'.repeat(LONG - OK.length - 6)}\r\n\r\n`, /more than 32768/],
  'a head without an end': [`${OK}x: ${'y'.repeat(LONG)}`, /more than 32768/],
  'two lengths': [`${OK}content-length: 1\r\nContent-Length: 2\r\n\r\nab`, /two Content-Length/],
  'one length twice': [`${OK}content-length: 1\r\ncontent-length: 1\r\n\r\na`, /two Content-Length/],
  'lengths in a list': [`${OK}content-length: 1, 1\r\n\r\na`, /no number/],
  'a length with a sign': [`${OK}content-length: +1\r\n\r\na`, /no number/],
  'a negative length': [`${OK}content-length: -1\r\n\r\na`, /no number/],
  'a hexadecimal length': [`${OK}content-length: 0x1\r\n\r\na`, /no number/],
  'a length with a fraction': [`${OK}content-length: 1.0\r\n\r\na`, /no number/],
  'a length with a space inside': [`${OK}content-length: 1 1\r\n\r\na`, /no number/],
  'an empty length': [`${OK}content-length:\r\n\r\n`, /no number/],
  'a length that no number holds': [`${OK}content-length: 9999999999999999\r\n\r\n`, /no number/],
  'a length and chunks': [
    `${OK}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    /both Content-Length/,
  ],
  'chunks and a length': [
    `${OK}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n`,
    /both Content-Length/,
  ],
  'another coding': [`${OK}transfer-encoding: gzip\r\n\r\n`, /other than chunked/],
  'a coding before chunked': [`${OK}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, /other than chunked/],
  'chunked twice in a list': [
    `${OK}transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
    /other than chunked/,
  ],
  'chunked twice': [
    `${OK}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    /two Transfer-Encoding/,
  ],
  'chunked and a tab, which Node reads as another coding': [
    `${OK}transfer-encoding: chunked\t\r\n\r\n0\r\n\r\n`,
    /a tab in a field/,
  ],
  'a tab and a length': [`${OK}Content-Length:\t1\r\n\r\nx`, /a tab in a field/],
  identity: [`${OK}transfer-encoding: identity\r\n\r\n`, /other than chunked/],
  'chunked with a parameter': [`${OK}transfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\n`, /other than chunked/],
  xchunked: [`${OK}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`, /other than chunked/],
  'an empty coding': [`${OK}transfer-encoding:\r\n\r\n`, /other than chunked/],
  'chunks in HTTP/1.0': [
    'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    /coding in HTTP\/1\.0/,
  ],
  'a body with 204': ['HTTP/1.1 204 No\r\ncontent-length: 1\r\n\r\nx', /announced with 204/],
  'chunks with 204': ['HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n', /announced with 204/],
  'a body with 103': ['HTTP/1.1 103 Hints\r\ncontent-length: 1\r\n\r\nx', /announced with 103/],
  'an interim response in HTTP/1.0': ['HTTP/1.0 103 Hints\r\n\r\n', /interim response in HTTP\/1\.0/],
  'interim responses without an end': ['HTTP/1.1 103 Hints\r\n\r\n'.repeat(257), /too many interim/],
  'interim responses of 70 KiB': [
    `HTTP/1.1 103 Hints\r\nlink: ${'x'.repeat(10_000)}\r\n\r\n`.repeat(7),
    /too many interim/,
  ],
  '101 that nobody asked for': [
    'HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
    /nobody asked for/,
  ],
  '101 to something else': [
    'HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n',
    /another protocol/,
    { mayUpgrade: true },
  ],
  '101 without a name': [
    'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\n\r\n',
    /another protocol/,
    { mayUpgrade: true },
  ],
  '101 that Connection does not name': [
    'HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: keep-alive\r\n\r\n',
    /Connection does not name/,
    { mayUpgrade: true },
  ],
  '101 that closes': [
    'HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n',
    /interim response that closes/,
    { mayUpgrade: true },
  ],
  'an interim response that closes': [
    `HTTP/1.1 103 Hints\r\nconnection: close\r\n\r\n${OK}content-length: 0\r\n\r\n`,
    /interim response that closes/,
  ],
  'a chunk without a size': [`${CHUNKED}\r\n`, /without a size/],
  'a chunk size with a sign': [`${CHUNKED}+1\r\nx\r\n0\r\n\r\n`, /without a size/],
  'a negative chunk size': [`${CHUNKED}-1\r\nx\r\n0\r\n\r\n`, /without a size/],
  'a space before a chunk size': [`${CHUNKED} 1\r\nx\r\n0\r\n\r\n`, /without a size/],
  'a space behind a chunk size': [`${CHUNKED}1 \r\nx\r\n0\r\n\r\n`, /no hexadecimal/],
  'a chunk size with a prefix': [`${CHUNKED}0x1\r\nx\r\n0\r\n\r\n`, /no hexadecimal/],
  'a chunk size with an underscore': [`${CHUNKED}1_0\r\nx\r\n0\r\n\r\n`, /no hexadecimal/],
  'a chunk size that overflows': [`${CHUNKED}10000000000000001\r\nx\r\n0\r\n\r\n`, /too long/],
  'a chunk size that ends in a bare LF': [`${CHUNKED}1\nx\r\n0\r\n\r\n`, /no hexadecimal/],
  'a chunk size that ends in a bare CR': [`${CHUNKED}1\rx\r\n0\r\n\r\n`, /does not end in CRLF/],
  'a chunk longer than its size': [`${CHUNKED}1\r\nxy\r\n0\r\n\r\n`, /longer than its size/],
  'a chunk that ends in a bare LF': [`${CHUNKED}1\r\nx\n0\r\n\r\n`, /longer than its size/],
  'a chunk that ends in a bare CR': [`${CHUNKED}1\r\nx\r0\r\n\r\n`, /does not end in CRLF/],
  'an extension with a bare LF': [`${CHUNKED}1;a\nx\r\n0\r\n\r\n`, /bare LF|malformed chunk ext/],
  'an extension with a bare CR': [`${CHUNKED}1;a\rx\r\n0\r\n\r\n`, /does not end in CRLF/],
  'an extension without a name': [`${CHUNKED}1;\r\nx\r\n0\r\n\r\n`, /malformed chunk ext/],
  'an extension with a space': [`${CHUNKED}1; a\r\nx\r\n0\r\n\r\n`, /malformed chunk ext/],
  'an extension in a string without an end': [`${CHUNKED}1;a="\r\nx\r\n0\r\n\r\n`, /malformed chunk ext/],
  'an extension of 257 octets': [`${CHUNKED}1;${'a'.repeat(256)}\r\nx\r\n0\r\n\r\n`, /extension that is too/],
  'extensions of 17 KiB': [
    `${CHUNKED}${`1;${'a'.repeat(249)}\r\nx\r\n`.repeat(70)}0\r\n\r\n`,
    /too many chunk ext/,
  ],
  'a trailer that is no field': [`${CHUNKED}0\r\nfoo\r\n\r\n`, /no token/],
  'a folded trailer': [`${CHUNKED}0\r\na: b\r\n c\r\n\r\n`, /no field name/],
  'a trailer with a bare LF': [`${CHUNKED}0\r\na: b\n\r\n\r\n`, /CR or LF alone|control character/],
  'trailers with a bare LF alone': [`${CHUNKED}0\r\n\n`, /CR or LF alone/],
  '201 trailers': [`${CHUNKED}0\r\n${'a: b\r\n'.repeat(201)}\r\n`, /more than 200/],
  'trailers of more than 32 KiB': [`${CHUNKED}0\r\na: ${'b'.repeat(LONG)}`, /more than 32768/],
  'a trailer that gives a length': [`${CHUNKED}0\r\nContent-Length: 3\r\n\r\n`, /frames the message/],
  'a trailer that gives a coding': [`${CHUNKED}0\r\ntransfer-encoding: chunked\r\n\r\n`, /frames the mess/],
  'a trailer that names a host': [`${CHUNKED}0\r\nhost: a\r\n\r\n`, /frames the message/],
  'a trailer that closes': [`${CHUNKED}0\r\nconnection: close\r\n\r\n`, /frames the message/],
};

const CUT: Readonly<Record<string, readonly [octets: string, reading?: Reading]>> = {
  nothing: [''],
  'half a status line': ['HTTP/1.1 2'],
  'half a head': [`${OK}content-le`],
  'a head without its empty line': [`${OK}content-length: 0\r\n`],
  'an interim response alone': ['HTTP/1.1 100 Continue\r\n\r\n'],
  'half a body': [`${OK}content-length: 5\r\n\r\nhel`],
  'chunks without any': [CHUNKED],
  'half a chunk': [`${CHUNKED}5\r\nhel`],
  'a chunk without its CRLF': [`${CHUNKED}5\r\nhello`],
  'chunks without the last': [`${CHUNKED}5\r\nhello\r\n`],
  'half a last chunk': [`${CHUNKED}5\r\nhello\r\n0`],
  'a last chunk without the empty line': [`${CHUNKED}0\r\n`],
  'half trailers': [`${CHUNKED}0\r\na: b\r\n`],
};

describe('reads', () => {
  test.each(Object.entries(READ))('%s', (_, { octets, reading, ...expected }) => {
    const read = readWhole(octets, reading);
    expect({ ...read, informations: read.informations.map(([status]) => status) }).toMatchObject({
      body: '',
      trailers: [],
      rest: '',
      informations: [],
      end: 'whole',
      fault: undefined,
      ...expected,
    });
  });

  test('names as they are spelt and values without the white space around them', () => {
    const { headers } = readWhole(`${OK}X-A:b\r\nx-a: \t c  d\t \r\nEmpty:\r\ncontent-length: 0\r\n\r\n`);
    expect(headers).toEqual(['X-A', 'b', 'x-a', 'c  d', 'Empty', '', 'content-length', '0']);
  });
});

test('small chunks that came together go on together, large ones as they lie', () => {
  const large = 'y'.repeat(5000);
  const small = (text: string): string => [...text].map((one) => `1\r\n${one}\r\n`).join('');
  const pieces: string[] = [];
  const parser = new ResponseParser({
    onInformation: () => {},
    onHead: () => {},
    onData: (chunk) => pieces.push(chunk.toString()),
  });
  parser.begin('GET', false);
  const octets = `${CHUNKED}${small('abc')}1388\r\n${large}\r\n${small('d')}1388\r\n${large}\r\n${small('ef')}`;
  parser.push(Buffer.from(octets));
  expect(pieces).toEqual(['abc', large, 'd', large, 'ef']);
  parser.push(Buffer.from(`${small('gh')}0\r\n\r\n`));
  expect(pieces.slice(5)).toEqual(['gh']);
  expect(parser.isWhole).toBe(true);
});

describe('refuses', () => {
  test.each(Object.entries(REFUSED))('%s', (_, [octets, fault, reading]) => {
    const read = readWhole(octets, reading);
    expect(read.end).toBe('malformed');
    expect(read.fault).toMatch(fault);
  });
});

describe('takes for cut off', () => {
  test.each(Object.entries(CUT))('%s', (_, [octets, reading]) => {
    expect(readWhole(octets, reading).end).toBe('cut');
  });
});

test('it is all the same however it is cut', () => {
  const all: [string, string, Reading | undefined][] = [
    ...Object.entries(READ).map(([name, one]): [string, string, Reading | undefined] => [
      name,
      one.octets,
      one.reading,
    ]),
    ...[...Object.entries(REFUSED), ...Object.entries(CUT)].map(
      ([name, one]): [string, string, Reading | undefined] => [
        name,
        one[0],
        one.find((part) => typeof part === 'object' && !(part instanceof RegExp)) as Reading | undefined,
      ],
    ),
  ];
  for (const [name, text, reading] of all) {
    const octets = Buffer.from(text, 'latin1');
    const { fault: _whole, ...whole } = readResponse([octets], reading);
    // Of long ones, the places around their ends say all.
    const places = [...octets.keys()].filter(
      (at) => octets.length < 2000 || at < 40 || at > octets.length - 40,
    );
    for (const at of places) {
      const { fault: _fault, ...halves } = readResponse(
        [octets.subarray(0, at), octets.subarray(at)],
        reading,
      );
      // What comes behind a fault is nobody's.
      expect({ name, at, ...halves }).toEqual({ name, at, ...whole });
    }
    if (octets.length >= 2000) continue;
    const { fault: _octets, ...singly } = readResponse(
      [...octets].map((octet) => Buffer.of(octet)),
      reading,
    );
    expect({ name, ...singly }).toEqual({ name, ...whole });
  }
});
