/** Which name a workload gets: by the entry that its facts fulfil, and never one that is somebody else's. */
import { type Entry, placeholderOf } from '../../api/registry.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Recorded, Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { AGENT } from './agent-records.ts';
import type { Attestation } from './attestors/attestor.ts';
import type { Entries } from './entries.ts';
import { idFor } from './entry-match.ts';

export interface NamingParts {
  readonly records: Records;
  readonly entries: Entries;
  /** Whether somebody who has logged in has this name now. */
  readonly isSession: (id: AgentId) => Promise<boolean>;
}

export class Naming {
  private readonly parts: NamingParts;

  constructor(parts: NamingParts) {
    this.parts = parts;
  }

  /** `wanted` is the name that the workload expects. Throws `entry_unmatched`, `attestation_refused`. */
  async of(
    attestation: Attestation,
    wanted: AgentId | undefined,
  ): Promise<{ readonly entry: Recorded<Entry>; readonly id: AgentId }> {
    const { entries, isSession } = this.parts;
    const found = await entries.match(attestation);
    const entry = await entries.recorded(found.name);
    const id = idFor(entry.value, attestation);
    if (attestation.id !== undefined && attestation.id !== id)
      throw new Refusal(
        'attestation_refused',
        `the evidence is for ${attestation.id}, the entry ${found.name} is not`,
      );
    if (wanted !== undefined && wanted !== id)
      throw new Refusal('attestation_refused', `${wanted} was asked for, and what was attested is another`);
    if (placeholderOf(entry.value.id) !== undefined) await this.checkFree(id, entry.value, attestation);
    // Its roles and its human would be another's.
    if (await isSession(id))
      throw new Refusal('entry_unmatched', `${id} is the session of somebody who has logged in`);
    return { entry, id };
  }

  /**
   * Whoever names pods or clients chooses what a template makes: never a name that an entry gives to one workload alone, nor one
   * that another entry has given to a workload that this one isn't.
   */
  private async checkFree(id: AgentId, { name }: Entry, { facts }: Attestation): Promise<void> {
    const { records, entries } = this.parts;
    const exact = (await entries.forId(id)).find(({ state }) => state === 'active');
    const was = (await records.get(AGENT, id))?.value;
    const last = was === undefined || was.entry === name ? undefined : await entries.get(was.entry);
    const other = exact ?? (last?.selectors.every((one) => facts.includes(one)) === false ? last : undefined);
    if (other !== undefined)
      throw new Refusal('entry_unmatched', `${id} is the name that the entry ${other.name} gives to another`);
  }
}
