/** Allowlist and blocklist besides the policy's own: for what can't wait for a policy. */
import { LIST_NAMES, type ListName, type ListsAnswer } from '../../api/policy.ts';
import type { Actor } from '../actor.ts';
import { Edit, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import type { Telling } from '../revocation/revocations.ts';
import { CURRENT, LISTS } from './policy-records.ts';

type Part = { readonly [Name in ListName]?: readonly string[] | undefined };

export interface ListsChange {
  readonly add: Part;
  readonly remove: Part;
  /** Whether it is meant that all agents take part once the last is off the allowlist. */
  readonly opens: boolean;
  readonly why: string;
}

/** Octets of JSON: a bundle has 8 MiB for everything, and one that is too large tells nobody anything. */
const MAX_LISTS_BYTES = 524_288;

const NONE: ListsAnswer = { allowAgents: [], blockAgents: [], blockPrincipals: [] };

export class Lists {
  private readonly records: Records;
  private readonly telling: Telling;

  constructor(records: Records, telling: Telling) {
    this.records = records;
    this.telling = telling;
  }

  async show(): Promise<ListsAnswer> {
    return (await this.recorded())?.value ?? NONE;
  }

  /** Throws `api_conflict` when it would open an allowlist to all without that being meant; `api_too_large`. */
  async change(actor: Actor, { add, remove, opens, why }: ListsChange) {
    const was = await this.recorded();
    const before = was?.value ?? NONE;
    const lists = Object.fromEntries(
      LIST_NAMES.map((name) => [name, changed(before[name], add[name] ?? [], remove[name] ?? [])]),
    ) as ListsAnswer;
    if (before.allowAgents.length > 0 && lists.allowAgents.length === 0 && !opens)
      throw new Refusal(
        'api_conflict',
        'that takes the last agent off the allowlist, and without one every agent takes part; say that it is meant (opens)',
      );
    if (JSON.stringify(lists).length > MAX_LISTS_BYTES)
      throw new Refusal(
        'api_too_large',
        `the lists would have more than ${MAX_LISTS_BYTES} octets: name types (…/*), or use the policy`,
      );
    const isNew = LIST_NAMES.some((name) => lists[name].join() !== before[name].join());
    if (!isNew) return { lists, isNew, bundle: await this.told(was?.revision ?? 0) };
    const data = { added: named(add), removed: named(remove) };
    const edit = new Edit().set(LISTS, CURRENT, lists, was ?? null);
    const revision = await this.records.commit({ event: 'lists.changed', actor, why, data }, edit);
    return { lists, isNew, bundle: await this.told(revision) };
  }

  private recorded(): Promise<Recorded<ListsAnswer> | undefined> {
    return this.records.get(LISTS, CURRENT);
  }

  private async told(revision: number) {
    await this.telling.whenPublished(revision);
    const { epoch, seq } = this.telling.current;
    return { epoch, seq };
  }
}

const changed = (list: readonly string[], add: readonly string[], remove: readonly string[]): string[] => [
  ...new Set([...list, ...add].filter((one) => !remove.includes(one))),
];

const named = (part: Part): Part =>
  Object.fromEntries(LIST_NAMES.flatMap((name) => (part[name] === undefined ? [] : [[name, part[name]]])));
