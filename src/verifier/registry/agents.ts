/** Agents that have enrolled: looked at, and retired. */
import type { AgentView, Entry } from '../../api/registry.ts';
import { type AgentId, agentTypeOf } from '../../core/spiffe-id.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, type EventBody, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { AGENT, type AgentRecord, viewOf } from './agent-records.ts';
import type { Barring } from './barring.ts';
import { ENTRY, type Entries } from './entries.ts';

/** So many agents of one entry are retired in one commit; what follows waits for the next. */
const BATCH = 200;

export class Agents {
  private readonly records: Records;
  private readonly clock: Clock;
  private readonly entries: Entries;
  private readonly barring: Barring;
  private readonly isSession: (id: AgentId) => Promise<boolean>;

  constructor(
    records: Records,
    clock: Clock,
    entries: Entries,
    barring: Barring,
    isSession: (id: AgentId) => Promise<boolean>,
  ) {
    this.isSession = isSession;
    this.records = records;
    this.clock = clock;
    this.entries = entries;
    this.barring = barring;
  }

  async list(page: { readonly after?: string; readonly limit?: number } = {}): Promise<readonly AgentView[]> {
    const found = await this.records.list(AGENT, page);
    return Promise.all(found.map(({ value }) => this.view(value)));
  }

  find(id: AgentId): Promise<Recorded<AgentRecord> | undefined> {
    return this.records.get(AGENT, id);
  }

  /** Throws `api_not_found`. */
  async get(id: AgentId): Promise<AgentView> {
    return this.view((await this.recorded(id)).value);
  }

  /** An agent whose credentials still run is not live when it, or its key, was revoked. */
  private async view(record: AgentRecord): Promise<AgentView> {
    const view = viewOf(record, this.now);
    if (view.state === 'retired') return view;
    const barred = await this.barring.barred(record.id, record.thumbprint);
    return barred === undefined ? view : { ...view, state: 'revoked' };
  }

  /** Whether an ID, by an SVID of this age, is nobody any more. For every request: one read, and what revocation knows. */
  async isBarred(id: AgentId, svidIssuedAt: number): Promise<boolean> {
    const record = await this.find(id);
    // Who has logged in is somebody until the session ends, which its SVID may outlive.
    if (record === undefined && agentTypeOf(id) === 'client' && !(await this.isSession(id))) return true;
    if (record?.value.state === 'retired') return true;
    if (svidIssuedAt < (record?.value.svidsSince ?? 0)) return true;
    return (await this.barring.barred(id, record?.value.thumbprint)) !== undefined;
  }

  /** Revoked in the same commit, and never renewed. Throws `api_not_found`. */
  async retire(actor: Actor, id: AgentId, why: string): Promise<AgentView> {
    const was = await this.recorded(id);
    if (was.value.state === 'retired') return viewOf(was.value, this.now);
    const edit = new Edit();
    await this.records.commit(await this.retirement(edit, was, actor, why), edit);
    return viewOf({ ...was.value, state: 'retired' }, this.now);
  }

  /**
   * The entry first, so that no agent comes after; then its agents. Asked again after a fault, it goes on.
   * Throws `api_not_found`.
   */
  async retireEntry(
    actor: Actor,
    name: string,
    why: string,
  ): Promise<{ readonly entry: Entry; readonly agents: readonly AgentId[] }> {
    const was = await this.entries.recorded(name);
    let { value: entry } = was;
    if (entry.state === 'active') {
      entry = { ...entry, state: 'retired', updatedAt: this.now };
      const edit = new Edit().set(ENTRY, name, entry, was);
      await this.entries.forgetNames(edit, entry);
      await this.records.commit(
        { event: 'entry.retired', actor, why, data: { entry: name, id: entry.id } },
        edit,
      );
    }
    const agents: AgentId[] = [];
    for await (const batch of this.liveOf(name)) {
      const edit = new Edit();
      const events: EventBody[] = [];
      for (const agent of batch) events.push(...(await this.retirement(edit, agent, actor, why)));
      await this.records.commit(events, edit);
      agents.push(...batch.map(({ value }) => value.id));
    }
    return { entry, agents };
  }

  private async *liveOf(entry: string): AsyncGenerator<readonly Recorded<AgentRecord>[]> {
    let after: string | undefined;
    for (;;) {
      const page = await this.records.list(AGENT, { limit: BATCH, ...(after !== undefined && { after }) });
      const live = page.filter(({ value }) => value.entry === entry && value.state === 'live');
      if (live.length > 0) yield live;
      if (page.length < BATCH) return;
      after = page.at(-1)?.name;
    }
  }

  private async retirement(
    edit: Edit,
    was: Recorded<AgentRecord>,
    actor: Actor,
    why: string,
  ): Promise<readonly EventBody[]> {
    const { id, thumbprint } = was.value;
    edit.set(AGENT, id, { ...was.value, state: 'retired' }, was);
    const barred = await this.barring.bar(edit, id, { actor, why });
    return [{ event: 'agent.retired', actor, why, data: { id, key: thumbprint } }, ...barred];
  }

  private async recorded(id: AgentId): Promise<Recorded<AgentRecord>> {
    const found = await this.find(id);
    if (found === undefined) throw new Refusal('api_not_found', `${id} has not enrolled`);
    return found;
  }

  private get now(): number {
    return Math.floor(this.clock.now() / 1000);
  }
}
