/** What the registry says of agents and principals, as a bundle carries it for conditions in policy (SPEC.md section 9). */
import type { Json, JsonObject } from '../encoding/json.ts';
import { checkMembers, isListOf, isObject } from '../encoding/members.ts';
import {
  MAX_AGENT_ATTRIBUTES,
  MAX_ATTRIBUTE_NAME_BYTES,
  MAX_ATTRIBUTE_VALUE_BYTES,
  MAX_ATTRIBUTED,
  MAX_GROUP_BYTES,
  MAX_PRINCIPAL_GROUPS,
} from '../limits.ts';
import { type AgentId, isIdPattern, isPrincipal } from '../spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';

const NAME = new RegExp(`^[a-z][a-zA-Z0-9_-]{0,${MAX_ATTRIBUTE_NAME_BYTES - 1}}$`);
const VALUE = new RegExp(`^[\\x20-\\x7e]{1,${MAX_ATTRIBUTE_VALUE_BYTES}}$`);
const GROUP = new RegExp(`^[\\x21-\\x7e]{1,${MAX_GROUP_BYTES}}$`);

/** `team`, `costCenter`: a letter, then letters, digits, "_" and "-"; 64 octets at most. */
export const isAttributeName = (text: string): boolean => NAME.test(text);
/** Printable ASCII, 1–256 octets. */
export const isAttributeValue = (text: string): boolean => VALUE.test(text);
/** `sre`: printable ASCII without spaces, 1–128 octets. */
export const isGroup = (text: string): boolean => GROUP.test(text);

const MEMBERS = { agents: isObject, principals: isObject } as const;
const PRINCIPAL = {
  groups: isListOf((group) => isGroup(group as string), 1, MAX_PRINCIPAL_GROUPS),
} as const;

type AttributeMap = Readonly<Record<string, string>>;

/** Without a prototype, so that no name of an attribute means something else: `constructor` is one like any other. */
const mapOf = (entries: Iterable<readonly [string, string]>): AttributeMap => {
  const map: Record<string, string> = Object.create(null);
  for (const [name, value] of entries) map[name] = value;
  return Object.freeze(map);
};
const NOTHING = mapOf([]);
const NO_GROUPS: readonly string[] = Object.freeze([]);

/** An immutable table; a new bundle brings a new one. */
export class Attributes {
  /** By ID. */
  private readonly exact = new Map<string, AttributeMap>();
  /** By pattern less its `*`. */
  private readonly patterns = new Map<string, AttributeMap>();
  private readonly principals = new Map<string, readonly string[]>();

  private constructor() {}

  /** Of nobody anything is known. */
  static readonly none = new Attributes();

  /** Refuses with `claim_*`. */
  static parse(value: JsonObject): Verdict<Attributes> {
    const closed = checkMembers(value, MEMBERS, 'attributes');
    if (!closed.ok) return closed;
    const attributes = new Attributes();
    const denial =
      attributes.readAgents(value.agents as JsonObject) ??
      attributes.readPrincipals(value.principals as JsonObject);
    return denial ?? grant(attributes);
  }

  /** How many agents and patterns are listed. */
  get agentCount(): number {
    return this.exact.size + this.patterns.size;
  }

  /** How many principals are in a group. */
  get principalCount(): number {
    return this.principals.size;
  }

  /**
   * By name. What stands at the ID itself is all of it; only where nothing does, not even `{}`, that of the pattern holds.
   * They are not merged: a pattern is said of whom nobody named, and who is named gets nothing by it unseen.
   */
  agent(id: AgentId): AttributeMap {
    return (
      this.exact.get(id) ??
      // An ID pattern ends in `/*`, which stands for exactly the last segment.
      (this.patterns.size === 0 ? undefined : this.patterns.get(id.slice(0, id.lastIndexOf('/') + 1))) ??
      NOTHING
    );
  }

  /** In the order of the bundle. */
  groups(principal: string): readonly string[] {
    return this.principals.get(principal) ?? NO_GROUPS;
  }

  /** All of it, as the bundle has it: for those who look at one. */
  listed(): {
    readonly agents: readonly (readonly [string, AttributeMap])[];
    readonly principals: readonly (readonly [string, readonly string[]])[];
  } {
    const patterns = [...this.patterns].map(([prefix, map]) => [`${prefix}*`, map] as const);
    return { agents: [...patterns, ...this.exact], principals: [...this.principals] };
  }

  private readAgents(agents: JsonObject): Denial | undefined {
    const all = Object.entries(agents);
    if (all.length > MAX_ATTRIBUTED)
      return deny('claim_invalid', `attributes of more than ${MAX_ATTRIBUTED} agents`);
    for (const [id, given] of all) {
      if (!isIdPattern(id) || !isAttributeMap(given))
        return deny('claim_invalid', 'attributes: agents are agent ID or pattern → {name: value}');
      const map = mapOf(Object.entries(given));
      if (id.endsWith('/*')) this.patterns.set(id.slice(0, -1), map);
      else this.exact.set(id, map);
    }
    return undefined;
  }

  private readPrincipals(principals: JsonObject): Denial | undefined {
    const all = Object.entries(principals);
    if (all.length > MAX_ATTRIBUTED)
      return deny('claim_invalid', `groups of more than ${MAX_ATTRIBUTED} principals`);
    for (const [uri, entry] of all) {
      if (!isPrincipal(uri) || !isObject(entry))
        return deny('claim_invalid', 'attributes: principals are URI → {"groups": [group …]}');
      const closed = checkMembers(entry, PRINCIPAL, 'attributes of a principal');
      if (!closed.ok) return closed;
      this.principals.set(uri, Object.freeze([...(entry.groups as readonly string[])]));
    }
    return undefined;
  }
}

const isAttributeMap = (value: Json): value is Record<string, string> => {
  if (!isObject(value)) return false;
  const all = Object.entries(value);
  return (
    all.length <= MAX_AGENT_ATTRIBUTES &&
    all.every(([name, text]) => isAttributeName(name) && typeof text === 'string' && isAttributeValue(text))
  );
};
