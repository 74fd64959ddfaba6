/**
 * Attributes as policy reads them: by name of agent, apart from the entries, since bundles carry them and must not be made by
 * reading every entry. What policy grants to `env: prod`, whoever says so of an agent grants: it is an admin's to say.
 */
import { z } from 'zod';
import { attributes as attributesSchema, PLACEHOLDERS, placeholderOf } from '../../api/registry.ts';
import { type AgentId, type IdPattern, idMatches, isIdPattern } from '../../core/spiffe-id.ts';
import type { Actor } from '../actor.ts';
import { type Edit, kind, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';

export type AttributeMap = Readonly<Record<string, string>>;

const agentAttributes = z.strictObject({
  id: z.custom<IdPattern>(isIdPattern, 'an ID or a pattern'),
  attributes: attributesSchema,
});
/**
 * `agent-attributes/<ID or pattern>`. An ID under a pattern that has some has a record even with none: it is somebody of whom
 * nothing was said, and not one of those whom the template makes.
 */
export const AGENT_ATTRIBUTES = kind('agent-attributes', agentAttributes);
type Said = z.output<typeof agentAttributes>;

/** Octets of JSON: a bundle has 8 MiB for everything, and one that is too large tells nobody anything. */
const MAX_ATTRIBUTES_BYTES = 2_097_152;

/** The names that an entry gives: its ID, or for a template the pattern of them. */
export const namesOf = (id: string): IdPattern =>
  (placeholderOf(id) === undefined ? id : `${id.slice(0, id.lastIndexOf('/'))}/*`) as IdPattern;

/** What entries of the same names may have as ID. */
export const spellingsOf = (names: IdPattern): readonly string[] =>
  names.endsWith('/*') ? PLACEHOLDERS.map((placeholder) => `${names.slice(0, -1)}{${placeholder}}`) : [names];

export const isSame = (one: AttributeMap, other: AttributeMap): boolean => {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && one[name] === other[name])
  );
};

const recordName = (names: string): string => encodeURIComponent(names);
const isPattern = (names: string): boolean => names.endsWith('/*');
const isEmpty = (map: AttributeMap): boolean => Object.keys(map).length === 0;

export class AgentAttributes {
  private readonly records: Records;

  constructor(records: Records) {
    this.records = records;
  }

  /**
   * Whoever may say who has a name may have its attributes: so one that has some is an admin's to register, to change and to
   * make join tokens for. Throws `api_forbidden`.
   */
  async checkRegistrar({ roles }: Actor, id: string): Promise<void> {
    if (roles.has('admin')) return;
    const said = (await this.recorded(namesOf(id)))?.value.attributes ?? {};
    if (!isEmpty(said))
      throw new Refusal(
        'api_forbidden',
        `${namesOf(id)} has attributes that policy may go by; who may be ${id} is an admin's to say`,
      );
  }

  /** Throws `api_forbidden` unless an admin says it, or it is nothing; `api_malformed`. */
  checkSayable({ roles }: Actor, id: string, attributes: AttributeMap): void {
    if (isEmpty(attributes)) return;
    if (!roles.has('admin'))
      throw new Refusal('api_forbidden', 'attributes are what policy goes by, and an admin’s to give');
    if (/\/client\/\{[a-z_]+\}$/.test(id))
      throw new Refusal(
        'api_malformed',
        `${id}: attributes of all clients would be those of everybody who logs in; name the client`,
      );
  }

  /**
   * Writes what is said of these names into an edit. `others`: active entries with one exact ID each, asked for only when a
   * pattern gets its first attributes. Throws `api_too_large`.
   */
  async say(
    edit: Edit,
    names: IdPattern,
    attributes: AttributeMap,
    others: () => Promise<readonly AgentId[]>,
  ): Promise<void> {
    const was = await this.recorded(names);
    const isKept = !isEmpty(attributes) || (!isPattern(names) && (await this.isUnderPattern(names)));
    if (!isKept) {
      if (was !== undefined) edit.remove(AGENT_ATTRIBUTES, was);
      return;
    }
    const added: Said[] = [{ id: names, attributes: { ...attributes } }];
    if (isPattern(names) && was === undefined)
      for (const id of await others())
        if (idMatches(names, id) && (await this.recorded(id as string as IdPattern)) === undefined)
          added.push({ id: id as string as IdPattern, attributes: {} });
    await this.checkRoom(added);
    for (const [index, one] of added.entries())
      edit.set(AGENT_ATTRIBUTES, recordName(one.id), one, index === 0 ? (was ?? null) : null);
  }

  /** The names are nobody's any more. */
  async forget(edit: Edit, names: IdPattern): Promise<void> {
    const was = await this.recorded(names);
    if (was !== undefined) edit.remove(AGENT_ATTRIBUTES, was);
  }

  private recorded(names: IdPattern): Promise<Recorded<Said> | undefined> {
    return this.records.get(AGENT_ATTRIBUTES, recordName(names));
  }

  private async isUnderPattern(id: IdPattern): Promise<boolean> {
    return (await this.recorded(`${id.slice(0, id.lastIndexOf('/'))}/*` as IdPattern)) !== undefined;
  }

  private async checkRoom(added: readonly Said[]): Promise<void> {
    const all = new Map((await this.records.list(AGENT_ATTRIBUTES)).map(({ value }) => [value.id, value]));
    for (const one of added) all.set(one.id, one);
    let octets = 0;
    for (const { id, attributes } of all.values()) octets += id.length + JSON.stringify(attributes).length;
    if (octets > MAX_ATTRIBUTES_BYTES)
      throw new Refusal(
        'api_too_large',
        `attributes of all agents would have more than ${MAX_ATTRIBUTES_BYTES} octets: give them to templates`,
      );
  }
}

/** As bundles carry them: by ID and pattern. An ID of which nothing was said stands there only under a pattern that says something. */
export const attributesOfAgents = async (
  records: Records,
): Promise<Readonly<Record<IdPattern, AttributeMap>>> => {
  const all = (await records.list(AGENT_ATTRIBUTES)).map(({ value }) => value);
  const patterns = new Set(all.filter(({ id }) => isPattern(id)).map(({ id }) => id.slice(0, -1)));
  return Object.fromEntries(
    all
      .filter(
        ({ id, attributes }) => !isEmpty(attributes) || patterns.has(id.slice(0, id.lastIndexOf('/') + 1)),
      )
      .map(({ id, attributes }) => [id, attributes]),
  );
};
