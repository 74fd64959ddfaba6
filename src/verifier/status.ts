/** How the trust domain stands: read from every room, kept nowhere. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { KeysAnswer } from '../api/keys.ts';
import type { Enforcement } from '../api/policy.ts';
import type { VerifierStatus } from '../api/status.ts';
import { MAX_BUNDLE_BYTES } from '../core/limits.ts';
import type { Clock } from '../ports.ts';
import { APPROVAL } from './approvals/approval-records.ts';
import { readLedgerLine } from './ledger.ts';
import type { Records } from './records.ts';
import { AGENT } from './registry/agent-records.ts';
import { REVOCATION } from './revocation/revocation-records.ts';

export interface StatusParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly keys: () => KeysAnswer;
  readonly enforcement: () => Promise<Enforcement>;
  /** Whether a timestamp is over the newest bundle. */
  readonly isStamped: () => boolean;
  /** Of the newest bundle. */
  readonly bundleOctets: () => number;
}

const PAGE = 1000;
const DAY_SECONDS = 86_400;
const ROLES_WARNING_SECONDS = 14 * DAY_SECONDS;
/** Events that are looked through for alarms. */
const RECENT_EVENTS = 5000;
const MAX_ALARMS = 20;
const MAX_EXAMPLES = 5;

export class Status {
  private readonly parts: StatusParts;

  constructor(parts: StatusParts) {
    this.parts = parts;
  }

  async answer(): Promise<VerifierStatus> {
    const { records, trustDomain, keys, isStamped, bundleOctets } = this.parts;
    const now = this.now;
    const { root, rolesExp, keys: all } = keys();
    const { current, sidecars } = await this.parts.enforcement();
    const drifting = sidecars.filter(({ drifts }) => drifts);
    const facts: Omit<VerifierStatus, 'attention'> = {
      trustDomain,
      now,
      root: { thumbprint: root.thumbprint, here: root.here, rolesExp },
      bundle: { ...current.bundle, stamped: isStamped(), octets: bundleOctets() },
      keys: all.flatMap(({ role, thumbprint, state, madeAt, until }) =>
        state === 'gone' ? [] : [{ role, thumbprint, state, since: madeAt, until }],
      ),
      policy: current.policy ?? null,
      sidecars: {
        reporting: sidecars.length,
        drifting: drifting.length,
        examples: drifting.slice(0, MAX_EXAMPLES).map(({ sidecar }) => sidecar),
      },
      agents: await this.agents(now),
      revocations: await records.count(REVOCATION),
      approvals: { pending: await this.pendingApprovals(now) },
      alarms: await this.alarms(now),
    };
    return { ...facts, attention: attentionOf(facts, root.awaited) };
  }

  /** Page by page, with others' requests between them. */
  private async agents(now: number): Promise<VerifierStatus['agents']> {
    const counts = { live: 0, expiring: 0, expired: 0, retired: 0 };
    let after: string | undefined;
    for (;;) {
      const page = await this.parts.records.list(AGENT, {
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      for (const { value } of page) {
        const { state, renewedAt, svidNotAfter } = value;
        if (state === 'retired') counts.retired++;
        else if (svidNotAfter <= now) counts.expired++;
        else {
          counts.live++;
          // Sidecars renew at half of it.
          if (now > renewedAt + ((svidNotAfter - renewedAt) * 2) / 3) counts.expiring++;
        }
      }
      if (page.length < PAGE) return counts;
      after = page.at(-1)?.name;
      await nextTurn();
    }
  }

  private async pendingApprovals(now: number): Promise<number> {
    const all = await this.parts.records.list(APPROVAL);
    return all.filter(({ value }) => value.state === 'pending' && value.ends > now).length;
  }

  private async alarms(now: number): Promise<VerifierStatus['alarms']> {
    const { store } = this.parts.records;
    const last = (await store.lastEvent())?.seq ?? 0;
    const alarms: VerifierStatus['alarms'] = [];
    for (let after = Math.max(0, last - RECENT_EVENTS); after < last; after += PAGE) {
      for (const { line } of await store.events({ after, limit: PAGE })) {
        // Most lines need no parser to be passed over.
        if (!line.includes('"level":"alarm"')) continue;
        const read = readLedgerLine(line);
        if (!read.ok || read.value.data.level !== 'alarm') continue;
        const { time, event, actor, data } = read.value;
        const at = Math.floor(time / 1000);
        if (at > now - DAY_SECONDS) alarms.push({ at, event, about: String(data.id ?? ''), actor });
      }
    }
    return alarms.reverse().slice(0, MAX_ALARMS);
  }

  private get now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }
}

const some = (count: number, one: string, more: string): string => `${count} ${count === 1 ? one : more}`;

const attentionOf = (
  { now, root, bundle, policy, sidecars, agents, alarms }: Omit<VerifierStatus, 'attention'>,
  isRootAwaited: boolean,
): string[] => {
  const said: string[] = [];
  if (!bundle.stamped) said.push('there is no timestamp over the newest bundle: sidecars go stale');
  // One too large tells nobody anything, and then all of it goes stale: somebody must know long before.
  if (bundle.octets > MAX_BUNDLE_BYTES / 2)
    said.push(
      `the bundle has ${bundle.octets} of at most ${MAX_BUNDLE_BYTES} octets: lift what was revoked for ever and is gone for good, shorten lists`,
    );
  if (policy === null)
    said.push('no policy is in force, so that every request is denied: "hopgate policy publish"');
  if (isRootAwaited) said.push('the root key has something to sign: "hopgate verifier root request"');
  if (root.rolesExp - now < ROLES_WARNING_SECONDS)
    said.push(`the roles end in ${Math.max(0, Math.floor((root.rolesExp - now) / DAY_SECONDS))} days`);
  if (sidecars.drifting > 0)
    said.push(`${some(sidecars.drifting, 'sidecar enforces', 'sidecars enforce')} another policy`);
  if (agents.expired > 0) said.push(`${some(agents.expired, 'agent has', 'agents have')} no valid SVID`);
  if (agents.expiring > 0) said.push(`${some(agents.expiring, 'agent is', 'agents are')} late in renewing`);
  if (alarms.length > 0) said.push(`${some(alarms.length, 'alarm', 'alarms')} in the last day`);
  return said;
};
