/** The rooms of a verifier, opened in the order in which they rest on each other. */
import type { VerifierConfig } from '../config/verifier-schema.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock } from '../ports.ts';
import { Approvals } from './approvals/approvals.ts';
import { PendingApprovals } from './approvals/pending.ts';
import { Authority } from './authority/authority.ts';
import { keysAnswer } from './authority/keys-answer.ts';
import { timingOf } from './authority/timing.ts';
import { Backups } from './backups.ts';
import { type Judgement, openJudgement } from './judgement.ts';
import type { Layout } from './layout.ts';
import { enforcementNow } from './policy/enforcement-now.ts';
import { openPeople, type People } from './principals/people.ts';
import { Publication, type PublishedFacts } from './publication/publication.ts';
import { Records } from './records.ts';
import { openRegistry, type Registry } from './registry/registry.ts';
import { RoleBindings } from './service/role-bindings.ts';
import type { Standing } from './service/standing.ts';
import { Status } from './status.ts';
import type { CopyableStore, Store } from './store/store.ts';

export interface RoomsOptions {
  readonly config: VerifierConfig;
  readonly trustDomain: string;
  readonly layout: Layout;
  readonly store: CopyableStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** `host:port`, under which agents reach this verifier. */
  readonly addresses: () => readonly string[];
  readonly onPublished: (facts: PublishedFacts) => void;
}

/** Handlers take from here what they need, by name. */
export interface Rooms extends Registry, Omit<People, 'sources'>, Omit<Judgement, 'sources'> {
  readonly clock: Clock;
  readonly store: Store;
  readonly records: Records;
  readonly roles: RoleBindings;
  readonly authority: Authority;
  readonly publication: Publication;
  readonly approvals: Approvals;
  readonly pendingApprovals: PendingApprovals;
  readonly status: Status;
  readonly backups: Backups;
  readonly standing: Standing;
  /** What is missing before anything can be issued and published. */
  readonly missing: () => string | undefined;
  readonly close: () => Promise<void>;
}

export const openRooms = async (options: RoomsOptions): Promise<Rooms> => {
  const { config, trustDomain, layout, store, clock, log, addresses, onPublished } = options;
  const records = new Records(store, clock);
  const roles = await RoleBindings.load(records, (error) =>
    log.error({ err: error }, 'role bindings were not read anew'),
  );
  const { passphraseFile } = config.keys;
  const authority = await Authority.open({
    trustDomain,
    directory: layout.keys,
    records,
    clock,
    timing: timingOf(config.keys),
    ...(passphraseFile !== undefined && { passphraseFile: layout.resolve(passphraseFile) }),
  });
  const { sources: judged, ...judgement } = openJudgement({
    records,
    clock,
    authority,
    publication: () => publication,
    secondApprover: config.policy.secondApprover,
  });
  const { policies, revocations, scores } = judgement;
  const people = openPeople({
    records,
    clock,
    authority,
    policy: policies,
    revoking: revocations,
    whenPublished: (revision) => publication.whenPublished(revision),
  });
  const publication: Publication = new Publication({
    records,
    authority,
    clock,
    // Foreign trust domains can't be registered yet.
    sources: { ...people.sources, ...judged, domains: { kinds: [], read: () => ({}) } },
    onFault: (error) => log.error({ err: error }, 'no new bundle came about; it is tried again'),
    onPublished,
  });
  await publication.open();
  const registry = openRegistry({
    records,
    clock,
    authority,
    barring: revocations,
    attestation: config.attestation,
    directory: layout.base,
    addresses,
    published: () => ({
      roles: authority.rolesText(),
      packed: publication.current.packed,
      timestamp: publication.timestampOrNone,
    }),
    isSession: async (id) => (await people.sessions.sessionOf(id)) !== undefined,
    svidTtlSeconds: config.svidTtl,
  });
  const { sources: _, ...rest } = people;
  const approvals = new Approvals({ records, clock, sessionOf: (id) => people.sessions.sessionOf(id) });
  const { enforcement } = judgement;
  const status = new Status({
    records,
    clock,
    trustDomain,
    keys: () => keysAnswer(authority),
    enforcement: () => enforcementNow({ policies, enforcement, publication }),
    isStamped: () => publication.timestampOrNone !== undefined,
    bundleOctets: () => publication.current.text.length,
  });
  const backups = new Backups({ store, records, layout, hasPassphrase: passphraseFile !== undefined });
  return {
    ...registry,
    ...rest,
    ...judgement,
    clock,
    store,
    records,
    roles,
    authority,
    publication,
    approvals,
    pendingApprovals: new PendingApprovals(records),
    status,
    backups,
    standing: {
      isBarred: (id, svidIssuedAt) => registry.agents.isBarred(id, svidIssuedAt),
      sessionOf: (id) => people.sessions.sessionOf(id),
    },
    missing: () =>
      publication.timestampOrNone === undefined ? 'there is no timestamp over the newest bundle' : undefined,
    close: async () => {
      roles.close();
      await backups.close();
      await scores.flush();
      await publication.close();
    },
  };
};
