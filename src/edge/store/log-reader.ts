/** Reading logs: whole lines as octets, so that a line can be passed on, or verified, exactly as it was written. */
import { createReadStream } from 'node:fs';

/** Far above any record; a "line" that never ends must not fill the memory. */
export const MAX_LINE_BYTES = 1_048_576;

export interface LogLine {
  readonly path: string;
  /** 1-based. */
  readonly number: number;
  /** Without LF. A CR is part of the line: logs don't have any. */
  readonly octets: Buffer;
  /** `unfinished`: the file ends without LF, so the write was cut short or still goes on. `oversize`: over 1 MiB, cut. */
  readonly state: 'whole' | 'unfinished' | 'oversize';
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a line; `undefined` when it is not UTF-8. Different octets never give the same text. */
export const decodeLine = (line: LogLine): string | undefined => {
  try {
    return utf8.decode(line.octets);
  } catch {
    return undefined;
  }
};

/** Cuts octets into lines. */
export class LineSplitter {
  private readonly path: string;
  private parts: Buffer[] = [];
  private length = 0;
  private number: number;

  constructor(path: string) {
    this.path = path;
    this.number = 0;
  }

  /** Octets since the last LF. */
  get pendingBytes(): number {
    return this.length;
  }

  *push(chunk: Buffer): Generator<LogLine> {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      this.keep(chunk.subarray(from, at));
      from = at + 1;
      yield this.cut('whole');
    }
    this.keep(chunk.subarray(from));
  }

  /** The line that the file ends with when it doesn't end with LF. */
  end(): LogLine | undefined {
    return this.length === 0 ? undefined : this.cut('unfinished');
  }

  /** Forgets what came since the last LF. */
  drop(): void {
    this.parts = [];
    this.length = 0;
  }

  private keep(part: Buffer): void {
    if (part.length === 0) return;
    const room = MAX_LINE_BYTES - this.length;
    if (room > 0) this.parts.push(part.subarray(0, room));
    this.length += part.length;
  }

  private cut(state: 'whole' | 'unfinished'): LogLine {
    const octets = this.parts.length === 1 ? (this.parts[0] as Buffer) : Buffer.concat(this.parts);
    const oversize = this.length > MAX_LINE_BYTES;
    this.drop();
    return { path: this.path, number: ++this.number, octets, state: oversize ? 'oversize' : state };
  }
}

export interface ReadOptions {
  /** How much of the file to read; by default all. */
  readonly maxBytes?: number;
  readonly onProgress?: (bytes: number) => void;
}

/** Streams the lines of a file. Throws what the file system throws. */
export async function* readLines(
  path: string,
  { maxBytes = Number.POSITIVE_INFINITY, onProgress }: ReadOptions = {},
): AsyncGenerator<LogLine> {
  if (maxBytes === 0) return;
  const splitter = new LineSplitter(path);
  let read = 0;
  for await (const chunk of createReadStream(path, { end: maxBytes - 1, highWaterMark: 262_144 })) {
    yield* splitter.push(chunk as Buffer);
    read += (chunk as Buffer).length;
    onProgress?.(read);
  }
  const last = splitter.end();
  if (last !== undefined) yield last;
}

/**
 * Merges streams by time; holds one item of each. A stream keeps its own order whatever its times are, and an item
 * without a time stands right behind the one before it.
 */
export async function* mergeByTime<T>(
  streams: readonly AsyncIterable<T>[],
  timeOf: (item: T) => number | undefined,
): AsyncGenerator<T> {
  const iterators = streams.map((stream) => stream[Symbol.asyncIterator]());
  const heads: { iterator: AsyncIterator<T>; item: T; time: number }[] = [];
  try {
    for (const iterator of iterators) {
      const { done, value } = await iterator.next();
      if (done !== true)
        heads.push({ iterator, item: value, time: timeOf(value) ?? Number.NEGATIVE_INFINITY });
    }
    while (heads.length > 0) {
      // Streams are files that were named on a command line: few, so that a scan is as good as a heap.
      const earliest = heads.reduce((a, b) => (b.time < a.time ? b : a));
      yield earliest.item;
      const { done, value } = await earliest.iterator.next();
      if (done === true) heads.splice(heads.indexOf(earliest), 1);
      else {
        earliest.item = value;
        earliest.time = timeOf(value) ?? earliest.time;
      }
    }
  } finally {
    for (const iterator of iterators) await iterator.return?.();
  }
}
