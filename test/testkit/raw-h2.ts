/**
 * HTTP/2 by hand, on a session of a {@link RawPeer}: frames as they are written here, whatever RFC 9113 says of them. It shares
 * nothing with Node's HTTP/2. Header blocks are literals that nobody remembers (RFC 7541 §6.2.2).
 */
import type { TestAgent } from './domain.ts';
import type { MeshAgent } from './mesh.ts';
import { openSession, type RawPeer, type TlsChoice } from './raw-peer.ts';

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const H2_ALPN = 'hopgate-h2/1';

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** Nothing is remembered between our header blocks or theirs: what they send can be read a block at a time. */
const NO_TABLE = Buffer.from([0, 1, 0, 0, 0, 0]);

export type Field = readonly [name: string, value: string];

export const h2Frame = (
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array | string = '',
): Buffer => {
  const body = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
};

export const uint32 = (value: number): Buffer => {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value >>> 0);
  return octets;
};

/** RFC 7541 §5.1. */
const integer = (value: number, prefixBits: number, first: number): Buffer => {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.of(first | value);
  const octets = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) octets.push((rest % 128) | 128);
  return Buffer.from([...octets, rest]);
};

const text = (value: string): Buffer => {
  const octets = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(octets.length, 7, 0), octets]);
};

export const headerBlock = (fields: readonly Field[]): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));

/** Of the Huffman code of RFC 7541, what the digits of a status need. */
const DIGITS: Readonly<Record<string, string>> = {
  '00000': '0',
  '00001': '1',
  '00010': '2',
  '011001': '3',
  '011010': '4',
  '011011': '5',
  '011100': '6',
  '011101': '7',
  '011110': '8',
  '011111': '9',
};

const huffmanDigits = (octets: Buffer): string => {
  const bits = [...octets].map((octet) => octet.toString(2).padStart(8, '0')).join('');
  let found = '';
  for (let at = 0; at < bits.length; ) {
    const length = [5, 6].find((size) => DIGITS[bits.slice(at, at + size)] !== undefined);
    if (length === undefined) break;
    found += DIGITS[bits.slice(at, at + length)];
    at += length;
  }
  return found;
};

/** Indexes of the static table from 8 on. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500];

/** `:status` comes first. */
export const statusIn = (block: Buffer): number => {
  let at = 0;
  while (((block[at] ?? 0) & 0xe0) === 0x20) at++;
  const first = block[at] ?? 0;
  if (first >= 0x80) return STATUSES[(first & 0x7f) - 8] ?? 0;
  const length = block[at + 1] ?? 0;
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number(length >= 0x80 ? huffmanDigits(value) : value.toString('latin1'));
};

export interface H2Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** What became of one stream. */
export interface H2Answer {
  /** 0: none came. */
  readonly status: number;
  readonly body: string;
  /** Reason code of a refusal. */
  readonly code: string | undefined;
  readonly hop: string | undefined;
  /** Error code of RST_STREAM. */
  readonly reset: number | undefined;
  /** It ended as it should. */
  readonly whole: boolean;
}

export class H2Peer {
  readonly peer: RawPeer;
  /** Error code of GOAWAY, once it came. */
  goaway: number | undefined;
  /** Last stream that the other side says it has handled. */
  lastStream: number | undefined;
  readonly frames: H2Frame[] = [];
  private nextStream = 1;

  constructor(peer: RawPeer) {
    this.peer = peer;
  }

  write(...frames: readonly (Uint8Array | string)[]): void {
    if (this.peer.socket.writable)
      this.peer.write(Buffer.concat(frames.map((frame) => Buffer.from(frame as string, 'latin1'))));
  }

  /** Preface, SETTINGS, and theirs acknowledged. */
  async start(settings: Uint8Array = NO_TABLE): Promise<void> {
    this.write(PREFACE, h2Frame(TYPE.settings, 0, 0, settings));
    await this.until(() => this.frames.some(({ type, flags }) => type === TYPE.settings && flags === ACK));
  }

  newStream(): number {
    const stream = this.nextStream;
    this.nextStream += 2;
    return stream;
  }

  /** The next frame, with SETTINGS and PING answered; undefined when the connection has ended. */
  async next(): Promise<H2Frame | undefined> {
    const head = await this.peer.readOctets(9);
    if (head === undefined) return undefined;
    const payload = await this.peer.readOctets(head.readUIntBE(0, 3));
    if (payload === undefined) return undefined;
    const frame = {
      type: head.readUInt8(3),
      flags: head.readUInt8(4),
      stream: head.readUInt32BE(5) & 0x7fffffff,
      payload: Buffer.from(payload),
    };
    this.frames.push(frame);
    if (frame.type === TYPE.settings && frame.flags !== ACK) this.write(h2Frame(TYPE.settings, ACK, 0));
    if (frame.type === TYPE.ping && frame.flags !== ACK)
      this.write(h2Frame(TYPE.ping, ACK, 0, frame.payload));
    if (frame.type === TYPE.goaway) {
      this.lastStream = frame.payload.readUInt32BE(0);
      this.goaway = frame.payload.readUInt32BE(4);
    }
    return frame;
  }

  async until(enough: () => boolean): Promise<void> {
    while (!enough()) if ((await this.next()) === undefined) return;
  }

  /** Sends a request in one HEADERS frame and reads what becomes of it. */
  ask(fields: readonly Field[], body?: string): Promise<H2Answer> {
    const stream = this.newStream();
    this.peer.requests++;
    this.write(
      h2Frame(TYPE.headers, END_HEADERS | (body === undefined ? END_STREAM : 0), stream, headerBlock(fields)),
      ...(body === undefined ? [] : [h2Frame(TYPE.data, END_STREAM, stream, body)]),
    );
    return this.answerOn(stream);
  }

  /** Until the stream or the connection ends. */
  async answerOn(stream: number): Promise<H2Answer> {
    const of = (): H2Frame[] => this.frames.filter((frame) => frame.stream === stream);
    await this.until(() =>
      of().some(
        ({ type, flags }) =>
          type === TYPE.reset || (type <= TYPE.headers && (flags & END_STREAM) === END_STREAM),
      ),
    );
    const mine = of();
    const heads = mine.filter(({ type }) => type === TYPE.headers).map(({ payload }) => statusIn(payload));
    const body = Buffer.concat(mine.filter(({ type }) => type === TYPE.data).map(({ payload }) => payload));
    const reset = mine.find(({ type }) => type === TYPE.reset)?.payload.readUInt32BE(0);
    const said = body.toString('latin1');
    const { code, hop } = said.startsWith('{"type":"https://hopgate.dev')
      ? (JSON.parse(body.toString()) as { code: string; hop: string })
      : { code: undefined, hop: undefined };
    const whole = mine.some(({ type, flags }) => type <= TYPE.headers && (flags & END_STREAM) === END_STREAM);
    return { status: heads.find((status) => status >= 200) ?? 0, body: said, code, hop, reset, whole };
  }

  close(): void {
    this.peer.close();
  }
}

/** A session over which HTTP/2 is spoken, its settings exchanged. */
export const openH2 = async (
  target: MeshAgent,
  agent: TestAgent,
  choice: TlsChoice = {},
): Promise<H2Peer> => {
  const peer = new H2Peer(await openSession(target, agent, { alpn: [H2_ALPN], ...choice }));
  await peer.start();
  return peer;
};

export interface H2Request {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly chain?: string | undefined;
  readonly fields?: readonly Field[];
}

/** The fields of a request that is right. */
export const requestFields = ({
  method = 'GET',
  path = '/vpcs',
  authority = 'inventory.mesh',
  chain,
  fields = [],
}: H2Request = {}): Field[] => [
  [':method', method],
  [':scheme', 'https'],
  [':authority', authority],
  [':path', path],
  ...(chain === undefined ? [] : [['delegation-chain', chain] as const]),
  ...fields,
];
