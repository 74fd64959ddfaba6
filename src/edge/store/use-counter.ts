/**
 * Uses of `max_uses` caveats and of approvals, counted so that a crash forgets none: one line a use, on disk before the request
 * goes on. What nothing can use any more is left out when the file is written anew.
 */
import {
  closeSync,
  fdatasync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Clock, UseCounter } from '../../ports.ts';
import { writeFilesAtomic } from './atomic-file.ts';

/** What is counted, until when, and in a file that was written anew how often. */
const LINE = /^([A-Za-z0-9_-]{43} [0-9]{1,2}) ([0-9]{1,12})(?: ([0-9]{1,10}))?$/;
/** Seconds for which a use is remembered beyond its end: a clock that was ahead for a while must not make it new. */
const KEPT_SECONDS = 86_400;
/** Lines from which on a file is worth writing anew. */
const COMPACT_LINES = 8192;

interface Used {
  readonly count: number;
  /** Seconds. */
  readonly until: number;
}

/** A file that is appended to, and closed when nobody waits for it to be on disk. */
interface OpenFile {
  readonly fd: number;
  waiting: number;
  isRetired: boolean;
}

export class FileUseCounter implements UseCounter {
  private readonly file: string;
  private readonly clock: Clock;
  private readonly compactLines: number;
  private readonly uses = new Map<string, Used>();
  private opened: OpenFile | undefined;
  private lines = 0;
  /** Lines: at the first use after a start, then when the file has doubled. */
  private compactAt = 1;

  constructor(file: string, clock: Clock, compactLines = COMPACT_LINES) {
    this.file = file;
    this.clock = clock;
    this.compactLines = compactLines;
    for (const line of read(file).split('\n')) {
      // A torn last line is counted by nobody: its request was never sent on.
      const [, key, until, count = '1'] = LINE.exec(line) ?? [];
      if (key === undefined) continue;
      this.count(key, Number(until), Number(count));
      this.lines++;
    }
  }

  async take(linkId: string, index: number, limit: number, until: number): Promise<boolean> {
    const key = `${linkId} ${index}`;
    if ((this.uses.get(key)?.count ?? 0) >= limit) return false;
    // Before this use is counted: it has a line of its own.
    if (this.lines >= this.compactAt) this.compact();
    // Counted at once, in this tick: two requests can't take the same use.
    this.count(key, until, 1);
    const file = this.open();
    const line = Buffer.from(`\n${key} ${until}\n`);
    // On a disk that fills up a write can be cut short without an error: what isn't on disk whole is not counted there.
    if (writeSync(file.fd, line) !== line.length) throw new Error('the use could not be written whole');
    this.lines++;
    await synced(file);
    return true;
  }

  private count(key: string, until: number, more: number): void {
    const was = this.uses.get(key);
    this.uses.set(key, { count: (was?.count ?? 0) + more, until: Math.max(was?.until ?? 0, until) });
  }

  /** Leaves the file as it is when it can't be written anew. Uses under way are in memory already, and so in the new file. */
  private compact(): void {
    const now = Math.floor(this.clock.now() / 1000);
    const kept = [...this.uses].filter(([, { until }]) => now <= until + KEPT_SECONDS);
    const content = kept.map(([key, { until, count }]) => `${key} ${until} ${count}\n`).join('');
    // Whatever has the name next is opened by it.
    this.retire();
    try {
      this.removeLeftovers();
      writeFilesAtomic([{ file: this.file, content }]);
    } catch {
      this.compactAt = 2 * this.lines;
      return;
    }
    this.uses.clear();
    for (const [key, used] of kept) this.uses.set(key, used);
    this.lines = kept.length;
    this.compactAt = Math.max(this.compactLines, 2 * this.lines);
  }

  /** Of a process that was killed while it wrote the file anew. */
  private removeLeftovers(): void {
    const directory = dirname(this.file);
    const beginning = `.${basename(this.file)}.`;
    for (const name of readdirSync(directory))
      if (name.startsWith(beginning) && name.endsWith('.tmp')) rmSync(join(directory, name));
  }

  private retire(): void {
    const { opened } = this;
    this.opened = undefined;
    if (opened === undefined) return;
    opened.isRetired = true;
    if (opened.waiting === 0) closeSync(opened.fd);
  }

  private open(): OpenFile {
    if (this.opened !== undefined) return this.opened;
    const directory = dirname(this.file);
    mkdirSync(directory, { recursive: true });
    const fd = openSync(this.file, 'a', 0o600);
    try {
      // A name that is not on disk yet would lose with it what is written to the file.
      syncDirectory(directory);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.opened = { fd, waiting: 0, isRetired: false };
    return this.opened;
  }
}

const synced = async (file: OpenFile): Promise<void> => {
  file.waiting++;
  try {
    await new Promise<void>((resolve, reject) => {
      fdatasync(file.fd, (error) => (error === null ? resolve() : reject(error)));
    });
  } finally {
    file.waiting--;
    if (file.isRetired && file.waiting === 0) closeSync(file.fd);
  }
};

const syncDirectory = (directory: string): void => {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
};

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
};
