/**
 * The quarantine of one sidecar: bodies that only a reviewer can read, bounded in number, size and time, and releases that
 * let one request pass once. Changes come one at a time, and nothing follows from one that is not on record.
 */
import { createHmac } from 'node:crypto';
import type { QuarantineRecord } from '../../core/audit/record.ts';
import { canonicalJson } from '../../core/encoding/json.ts';
import { sha256 } from '../../core/encoding/jws.ts';
import { MAX_MESSAGE_BYTES } from '../../core/limits.ts';
import {
  isFinding,
  MAX_FINDINGS,
  mediaTypeOf,
  type QuarantinedRequest,
  type QuarantineLabel,
  quarantineId,
  writeLabel,
} from '../../core/quarantine/item.ts';
import {
  type Reviewers,
  type ReviewerToken,
  type ReviewerTokenType,
  reviewerUseKey,
  verifyReviewerToken,
} from '../../core/quarantine/reviewer.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../../core/verdict.ts';
import type {
  AuditPort,
  Clock,
  NamedRequest,
  QuarantineCause,
  QuarantinePort,
  UseCounter,
} from '../../ports.ts';
import { noRoomFor, type QuarantineLimits } from './quarantine-bounds.ts';
import { type KeptFile, QuarantineFiles } from './quarantine-files.ts';
import type { Reviewer } from './quarantine-keys.ts';
import { seal } from './quarantine-seal.ts';

export interface QuarantineOptions {
  readonly directory: string;
  /** At least one. */
  readonly reviewers: readonly Reviewer[];
  readonly limits: QuarantineLimits;
  readonly clock: Clock;
  readonly audit: Pick<AuditPort, 'append'>;
  readonly uses: UseCounter;
  /** Who we are; asked when something is kept or released. */
  readonly sidecar: () => AgentId;
  /** What could not be tidied up; it is tried again. */
  readonly onFailure: (error: Error) => void;
}

/** What an operator may know of what is kept. */
export interface QuarantineEntry {
  readonly id: string;
  /** `damaged`: its file is none of ours any more. */
  readonly state: 'kept' | 'released' | 'passed' | 'damaged';
  readonly label: QuarantineLabel | undefined;
  /** Seconds. */
  readonly kept: number;
  readonly ends: number;
  /** Of the file. */
  readonly octets: number;
  /** By whom it was released, and until when the request may be sent again; for `released` alone. */
  readonly release: { readonly by: string; readonly exp: number } | undefined;
}

export interface QuarantineStatus {
  readonly items: readonly QuarantineEntry[];
  readonly octets: number;
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly reviewers: readonly { readonly name: string; readonly key: string }[];
}

const OPERATOR = 'operator';
const RETENTION = 'retention';
/** Octets of bodies that may wait to be sealed: more is refused, since each is held in memory. */
const MAX_WAITING_BYTES = 4 * MAX_MESSAGE_BYTES;
const full = (detail: string): Denial => deny('quarantine_unavailable', detail);
const unknown = (): Denial => deny('api_not_found', 'nothing is kept under this id');
const unrecorded = (): Denial => deny('audit_unavailable', 'it could not be recorded, and was not done');

export class Quarantine implements QuarantinePort {
  private readonly options: QuarantineOptions;
  private readonly files: QuarantineFiles;
  private readonly reviewers: Reviewers;
  private readonly kept = new Map<string, KeptFile>();
  private readonly released: Map<string, string>;
  private readonly passed: Map<string, string>;
  /** Passed, and sent again since: these wait for a reviewer anew. */
  private readonly again = new Set<string>();
  private last: Promise<unknown> = Promise.resolve();
  private waitingBytes = 0;
  private isSweeping = false;

  /** Reads the folder. Throws on I/O. */
  constructor(options: QuarantineOptions) {
    this.options = options;
    this.reviewers = new Map(options.reviewers.map(({ name, key }) => [key.thumbprint, { name, key }]));
    this.files = new QuarantineFiles(options.directory);
    for (const file of this.files.readKept()) this.kept.set(file.id, file);
    this.released = new Map(this.files.readWords('released'));
    this.passed = new Map(this.files.readWords('passed'));
  }

  name(request: QuarantinedRequest, body: Buffer): NamedRequest {
    const facts = { ...request, body: sha256(body).toString('base64url'), sidecar: this.options.sidecar() };
    const salt = createHmac('sha256', this.files.secret).update(canonicalJson(facts)).digest('base64url');
    return { id: quarantineId({ ...facts, salt }), request, body: facts.body, salt };
  }

  async keep(named: NamedRequest, cause: QuarantineCause, body: Buffer): Promise<Verdict<true>> {
    if (body.length > MAX_MESSAGE_BYTES)
      return full(`a body of ${body.length} octets, at most ${MAX_MESSAGE_BYTES} are kept`);
    if (this.waitingBytes + body.length > MAX_WAITING_BYTES) return full('too much is being kept right now');
    this.waitingBytes += body.length;
    try {
      return await this.inTurn(() => this.keepNow(named, cause, body));
    } catch (error) {
      this.options.onFailure(error as Error);
      return full('it could not be sealed or written');
    } finally {
      this.waitingBytes -= body.length;
    }
  }

  private async keepNow(named: NamedRequest, cause: QuarantineCause, body: Buffer): Promise<Verdict<true>> {
    await this.expire();
    const { id, request, salt } = named;
    const before = this.kept.get(id);
    const readers = [...this.reviewers.keys()];
    // Kept already, and for those who review now.
    if (before?.label !== undefined && readers.every((one) => before.label?.readers.includes(one))) {
      if (!this.passed.has(id) || this.again.has(id)) return grant(true);
      this.again.add(id);
      return (await this.record('kept', id, { by: request.caller, hop: cause.hop }))
        ? grant(true)
        : unrecorded();
    }
    const { caller, callee, principal, task, method, target, type, encoding } = request;
    const { limits } = this.options;
    const others = [...this.kept.values()].filter((one) => one.id !== id);
    // Before it is sealed, by the least that it will take: who sends what there is no room for has little work done for it.
    const tooMuch = noRoomFor(body.length, caller, others, limits);
    if (tooMuch !== undefined) return tooMuch;
    const label: QuarantineLabel = {
      callee,
      caller,
      findings: [...new Set(cause.findings.filter(isFinding))].slice(0, MAX_FINDINGS),
      hop: cause.hop,
      id,
      method,
      octets: body.length,
      path: target.split('?', 1)[0] ?? '',
      principal,
      readers,
      rule: cause.rule,
      sidecar: this.options.sidecar(),
      task,
      time: before?.time ?? this.now,
      type: mediaTypeOf(type),
    };
    const written = writeLabel(label);
    if (!written.ok) return full(`it can’t be labelled: ${written.detail}`);
    const text = await seal(written.value, { encoding, salt, target, type }, body, this.options.reviewers);
    const noRoom = noRoomFor(text.length, caller, others, limits);
    if (noRoom !== undefined) return noRoom;
    await this.files.write(id, text);
    this.kept.set(id, { id, label, octets: text.length, time: label.time });
    if (await this.record('kept', id, { by: caller, hop: cause.hop })) return grant(true);
    if (before === undefined) await this.forget(id);
    return unrecorded();
  }

  async takeRelease({ id }: NamedRequest, hop: string): Promise<Verdict<boolean>> {
    // Nearly always there is none, and nobody has to wait for what is being sealed.
    if (!this.released.has(id)) return grant(false);
    return this.inTurn(async () => {
      const word = this.verifiedRelease(id);
      if (word === undefined) return grant(false);
      try {
        if (!(await this.take(word))) {
          await this.pass(id);
          return grant(false);
        }
      } catch {
        return deny('audit_unavailable', 'the use could not be counted');
      }
      await this.pass(id);
      const by = this.kept.get(id)?.label?.caller ?? '';
      return (await this.record('passed', id, { by, hop })) ? grant(true) : unrecorded();
    });
  }

  /** Looked at anew each time: it ends by itself, and with its reviewer. */
  private verifiedRelease(id: string): ReviewerToken | undefined {
    const text = this.released.get(id);
    const word =
      text === undefined || this.current(id) === undefined
        ? undefined
        : this.verify('quarantine-release+jwt', id, text);
    return word?.ok === true ? word.value : undefined;
  }

  /** What is kept and has not ended: it ends to the second, whenever it is removed, and also where its end can't be recorded. */
  private current(id: string): KeptFile | undefined {
    const file = this.kept.get(id);
    return file === undefined || this.isDue(file) ? undefined : file;
  }

  private verify(type: ReviewerTokenType, id: string, text: string): Verdict<ReviewerToken> {
    return verifyReviewerToken(type, text, { id, sidecar: this.options.sidecar() }, this.reviewers, this.now);
  }

  private take(word: ReviewerToken): Promise<boolean> {
    return this.options.uses.take(reviewerUseKey(word), 0, 1, word.exp);
  }

  /** The use is counted already: the names of files only show it. */
  private async pass(id: string): Promise<void> {
    const text = this.released.get(id);
    this.released.delete(id);
    this.again.delete(id);
    if (text !== undefined) this.passed.set(id, text);
    try {
      await this.files.markPassed(id);
    } catch (error) {
      this.options.onFailure(error as Error);
    }
  }

  /** For operators: all that is kept, the oldest first, and how much room there is. */
  /** In numbers alone. */
  figures(): { readonly items: number; readonly octets: number; readonly maxBytes: number } {
    let octets = 0;
    for (const file of this.kept.values()) octets += file.octets;
    return { items: this.kept.size, octets, maxBytes: this.options.limits.maxBytes };
  }

  status(): QuarantineStatus {
    const { limits, reviewers } = this.options;
    const items = this.list();
    return {
      items,
      octets: items.reduce((total, { octets }) => total + octets, 0),
      maxItems: limits.maxItems,
      maxBytes: limits.maxBytes,
      reviewers: reviewers.map(({ name, key }) => ({ name, key: key.thumbprint })),
    };
  }

  private list(): readonly QuarantineEntry[] {
    return [...this.kept.values()]
      .sort((one, other) => one.time - other.time || (one.id < other.id ? -1 : 1))
      .map((file) => this.entry(file));
  }

  private entry({ id, label, octets, time }: KeptFile): QuarantineEntry {
    const word = this.verifiedRelease(id);
    const state =
      word !== undefined ? 'released' : this.passed.has(id) && !this.again.has(id) ? 'passed' : 'kept';
    return {
      id,
      state: label === undefined ? 'damaged' : state,
      label,
      kept: time,
      ends: time + this.options.limits.retentionSeconds,
      octets,
      release: word && { by: word.reviewer, exp: word.exp },
    };
  }

  /** The sealed text, for a reviewer who asks for it. Refuses with `approval_*`, `api_not_found`, `audit_unavailable`. */
  inspect(id: string, token: string): Promise<Verdict<string>> {
    return this.inTurn(async () => {
      if (this.current(id) === undefined) return unknown();
      const word = this.verify('quarantine-inspect+jwt', id, token);
      if (!word.ok) return word;
      // Once: who hears it can't have others seem to read what they did not.
      if (!(await this.take(word.value))) return deny('approval_used', 'this was asked before');
      const { reviewer: by, key, why: reason } = word.value;
      if (!(await this.record('inspected', id, { by, key, reason }))) return unrecorded();
      return grant(await this.files.read(id));
    });
  }

  /** Lets the request pass once. Refuses with `approval_*`, `api_not_found`, `audit_unavailable`, `quarantine_unavailable`. */
  release(id: string, token: string): Promise<Verdict<QuarantineEntry>> {
    return this.inTurn(async () => {
      const file = this.current(id);
      if (file?.label === undefined) return unknown();
      const word = this.verify('quarantine-release+jwt', id, token);
      if (!word.ok) return word;
      if (this.passed.get(id) === token) return deny('approval_used', 'its request has passed already');
      if (this.released.get(id) === token) return grant(this.entry(file));
      const { reviewer: by, key, why: reason } = word.value;
      if (!(await this.record('released', id, { by, key, reason }))) return unrecorded();
      try {
        this.files.writeWord(id, token);
      } catch {
        return full('the release could not be written');
      }
      this.released.set(id, token);
      return grant(this.entry(file));
    });
  }

  /** Removes it, with any release of it. Refuses with `api_not_found`, `audit_unavailable`. */
  drop(id: string, why: string): Promise<Verdict<true>> {
    return this.inTurn(async () => {
      if (!this.kept.has(id)) return unknown();
      if (!(await this.record('dropped', id, { by: OPERATOR, reason: why }))) return unrecorded();
      await this.forget(id);
      return grant(true);
    });
  }

  /** Removes what has been kept for long enough; cheap when there is nothing. */
  sweep(): void {
    if (this.isSweeping || !this.hasDue()) return;
    this.isSweeping = true;
    this.inTurn(() => this.expire())
      .catch((error: unknown) => this.options.onFailure(error as Error))
      .finally(() => {
        this.isSweeping = false;
      });
  }

  private isDue({ time }: KeptFile): boolean {
    return this.now >= time + this.options.limits.retentionSeconds;
  }

  private hasDue(): boolean {
    for (const file of this.kept.values()) if (this.isDue(file)) return true;
    return false;
  }

  private async expire(): Promise<void> {
    // What can't be recorded stays until it can.
    for (const file of [...this.kept.values()])
      if (this.isDue(file) && (await this.record('expired', file.id, { by: RETENTION })))
        await this.forget(file.id);
  }

  private async forget(id: string): Promise<void> {
    this.released.delete(id);
    this.passed.delete(id);
    this.again.delete(id);
    await this.files.remove(id);
    this.kept.delete(id);
  }

  private record(
    action: QuarantineRecord['action'],
    id: string,
    said: { readonly by: string; readonly hop?: string; readonly key?: string; readonly reason?: string },
  ): Promise<boolean> {
    const label = this.kept.get(id)?.label;
    const { by, hop = '', key = '', reason = '' } = said;
    return new Promise((resolve) => {
      this.options.audit.append(
        {
          action,
          by,
          callee: label?.callee ?? '',
          caller: label?.caller ?? '',
          hop,
          id,
          key,
          kind: 'quarantine',
          method: label?.method ?? '',
          principal: label?.principal ?? '',
          reason,
          rule: label?.rule ?? '',
          target: label?.path ?? '',
          task: label?.task ?? '',
        },
        resolve,
      );
    });
  }

  /** One at a time: bounds hold, and nothing is looked at while it changes. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work);
    this.last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when all that was begun has ended. */
  async idle(): Promise<void> {
    await this.last;
  }

  private get now(): number {
    return Math.floor(this.options.clock.now() / 1000);
  }
}
