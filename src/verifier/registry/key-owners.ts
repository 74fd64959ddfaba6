/** Whose each key is: one agent's, for one use, for ever. A key that serves two names would let one speak for the other. */
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Edit, Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { HELD_KEY } from './agent-records.ts';

interface Claim {
  readonly name: string;
  readonly use: 'agent' | 'audit' | 'svid';
}

export class KeyOwners {
  private readonly records: Records;

  constructor(records: Records) {
    this.records = records;
  }

  /** Throws `enrolment_proof` when a key is another agent's, has another use, or has ended. */
  async claim(edit: Edit, id: AgentId, claims: readonly Claim[]): Promise<void> {
    for (const { name, use } of claims) {
      const held = await this.records.get(HELD_KEY, name);
      if (held === undefined) {
        edit.set(HELD_KEY, name, { id, use, state: 'held' }, null);
        continue;
      }
      // Whose it is isn't said: that would tell a stranger who has which key.
      if (held.value.id !== id)
        throw new Refusal('enrolment_proof', `the ${use} key is bound to another agent; make a new one`);
      if (held.value.use !== use)
        throw new Refusal(
          'enrolment_proof',
          `the ${use} key has served as ${held.value.use} key; make a new one`,
        );
      if (held.value.state === 'ended')
        throw new Refusal(
          'enrolment_proof',
          `the ${use} key was replaced and does not come back; make a new one`,
        );
    }
  }

  /** Another key has taken its place. */
  async end(edit: Edit, name: string): Promise<void> {
    const held = await this.records.get(HELD_KEY, name);
    if (held !== undefined) edit.set(HELD_KEY, name, { ...held.value, state: 'ended' }, held);
  }

  /** SVID keys are new with every renewal: only the last two are known. */
  async forget(edit: Edit, before: readonly string[], after: readonly string[]): Promise<void> {
    for (const name of before) {
      if (after.includes(name)) continue;
      const held = await this.records.get(HELD_KEY, name);
      if (held !== undefined) edit.remove(HELD_KEY, held);
    }
  }
}
