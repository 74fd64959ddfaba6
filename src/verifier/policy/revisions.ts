/** Policy revisions: published, approved by a second person where that is wanted, rolled back; never changed. */
import type { PolicyPublished, PolicyRevision, WholePolicyRevision } from '../../api/policy.ts';
import type { ChainLimits } from '../../core/delegation/chain.ts';
import type { ScopeSets } from '../../core/delegation/scope.ts';
import type { JsonObject } from '../../core/encoding/json.ts';
import { DEFAULT_LINK_TTL_SECONDS, DEFAULT_MAX_DEPTH } from '../../core/limits.ts';
import type { Policy } from '../../core/policy/model.ts';
import { readPolicy } from '../../core/policy/read.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, type EventName, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import type { Telling } from '../revocation/revocations.ts';
import { compileText } from './compile.ts';
import {
  factsOf,
  HEAD,
  nameOfNumber,
  POLICY_HEAD,
  POLICY_NAME,
  POLICY_REVISION,
  type PolicyRevisionRecord,
  wholeOf,
} from './policy-records.ts';
import { secondPersonFault } from './second-person.ts';

export interface PolicyParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly telling: Telling;
  /** Whether somebody else must approve before a revision is in force. */
  readonly secondApprover: boolean;
}

/** Where no policy is in force: chains can be looked at, and nothing is allowed. */
const WITHOUT_POLICY: { readonly scopeSets: ScopeSets; readonly limits: ChainLimits } = {
  scopeSets: {},
  limits: {
    maxDepth: DEFAULT_MAX_DEPTH,
    linkTtlSeconds: DEFAULT_LINK_TTL_SECONDS,
    callbacks: false,
    humanRoot: true,
  },
};

type Head = { readonly current: number; readonly last: number };
/** What a new revision says besides what everyone has. */
type Wish = Pick<PolicyRevisionRecord, 'source' | 'commit' | 'tests' | 'why' | 'rollbackTo'>;

export class PolicyRevisions {
  private readonly parts: PolicyParts;
  private read: { readonly n: number; readonly policy: Policy } | undefined;

  constructor(parts: PolicyParts) {
    this.parts = parts;
  }

  /** The newest first. */
  async history({
    before,
    limit = 50,
  }: {
    readonly before?: number | undefined;
    readonly limit?: number;
  } = {}) {
    const { last } = (await this.head()).value;
    const found: PolicyRevision[] = [];
    for (let n = Math.min(last, (before ?? last + 1) - 1); n > 0 && found.length < limit; n--)
      found.push(factsOf(wholeOf((await this.recorded(n)).value)));
    return found;
  }

  /** Throws `api_not_found`. */
  async get(n: number): Promise<WholePolicyRevision> {
    return wholeOf((await this.recorded(n)).value);
  }

  /** The revision in force. Throws `policy_unavailable`. */
  async inForce(): Promise<WholePolicyRevision> {
    const { current } = (await this.head()).value;
    if (current === 0)
      throw new Refusal(
        'policy_unavailable',
        'no policy is in force yet; publish one: hopgate policy publish FILE',
      );
    return this.get(current);
  }

  /** The policy in force; undefined when there is none yet. */
  async policy(): Promise<Policy | undefined> {
    const { current } = (await this.head()).value;
    if (current === 0) return undefined;
    if (this.read?.n !== current) {
      const policy = readPolicy((await this.recorded(current)).value.policy as JsonObject);
      if (!policy.ok) throw new Error(`policy revision ${current} can’t be read: ${policy.detail}`);
      this.read = { n: current, policy: policy.value };
    }
    return this.read.policy;
  }

  /** What others ask of the policy in force; without one, the defaults and no scope sets. */
  async current(): Promise<{ readonly scopeSets: ScopeSets; readonly limits: ChainLimits }> {
    return (await this.policy()) ?? WITHOUT_POLICY;
  }

  async scopeSets(): Promise<ScopeSets> {
    return (await this.current()).scopeSets;
  }

  /** Throws `policy_invalid`, `api_conflict`. */
  async publish(
    actor: Actor,
    wish: Omit<Wish, 'rollbackTo'> & { readonly base?: number | undefined },
  ): Promise<PolicyPublished> {
    const { base, ...rest } = wish;
    return this.add(actor, rest, base);
  }

  /** Throws `api_not_found`, `api_conflict`, `policy_invalid` when this version of hopgate reads it otherwise. */
  async rollback(
    actor: Actor,
    { to, base, why }: { readonly to: number; readonly base?: number | undefined; readonly why: string },
  ): Promise<PolicyPublished> {
    const { value } = await this.recorded(to);
    if (value.state === 'proposed' || (value.state === 'superseded' && !(await this.wasInForce(value))))
      throw new Refusal('api_conflict', `revision ${to} was never in force; publish its text if you want it`);
    const { source, commit } = value;
    return this.add(actor, { source, ...(commit !== undefined && { commit }), why, rollbackTo: to }, base);
  }

  /** Throws `api_not_found`, `api_conflict`, `self_approval`. */
  async approve(
    actor: Actor,
    n: number,
    { digest, why }: { readonly digest: string; readonly why: string },
  ): Promise<PolicyPublished> {
    const was = await this.recorded(n);
    const head = await this.head();
    const { value } = was;
    if (value.state !== 'proposed')
      throw new Refusal('api_conflict', `revision ${n} is ${value.state}: there is nothing to approve`);
    if (value.digest !== digest)
      throw new Refusal('api_conflict', `revision ${n} is not what you have looked at: its digest differs`);
    if (value.base !== head.value.current)
      throw new Refusal(
        'api_conflict',
        `revision ${n} was proposed over ${value.base}, and ${head.value.current} is in force now: propose it anew`,
      );
    const fault = secondPersonFault(value.author, value.person, actor);
    if (fault !== undefined) throw new Refusal('self_approval', fault);
    const approvals = [...value.approvals, { actor: actor.name, why, at: this.now }];
    return this.putInForce({ ...value, approvals }, was, head, actor, why, 'policy.approved');
  }

  private async add(actor: Actor, wish: Wish, base: number | undefined): Promise<PolicyPublished> {
    const compiled = compileText(wish.source, 'policy.yaml');
    if (!compiled.ok) throw new Refusal(compiled.reason, compiled.detail);
    const { digest, json, policy } = compiled.value;
    const head = await this.head();
    const { current, last } = head.value;
    if (base !== undefined && base !== current)
      throw new Refusal(
        'api_conflict',
        `revision ${current} is in force meanwhile, and you have looked at ${base}`,
      );
    const inForce = current === 0 ? undefined : (await this.recorded(current)).value;
    if (inForce?.digest === digest)
      return { revision: factsOf(wholeOf(inForce)), isNew: false, bundle: await this.told(head.revision) };
    await this.checkName(policy.revision, digest);
    const record: PolicyRevisionRecord = {
      ...wish,
      n: last + 1,
      revision: policy.revision,
      digest,
      author: actor.name,
      at: this.now,
      state: 'proposed',
      base: current,
      approvals: [],
      policy: json as PolicyRevisionRecord['policy'],
      person: { ...(actor.id && { id: actor.id }), ...(actor.principal && { principal: actor.principal }) },
    };
    const event = record.rollbackTo === undefined ? 'policy.published' : 'policy.rolled_back';
    // The verifier's own first policy is there before there is anybody to approve it.
    if (!this.parts.secondApprover || (actor.kind === 'system' && last === 0))
      return this.putInForce(record, null, head, actor, wish.why, event);
    const edit = new Edit()
      .set(POLICY_REVISION, nameOfNumber(record.n), record, null)
      .set(POLICY_HEAD, HEAD, { current, last: record.n }, head.record);
    await this.parts.records.commit(
      { event: 'policy.proposed', actor, why: wish.why, data: dataOf(record) },
      edit,
    );
    return { revision: factsOf(wholeOf(record)), isNew: true };
  }

  private async putInForce(
    record: PolicyRevisionRecord,
    was: Recorded<PolicyRevisionRecord> | null,
    head: HeadRead,
    actor: Actor,
    why: string,
    event: EventName,
  ): Promise<PolicyPublished> {
    const { n, base } = record;
    const name = await this.checkName(record.revision, record.digest);
    const next: PolicyRevisionRecord = { ...record, state: 'current' };
    const edit = new Edit()
      .set(POLICY_REVISION, nameOfNumber(n), next, was)
      .set(POLICY_HEAD, HEAD, { current: n, last: Math.max(head.value.last, n) }, head.record);
    if (name === undefined) edit.set(POLICY_NAME, record.revision, { digest: record.digest }, null);
    // Whatever else was proposed over the same base can't be approved any more, and says so.
    for (let other = Math.max(base, 1); other <= head.value.last; other++) {
      if (other === n) continue;
      const before = await this.recorded(other);
      if (before.value.state === 'superseded') continue;
      edit.set(POLICY_REVISION, before.name, { ...before.value, state: 'superseded' }, before);
    }
    const revision = await this.parts.records.commit({ event, actor, why, data: dataOf(next) }, edit);
    return { revision: factsOf(wholeOf(next)), isNew: true, bundle: await this.told(revision) };
  }

  private async checkName(revision: string, digest: string) {
    const name = await this.parts.records.get(POLICY_NAME, revision);
    if (name !== undefined && name.value.digest !== digest)
      throw new Refusal(
        'api_conflict',
        `"${revision}" was in force with another content, and audit logs call it so: change "revision:" in the file`,
      );
    return name;
  }

  private async wasInForce({ revision, digest }: PolicyRevisionRecord): Promise<boolean> {
    return (await this.parts.records.get(POLICY_NAME, revision))?.value.digest === digest;
  }

  private async recorded(n: number): Promise<Recorded<PolicyRevisionRecord>> {
    const found = await this.parts.records.get(POLICY_REVISION, nameOfNumber(n));
    if (found === undefined) throw new Refusal('api_not_found', `there is no policy revision ${n}`);
    return found;
  }

  private async head(): Promise<HeadRead> {
    const found = await this.parts.records.get(POLICY_HEAD, HEAD);
    return {
      value: found?.value ?? { current: 0, last: 0 },
      revision: found?.revision ?? 0,
      record: found ?? null,
    };
  }

  private async told(revision: number) {
    await this.parts.telling.whenPublished(revision);
    const { epoch, seq } = this.parts.telling.current;
    return { epoch, seq };
  }

  private get now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }
}

interface HeadRead {
  readonly value: Head;
  readonly revision: number;
  readonly record: Recorded<Head> | null;
}

const dataOf = ({ n, revision, digest, base, commit, rollbackTo, author }: PolicyRevisionRecord) => ({
  n,
  revision,
  digest,
  base,
  author,
  ...(commit !== undefined && { commit }),
  ...(rollbackTo !== undefined && { rollbackTo }),
});
