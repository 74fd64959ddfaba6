/** Revocation: what ends early, by whose word; on record, and in the bundle that tells every sidecar, before it is acknowledged. */
import type { Revocation, RevocationDone, RevocationTarget, Revoked } from '../../api/revocations.ts';
import type { ReasonCode } from '../../core/reasons.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Denial, Verdict } from '../../core/verdict.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import type { GrantRevoking } from '../principals/principals.ts';
import type { TaskRevoking } from '../principals/tasks.ts';
import { Edit, type EventBody, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { HELD_KEY } from '../registry/agent-records.ts';
import type { BarredBy, Barring } from '../registry/barring.ts';
import { ConflictError } from '../store/store.ts';
import { checkActor, checkPrincipal } from './authors.ts';
import { endOf, type LongestLives } from './ends.ts';
import { type ChainTrust, type PresentedLink, verifyPresented } from './presented-chain.ts';
import { eventOf, nameOfRevoked, REVOCATION, saysMore } from './revocation-records.ts';
import { speaksFor, takeOnce, verifySigned } from './signed-requests.ts';

/** What revocation asks of publication. */
export interface Telling {
  /** Resolves when a bundle that carries all up to this commit is out. */
  whenPublished(revision: number): Promise<void>;
  readonly current: { readonly epoch: number; readonly seq: number };
}

export interface RevocationParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly telling: Telling;
  /** The newest bundle, verified. */
  readonly trust: () => ChainTrust;
  readonly longest: () => Promise<LongestLives>;
}

/** What is to be put on record, and what its chain showed. */
export interface Resolved {
  readonly revoked: Revoked;
  readonly until: number | null;
  readonly presented: PresentedLink | undefined;
}

/** An agent or principal fills bundles with so many an hour and no more. */
const MOST_AN_HOUR = 200;
const HOUR_SECONDS = 3600;
const ATTEMPTS = 3;

export class Revocations implements Barring, TaskRevoking, GrantRevoking {
  private readonly parts: RevocationParts;
  /** By author, not counting operators: when this hour began, and how many since. */
  private readonly spent = new Map<string, { since: number; count: number }>();

  constructor(parts: RevocationParts) {
    this.parts = parts;
  }

  async list(page: { readonly after?: string; readonly limit?: number } = {}) {
    return (await this.parts.records.list(REVOCATION, page)).map(({ name, value }) => ({
      id: name,
      ...value,
    }));
  }

  find(revoked: Revoked): Promise<Recorded<Revocation> | undefined> {
    return this.parts.records.get(REVOCATION, nameOfRevoked(revoked));
  }

  /** Throws a `Refusal`: `api_forbidden`, and what a chain is refused for. */
  async revoke(actor: Actor, target: RevocationTarget, why: string): Promise<RevocationDone> {
    const resolved = await this.resolve(target);
    refuse(checkActor(actor, resolved.revoked, resolved.presented));
    if (!isFree(actor)) this.spend(actor.name);
    return this.putOnRecord(actor, actor.name, resolved, why, () => undefined);
  }

  /** By the signed word of a principal, whoever brings it. Throws a `Refusal`: `api_forbidden`, parse faults, `key_*`. */
  async request(
    actor: Actor,
    sent: { readonly request: string; readonly chain?: string | undefined; readonly why: string },
  ): Promise<RevocationDone> {
    const trust = this.parts.trust();
    const signed = permitted(verifySigned(sent.request, trust, this.now));
    const { principal, target } = signed.request;
    const resolved = await this.resolve(
      'link' in target
        ? sent.chain === undefined
          ? { link: target.link }
          : { chain: sent.chain, link: target.link }
        : 'task' in target
          ? { task: target.task, principal }
          : 'key' in target
            ? { key: target.key }
            : { principal, before: Math.min(target.before, this.now + 1) },
    );
    const owns = (thumbprint: string) => speaksFor(trust, thumbprint, principal);
    refuse(checkPrincipal(principal, target, resolved.presented, owns));
    const taken = await takeOnce(this.parts.records, signed, this.now);
    this.spend(principal);
    return this.putOnRecord(actor, principal, resolved, sent.why, taken);
  }

  /** Lets a revoked agent take part again. Throws `api_not_found`. */
  async lift(actor: Actor, agent: AgentId, why: string): Promise<{ agent: string; bundle: BundleName }> {
    const was = await this.find({ agent });
    if (was === undefined) throw new Refusal('api_not_found', `${agent} is not revoked`);
    const edit = new Edit().remove(REVOCATION, was);
    const revision = await this.parts.records.commit(
      { event: 'agent.restored', actor, why, data: { agent } },
      edit,
    );
    return { agent, bundle: await this.told(revision) };
  }

  /** What a target comes to. Throws a `Refusal` when a chain does not hold. */
  async resolve(target: RevocationTarget): Promise<Resolved> {
    const { now } = this;
    const longest = await this.parts.longest();
    const resolved = (revoked: Revoked, more: object = {}, presented?: PresentedLink): Resolved => ({
      revoked,
      until: endOf(revoked, { now, longest, ...more }),
      presented,
    });
    if ('chain' in target) {
      const presented = permitted(verifyPresented(target.chain, target.link, this.parts.trust(), now));
      const { link, parent } = presented;
      // Under the same parent it could be made again, so its bar lasts as long as the parent.
      return parent === undefined
        ? resolved({ link: link.id }, { linkExp: link.exp }, presented)
        : resolved(
            { link: link.id, parent: parent.id, delegatee: link.delegatee },
            { linkExp: parent.exp },
            presented,
          );
    }
    if ('key' in target)
      return resolved({ key: target.key }, { isAgentKey: await this.isAgentKey(target.key) });
    if ('principal' in target && !('task' in target)) {
      // Links of this very second too; a time to come would bar what nobody has granted yet.
      const before = target.before ?? now + 1;
      if (before > now + 1)
        throw new Refusal(
          'api_malformed',
          'before: no later than now; what is still to come can’t be revoked',
        );
      return resolved({ principal: target.principal, before });
    }
    return resolved(target);
  }

  // For the registry, principals and tasks, which have asked who may already.

  async bar(edit: Edit, id: AgentId, by: BarredBy): Promise<readonly EventBody[]> {
    return this.addTo(edit, { agent: id }, by);
  }

  async keyLost(edit: Edit, _id: AgentId, thumbprint: string, by: BarredBy): Promise<readonly EventBody[]> {
    return this.addTo(edit, { key: thumbprint, lost: true }, by, true);
  }

  async barred(id: AgentId, thumbprint: string | undefined): Promise<ReasonCode | undefined> {
    if ((await this.find({ agent: id })) !== undefined) return 'revoked_agent';
    const key = thumbprint === undefined ? undefined : await this.find({ key: thumbprint });
    if (key === undefined) return undefined;
    return 'lost' in key.value.revoked ? 'agent_key_lost' : 'revoked_key';
  }

  async endGrants(edit: Edit, principal: string, by: BarredBy): Promise<readonly EventBody[]> {
    // Links of this very second too.
    return this.addTo(edit, { principal, before: this.now + 1 }, by);
  }

  async revokeTask(
    actor: Actor,
    { task, principal }: { readonly task: string; readonly principal: string },
    why: string,
  ): Promise<void> {
    if (!isFree(actor)) this.spend(principal);
    await this.putOnRecord(actor, actor.name, await this.resolve({ task, principal }), why, () => undefined);
  }

  private async addTo(edit: Edit, revoked: Revoked, { actor, why }: BarredBy, isAgentKey = false) {
    const was = await this.find(revoked);
    if (was !== undefined && !saysMore(revoked, was.value.revoked)) return [];
    const until = endOf(revoked, { now: this.now, longest: await this.parts.longest(), isAgentKey });
    const record = { revoked, by: actor.name, why, at: this.now, until };
    edit.set(REVOCATION, nameOfRevoked(revoked), record, was ?? null);
    return [{ event: eventOf(revoked), actor, why, data: factsOf(record) }];
  }

  private async putOnRecord(
    actor: Actor,
    by: string,
    { revoked, until }: Resolved,
    why: string,
    besides: (edit: Edit) => void,
  ): Promise<RevocationDone> {
    for (let attempt = 1; ; attempt++) {
      const was = await this.find(revoked);
      const isNew =
        was === undefined || saysMore(revoked, was.value.revoked) || outlasts(until, was.value.until);
      const record = isNew ? { revoked, by, why, at: this.now, until } : was.value;
      const edit = new Edit();
      besides(edit);
      if (isNew) edit.set(REVOCATION, nameOfRevoked(revoked), record, was ?? null);
      const event: EventBody = { event: eventOf(revoked), actor, why, data: { by, ...factsOf(record) } };
      try {
        const revision =
          isNew || edit.put.length > 0
            ? await this.parts.records.commit(
                isNew ? event : { ...event, event: 'revocation.repeated' },
                edit,
              )
            : was.revision;
        return { ...record, isNew, bundle: await this.told(revision) };
      } catch (error) {
        // Two at once, of the same target: the second one reads what the first has written.
        if (!(error instanceof ConflictError) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  private async told(revision: number): Promise<BundleName> {
    await this.parts.telling.whenPublished(revision);
    const { epoch, seq } = this.parts.telling.current;
    return { epoch, seq };
  }

  private async isAgentKey(thumbprint: string): Promise<boolean> {
    if (this.parts.trust().anchors.has(thumbprint)) return false;
    return (await this.parts.records.get(HELD_KEY, thumbprint)) !== undefined;
  }

  private spend(author: string): void {
    const { now } = this;
    let spent = this.spent.get(author);
    if (spent === undefined || now >= spent.since + HOUR_SECONDS) {
      for (const [name, { since }] of this.spent) if (now >= since + HOUR_SECONDS) this.spent.delete(name);
      spent = { since: now, count: 0 };
      this.spent.set(author, spent);
    }
    spent.count++;
    if (spent.count > MOST_AN_HOUR)
      throw new Refusal('api_busy', `more than ${MOST_AN_HOUR} revocations in an hour; ask an operator`);
  }

  private get now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }
}

interface BundleName {
  readonly epoch: number;
  readonly seq: number;
}

const isFree = ({ roles }: Actor): boolean => roles.has('admin') || roles.has('operator');

const outlasts = (next: number | null, was: number | null): boolean =>
  was !== null && (next === null || next > was + HOUR_SECONDS);

const factsOf = ({ revoked, until }: Pick<Revocation, 'revoked' | 'until'>) => ({
  ...revoked,
  ...(until !== null && { until }),
});

const refuse = (denial: Denial | undefined): void => {
  if (denial !== undefined) throw new Refusal(denial.reason, denial.detail);
};

const permitted = <T>(verdict: Verdict<T>): T => {
  if (!verdict.ok) throw new Refusal(verdict.reason, verdict.detail);
  return verdict.value;
};
