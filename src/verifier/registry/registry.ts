/** The registry put together: entries, agents, join tokens, attestors, enrolments. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { MAX_LONG_SVID_TTL_SECONDS, MAX_SVID_TTL_SECONDS } from '../../api/registry.ts';
import type { AttestationConfig } from '../../config/attestation-schema.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Clock } from '../../ports.ts';
import type { Authority } from '../authority/authority.ts';
import { verifierIdOf } from '../authority/certificates.ts';
import type { Records } from '../records.ts';
import { Agents } from './agents.ts';
import { certificatesIn } from './attestors/certificate-path.ts';
import { joinAttestor } from './attestors/join.ts';
import { kubernetesAttestor } from './attestors/kubernetes.ts';
import { oidcAttestor } from './attestors/oidc.ts';
import { x509popAttestor } from './attestors/x509pop.ts';
import type { Barring } from './barring.ts';
import { Challenges } from './challenges.ts';
import { type Attestors, Enrolments, type Published } from './enrolments.ts';
import { Entries } from './entries.ts';
import { JoinTokens } from './join-tokens.ts';

const DEFAULT_SVID_SECONDS = 3600;

export interface RegistryOptions {
  readonly records: Records;
  readonly clock: Clock;
  readonly authority: Pick<Authority, 'trustDomain' | 'svid' | 'tokens' | 'rootThumbprint' | 'authorities'>;
  readonly barring: Barring;
  readonly attestation: AttestationConfig;
  /** File names in the configuration are relative to it. */
  readonly directory: string;
  /** `host:port`, where agents reach this verifier; for join strings. */
  readonly addresses: () => readonly string[];
  readonly published: () => Published | Promise<Published>;
  /** Whether somebody who has logged in has this name now. */
  readonly isSession?: (id: AgentId) => Promise<boolean>;
  /** Seconds; where an entry says nothing. */
  readonly svidTtlSeconds?: number | undefined;
}

export interface Registry {
  readonly entries: Entries;
  readonly agents: Agents;
  readonly tokens: JoinTokens;
  readonly challenges: Challenges;
  readonly enrolments: Enrolments;
}

/** Throws an I/O error when a file that the configuration names can't be read. */
export const openRegistry = (options: RegistryOptions): Registry => {
  const { records, clock, authority, barring, attestation, directory, addresses, published } = options;
  const { trustDomain } = authority;
  const { kubernetes, oidc, x509pop, allowLongSvid } = attestation;
  const challenges = new Challenges(clock);
  const entries = new Entries(records, clock, { trustDomain, allowLongSvid, clusters: kubernetes.length });
  const isSession = options.isSession ?? (async () => false);
  const agents = new Agents(records, clock, entries, barring, isSession);
  const root = () => authority.rootThumbprint;
  const tokens = new JoinTokens({ records, clock, entries, agents, root, addresses });
  const audience = verifierIdOf(trustDomain);
  const inDirectory = (file: string): string => path.resolve(directory, file);
  const foreign = new Map(
    x509pop.map(({ trustDomain: name, authorities }) => [
      name,
      certificatesIn(readFileSync(inDirectory(authorities), 'utf8')),
    ]),
  );
  // Our own CAs are ours alone: no file can name another for our trust domain.
  const authoritiesOf = (name: string): readonly Buffer[] =>
    name === trustDomain ? authority.authorities() : (foreign.get(name) ?? []);
  const clusters = kubernetes.map(({ jwksFile, ...cluster }) => ({
    ...cluster,
    ...(jwksFile !== undefined && { jwksFile: inDirectory(jwksFile) }),
  }));
  const attestors: Attestors = {
    join: joinAttestor(tokens),
    kubernetes: kubernetesAttestor(clusters, audience),
    oidc: oidcAttestor(oidc, audience),
    x509pop: x509popAttestor(authoritiesOf, agents),
  };
  const enrolments = new Enrolments({
    records,
    clock,
    issuing: authority,
    barring,
    challenges,
    entries,
    tokens,
    attestors,
    published,
    isSession,
    svidTtlSeconds: options.svidTtlSeconds ?? DEFAULT_SVID_SECONDS,
    maxSvidTtlSeconds: allowLongSvid ? MAX_LONG_SVID_TTL_SECONDS : MAX_SVID_TTL_SECONDS,
  });
  return { entries, agents, tokens, challenges, enrolments };
};
