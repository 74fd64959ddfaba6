/** Following logs as they grow, through rotation, truncation, replacement and absence (`tail -F`). */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { LineSplitter, type LogLine, MAX_LINE_BYTES, mergeByTime } from './log-reader.ts';

const CHUNK_BYTES = 262_144;
/** What is compared to see that the file was not rewritten in place: covers a record's hash. */
const ANCHOR_BYTES = 64;
/** For file systems that don't report changes. */
const POLL_MS = 1000;

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Orders what is there at the start; later lines come as they arrive. */
  readonly timeOf: (line: LogLine) => number | undefined;
  /** Told, in words, when a file is missing, replaced or truncated. */
  readonly notice: (path: string, what: string) => void;
  readonly pollMs?: number;
}

/** Yields what the files hold, merged by time, and then whatever is appended to any of them, until aborted. */
export async function* followLines(
  paths: readonly string[],
  options: FollowOptions,
): AsyncGenerator<LogLine> {
  const { signal, timeOf, notice, pollMs = POLL_MS } = options;
  const tails = paths.map((path) => new Tail(path, notice));
  // Before the first read, so that no change falls between the two.
  const changes = new Changes(paths, pollMs, signal);
  try {
    yield* mergeByTime(
      tails.map((tail) => tail.drain()),
      timeOf,
    );
    while (await changes.next()) {
      for (const tail of tails) yield* tail.drain();
    }
  } finally {
    changes.close();
    for (const tail of tails) await tail.close();
  }
}

/** One file: what was read of it, and whether it is still the same file. */
class Tail {
  private readonly path: string;
  private readonly notice: FollowOptions['notice'];
  private handle: FileHandle | undefined;
  private splitter: LineSplitter;
  private position = 0;
  /** The octets before the last unfinished line. */
  private anchor: Buffer = Buffer.alloc(0);
  private said = '';

  constructor(path: string, notice: FollowOptions['notice']) {
    this.path = path;
    this.notice = notice;
    this.splitter = new LineSplitter(path);
  }

  /** Yields all lines that are complete by now. */
  async *drain(): AsyncGenerator<LogLine> {
    if (this.handle === undefined && !(await this.open('does not exist yet; waiting for it'))) return;
    for (;;) {
      yield* this.readToEnd();
      if (!(await this.isReplaced())) return;
      // What the old file got between the last read and its replacement.
      yield* this.readToEnd();
      const unfinished = this.splitter.pendingBytes > 0 ? ', the old one ends with an unfinished line' : '';
      await this.close();
      if (!(await this.open('is gone; waiting for a new one'))) return;
      this.notice(this.path, `was replaced; reading the new file${unfinished}`);
    }
  }

  async close(): Promise<void> {
    await this.handle?.close();
    this.handle = undefined;
    this.startOver();
  }

  private async open(missing: string): Promise<boolean> {
    try {
      this.handle = await open(this.path, 'r');
      this.said = '';
      return true;
    } catch (error) {
      this.say(isMissing(error) ? missing : `can't be read (${(error as NodeJS.ErrnoException).code})`);
      return false;
    }
  }

  /** Says each thing once, however often it is found. */
  private say(what: string): void {
    if (this.said !== what) this.notice(this.path, what);
    this.said = what;
  }

  private async isReplaced(): Promise<boolean> {
    const here = await this.handle?.stat({ bigint: true });
    try {
      const there = await stat(this.path, { bigint: true });
      this.said = '';
      return there.ino !== here?.ino || there.dev !== here?.dev;
    } catch (error) {
      // The writer may still hold the renamed file, so we go on with it until there is a new one.
      this.say(isMissing(error) ? 'is gone; waiting for a new one' : 'can no longer be looked up');
      return false;
    }
  }

  private async *readToEnd(): AsyncGenerator<LogLine> {
    const { handle } = this;
    if (handle === undefined) return;
    // An unfinished line is read anew: a writer that restarts cuts it off and writes another in its place.
    const pending = this.splitter.pendingBytes;
    if (pending <= MAX_LINE_BYTES) {
      this.splitter.drop();
      this.position -= pending;
    }
    const fault = await this.findRewrite(handle);
    if (fault !== undefined) {
      this.notice(this.path, `${fault}; reading it from its start`);
      this.startOver();
    }
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, this.position);
      if (bytesRead === 0) return;
      const octets = chunk.subarray(0, bytesRead);
      this.position += bytesRead;
      const lines = [...this.splitter.push(octets)];
      const lineEnd = octets.lastIndexOf(0x0a) + 1;
      if (lineEnd > 0)
        this.anchor = Buffer.concat([this.anchor, octets.subarray(0, lineEnd)]).subarray(-ANCHOR_BYTES);
      yield* lines;
    }
  }

  private async findRewrite(handle: FileHandle): Promise<string | undefined> {
    const { size } = await handle.stat();
    if (size < this.position) return 'was truncated';
    if (this.splitter.pendingBytes > 0 || this.anchor.length === 0) return undefined;
    const now = Buffer.alloc(this.anchor.length);
    await handle.read(now, 0, now.length, this.position - now.length);
    return now.equals(this.anchor) ? undefined : 'was rewritten';
  }

  private startOver(): void {
    this.splitter = new LineSplitter(this.path);
    this.position = 0;
    this.anchor = Buffer.alloc(0);
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Wakes when a file in one of the folders changes, and now and then besides. */
class Changes {
  private readonly watchers: FSWatcher[] = [];
  private readonly timer: NodeJS.Timeout;
  private readonly signal: AbortSignal;
  private changed = false;
  private resume: (() => void) | undefined;

  constructor(paths: readonly string[], pollMs: number, signal: AbortSignal) {
    this.signal = signal;
    this.timer = setInterval(this.wake, pollMs);
    signal.addEventListener('abort', this.wake);
    // The folder, not the file: a file that comes back under the same name is another one.
    for (const [folder, inFolder] of Map.groupBy(paths, dirname))
      this.watch(
        folder,
        inFolder.map((path) => basename(path)),
      );
  }

  /** Resolves at the next change: `false` once aborted. */
  async next(): Promise<boolean> {
    if (!this.changed && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.resume = resolve;
      });
    }
    this.changed = false;
    return !this.signal.aborted;
  }

  close(): void {
    clearInterval(this.timer);
    this.signal.removeEventListener('abort', this.wake);
    for (const watcher of this.watchers) watcher.close();
  }

  private watch(folder: string, names: readonly string[]): void {
    try {
      const watcher = watch(folder, (_event, name) => {
        if (name === null || names.includes(name)) this.wake();
      });
      // A folder that goes away ends its watcher; polling goes on.
      watcher.on('error', () => watcher.close());
      this.watchers.push(watcher);
    } catch {
      // No such folder yet, or no watches left: polling finds the change.
    }
  }

  private readonly wake = (): void => {
    this.changed = true;
    this.resume?.();
    this.resume = undefined;
  };
}
