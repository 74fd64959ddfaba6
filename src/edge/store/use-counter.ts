/** Uses of `max_uses` caveats, counted so that a crash forgets none: one line a use, on disk before the request goes on. */
import { fdatasync, mkdirSync, openSync, type PathLike, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { UseCounter } from '../../ports.ts';

const LINE = /^([A-Za-z0-9_-]{43}) ([0-9]{1,2})$/;

export class FileUseCounter implements UseCounter {
  private readonly file: string;
  private readonly counts = new Map<string, number>();
  private fd: number | undefined;

  constructor(file: string) {
    this.file = file;
    for (const line of read(file).split('\n')) {
      // A torn last line is counted by nobody: its request was never sent on.
      if (LINE.test(line)) this.counts.set(line, (this.counts.get(line) ?? 0) + 1);
    }
  }

  async take(linkId: string, index: number, limit: number): Promise<boolean> {
    const key = `${linkId} ${index}`;
    const taken = this.counts.get(key) ?? 0;
    if (taken >= limit) return false;
    // Counted at once, in this tick: two requests can't take the same use.
    this.counts.set(key, taken + 1);
    const fd = this.open();
    const line = Buffer.from(`\n${key}\n`);
    // On a disk that fills up a write can be cut short without an error: what isn't on disk whole is not counted there.
    if (writeSync(fd, line) !== line.length) throw new Error('the use could not be written whole');
    await new Promise<void>((resolve, reject) => {
      fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
    });
    return true;
  }

  private open(): number {
    if (this.fd === undefined) {
      mkdirSync(dirname(this.file), { recursive: true });
      this.fd = openSync(this.file, 'a', 0o600);
    }
    return this.fd;
  }
}

const read = (file: PathLike): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
};
