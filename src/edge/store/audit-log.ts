/**
 * The decision log on disk: records of one tick are sealed, written with one system call, and only then acted upon.
 * A write that fails is taken back whole, and everything that waited for it is denied.
 */

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type AuditSigner, mintCheckpoint } from '../../core/audit/checkpoint.ts';
import {
  type AuditBody,
  type LogHead,
  type OutcomeRecord,
  sealDecision,
  sealOutcome,
  sealRecord,
} from '../../core/audit/record.ts';
import type { ReasonCode } from '../../core/reasons.ts';
import type { AuditPort, Clock } from '../../ports.ts';
import { AuditFigures } from './audit-figures.ts';
import { readLogEnd, writeHeadFile } from './audit-head.ts';
import { DenialQuota } from './denial-quota.ts';
import { RefusalTally } from './refusal-tally.ts';

/** What can change under an open log. */
export interface AuditPace {
  readonly checkpointRecords: number;
  readonly checkpointIntervalMs: number;
  readonly refusalIntervalMs: number;
  readonly refusalSources: number;
  /** Of one caller for one reason, that are written one by one in such an interval. */
  readonly denialsPerCaller: number;
}

export interface AuditLogOptions extends AuditPace {
  readonly file: string;
  readonly durability: 'process' | 'disk';
  /** Asked at every checkpoint: keys and WIT are renewed under a running log. */
  readonly signer: () => AuditSigner;
  readonly clock: Clock;
  readonly onFailure: (error: Error) => void;
}

interface Waiting {
  readonly body: AuditBody;
  readonly written: ((ok: boolean) => void) | undefined;
}

const MAX_WAITING_NOTES = 10_000;
const REMEMBER_MS = 1000;
const SCRATCH_BYTES = 65_536;

export class AuditLog implements AuditPort {
  private readonly options: AuditLogOptions;
  private readonly refusals: RefusalTally;
  private readonly denials: DenialQuota;
  private pace: AuditPace;
  private timers: NodeJS.Timeout[] = [];
  private sidecar = '';
  private fd = -1;
  private head: LogHead = { log: '', seq: 0, hash: '', checkpoint: '' };
  /** Octets of the file that are whole records. */
  private size = 0;
  private queue: Waiting[] = [];
  /** One buffer for all batches; `waiting` octets of it are not written yet. */
  private scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  private waiting = 0;
  private scheduled = false;
  private syncing = false;
  private sinceCheckpoint = 0;
  private rememberedAt = Number.NEGATIVE_INFINITY;
  private closing = false;
  private broken: Error | undefined;
  /** Not open yet, or closed: nothing can be recorded, so nothing is permitted. */
  private closed = true;
  /** Outcomes that could not be written, ever. */
  lostNotes = 0;
  readonly figures = new AuditFigures();

  constructor(options: AuditLogOptions) {
    this.options = options;
    this.pace = options;
    this.refusals = new RefusalTally(options.refusalSources, options.clock);
    this.denials = new DenialQuota(options.denialsPerCaller, options.refusalSources, options.clock);
  }

  /**
   * Opens the log and goes on where it ended. An unfinished last line is taken back.
   * Throws when the log ends before a checkpoint that is known to have been written, or can't be opened.
   */
  open(): void {
    const { file, signer } = this.options;
    mkdirSync(dirname(file), { recursive: true });
    const fd = openSync(file, 'a+', 0o600);
    try {
      const end = readLogEnd(fd, file);
      ftruncateSync(fd, end.size);
      fsyncSync(fd);
      this.head = end.head ?? {
        log: randomBytes(16).toString('base64url'),
        seq: 0,
        hash: '',
        checkpoint: '',
      };
      this.size = end.size;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.fd = fd;
    this.sidecar = signer().sidecar;
    this.closed = false;
    this.keepTime();
  }

  private keepTime(): void {
    const { refusalIntervalMs, checkpointIntervalMs } = this.pace;
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [
      setInterval(() => this.writeRefusals(), refusalIntervalMs),
      setInterval(() => this.checkpoint(), checkpointIntervalMs),
    ];
    for (const timer of this.timers) timer.unref();
  }

  /** Signs and sums up at another pace from now on. */
  follow(pace: AuditPace): void {
    this.pace = pace;
    this.refusals.tellApart(pace.refusalSources);
    this.denials.follow(pace.denialsPerCaller, pace.refusalSources);
    if (!this.closed) this.keepTime();
  }

  /** Whether the last write succeeded. */
  get isWritable(): boolean {
    return this.broken === undefined && !this.closed;
  }

  /** Records that wait to be written. */
  get waitingRecords(): number {
    return this.queue.length;
  }

  /** Seconds for which the oldest of them has waited. */
  get lagSeconds(): number {
    return this.queue.length === 0 ? 0 : this.figures.lag(this.options.clock.monotonic());
  }

  append(body: AuditBody, written: (ok: boolean) => void): void {
    if (this.closed) {
      written(false);
      return;
    }
    if (body.kind === 'decision' && body.verdict === 'deny' && !this.denials.isWhole(body)) {
      // When a record would have been written: who answers has read the request by then.
      setImmediate(written, true);
      return;
    }
    this.enqueue(body, written);
  }

  private enqueue(body: AuditBody, written: Waiting['written']): void {
    if (this.queue.length === 0) this.figures.began(this.options.clock.monotonic());
    this.queue.push({ body, written });
    this.schedule();
  }

  note(body: OutcomeRecord): void {
    if (this.closed || (this.broken !== undefined && this.queue.length >= MAX_WAITING_NOTES)) {
      this.lostNotes++;
      return;
    }
    this.enqueue(body, undefined);
  }

  countRefusal(source: string, reason: ReasonCode): void {
    this.figures.refused(reason);
    this.refusals.count(source, reason);
  }

  /** Signs all records before, if there are unsigned ones; and finds out whether a broken log can be written again. */
  checkpoint(): void {
    if ((this.sinceCheckpoint > 0 || this.broken !== undefined) && !this.closed) this.flush(true);
  }

  /** Writes what waits, a `stop` record and its checkpoint. */
  close(reason: string): void {
    if (this.closed) return;
    for (const timer of this.timers) clearInterval(timer);
    this.closing = true;
    this.writeRefusals();
    // Whoever waits for a record is heard first: the outcomes that follow belong before the stop record.
    this.flush(false);
    this.queue.push({ body: { kind: 'stop', reason }, written: undefined });
    this.flush(true);
    this.closed = true;
    closeSync(this.fd);
  }

  private writeRefusals(): void {
    for (const record of [this.refusals.take(), this.denials.take()])
      if (record !== undefined) this.enqueue(record, undefined);
  }

  private schedule(): void {
    if (this.scheduled || this.syncing) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      // The number of a closed file is soon that of another one.
      if (!this.closed) this.flush(false);
    });
  }

  private flush(withCheckpoint: boolean): void {
    const batch = this.queue;
    this.queue = [];
    const before = this.head;
    // Nothing written proves nothing: a broken log stays broken.
    if (batch.length === 0 && !withCheckpoint) return;
    const since = this.figures.taken();
    const due = withCheckpoint || this.sinceCheckpoint + batch.length >= this.pace.checkpointRecords;
    let ok = true;
    try {
      // What a failed write left behind must be gone before anything follows it.
      if (this.broken !== undefined) ftruncateSync(this.fd, this.size);
      let octets = 0;
      for (const { body } of batch) octets += this.put(this.seal(body));
      if (due) octets += this.put(this.sealCheckpoint());
      this.writeOut();
      this.size += octets;
      this.figures.wrote(batch.length + (due ? 1 : 0), octets);
    } catch (error) {
      ok = false;
      this.head = before;
      this.takeBack(error as Error, batch);
      if (since !== undefined && this.queue.length > 0) this.figures.began(since);
    }
    if (ok) {
      this.broken = undefined;
      this.sinceCheckpoint = due ? 0 : this.sinceCheckpoint + batch.length;
      if (due) this.rememberCheckpoint();
    }
    if (ok && this.options.durability === 'disk' && batch.length > 0) {
      if (!this.closing) {
        this.sync(batch, since);
        return;
      }
      ok = this.syncNow();
    }
    if (ok && batch.length > 0) this.figures.settled(since, this.options.clock.monotonic());
    for (const { written } of batch) written?.(ok);
  }

  private seal(body: AuditBody): string {
    const time = this.options.clock.now();
    const { line, head } =
      body.kind === 'decision'
        ? sealDecision(body, this.head, this.sidecar, time)
        : body.kind === 'outcome'
          ? sealOutcome(body, this.head, this.sidecar, time)
          : sealRecord(body, this.head, this.sidecar, time);
    this.head = head;
    return `${line}\n`;
  }

  private sealCheckpoint(): string {
    return this.seal(
      mintCheckpoint(this.head, this.options.signer(), Math.floor(this.options.clock.now() / 1000)),
    );
  }

  /** Puts a line where it waits for the write of its batch; returns its octets. */
  private put(line: string): number {
    // Three octets are the most that UTF-8 needs for one unit of a string.
    const room = line.length * 3;
    if (this.waiting + room > this.scratch.length) this.writeOut();
    if (room > this.scratch.length) this.scratch = Buffer.allocUnsafeSlow(room);
    const octets = this.scratch.write(line, this.waiting);
    this.waiting += octets;
    return octets;
  }

  private writeOut(): void {
    const end = this.waiting;
    this.waiting = 0;
    for (let at = 0; at < end; ) at += writeSync(this.fd, this.scratch, at, end - at);
  }

  /** A full disk can leave half a record: the file goes back to whole ones, and outcomes wait for room. */
  private takeBack(error: Error, batch: readonly Waiting[]): void {
    if (this.broken === undefined) this.options.onFailure(error);
    this.broken = error;
    this.figures.failures++;
    this.waiting = 0;
    try {
      ftruncateSync(this.fd, this.size);
    } catch (second) {
      this.options.onFailure(second as Error);
    }
    const notes = batch.filter(({ written }) => written === undefined);
    const kept = notes.slice(0, Math.max(0, MAX_WAITING_NOTES - this.queue.length));
    this.lostNotes += notes.length - kept.length;
    this.queue = [...kept, ...this.queue];
  }

  private sync(batch: readonly Waiting[], since: number | undefined): void {
    this.syncing = true;
    fdatasync(this.fd, (error) => {
      this.syncing = false;
      if (error !== null && !this.closed) {
        this.broken = error;
        this.figures.failures++;
        this.options.onFailure(error);
      }
      if (error === null) this.figures.settled(since, this.options.clock.monotonic());
      for (const { written } of batch) written?.(error === null && !this.closed);
      if (this.queue.length > 0) this.schedule();
    });
  }

  /** For the last records: nothing is left to wait for an answer of the disk. */
  private syncNow(): boolean {
    try {
      fdatasyncSync(this.fd);
      return true;
    } catch (error) {
      this.options.onFailure(error as Error);
      return false;
    }
  }

  private rememberCheckpoint(): void {
    // A file a second is enough to see a cut; a busy log makes many checkpoints in that time.
    const now = this.options.clock.monotonic();
    if (now - this.rememberedAt < REMEMBER_MS && !this.closing) return;
    this.rememberedAt = now;
    try {
      writeHeadFile(this.options.file, this.head);
    } catch (error) {
      // The head file shows a cut; without it the log still verifies.
      this.options.onFailure(error as Error);
    }
  }
}
