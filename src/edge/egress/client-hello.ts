/**
 * The first octets of a TLS connection: which name they ask for (RFC 8446 §4.1.2, RFC 6066 §3). Read strictly: what is no plain
 * ClientHello, or could be read in two ways, is none.
 */

/** Octets of a ClientHello at most; clients send 2 KiB with post-quantum keys. */
export const MAX_CLIENT_HELLO = 16_384;

export type ClientHello =
  /** More octets are needed. */
  | { readonly state: 'partial' }
  /** `fault`: half a sentence. */
  | { readonly state: 'none'; readonly fault: string }
  | {
      readonly state: 'whole';
      /** As sent; undefined without the extension. */
      readonly serverName: string | undefined;
      /** An encrypted ClientHello (RFC 9849) stands inside, or something made to look like one. */
      readonly isEncrypted: boolean;
    };

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const MAX_RECORD = 16_384;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;

class Malformed extends Error {}

/** Fields one behind the other; throws at the end of what is there. */
class Fields {
  private readonly octets: Buffer;
  private at = 0;
  constructor(octets: Buffer) {
    this.octets = octets;
  }
  get length(): number {
    return this.octets.length - this.at;
  }
  get isEmpty(): boolean {
    return this.at === this.octets.length;
  }
  take(length: number): Buffer {
    if (this.at + length > this.octets.length) throw new Malformed('is cut short');
    this.at += length;
    return this.octets.subarray(this.at - length, this.at);
  }
  integer(bytes: 1 | 2 | 3): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }
  /** A vector with its length before it. */
  vector(bytes: 1 | 2): Fields {
    return new Fields(this.take(this.integer(bytes)));
  }
}

const MESSAGE_HEADER = 4;

/** The handshake message in the records so far; undefined while it isn't whole. One pass, however small the records are. */
const messageIn = (octets: Buffer): Buffer | undefined => {
  const joined = Buffer.alloc(Math.min(octets.length, MAX_CLIENT_HELLO + MAX_RECORD));
  let length = 0;
  for (let at = 0; ; ) {
    if (length >= MESSAGE_HEADER) {
      if (joined[0] !== CLIENT_HELLO) throw new Malformed('does not begin with a ClientHello');
      const whole = MESSAGE_HEADER + joined.readUIntBE(1, 3);
      if (whole > MAX_CLIENT_HELLO) throw new Malformed('is too long');
      // In the records of a ClientHello stands nothing else (RFC 8446 §5.1).
      if (length > whole) throw new Malformed('has something behind it');
      if (length === whole) return joined.subarray(0, whole);
    }
    if (at < octets.length && octets[at] !== HANDSHAKE) throw new Malformed('is no TLS handshake');
    if (at + 1 < octets.length && octets[at + 1] !== 3) throw new Malformed('is of no version of TLS');
    if (at + RECORD_HEADER > octets.length) return undefined;
    const size = octets.readUInt16BE(at + 3);
    if (size === 0 || size > MAX_RECORD) throw new Malformed('has a record of a wrong size');
    if (at + RECORD_HEADER + size > octets.length) return undefined;
    length += octets.copy(joined, length, at + RECORD_HEADER, at + RECORD_HEADER + size);
    at += RECORD_HEADER + size;
  }
};

const NAME = /^[A-Za-z0-9._-]{1,253}$/;

const nameIn = (extension: Fields): string => {
  const list = extension.vector(2);
  if (list.integer(1) !== HOST_NAME) throw new Malformed('names something else than a host');
  const name = list.vector(2);
  const text = name.take(name.length).toString('latin1');
  if (!list.isEmpty || !extension.isEmpty) throw new Malformed('names more than one host');
  if (!NAME.test(text)) throw new Malformed('names what is no host');
  return text;
};

const readMessage = (message: Buffer): ClientHello => {
  const hello = new Fields(message.subarray(4));
  hello.take(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  let serverName: string | undefined;
  let isEncrypted = false;
  if (!hello.isEmpty) {
    const extensions = hello.vector(2);
    const seen = new Set<number>();
    while (!extensions.isEmpty) {
      const type = extensions.integer(2);
      const extension = extensions.vector(2);
      if (seen.has(type)) throw new Malformed('has an extension twice');
      seen.add(type);
      if (type === SERVER_NAME) serverName = nameIn(extension);
      if (type === ENCRYPTED_CLIENT_HELLO) isEncrypted = true;
    }
    if (!hello.isEmpty) throw new Malformed('has something behind it');
  }
  return { state: 'whole', serverName, isEncrypted };
};

/** Reads the octets that a client has sent so far. */
export const readClientHello = (octets: Buffer): ClientHello => {
  try {
    const message = messageIn(octets);
    if (message !== undefined) return readMessage(message);
    return octets.length > 2 * MAX_CLIENT_HELLO
      ? { state: 'none', fault: 'is too long' }
      : { state: 'partial' };
  } catch (error) {
    if (error instanceof Malformed) return { state: 'none', fault: error.message };
    throw error;
  }
};
