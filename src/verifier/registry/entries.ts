/** Registration entries: made, changed and found. Retiring one ends agents too: see `agents.ts`. */
import { z } from 'zod';
import {
  attributes as attributesSchema,
  type Entry,
  entryName,
  entry as entrySchema,
  MAX_SVID_TTL_SECONDS,
} from '../../api/registry.ts';
import { sha256Base64url } from '../../core/encoding/jws.ts';
import { type AgentId, type IdPattern, isAgentId, trustDomainOf } from '../../core/spiffe-id.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, kind, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { ConflictError } from '../store/store.ts';
import { AgentAttributes, type AttributeMap, isSame, namesOf, spellingsOf } from './agent-attributes.ts';
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
const PAGE = 1000;

export interface EntryWish {
  readonly selectors: readonly string[];
  /** Left out: those that its names have. */
  readonly attributes?: AttributeMap | undefined;
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
  private readonly attributes: AgentAttributes;
  /** One change after the other: what is said of names rests on which entries there are. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(records: Records, clock: Clock, rules: EntryRules) {
    this.records = records;
    this.clock = clock;
    this.rules = rules;
    this.attributes = new AgentAttributes(records);
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
  async forId(id: string): Promise<readonly Entry[]> {
    return (await this.foundBy(`id=${id}`)).map(({ value }) => value);
  }

  /** Whether somebody may say who has this name. Throws `api_forbidden`. */
  checkRegistrar(actor: Actor, id: string): Promise<void> {
    return this.attributes.checkRegistrar(actor, id);
  }

  /** Throws `api_malformed`, `api_conflict`, `api_forbidden`, `api_too_large`. */
  add(
    actor: Actor,
    wish: EntryWish & { readonly name?: string | undefined; readonly id: string },
    why: string,
  ): Promise<Entry> {
    return this.inTurn(() => this.addNow(actor, wish, why));
  }

  private async addNow(
    actor: Actor,
    wish: EntryWish & { readonly name?: string | undefined; readonly id: string },
    why: string,
  ): Promise<Entry> {
    const { id, svidTtlSeconds, hint } = wish;
    const selectors = [...wish.selectors].sort();
    this.check(id, { ...wish, selectors });
    await this.attributes.checkRegistrar(actor, id);
    this.attributes.checkSayable(actor, id, wish.attributes ?? {});
    const [like] = await this.sharing(id);
    const attributes = wish.attributes ?? like?.value.attributes ?? {};
    if (like !== undefined && !isSame(attributes, like.value.attributes))
      throw new Refusal(
        'api_conflict',
        `the entry ${like.name} gives ${namesOf(id)} other attributes; agents of one name, or of one template, have the same`,
      );
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
    await this.attributes.say(edit, namesOf(id), attributes, () => this.exactIds());
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

  /**
   * What agents hold changes with their next renewal. Throws `api_not_found`, `api_malformed`, `api_forbidden`, `id_retired`,
   * `api_too_large`.
   */
  update(actor: Actor, name: string, wish: EntryWish, why: string): Promise<Entry> {
    return this.inTurn(() => this.updateNow(actor, name, wish, why));
  }

  private async updateNow(actor: Actor, name: string, wish: EntryWish, why: string): Promise<Entry> {
    const was = await this.active(name);
    await this.attributes.checkRegistrar(actor, was.value.id);
    const { svidTtlSeconds: _, ...kept } = was.value;
    const selectors = [...wish.selectors].sort();
    this.check(was.value.id, { ...wish, selectors });
    const entry: Entry = {
      ...kept,
      selectors,
      attributes: { ...(wish.attributes ?? was.value.attributes) },
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
    if (!isSame(entry.attributes, was.value.attributes)) await this.sayAttributes(edit, actor, entry);
    await this.records.commit({ event: 'entry.updated', actor, why, data: dataOf(entry) }, edit);
    return entry;
  }

  /**
   * What policy goes by: of all agents that have these names, so of every entry that gives them. With the revision from which
   * on it holds. Throws `api_not_found`, `api_malformed`, `api_forbidden`, `id_retired`, `api_too_large`.
   */
  changeAttributes(
    actor: Actor,
    name: string,
    { set, remove }: { readonly set: AttributeMap; readonly remove: readonly string[] },
    why: string,
  ): Promise<{ readonly entry: Entry; readonly revision: number }> {
    return this.inTurn(async () => {
      const was = await this.active(name);
      // To take is as much as to give: a rule may deny by it.
      await this.attributes.checkRegistrar(actor, was.value.id);
      const left = Object.entries(was.value.attributes).filter(([one]) => !remove.includes(one));
      const attributes = { ...Object.fromEntries(left), ...set };
      const fits = attributesSchema.safeParse(attributes);
      if (!fits.success) throw new Refusal('api_malformed', fits.error.issues[0]?.message ?? 'attributes');
      if (isSame(attributes, was.value.attributes)) return { entry: was.value, revision: was.revision };
      const entry: Entry = { ...was.value, attributes, updatedAt: this.now };
      const edit = new Edit().set(ENTRY, name, entry, was);
      await this.sayAttributes(edit, actor, entry);
      const { id } = entry;
      const data = { entry: name, id, attributes, were: was.value.attributes };
      const revision = await this.records.commit(
        { event: 'entry.attributes_changed', actor, why, data },
        edit,
      );
      return { entry, revision };
    });
  }

  /** Adds to the retirement of an entry what follows for its names: when no other entry gives them, nothing is said of them. */
  async forgetNames(edit: Edit, { name, id }: Entry): Promise<void> {
    const others = (await this.sharing(id)).filter((other) => other.name !== name);
    if (others.length === 0) await this.attributes.forget(edit, namesOf(id));
  }

  private async sayAttributes(edit: Edit, actor: Actor, { name, id, attributes }: Entry): Promise<void> {
    this.attributes.checkSayable(actor, id, attributes);
    for (const other of await this.sharing(id))
      if (other.name !== name)
        edit.set(ENTRY, other.name, { ...other.value, attributes, updatedAt: this.now }, other);
    await this.attributes.say(edit, namesOf(id), attributes, () => this.exactIds());
  }

  /** Active entries that give the same names. */
  private async sharing(id: string): Promise<readonly Recorded<Entry>[]> {
    const found = await Promise.all(spellingsOf(namesOf(id)).map((one) => this.foundBy(`id=${one}`)));
    return found.flat().filter(({ value }) => value.state === 'active');
  }

  /** Of active entries that name one agent. Reads all of them, page by page. */
  private async exactIds(): Promise<readonly AgentId[]> {
    const ids: AgentId[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await this.list({ limit: PAGE, ...(after !== undefined && { after }) });
      for (const { id, state } of page) if (state === 'active' && isAgentId(id)) ids.push(id);
      if (page.length < PAGE) return ids;
      after = page.at(-1)?.name;
    }
  }

  /** Throws `api_not_found`, `id_retired`. */
  private async active(name: string): Promise<Recorded<Entry>> {
    const found = await this.recorded(name);
    if (found.value.state === 'retired')
      throw new Refusal('id_retired', `the entry ${name} is retired; add another under a new name`);
    return found;
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => undefined);
    return done;
  }

  /** The one entry of a workload. Throws `entry_unmatched`. */
  async match(attested: Attested): Promise<Entry> {
    const found = new Map<string, Entry>();
    for (const fact of attested.facts)
      for (const { name, value } of await this.foundBy(fact)) found.set(name, value);
    // With two clusters, an entry from the days of one means neither.
    const meant = [...found.values()].filter(
      ({ selectors }) => this.rules.clusters < 2 || clusterIsSaid(selectors),
    );
    return strictestOf(meant, attested);
  }

  private async foundBy(what: string): Promise<readonly Recorded<Entry>[]> {
    const index = await this.records.list(ENTRY_BY, {
      below: `${sha256Base64url(what)}/`,
      limit: FOUND_AT_MOST + 1,
    });
    // Choosing among a part of them would not be the strictest choice.
    if (index.length > FOUND_AT_MOST)
      throw new Refusal('entry_unmatched', `more than ${FOUND_AT_MOST} entries hang on ${what}`);
    const entries = await Promise.all(index.map(({ value }) => this.records.get(ENTRY, value.entry)));
    return entries.filter((entry) => entry !== undefined);
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
