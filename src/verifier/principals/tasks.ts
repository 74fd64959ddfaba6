/** Tasks: heard of by their chain, renewed as long as their principal stands and policy gives them time, ended for good. */
import type { LinkWish } from '../../api/logins.ts';
import type { TaskOutcome, TaskRecord } from '../../api/tasks.ts';
import type { VerifiedChain } from '../../core/delegation/chain.ts';
import { admitKey, thumbprintOf } from '../../core/keys.ts';
import { type AgentId, agentTypeOf } from '../../core/spiffe-id.ts';
import { parseRevocationRequest, verifyRevocationRequest } from '../../core/trust/revocation-request.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, type EventBody, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import type { FirstLinks } from './first-links.ts';
import { nameOf, PRINCIPAL, TASK } from './kinds.ts';
import type { Sessions } from './sessions.ts';
import type { PresentTrust } from './trust.ts';

/** Filled by revocation: what the task granted counts for nothing from this commit on. */
export interface TaskRevoking {
  revokeTask(
    actor: Actor,
    target: { readonly task: string; readonly principal: string },
    why: string,
  ): Promise<void>;
}

export interface TaskParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly trust: PresentTrust;
  readonly links: FirstLinks;
  readonly sessions: Sessions;
  readonly revoking: TaskRevoking;
}

/** A record outlives its task by so much, for who asks what became of it; a task that renews is bounded by policy. */
const KEPT_SECONDS = 7 * 86_400;
const MAX_PARTIES = 16;
/** What one principal has on record, ended or not. */
const MOST_OF_ONE = 10_000;
const SWEPT_AT_ONCE = 100;

export class Tasks {
  private readonly parts: TaskParts;

  constructor(parts: TaskParts) {
    this.parts = parts;
  }

  async list(principal?: string): Promise<readonly TaskRecord[]> {
    const below = principal === undefined ? '' : `${nameOf(principal)}/`;
    return (await this.parts.records.list(TASK, { below })).map(({ value }) => value);
  }

  /** Makes a task known by its chain. Refuses with what a sidecar would refuse it for. */
  async register(actor: Actor, text: string): Promise<TaskRecord> {
    const now = this.now();
    const chain = await this.parts.trust.verify(text, now);
    const known = await this.read(chain.principal, chain.task);
    if (known !== undefined && isKnown(known.value, chain)) return known.value;
    const edit = new Edit();
    const events = await this.took(edit, actor, chain, now);
    await this.parts.records.commit(events, edit);
    return (await this.found(chain.principal, chain.task)).value;
  }

  /** Notes a chain of a task, within another change. Throws `revoked_task`, `claim_invalid`. */
  async took(edit: Edit, actor: Actor, chain: VerifiedChain, now: number): Promise<readonly EventBody[]> {
    const { principal, task, root } = chain;
    const was = await this.read(principal, task);
    if (was?.value.ended !== undefined) throw new Refusal('revoked_task', `the task ${task} has ended`);
    const start = root.taskStart ?? root.iat;
    if (was !== undefined && was.value.start !== start)
      throw new Refusal('claim_invalid', `the task began at ${was.value.start}, the link says ${start}`);
    if (was === undefined && (await this.parts.records.count(TASK, `${nameOf(principal)}/`)) >= MOST_OF_ONE)
      throw new Refusal('api_busy', `${principal} has ${MOST_OF_ONE} tasks on record already`);
    const isRenewal = root.renews !== undefined && was !== undefined && root.exp > was.value.exp;
    const record: TaskRecord = {
      task,
      principal,
      start,
      exp: Math.max(was?.value.exp ?? 0, root.exp),
      renewals: (was?.value.renewals ?? 0) + (isRenewal ? 1 : 0),
      parties: [...new Set([...(was?.value.parties ?? []), ...partiesOf(chain)])].slice(0, MAX_PARTIES),
    };
    edit.set(TASK, nameOf(principal, task), record, was ?? null);
    await this.sweep(edit, nameOf(principal, task), now);
    return [
      {
        event: isRenewal ? 'task.renewed' : 'task.registered',
        actor,
        why: '',
        data: { ...record, link: root.id, scope: root.scope, anchor: root.anchor },
      },
    ];
  }

  /** Refuses with `api_not_found`, `api_forbidden`, `revoked_task`. Ends it once; the second time it says how it ended. */
  async end(
    actor: Actor,
    wish: {
      readonly task: string;
      readonly principal: string;
      readonly outcome: TaskOutcome;
      readonly why: string;
      readonly proof?: string | undefined;
      readonly chain?: string | undefined;
    },
  ): Promise<TaskRecord> {
    const { task, principal, why, outcome } = wish;
    const now = this.now();
    const was = await this.read(principal, task);
    const by = await this.mayEnd(actor, wish, was?.value, now);
    if (was?.value.ended !== undefined) return was.value;
    const record: TaskRecord = {
      ...(was?.value ?? { task, principal, start: now, exp: now, renewals: 0, parties: [] }),
      ended: { at: now, by, outcome, why },
    };
    // First: what is revoked and not yet noted here is over; the other way round it would only look so.
    await this.parts.revoking.revokeTask(actor, { task, principal }, why);
    const edit = new Edit().set(TASK, nameOf(principal, task), record, was ?? null);
    await this.parts.records.commit(
      { event: 'task.ended', actor, why, data: { task, principal, outcome, by } },
      edit,
    );
    return record;
  }

  /**
   * Goes on with a task: with an L0 that a key of the principal has signed, or one by the root issuer for the task's
   * session. Refuses with `task_too_old`, `revoked_task`, `standing_lost`, `api_*`, and what a sidecar would refuse.
   */
  async renew(
    actor: Actor,
    wish: {
      readonly task: string;
      readonly principal: string;
      readonly link?: string | undefined;
      readonly wish: LinkWish;
    },
  ): Promise<{ readonly task: TaskRecord; readonly link: string }> {
    const { task, principal } = wish;
    const now = this.now();
    const { text, chain } =
      wish.link === undefined
        ? await this.renewedBySession(actor, principal, task, wish.wish, now)
        : { text: wish.link, chain: await this.parts.trust.verify(wish.link, now) };
    if (chain.links.length !== 1 || chain.principal !== principal || chain.root.renews !== task)
      throw new Refusal('api_malformed', 'the link is no first link that renews this task of this principal');
    const edit = new Edit();
    const events = await this.took(edit, actor, chain, now);
    await this.parts.records.commit(events, edit);
    return { task: (await this.found(principal, task)).value, link: text };
  }

  /** What a login goes on with. Throws `api_not_found`, `revoked_task`. */
  async renewable(
    principal: string,
    task: string,
  ): Promise<{ readonly task: string; readonly start: number }> {
    const { value } = await this.found(principal, task);
    if (value.ended !== undefined) throw new Refusal('revoked_task', `the task ${task} has ended`);
    return { task, start: value.start };
  }

  private async renewedBySession(
    { id }: Actor,
    principal: string,
    task: string,
    wish: LinkWish,
    now: number,
  ) {
    const { sessions, links } = this.parts;
    if (id === undefined)
      throw new Refusal(
        'api_unauthenticated',
        'this needs the SVID of a session, or a link by the principal’s key',
      );
    const session = await sessions.live(id);
    if (session.principal !== principal)
      throw new Refusal('api_forbidden', `${id} is a session of ${session.principal}`);
    return links.mint(session, wish, now, await this.renewable(principal, task));
  }

  /** Who ends it, for the record. */
  private async mayEnd(
    { roles, id, principal: human, name }: Actor,
    wish: {
      readonly task: string;
      readonly principal: string;
      readonly proof?: string | undefined;
      readonly chain?: string | undefined;
    },
    known: TaskRecord | undefined,
    now: number,
  ): Promise<string> {
    const { task, principal, proof } = wish;
    if (roles.has('admin') || roles.has('operator')) return name;
    if (human === principal) return name;
    if (proof !== undefined) {
      await this.checkProof(proof, principal, task, now);
      return principal;
    }
    if (id !== undefined && (await this.partiesIn(wish, known, now)).includes(id)) return id;
    throw new Refusal(
      'api_forbidden',
      'a task is ended by an operator, its principal, its session or its first agent',
    );
  }

  /** Sent a second time it ends what has ended: nothing to be remembered. */
  private async checkProof(text: string, principal: string, task: string, now: number): Promise<void> {
    const parsed = parseRevocationRequest(text);
    if (!parsed.ok) throw new Refusal(parsed.reason, parsed.detail);
    const { kid, request } = parsed.value;
    if (request.principal !== principal || !('task' in request.target) || request.target.task !== task)
      throw new Refusal('api_forbidden', 'the proof is for another task or principal');
    const record = await this.parts.records.get(PRINCIPAL, nameOf(principal));
    const x = record?.value.keys.find((one) => thumbprintOf(one.x) === kid)?.x;
    const key = x === undefined ? undefined : admitKey(x);
    if (key === undefined || !key.ok)
      throw new Refusal('api_forbidden', `the proof is not by a key of ${principal}`);
    const { trustDomain } = this.parts;
    const verdict = verifyRevocationRequest(parsed.value, { trustDomain, key: key.value, now });
    if (!verdict.ok) throw new Refusal(verdict.reason, verdict.detail);
  }

  private async partiesIn(
    { task, principal, chain: text }: { task: string; principal: string; chain?: string | undefined },
    known: TaskRecord | undefined,
    now: number,
  ): Promise<readonly string[]> {
    if (text === undefined) return known?.parties ?? [];
    const chain = await this.parts.trust.verify(text, now);
    const same = chain.task === task && chain.principal === principal;
    return [...(known?.parties ?? []), ...(same ? partiesOf(chain) : [])];
  }

  /** Ids of tasks are hashes, so that each new one is a fair place to look for old ones from. */
  private async sweep(edit: Edit, after: string, now: number): Promise<void> {
    for (const one of await this.parts.records.list(TASK, { after, limit: SWEPT_AT_ONCE }))
      if (one.value.exp + KEPT_SECONDS < now) edit.remove(TASK, one);
  }

  private read(principal: string, task: string): Promise<Recorded<TaskRecord> | undefined> {
    return this.parts.records.get(TASK, nameOf(principal, task));
  }

  private async found(principal: string, task: string): Promise<Recorded<TaskRecord>> {
    const found = await this.read(principal, task);
    if (found === undefined)
      throw new Refusal('api_not_found', `the verifier has heard of no task ${task} of ${principal}`);
    return found;
  }

  private now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }
}

/** The delegatee of the first link, and where that is a session, the agent that it delegated to: not whoever comes after. */
const partiesOf = ({ links }: VerifiedChain): readonly AgentId[] => {
  const first = links[0]?.delegatee;
  if (first === undefined) return [];
  const second = links[1]?.delegatee;
  return agentTypeOf(first) === 'client' && second !== undefined ? [first, second] : [first];
};

const isKnown = (record: TaskRecord, chain: VerifiedChain): boolean =>
  record.exp >= chain.root.exp && partiesOf(chain).every((id) => record.parties.includes(id));
