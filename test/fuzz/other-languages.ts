/** Readers in other languages, which see what we permit: Go’s encoding/json, which heeds no case in names, and Python’s json. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutate.ts';
import { a2aReadings, mcpReadings, type Reading, restReadings } from './readings.ts';

const FILES: Readonly<Record<string, readonly [command: string, ...args: string[]]>> = {
  'Go encoding/json': ['go', 'run', fileURLToPath(new URL('readers/read.go', import.meta.url))],
  'Python json': ['python3', fileURLToPath(new URL('readers/read.py', import.meta.url))],
};

/** A body each line, an answer each line; an empty line asks for all answers that are still held back. */
class LineReader {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;

  constructor([command, ...args]: readonly [string, ...string[]]) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async read(bodies: readonly Uint8Array[]): Promise<readonly unknown[]> {
    this.child.stdin.write(
      `${bodies.map((octets) => `${Buffer.from(octets).toString('base64')}\n`).join('')}\n`,
    );
    const found: unknown[] = [];
    for (let at = 0; at <= bodies.length; at++) {
      const { value, done } = await this.lines.next();
      if (done === true) throw new Error('a reader of another language has ended');
      found.push(value === 'refused' ? undefined : JSON.parse(value));
    }
    return found.slice(0, -1);
  }

  end(): void {
    this.child.stdin.end();
  }
}

/** A request, and the operation that its path names in the HTTP+JSON binding. */
export interface Asked extends Mutant {
  readonly operation: string;
}

export interface OtherReaders {
  /** By the name of the reader: what it takes each request for; undefined where it refuses. */
  readonly read: (
    some: readonly Asked[],
  ) => Promise<ReadonlyMap<string, readonly (readonly Reading[] | undefined)[]>>;
  readonly end: () => void;
}

const readingsOf = ({ protocol, operation }: Asked, body: unknown): readonly Reading[] => {
  if (protocol === 'mcp') return mcpReadings(body);
  return protocol === 'a2a' ? a2aReadings(body) : restReadings(operation, body);
};

export const otherReaders = (): OtherReaders => {
  const readers = Object.entries(FILES).map(([name, command]) => [name, new LineReader(command)] as const);
  return {
    read: async (some) => {
      const all = new Map<string, readonly (readonly Reading[] | undefined)[]>();
      for (const [name, reader] of readers) {
        const found = await reader.read(some.map(({ input }) => input.octets));
        all.set(
          name,
          found.map((body, at) => (body === undefined ? undefined : readingsOf(some[at] as Asked, body))),
        );
      }
      return all;
    },
    end: () => {
      for (const [, reader] of readers) reader.end();
    },
  };
};
