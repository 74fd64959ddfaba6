/** Registration entries: made, changed and found. Retiring one ends agents too: see `agents.ts`. */
import { z } from 'zod';
import { type Entry, entryName, entry as entrySchema, MAX_SVID_TTL_SECONDS } from '../../api/registry.ts';
import { sha256Base64url } from '../../core/encoding/jws.ts';
import { type AgentId, type IdPattern, trustDomainOf } from '../../core/spiffe-id.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, kind, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { ConflictError } from '../store/store.ts';
import { type Attested, rarestOf, selectorFault, strictestOf } from './entry-match.ts';

export const ENTRY = kind('entry', entrySchema);
/** `entry-by/<hash of a selector or an ID>/<entry>`: a workload's facts find their entries without reading all. */
const ENTRY_BY = kind('entry-by', z.strictObject({ entry: z.string() }));

/**
 * `agent-type/<type>`: types that workloads can become. Apart, since what depends on them must not read every entry; one that
 * nobody has any more stays, and names nobody.
 */
export const AGENT_TYPE = kind('agent-type', z.strictObject({}));
const AGENT_TYPE_OF = /^spiffe:\/\/[^/]+\/agent\/([A-Za-z0-9._-]+)\//;

const FOUND_AT_MOST = 1000;

export interface EntryWish {
  readonly selectors: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly svidTtlSeconds?: number | undefined;
  readonly hint: string;
}

export interface EntryRules {
  readonly trustDomain: string;
  /** Lets an entry have SVIDs of more than an hour. */
  readonly allowLongSvid: boolean;
  /** With more than one, each entry must say which it means. */
  readonly clusters: number;
}

const byKey = (what: string, name: string): string => `${sha256Base64url(what)}/${name}`;
const indexKeys = ({ id, selectors, name }: Entry): readonly string[] => [
  byKey(rarestOf(selectors), name),
  byKey(`id=${id}`, name),
];

export class Entries {
  private readonly records: Records;
  private readonly clock: Clock;
  private readonly rules: EntryRules;

  constructor(records: Records, clock: Clock, rules: EntryRules) {
    this.records = records;
    this.clock = clock;
    this.rules = rules;
  }

  async list(page: { readonly after?: string; readonly limit?: number } = {}): Promise<readonly Entry[]> {
    return (await this.records.list(ENTRY, page)).map(({ value }) => value);
  }

  /** Throws `api_not_found`. */
  async get(name: string): Promise<Entry> {
    return (await this.recorded(name)).value;
  }

  async recorded(name: string): Promise<Recorded<Entry>> {
    const found = await this.records.get(ENTRY, name);
    if (found === undefined) throw new Refusal('api_not_found', `there is no registration entry "${name}"`);
    return found;
  }

  /** Those that give this ID, or have this template. */
  forId(id: string): Promise<readonly Entry[]> {
    return this.foundBy(`id=${id}`);
  }

  /** Throws `api_malformed`, `api_conflict`. */
  async add(
    actor: Actor,
    wish: EntryWish & { readonly name?: string | undefined; readonly id: string },
    why: string,
  ): Promise<Entry> {
    const { id, svidTtlSeconds, attributes, hint } = wish;
    const selectors = [...wish.selectors].sort();
    this.check(id, { ...wish, selectors });
    const now = this.now;
    const entry: Entry = {
      name: wish.name ?? nameOf(id),
      id,
      selectors,
      attributes: { ...attributes },
      ...(svidTtlSeconds !== undefined && { svidTtlSeconds }),
      hint,
      state: 'active',
      createdAt: now,
      updatedAt: now,
    };
    const edit = new Edit().set(ENTRY, entry.name, entry, null);
    for (const key of indexKeys(entry)) edit.set(ENTRY_BY, key, { entry: entry.name });
    const type = AGENT_TYPE_OF.exec(id)?.[1];
    if (type !== undefined && (await this.records.get(AGENT_TYPE, type)) === undefined)
      edit.set(AGENT_TYPE, type, {});
    try {
      await this.records.commit({ event: 'entry.added', actor, why, data: dataOf(entry) }, edit);
    } catch (error) {
      if (error instanceof ConflictError)
        throw new Refusal(
          'api_conflict',
          `there is a registration entry "${entry.name}" already; make a new join token for it, or give this one another name`,
        );
      throw error;
    }
    return entry;
  }

  /** What agents hold changes with their next renewal. Throws `api_not_found`, `api_malformed`, `id_retired`. */
  async update(actor: Actor, name: string, wish: EntryWish, why: string): Promise<Entry> {
    const was = await this.recorded(name);
    if (was.value.state === 'retired')
      throw new Refusal('id_retired', `the entry ${name} is retired; add another under a new name`);
    const { svidTtlSeconds: _, ...kept } = was.value;
    const selectors = [...wish.selectors].sort();
    this.check(was.value.id, { ...wish, selectors });
    const entry: Entry = {
      ...kept,
      selectors,
      attributes: { ...wish.attributes },
      ...(wish.svidTtlSeconds !== undefined && { svidTtlSeconds: wish.svidTtlSeconds }),
      hint: wish.hint,
      updatedAt: this.now,
    };
    const edit = new Edit().set(ENTRY, name, entry, was);
    const keys = indexKeys(entry);
    for (const key of indexKeys(was.value)) {
      const stale = keys.includes(key) ? undefined : await this.records.get(ENTRY_BY, key);
      if (stale !== undefined) edit.remove(ENTRY_BY, stale);
    }
    for (const key of keys) edit.set(ENTRY_BY, key, { entry: name });
    await this.records.commit({ event: 'entry.updated', actor, why, data: dataOf(entry) }, edit);
    return entry;
  }

  /** The one entry of a workload. Throws `entry_unmatched`. */
  async match(attested: Attested): Promise<Entry> {
    const found = new Map<string, Entry>();
    for (const fact of attested.facts)
      for (const entry of await this.foundBy(fact)) found.set(entry.name, entry);
    // With two clusters, an entry from the days of one means neither.
    const meant = [...found.values()].filter(
      ({ selectors }) => this.rules.clusters < 2 || clusterIsSaid(selectors),
    );
    return strictestOf(meant, attested);
  }

  private async foundBy(what: string): Promise<readonly Entry[]> {
    const index = await this.records.list(ENTRY_BY, {
      below: `${sha256Base64url(what)}/`,
      limit: FOUND_AT_MOST + 1,
    });
    // Choosing among a part of them would not be the strictest choice.
    if (index.length > FOUND_AT_MOST)
      throw new Refusal('entry_unmatched', `more than ${FOUND_AT_MOST} entries hang on ${what}`);
    const entries = await Promise.all(index.map(({ value }) => this.records.get(ENTRY, value.entry)));
    return entries.flatMap((entry) => (entry === undefined ? [] : [entry.value]));
  }

  private check(id: string, { selectors, svidTtlSeconds = 0 }: EntryWish): void {
    const { trustDomain, allowLongSvid, clusters } = this.rules;
    if (trustDomainOf(id as AgentId | IdPattern) !== trustDomain)
      throw new Refusal('api_malformed', `${id} is not of the trust domain ${trustDomain}`);
    const fault = selectorFault(id, selectors);
    if (fault !== undefined) throw new Refusal('api_malformed', `${id}: ${fault}`);
    if (clusters > 1 && !clusterIsSaid(selectors))
      throw new Refusal('api_malformed', `${id}: there are ${clusters} clusters; add k8s:cluster=…`);
    if (svidTtlSeconds > MAX_SVID_TTL_SECONDS && !allowLongSvid)
      throw new Refusal(
        'api_malformed',
        `${id}: an SVID lives ${MAX_SVID_TTL_SECONDS} s at most, unless the verifier is configured with allowLongSvid`,
      );
  }

  private get now(): number {
    return Math.floor(this.clock.now() / 1000);
  }
}

const clusterIsSaid = (selectors: readonly string[]): boolean =>
  selectors.every((selector) => !selector.startsWith('k8s:')) ||
  selectors.some((selector) => selector.startsWith('k8s:cluster='));

/** `planning-1` of `spiffe://company.com/agent/planning/1`; what makes no name gets one from its hash. */
const nameOf = (id: string): string => {
  const [, , , ...path] = id.split('/');
  const plain = path
    .slice(path[0] === 'agent' ? 1 : 0)
    .join('-')
    .toLowerCase()
    .replaceAll(/[{}]/g, '');
  return entryName.safeParse(plain).success
    ? plain
    : `e${Buffer.from(sha256Base64url(id)).toString('hex').slice(0, 24)}`;
};

const dataOf = ({ name, id, selectors, attributes, svidTtlSeconds, hint }: Entry) => ({
  entry: name,
  id,
  selectors,
  attributes,
  hint,
  ...(svidTtlSeconds !== undefined && { svidTtlSeconds }),
});
