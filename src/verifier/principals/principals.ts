/** The register of principals. What it refuses to widen for an operator is an admin's to give. */
import {
  ANY_AGENT,
  type Ceiling,
  type CeilingWish,
  type OidcSubject,
  type PrincipalRecord,
} from '../../api/principals.ts';
import { expandScope } from '../../core/delegation/scope.ts';
import { admitKey, thumbprintOf } from '../../core/keys.ts';
import { DEFAULT_LINK_TTL_SECONDS, DEFAULT_MAX_DEPTH, MAX_SCOPE_PATTERNS } from '../../core/limits.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, type EventBody, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { distinctScope, widerPart } from './ceilings.ts';
import { nameOf, OIDC_ISSUER, OIDC_SUBJECT, PRINCIPAL, PRINCIPAL_KEY, SESSION, selfNamed } from './kinds.ts';
import type { PolicyWords } from './trust.ts';

export interface Standing {
  readonly human?: boolean | undefined;
  readonly approver?: boolean | undefined;
  readonly ceiling?: CeilingWish | undefined;
  readonly groups?: readonly string[] | undefined;
}

export interface KeyWish {
  readonly x: string;
  readonly name: string;
}

/** Filled by revocation: what a principal has granted until now counts for nothing from the commit of this edit on. */
export interface GrantRevoking {
  endGrants(
    edit: Edit,
    principal: string,
    by: { readonly actor: Actor; readonly why: string },
  ): Promise<readonly EventBody[]>;
}

export interface PrincipalsParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly policy: PolicyWords;
  /** Whether a public key is the root's or a role's. */
  readonly isRoleKey: (x: string) => boolean;
  readonly revoking: GrantRevoking;
  /** Resolves when a bundle that carries all up to this commit is out. */
  readonly whenPublished: (revision: number) => Promise<void>;
}

/** Octets of JSON: a bundle has 8 MiB for everything, and one that is too large tells nobody anything. */
const MAX_GROUPS_BYTES = 1_048_576;

export class Principals {
  private readonly isRoleKey: (x: string) => boolean;
  private readonly records: Records;
  private readonly clock: Clock;
  private readonly trustDomain: string;
  private readonly policy: PolicyWords;
  private readonly revoking: GrantRevoking;
  private readonly whenPublished: (revision: number) => Promise<void>;

  constructor(parts: PrincipalsParts) {
    const { records, clock, trustDomain, policy, isRoleKey, revoking, whenPublished } = parts;
    this.whenPublished = whenPublished;
    this.isRoleKey = isRoleKey;
    this.revoking = revoking;
    this.records = records;
    this.clock = clock;
    this.trustDomain = trustDomain;
    this.policy = policy;
  }

  async list(): Promise<readonly PrincipalRecord[]> {
    return (await this.records.list(PRINCIPAL)).map(({ value }) => value);
  }

  async get(uri: string): Promise<PrincipalRecord> {
    return (await this.read(uri)).value;
  }

  /** Refuses with `api_conflict`, `api_forbidden`, `api_malformed`, `api_too_large`, `key_*`. */
  async add(
    actor: Actor,
    wish: Standing & { readonly uri: string; readonly keys: readonly KeyWish[]; readonly why: string },
  ): Promise<PrincipalRecord> {
    const { uri, why } = wish;
    if ((await this.records.get(PRINCIPAL, nameOf(uri))) !== undefined)
      throw new Refusal('api_conflict', `${uri} is registered already`);
    const usual = await this.usualCeiling();
    const record: PrincipalRecord = {
      uri,
      human: wish.human ?? true,
      keys: [],
      ceiling: await this.ceilingOf(wish.ceiling ?? {}, usual),
      approver: wish.approver ?? false,
      groups: [...(wish.groups ?? [])],
    };
    this.checkWidening(actor, record, { ...record, ceiling: usual, approver: false, groups: [] });
    await this.checkRoom(record);
    const edit = new Edit();
    for (const key of wish.keys) record.keys.push(await this.admit(key, record, edit));
    edit.set(PRINCIPAL, nameOf(uri), record, null);
    await this.records.commit({ event: 'principal.added', actor, why, data: factsOf(record) }, edit);
    return record;
  }

  /** Groups are in the bundle when it is done. Refuses with `api_not_found`, `api_forbidden`, `api_malformed`, `api_too_large`. */
  async change(
    actor: Actor,
    uri: string,
    wish: Standing & { readonly why: string },
  ): Promise<PrincipalRecord> {
    const was = await this.read(uri);
    const record: PrincipalRecord = {
      ...was.value,
      human: wish.human ?? was.value.human,
      approver: wish.approver ?? was.value.approver,
      ceiling: await this.ceilingOf(wish.ceiling ?? {}, was.value.ceiling),
      groups: [...(wish.groups ?? was.value.groups)],
    };
    this.checkWidening(actor, record, was.value);
    await this.checkRoom(record);
    if (!record.human && (await this.subjectsOf(uri)).length > 0)
      throw new Refusal('api_conflict', `${uri} logs in at an identity provider: that is a human's`);
    const edit = new Edit().set(PRINCIPAL, was.name, record, was);
    const revision = await this.records.commit(
      { event: 'principal.changed', actor, why: wish.why, data: factsOf(record) },
      edit,
    );
    if (wish.groups !== undefined) await this.whenPublished(revision);
    return record;
  }

  /**
   * With its keys and sessions, and all that it has granted: who adds it again revives nothing. A login of it is nobody's from
   * then on. Refuses with `api_not_found`.
   */
  async remove(actor: Actor, uri: string, why: string): Promise<void> {
    const was = await this.read(uri);
    const edit = new Edit().remove(PRINCIPAL, was);
    for (const { x } of was.value.keys) {
      const key = await this.records.get(PRINCIPAL_KEY, thumbprintOf(x));
      if (key !== undefined) edit.remove(PRINCIPAL_KEY, key);
    }
    for (const subject of await this.subjectsOf(uri)) await this.forgetSubject(edit, subject);
    for (const session of await this.records.list(SESSION))
      if (session.value.principal === uri) edit.remove(SESSION, session);
    const removed: EventBody = { event: 'principal.removed', actor, why, data: { principal: uri } };
    await this.records.commit([removed, ...(await this.revoking.endGrants(edit, uri, { actor, why }))], edit);
  }

  /** Refuses with `api_not_found`, `api_conflict`, `api_forbidden`, `key_*`. */
  async addKey(
    actor: Actor,
    uri: string,
    wish: KeyWish & { readonly why: string },
  ): Promise<PrincipalRecord> {
    const was = await this.read(uri);
    // Whoever can add a key can be this principal.
    if (was.value.approver) needsAdmin(actor, `${uri} is an approver, a key of its own`);
    const usual = await this.usualCeiling();
    const wider = widerPart(was.value.ceiling, usual);
    if (wider !== undefined) needsAdmin(actor, `${uri} may grant ${wider}; a key of its own`);
    const edit = new Edit();
    const key = await this.admit(wish, was.value, edit);
    const record = { ...was.value, keys: [...was.value.keys, key] };
    edit.set(PRINCIPAL, was.name, record, was);
    await this.records.commit(
      {
        event: 'principal.key_added',
        actor,
        why: wish.why,
        data: { principal: uri, name: wish.name, thumbprint: thumbprintOf(wish.x) },
      },
      edit,
    );
    return record;
  }

  /**
   * With all that the principal has granted, by whichever key: which of them was in whose hands when is not for us to know.
   * Refuses with `api_not_found`.
   */
  async removeKey(actor: Actor, uri: string, thumbprint: string, why: string): Promise<PrincipalRecord> {
    const was = await this.read(uri);
    const keys = was.value.keys.filter(({ x }) => thumbprintOf(x) !== thumbprint);
    if (keys.length === was.value.keys.length)
      throw new Refusal('api_not_found', `${uri} has no key ${thumbprint}`);
    const record = { ...was.value, keys };
    const edit = new Edit().set(PRINCIPAL, was.name, record, was);
    const key = await this.records.get(PRINCIPAL_KEY, thumbprint);
    if (key !== undefined) edit.remove(PRINCIPAL_KEY, key);
    const removed: EventBody = {
      event: 'principal.key_removed',
      actor,
      why,
      data: { principal: uri, thumbprint },
    };
    await this.records.commit([removed, ...(await this.revoking.endGrants(edit, uri, { actor, why }))], edit);
    return record;
  }

  private async read(uri: string): Promise<Recorded<PrincipalRecord>> {
    const found = await this.records.get(PRINCIPAL, nameOf(uri));
    if (found === undefined) throw new Refusal('api_not_found', `${uri} is no principal here`);
    return found;
  }

  private async subjectsOf(uri: string) {
    return (await this.records.list(OIDC_SUBJECT)).filter(({ value }) => value.principal === uri);
  }

  /** Where people register themselves, who was removed would come back with the next login: so it stays known, as nobody. */
  private async forgetSubject(edit: Edit, was: Recorded<OidcSubject>): Promise<void> {
    const { issuer, subject } = was.value;
    const trusted = await this.records.get(OIDC_ISSUER, nameOf(issuer));
    if (trusted?.value.autoRegister !== true) edit.remove(OIDC_SUBJECT, was);
    else edit.set(OIDC_SUBJECT, was.name, { issuer, subject, principal: selfNamed(issuer, subject) }, was);
  }

  /** One key that no sidecar would take would make it refuse the whole bundle. */
  private async admit(wish: KeyWish, { uri, keys }: PrincipalRecord, edit: Edit) {
    const admitted = admitKey(wish.x);
    if (!admitted.ok) throw new Refusal(admitted.reason, admitted.detail);
    const { thumbprint } = admitted.value;
    if (this.isRoleKey(wish.x))
      throw new Refusal('api_conflict', 'this key has a role in the trust domain, and is no person’s');
    if (keys.some(({ name }) => name === wish.name))
      throw new Refusal('api_conflict', `${uri} has a key named "${wish.name}" already`);
    const owner = await this.records.get(PRINCIPAL_KEY, thumbprint);
    if (owner !== undefined || edit.put.some(({ key }) => key.endsWith(`/${thumbprint}`)))
      throw new Refusal('api_conflict', `this key is ${owner?.value.principal ?? uri}'s already`);
    edit.set(PRINCIPAL_KEY, thumbprint, { principal: uri }, null);
    return { x: wish.x, name: wish.name, addedAt: Math.floor(this.clock.now() / 1000) };
  }

  private checkWidening(actor: Actor, next: PrincipalRecord, than: PrincipalRecord): void {
    const wider = widerPart(next.ceiling, than.ceiling);
    if (wider !== undefined) needsAdmin(actor, `a ceiling with ${wider}`);
    if (next.approver && !than.approver) needsAdmin(actor, 'to make somebody an approver');
    if (next.human && !than.human) needsAdmin(actor, 'to call a principal human');
    // Either way: a rule may grant to a group, and another one may deny to it.
    if (next.groups.join('\n') !== than.groups.join('\n')) needsAdmin(actor, 'the groups of a principal');
  }

  private async checkRoom({ uri, groups }: PrincipalRecord): Promise<void> {
    if (groups.length === 0) return;
    const all = (await this.list()).filter((one) => one.uri !== uri);
    const sizeOf = (one: Pick<PrincipalRecord, 'uri' | 'groups'>): number =>
      one.groups.length === 0 ? 0 : one.uri.length + JSON.stringify(one.groups).length;
    const octets = [...all, { uri, groups }].reduce((sum, one) => sum + sizeOf(one), 0);
    if (octets > MAX_GROUPS_BYTES)
      throw new Refusal(
        'api_too_large',
        `groups of all principals would have more than ${MAX_GROUPS_BYTES} octets: give them fewer, or shorter ones`,
      );
  }

  private async usualCeiling(): Promise<Ceiling> {
    const { scopeSets: sets } = await this.policy.current();
    const all = expandScope(Object.keys(sets), sets);
    return {
      scope: 'fault' in all ? [] : distinctScope(all.patterns).slice(0, MAX_SCOPE_PATTERNS),
      maxTtlSeconds: DEFAULT_LINK_TTL_SECONDS,
      maxDepth: DEFAULT_MAX_DEPTH,
      delegatees: [ANY_AGENT],
      domains: [this.trustDomain],
    };
  }

  private async ceilingOf(wish: CeilingWish, otherwise: Ceiling): Promise<Ceiling> {
    const expanded =
      wish.scope === undefined
        ? { patterns: otherwise.scope }
        : expandScope(wish.scope, (await this.policy.current()).scopeSets);
    if ('fault' in expanded) throw new Refusal('scope_invalid', expanded.fault);
    const scope = distinctScope(expanded.patterns);
    if (scope.length === 0)
      throw new Refusal(
        'scope_empty',
        'the policy in force has no scope sets: say which scope, with --scope',
      );
    if (scope.length > MAX_SCOPE_PATTERNS)
      throw new Refusal('scope_invalid', `${scope.length} patterns, at most ${MAX_SCOPE_PATTERNS}`);
    return {
      scope,
      maxTtlSeconds: wish.maxTtlSeconds ?? otherwise.maxTtlSeconds,
      maxDepth: wish.maxDepth ?? otherwise.maxDepth,
      delegatees: wish.delegatees ?? otherwise.delegatees,
      domains: wish.domains ?? otherwise.domains,
    };
  }
}

const needsAdmin = ({ roles }: Actor, what: string): void => {
  if (!roles.has('admin')) throw new Refusal('api_forbidden', `${what} is an admin's to give`);
};

const factsOf = ({ uri, human, approver, groups, ceiling, keys }: PrincipalRecord) => ({
  principal: uri,
  human,
  approver,
  groups,
  ceiling,
  keys: keys.map(({ x, name }) => ({ name, thumbprint: thumbprintOf(x) })),
});
