import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_CLIENT_HELLO, readClientHello } from '../../../../src/edge/egress/client-hello.ts';

/** What a TLS client of Node sends first. */
const helloOf = async (server: Server, options: object): Promise<Buffer> => {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options });
  client.on('error', () => undefined);
  const [socket] = await accepted;
  let octets = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    octets = Buffer.concat([octets, chunk]);
    if (readClientHello(octets).state !== 'partial') break;
  }
  client.destroy();
  return octets;
};

/** Its message in records of so many octets. */
const inRecords = (hello: Buffer, size: number): Buffer => {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
};

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const vector = (octets: Buffer): Buffer => Buffer.concat([u16(octets.length), octets]);
const extension = (type: number, data: Buffer): Buffer => Buffer.concat([u16(type), vector(data)]);
const sni = (...names: string[]): Buffer =>
  extension(
    0,
    vector(Buffer.concat(names.map((name) => Buffer.concat([Buffer.from([0]), vector(Buffer.from(name))])))),
  );
/** A ClientHello of these extensions. */
const helloWith = (...extensions: Buffer[]): Buffer => {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    Buffer.from([0]),
    vector(Buffer.from([0x13, 0x01])),
    Buffer.from([1, 0]),
    vector(Buffer.concat(extensions)),
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(message)]);
};

describe('the name that a TLS client asks for', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => server.close());

  it.each([{}, { maxVersion: 'TLSv1.2' }, { ALPNProtocols: ['h2', 'http/1.1'] }])(
    'is read from what Node sends (%o)',
    async (options) => {
      const hello = await helloOf(server, { servername: 'api.example.com', ...options });
      const read = readClientHello(hello);
      expect(read).toEqual({ state: 'whole', serverName: 'api.example.com', isEncrypted: false });
      for (const size of [1, 100, hello.length])
        expect(readClientHello(inRecords(hello, size))).toEqual(read);
      for (let length = 0; length < hello.length; length++)
        expect(readClientHello(hello.subarray(0, length)).state).toBe('partial');
    },
  );
  it('may be none', async () => {
    const read = readClientHello(await helloOf(server, { servername: '' }));
    expect(read).toEqual({ state: 'whole', serverName: undefined, isEncrypted: false });
  });
  it('may hide another one behind it', () => {
    const read = readClientHello(helloWith(sni('front.example.com'), extension(0xfe0d, Buffer.alloc(40))));
    expect(read).toMatchObject({ serverName: 'front.example.com', isEncrypted: true });
  });
  it.each([
    ['two names', helloWith(sni('a.example.com', 'b.example.com'))],
    ['the extension twice', helloWith(sni('a.example.com'), sni('b.example.com'))],
    ['a NUL in the name', helloWith(sni('a.example.com\0.evil.com'))],
    ['an empty name', helloWith(sni(''))],
    ['an empty list', helloWith(extension(0, Buffer.from([0, 0])))],
    ['a name of another type', helloWith(extension(0, vector(Buffer.from([1, 0, 1, 0x61]))))],
    ['a list that is longer than it says', helloWith(extension(0, Buffer.from([0, 4, 0, 0, 1, 0x61, 0])))],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')],
    ['a ServerHello', Buffer.from([22, 3, 3, 0, 4, 2, 0, 0, 0])],
    ['an alert', Buffer.from([21, 3, 3, 0, 2, 2, 40])],
    ['SSLv2', Buffer.from([0x80, 0x2e, 1, 0, 2])],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['a message that is too long', Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0])],
  ])('is none in what has %s', (_what, octets) => {
    expect(readClientHello(octets)).toMatchObject({ state: 'none' });
  });
  it('is none where another message shares its record', () => {
    const hello = helloWith(sni('a.example.com'));
    const message = hello.subarray(5);
    const both = Buffer.concat([message, message]);
    expect(readClientHello(Buffer.concat([Buffer.from([22, 3, 1]), vector(both)])).state).toBe('none');
  });
  it('is looked for in so many octets and no more', () => {
    // Records of one octet: five times their content.
    const drip = Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from([22, 3, 1, 0, 1, 1])));
    expect(readClientHello(drip).state).toBe('none');
    expect(MAX_CLIENT_HELLO).toBeLessThanOrEqual(16_384);
  });
  it('is nothing that random octets make it throw for', () => {
    const hello = helloWith(sni('a.example.com'));
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, octet) => {
        const changed = Buffer.from(hello);
        changed[at] = octet;
        expect(['partial', 'none', 'whole']).toContain(readClientHello(changed).state);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (octets) => {
        expect(['partial', 'none', 'whole']).toContain(
          readClientHello(Buffer.concat([Buffer.from([22, 3, 1]), octets])).state,
        );
      }),
    );
  });
});
