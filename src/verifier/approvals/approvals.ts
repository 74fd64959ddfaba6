/** Approvals: asked for by a sidecar or a person, decided by an approver's signature, fetched by whom they are for. */
import type { Approval, ApprovalState, ApprovalWish } from '../../api/approvals.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Clock } from '../../ports.ts';
import { type Actor, SYSTEM } from '../actor.ts';
import { Edit, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { ConflictError } from '../store/store.ts';
import { APPROVAL, type ApprovalRecord, WAITING, waitingOf } from './approval-records.ts';
import { approverWith } from './approver-keys.ts';
import { factsOf, idOf, partiesOf, signerOf, verifyToken } from './wish.ts';

/** How long something waits for an approver; a refusal is remembered for as long. */
const WAIT_SECONDS = 4 * 3600;
/** All that is kept; what has ended goes first. */
const MAX_KEPT = 10_000;
const FORGET_AT_ONCE = 1000;

export interface ApprovalsOptions {
  readonly records: Records;
  readonly clock: Clock;
  /** The human behind a client. */
  readonly sessionOf: (id: AgentId) => Promise<{ readonly principal: string | undefined } | undefined>;
}

export interface Fetched {
  readonly state: ApprovalState | 'unknown';
  readonly token?: string;
  readonly why?: string;
}

export class Approvals {
  private readonly records: Records;
  private readonly clock: Clock;
  private readonly sessionOf: ApprovalsOptions['sessionOf'];

  constructor({ records, clock, sessionOf }: ApprovalsOptions) {
    this.records = records;
    this.clock = clock;
    this.sessionOf = sessionOf;
  }

  /** Asking again changes nothing. Refuses with `api_forbidden`, `api_busy`. */
  async ask(actor: Actor, wish: ApprovalWish): Promise<Approval> {
    checkAsker(actor, wish);
    const id = idOf(wish);
    for (;;) {
      const was = await this.records.get(APPROVAL, id);
      if (was !== undefined && this.stateOf(was.value) !== 'expired') return this.shown(was.value);
      try {
        return this.shown(await this.begin(actor, wish, id, was));
      } catch (error) {
        // The same was asked twice at once: one of the two is there now.
        if (!(error instanceof ConflictError)) throw error;
      }
    }
  }

  private async begin(
    actor: Actor,
    wish: ApprovalWish,
    id: string,
    was: Recorded<ApprovalRecord> | undefined,
  ): Promise<ApprovalRecord> {
    const now = this.now();
    const edit = new Edit();
    for (const { name, most } of partiesOf(wish)) {
      let waiting = 0;
      for (const one of await this.records.list(WAITING, { below: waitingOf(name) })) {
        if (one.value.ends > now) waiting++;
        else if (one.name !== `${waitingOf(name)}${id}`) edit.remove(WAITING, one);
      }
      if (waiting >= most) throw new Refusal('api_busy', `${name} has ${most} approvals waiting already`);
    }
    if ((await this.records.count(APPROVAL)) >= MAX_KEPT) await this.forgetEnded();
    const record: ApprovalRecord = {
      id,
      state: 'pending',
      asked: { at: now, by: actor.name },
      ...(actor.principal !== undefined && { askedFor: actor.principal }),
      ends: now + WAIT_SECONDS,
      wish,
    };
    edit.set(APPROVAL, id, record, was ?? null);
    for (const { name } of partiesOf(wish))
      edit.set(WAITING, `${waitingOf(name)}${id}`, { ends: record.ends });
    await this.records.commit(
      { event: 'approval.asked', actor, why: wish.purpose ?? '', data: factsOf(id, wish) },
      edit,
    );
    return record;
  }

  /** Refuses with `api_busy` when nothing can be forgotten. */
  private async forgetEnded(): Promise<void> {
    const ended = (await this.records.list(APPROVAL)).filter(
      ({ value }) => this.stateOf(value) === 'expired',
    );
    if (ended.length === 0) throw new Refusal('api_busy', `${MAX_KEPT} approvals are waiting already`);
    const edit = new Edit();
    for (const one of ended.slice(0, FORGET_AT_ONCE)) {
      edit.remove(APPROVAL, one);
      await this.stopWaiting(edit, one.name, one.value.wish);
    }
    const data = { count: Math.min(ended.length, FORGET_AT_ONCE) };
    await this.records.commit({ event: 'approval.forgotten', actor: SYSTEM, why: '', data }, edit);
  }

  /** In the order of their ids; without a state, whatever has not ended. */
  async list(
    page: { readonly after?: string | undefined; readonly limit: number },
    state?: ApprovalState,
  ): Promise<readonly Approval[]> {
    const found: Approval[] = [];
    let { after } = page;
    for (;;) {
      const some = await this.records.list(APPROVAL, {
        ...(after !== undefined && { after }),
        limit: page.limit,
      });
      for (const { value } of some) {
        const own = this.stateOf(value);
        if (state === undefined ? own !== 'expired' : own === state) found.push(this.shown(value));
        if (found.length === page.limit) return found;
      }
      if (some.length < page.limit) return found;
      after = some.at(-1)?.name;
    }
  }

  /** Refuses with `api_not_found`. */
  async get(id: string): Promise<Approval> {
    return this.shown((await this.read(id)).value);
  }

  /** Refuses with `api_not_found`, `api_conflict`, `approval_invalid`, `self_approval`, parse faults. */
  async grant(actor: Actor, id: string, token: string, why: string): Promise<Approval> {
    const was = await this.read(id);
    this.checkPending(was.value);
    const { wish } = was.value;
    const signer = signerOf(wish, token);
    if (!signer.ok) throw new Refusal(signer.reason, signer.detail);
    const approvers = await approverWith(this.records, signer.value);
    for (const { principal } of approvers.values()) await this.checkOther(was.value, principal, actor);
    const verified = verifyToken(wish, token, approvers, this.now());
    if (!verified.ok) throw new Refusal(verified.reason, verified.detail);
    const { approver, exp } = verified.value;
    const record: ApprovalRecord = {
      ...was.value,
      state: 'approved',
      ends: exp,
      decided: { at: this.now(), by: approver, why },
      token,
    };
    const data = { ...factsOf(id, wish), approver, key: signer.value, exp };
    await this.settle('approval.granted', actor, why, data, was, record);
    return this.shown(record);
  }

  /** Refuses with `api_not_found`, `api_conflict`. */
  async deny(actor: Actor, id: string, why: string): Promise<Approval> {
    const was = await this.read(id);
    this.checkPending(was.value);
    const record: ApprovalRecord = {
      ...was.value,
      state: 'denied',
      decided: { at: this.now(), by: actor.principal ?? actor.name, why },
    };
    await this.settle('approval.denied', actor, why, factsOf(id, was.value.wish), was, record);
    return this.shown(record);
  }

  /** For whom it is, and for nobody else. Refuses with `api_forbidden`. */
  async fetch(actor: Actor, id: string): Promise<Fetched> {
    const found = await this.records.get(APPROVAL, id);
    if (found === undefined) return { state: 'unknown' };
    checkAsker(actor, found.value.wish);
    const state = this.stateOf(found.value);
    const { token, decided } = found.value;
    if (state === 'denied') return { state, why: decided?.why ?? '' };
    if (token === undefined || (state !== 'approved' && state !== 'fetched')) return { state };
    if (state === 'approved') await this.noteFetched(actor, found);
    return { state: 'fetched', token };
  }

  private async noteFetched(actor: Actor, was: Recorded<ApprovalRecord>): Promise<void> {
    const edit = new Edit().set(APPROVAL, was.name, { ...was.value, state: 'fetched' }, was);
    const data = { id: was.name };
    try {
      await this.records.commit({ event: 'approval.fetched', actor, why: '', data }, edit);
    } catch (error) {
      // Fetched twice at once: the other one has noted it.
      if (!(error instanceof ConflictError)) throw error;
    }
  }

  private async settle(
    event: 'approval.granted' | 'approval.denied',
    actor: Actor,
    why: string,
    data: Readonly<Record<string, unknown>>,
    was: Recorded<ApprovalRecord>,
    record: ApprovalRecord,
  ): Promise<void> {
    const edit = new Edit().set(APPROVAL, was.name, record, was);
    await this.stopWaiting(edit, was.name, record.wish);
    await this.records.commit({ event, actor, why, data }, edit);
  }

  private async stopWaiting(edit: Edit, id: string, wish: ApprovalWish): Promise<void> {
    for (const { name } of partiesOf(wish)) {
      const waiting = await this.records.get(WAITING, `${waitingOf(name)}${id}`);
      if (waiting !== undefined) edit.remove(WAITING, waiting);
    }
  }

  /** Who asked, or on whose authority, or whose session acts: none of them approves. */
  private async checkOther(
    { wish, askedFor }: ApprovalRecord,
    approver: string,
    actor: Actor,
  ): Promise<void> {
    const refuse = (who: string): never => {
      throw new Refusal('self_approval', `${who} asks for this, and so can't approve it`);
    };
    if (approver === wish.principal || approver === askedFor) refuse(approver);
    if (actor.principal !== undefined && actor.principal === wish.principal) refuse(actor.principal);
    const agents = wish.kind === 'request' ? [wish.caller, ...wish.agents] : [wish.delegatee];
    for (const id of new Set(agents)) {
      if (id === actor.id) refuse(id);
      const session = await this.sessionOf(id);
      if (session?.principal === approver) refuse(approver);
    }
  }

  private checkPending(record: ApprovalRecord): void {
    const state = this.stateOf(record);
    if (state !== 'pending') throw new Refusal('api_conflict', `this approval is ${state}, and not pending`);
  }

  private async read(id: string): Promise<Recorded<ApprovalRecord>> {
    const found = await this.records.get(APPROVAL, id);
    if (found === undefined) throw new Refusal('api_not_found', `no approval has the id ${id}`);
    return found;
  }

  private stateOf({ state, ends }: ApprovalRecord): ApprovalState {
    return this.now() >= ends ? 'expired' : state;
  }

  private shown({ token: _token, askedFor: _askedFor, ...record }: ApprovalRecord): Approval {
    return { ...record, state: this.stateOf({ ...record }) };
  }

  private now(): number {
    return Math.floor(this.clock.now() / 1000);
  }
}

/** A request is the callee's to ask for; a link its principal's, or an operator's at the verifier itself. */
const checkAsker = (actor: Actor, wish: ApprovalWish): void => {
  if (wish.kind === 'request') {
    if (actor.id !== wish.callee)
      throw new Refusal('api_forbidden', `only the sidecar of ${wish.callee} asks for this`);
    return;
  }
  const operates = actor.roles.has('admin') || actor.roles.has('operator');
  if (!operates && actor.principal !== wish.principal)
    throw new Refusal('api_forbidden', `only ${wish.principal} or an operator asks for this`);
};
