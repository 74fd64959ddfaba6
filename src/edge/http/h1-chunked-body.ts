/** The chunked transfer coding (RFC 9112 §7.1), read as it comes. Strict: CRLF alone, sizes are hexadecimal and nothing else. */
import { CR, faultInTrailers, LF, readFields } from './h1-fields.ts';
import { HeldLines } from './h1-held-lines.ts';

/** 2^48 octets: what is longer is no size but an attempt at an overflow. */
const MAX_SIZE_DIGITS = 12;
/** Octets of the extensions of one chunk, and of all of a body. */
const MAX_EXTENSION = 256;
const MAX_EXTENSIONS = 16 * 1024;

/** Octets of a chunk from which on it is passed on as it lies; smaller ones that came together go on together. */
const LARGE = 4096;

const SEMICOLON = 0x3b;

/** Extensions mean nothing to us and are dropped; those that another reader could take for the end of their line are refused. */
const EXTENSIONS =
  /^(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"[ !\x23-\x5b\x5d-\x7e]*"))?)+$/;

const HEX = Int8Array.from({ length: 256 }, (_, octet) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(octet).toLowerCase());
  return octet < 0x80 ? digit : -1;
});

type Part =
  | 'size'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailers'
  | 'whole'
  | 'fault';

export interface DataSink {
  onData(chunk: Buffer): void;
}

export class ChunkedBody {
  private part: Part = 'whole';
  private size = 0;
  private digits = 0;
  private extension = '';
  private extensions = 0;
  private readonly held = new HeldLines();
  /** Small chunks of what is being read: where the only one lies, or copies of several. */
  private smallAt = 0;
  private smallEnd = 0;
  private together: Buffer | undefined;
  private togetherLength = 0;
  fault: string | undefined;
  /** Name, value …, once it is whole. */
  trailers: string[] = [];

  begin(): void {
    this.startChunk();
    this.extensions = 0;
    this.fault = undefined;
    this.trailers = [];
  }

  get isWhole(): boolean {
    return this.part === 'whole';
  }

  private get isStopped(): boolean {
    return this.part === 'fault';
  }

  /** No more data is given out, even of what is being read. */
  stop(): void {
    this.part = 'fault';
    this.held.clear();
    this.smallEnd = 0;
    this.together = undefined;
  }

  /** Reads from `at` on; returns where it stopped: behind the body, at a fault, or at the end of `chunk`. */
  read(chunk: Buffer, at: number, sink: DataSink): number {
    const next = this.readParts(chunk, at, sink);
    this.flush(chunk, sink);
    return next;
  }

  private readParts(chunk: Buffer, at: number, sink: DataSink): number {
    let next = at;
    while (next < chunk.length) {
      switch (this.part) {
        case 'size':
          next = this.readSize(chunk, next);
          break;
        case 'extension':
          next = this.readExtension(chunk, next);
          break;
        case 'size-lf':
          if (chunk[next] !== LF) return this.refuse('a chunk size that does not end in CRLF', next);
          next++;
          this.part = this.size === 0 ? 'trailers' : 'data';
          break;
        case 'data':
          next = this.readData(chunk, next, sink);
          break;
        case 'data-cr':
          if (chunk[next] !== CR) return this.refuse('a chunk longer than its size', next);
          next++;
          this.part = 'data-lf';
          break;
        case 'data-lf':
          if (chunk[next] !== LF) return this.refuse('a chunk that does not end in CRLF', next);
          next++;
          this.startChunk();
          break;
        case 'trailers':
          next = this.readTrailers(chunk, next);
          break;
        default:
          return next;
      }
    }
    return next;
  }

  private startChunk(): void {
    this.part = 'size';
    this.size = 0;
    this.digits = 0;
    this.extension = '';
  }

  private refuse(fault: string, at: number): number {
    this.fault = fault;
    this.part = 'fault';
    this.held.clear();
    return at;
  }

  private readSize(chunk: Buffer, at: number): number {
    let next = at;
    for (; next < chunk.length; next++) {
      const octet = chunk[next] as number;
      const digit = HEX[octet] as number;
      if (digit === -1) {
        if (this.digits === 0) return this.refuse('a chunk without a size', next);
        if (octet === CR) this.part = 'size-lf';
        else if (octet === SEMICOLON) this.part = 'extension';
        else return this.refuse('a chunk size that is no hexadecimal number', next);
        // The semicolon is the extension's.
        return octet === CR ? next + 1 : next;
      }
      if (++this.digits > MAX_SIZE_DIGITS) return this.refuse('a chunk size that is too long', next);
      this.size = this.size * 16 + digit;
    }
    return next;
  }

  private readExtension(chunk: Buffer, at: number): number {
    const room = MAX_EXTENSION - this.extension.length;
    const end = chunk.subarray(at, at + room + 1).indexOf(CR);
    const taken = end === -1 ? Math.min(chunk.length - at, room + 1) : end;
    if (taken > room) return this.refuse('a chunk extension that is too long', at);
    this.extension += chunk.toString('latin1', at, at + taken);
    if (end === -1) {
      // An LF never becomes part of one, and its sender may be waiting.
      if (this.extension.includes('\n')) return this.refuse('a chunk extension with a bare LF', at);
      return at + taken;
    }
    this.extensions += this.extension.length;
    if (this.extensions > MAX_EXTENSIONS) return this.refuse('too many chunk extensions', at);
    if (!EXTENSIONS.test(this.extension)) return this.refuse('a malformed chunk extension', at);
    this.part = 'size-lf';
    return at + taken + 1;
  }

  private readData(chunk: Buffer, at: number, sink: DataSink): number {
    const end = Math.min(chunk.length, at + this.size);
    this.size -= end - at;
    if (this.size === 0) this.part = 'data-cr';
    if (end - at < LARGE) this.gather(chunk, at, end);
    else {
      this.flush(chunk, sink);
      // Whoever heard that may have had enough.
      if (this.isStopped) return end;
      sink.onData(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end));
    }
    return end;
  }

  private gather(chunk: Buffer, at: number, end: number): void {
    if (this.together === undefined) {
      if (this.smallEnd === 0) {
        this.smallAt = at;
        this.smallEnd = end;
        return;
      }
      this.together = Buffer.allocUnsafe(chunk.length - this.smallAt);
      this.togetherLength = chunk.copy(this.together, 0, this.smallAt, this.smallEnd);
    }
    this.togetherLength += chunk.copy(this.together, this.togetherLength, at, end);
  }

  private flush(chunk: Buffer, sink: DataSink): void {
    const { smallAt, smallEnd, together } = this;
    if (smallEnd === 0) return;
    this.smallEnd = 0;
    this.together = undefined;
    if (together !== undefined) sink.onData(together.subarray(0, this.togetherLength));
    else sink.onData(smallAt === 0 && smallEnd === chunk.length ? chunk : chunk.subarray(smallAt, smallEnd));
  }

  private readTrailers(chunk: Buffer, at: number): number {
    const { held } = this;
    // Nearly always there are none.
    if (held.length === 0 && chunk[at] === CR && chunk[at + 1] === LF) {
      this.part = 'whole';
      return at + 2;
    }
    const end = held.take(chunk, at);
    if (held.fault !== undefined) return this.refuse(held.fault, at);
    if (end === -1) return chunk.length;
    const { octets, length } = held;
    const fault =
      readFields(octets, 0, length - 2, octets.toString('latin1', 0, length), this.trailers) ??
      faultInTrailers(this.trailers);
    if (fault !== undefined) return this.refuse(fault, at);
    held.clear();
    this.part = 'whole';
    return end;
  }
}
