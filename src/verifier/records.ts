/**
 * Typed records over the store: what is read is checked by its schema, what is written goes with an event of the ledger
 * that says who did it and why. Nothing changes without one.
 */
import type { z } from 'zod';
import { canonicalJson, parseStrictObjectText } from '../core/encoding/json.ts';
import { sha256Base64url } from '../core/encoding/jws.ts';
import type { Clock } from '../ports.ts';
import type { Actor } from './actor.ts';
import type { Change, Store, StoredEvent } from './store/store.ts';

/** A kind of record: its prefix in the store and its schema. */
export interface Kind<T> {
  /** `agent`: keys are `agent/<name>`. */
  readonly prefix: string;
  readonly schema: z.ZodType<T>;
}

export const kind = <T>(prefix: string, schema: z.ZodType<T>): Kind<T> => ({ prefix, schema });

export interface Recorded<T> {
  readonly name: string;
  readonly value: T;
  readonly revision: number;
}

/** What a change is called in the ledger: `agent.enrolled`, `link.revoked`. */
export type EventName = `${string}.${string}`;

export interface EventBody {
  readonly event: EventName;
  readonly actor: Actor;
  /** In the words of who did it; "" where nobody was asked. */
  readonly why: string;
  /** What changed; no secret. Whole numbers only, nested 7 deep at most: lines are read strictly. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A line of the ledger, read. */
export interface LedgerLine {
  readonly v: 1;
  readonly seq: number;
  readonly prev: string;
  /** Milliseconds. */
  readonly time: number;
  readonly event: string;
  readonly actor: string;
  readonly why: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Collects the edits of one change. */
export class Edit {
  readonly put: { readonly key: string; readonly value: string }[] = [];
  readonly removed: string[] = [];
  readonly expect: { readonly key: string; readonly revision: number }[] = [];

  /** Writes a record; `was` is the one that was read, `null` when there must be none, left out when that doesn't matter. */
  set<T>(of: Kind<T>, name: string, value: T, was?: Recorded<T> | null): this {
    const key = `${of.prefix}/${name}`;
    this.put.push({ key, value: JSON.stringify(of.schema.parse(value)) });
    if (was !== undefined) this.expect.push({ key, revision: was === null ? 0 : was.revision });
    return this;
  }

  remove<T>(of: Kind<T>, was: Recorded<T>): this {
    const key = `${of.prefix}/${was.name}`;
    this.removed.push(key);
    this.expect.push({ key, revision: was.revision });
    return this;
  }
}

export class Records {
  readonly store: Store;
  private readonly clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.store = store;
    this.clock = clock;
  }

  async get<T>(of: Kind<T>, name: string): Promise<Recorded<T> | undefined> {
    const stored = await this.store.read(`${of.prefix}/${name}`);
    if (stored === undefined) return undefined;
    return { name, value: of.schema.parse(JSON.parse(stored.value)), revision: stored.revision };
  }

  async list<T>(
    of: Kind<T>,
    page: { readonly below?: string; readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly Recorded<T>[]> {
    const prefix = `${of.prefix}/`;
    const { below = '', after, limit } = page;
    const found = await this.store.list(`${prefix}${below}`, {
      ...(after !== undefined && { after: `${prefix}${after}` }),
      ...(limit !== undefined && { limit }),
    });
    return found.map(({ key, value, revision }) => ({
      name: key.slice(prefix.length),
      value: of.schema.parse(JSON.parse(value)),
      revision,
    }));
  }

  count<T>(of: Kind<T>, below = ''): Promise<number> {
    return this.store.count(`${of.prefix}/${below}`);
  }

  /** Commits an edit with its events, atomically and durably. Throws `ConflictError`; then nothing has changed. */
  commit(events: EventBody | readonly EventBody[], edit: Edit): Promise<number> {
    const bodies = Array.isArray(events) ? (events as readonly EventBody[]) : [events as EventBody];
    const change: Change = {
      put: edit.put,
      remove: edit.removed,
      expect: edit.expect,
      events: (last) => this.linesOf(bodies, last),
    };
    return this.store.commit(change);
  }

  private linesOf(bodies: readonly EventBody[], last: StoredEvent | undefined): readonly StoredEvent[] {
    const lines: StoredEvent[] = [];
    let { seq, hash } = last ?? { seq: 0, hash: '' };
    for (const { event, actor, why, data } of bodies) {
      seq++;
      const line: LedgerLine = {
        v: 1,
        seq,
        prev: hash,
        time: this.clock.now(),
        event,
        actor: actor.name,
        why,
        data,
      };
      const text = canonicalJson(line);
      const read = parseStrictObjectText(text);
      if (!read.ok) throw new TypeError(`the data of ${event} can't stand in the ledger: ${read.detail}`);
      hash = sha256Base64url(text);
      lines.push({ seq, hash, line: `${text.slice(0, -1)},"hash":"${hash}"}` });
    }
    return lines;
  }
}
