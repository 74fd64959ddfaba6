/** The rooms of a verifier, opened in the order in which they rest on each other. */
import { readFileSync } from 'node:fs';
import type { VerifierConfig } from '../config/verifier-schema.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock } from '../ports.ts';
import { Authority } from './authority/authority.ts';
import type { Layout } from './layout.ts';
import { Publication } from './publication/publication.ts';
import type { Sources } from './publication/sources.ts';
import { Records } from './records.ts';
import { Agents } from './registry/agents.ts';
import { joinAttestor } from './registry/attestors/join.ts';
import { kubernetesAttestor } from './registry/attestors/kubernetes.ts';
import { oidcAttestor } from './registry/attestors/oidc.ts';
import { x509popAttestor } from './registry/attestors/x509pop.ts';
import type { Barring } from './registry/barring.ts';
import { Challenges } from './registry/challenges.ts';
import { Enrolments } from './registry/enrolments.ts';
import { Entries } from './registry/entries.ts';
import { JoinTokens } from './registry/join-tokens.ts';
import { RoleBindings } from './service/role-bindings.ts';
import type { Standing } from './service/standing.ts';
import type { Store } from './store/store.ts';

export interface RoomsOptions {
  readonly config: VerifierConfig;
  readonly trustDomain: string;
  readonly layout: Layout;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** `host:port`, under which agents reach this verifier. */
  readonly addresses: () => readonly string[];
}

export interface Rooms {
  readonly store: Store;
  readonly records: Records;
  readonly roles: RoleBindings;
  readonly authority: Authority;
  readonly entries: Entries;
  readonly agents: Agents;
  readonly tokens: JoinTokens;
  readonly challenges: Challenges;
  readonly enrolments: Enrolments;
  readonly publication: Publication;
  readonly standing: Standing;
  /** What is missing before anything can be issued and published. */
  readonly missing: () => string | undefined;
  readonly close: () => Promise<void>;
}

const certificatesIn = (file: string): Buffer[] =>
  (readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (pem) => Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64'),
  );

const attestorsOf = (
  { config, trustDomain }: RoomsOptions,
  { authority, tokens, agents }: Pick<Rooms, 'authority' | 'tokens' | 'agents'>,
) => {
  const { kubernetes, oidc, x509pop } = config.attestation;
  const audience = `spiffe://${trustDomain}/verifier`;
  const foreign = new Map(x509pop.map((one) => [one.trustDomain, certificatesIn(one.authorities)]));
  return {
    join: joinAttestor(tokens),
    kubernetes: kubernetesAttestor(kubernetes, audience),
    oidc: oidcAttestor(oidc, audience),
    x509pop: x509popAttestor(
      (domain) => (domain === trustDomain ? authority.authorities() : (foreign.get(domain) ?? [])),
      agents,
    ),
  };
};

/** Nobody is barred but who was retired. */
const barring: Barring = {
  bar: async () => [],
  keyLost: async () => [],
  barred: async () => undefined,
};

/** Of those whose rooms are empty. */
const sources: Sources = {
  anchors: { kinds: [], read: () => [] },
  approvers: { kinds: [], read: () => [] },
  policy: { kinds: [], read: () => undefined },
  lists: { kinds: [], read: () => undefined },
  revocations: { kinds: [], read: () => [] },
  scores: { kinds: [], read: () => undefined },
  domains: { kinds: [], read: () => ({}) },
};

export const openRooms = async (options: RoomsOptions): Promise<Rooms> => {
  const { config, trustDomain, layout, store, clock, log, addresses } = options;
  const records = new Records(store, clock);
  const onFault = (error: unknown): void => log.error({ err: error }, 'a change was not taken note of');
  const roles = await RoleBindings.load(records, onFault);
  const { passphraseFile } = config.keys;
  const authority = await Authority.open({
    trustDomain,
    directory: layout.keys,
    records,
    clock,
    ...(passphraseFile !== undefined && { passphraseFile: layout.resolve(passphraseFile) }),
  });
  const { attestation } = config;
  const entries = new Entries(records, clock, {
    trustDomain,
    allowLongSvid: attestation.allowLongSvid,
    clusters: attestation.kubernetes.length,
  });
  const agents = new Agents(records, clock, entries, barring);
  const tokens = new JoinTokens({
    records,
    clock,
    entries,
    agents,
    root: () => authority.rootThumbprint,
    addresses,
  });
  const publication = new Publication({
    records,
    authority,
    clock,
    sources,
    onFault: (error) => log.error({ err: error }, 'no new bundle came about; it is tried again'),
  });
  await publication.open();
  const challenges = new Challenges(clock);
  const enrolments = new Enrolments({
    records,
    clock,
    issuing: authority,
    barring,
    challenges,
    entries,
    tokens,
    attestors: attestorsOf(options, { authority, tokens, agents }),
    published: () => ({
      roles: authority.rolesText(),
      bundle: publication.current.text,
      timestamp: publication.timestampOrNone,
    }),
    svidTtlSeconds: config.svidTtl,
  });
  return {
    store,
    records,
    roles,
    authority,
    entries,
    agents,
    tokens,
    challenges,
    enrolments,
    publication,
    standing: {
      isBarred: (id) => agents.isBarred(id),
      sessionOf: async () => undefined,
    },
    missing: () =>
      publication.timestampOrNone === undefined ? 'there is no timestamp over the newest bundle' : undefined,
    close: async () => {
      roles.close();
      await publication.close();
    },
  };
};
