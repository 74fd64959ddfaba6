/** A registry over a real authority, in memory, with a clock of its own; what revocation will do is noted down. */
import 'reflect-metadata';
import type { KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import type { Evidence } from '../../src/api/enrolment.ts';
import { attestationSchema } from '../../src/config/attestation-schema.ts';
import type { ReasonCode } from '../../src/core/reasons.ts';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { mintEnrolmentProof, mintRotation } from '../../src/core/trust/enrolment.ts';
import { parseJoinString } from '../../src/core/trust/join-string.ts';
import { makeSigningKey, type SigningKey } from '../../src/edge/keys/signing-key.ts';
import { makeCsr, makeSvidKey } from '../../src/edge/verifier/csr.ts';
import type { EvidenceSource } from '../../src/edge/verifier/evidence.ts';
import type { Actor } from '../../src/verifier/actor.ts';
import { Authority } from '../../src/verifier/authority/authority.ts';
import { Records } from '../../src/verifier/records.ts';
import { Refusal } from '../../src/verifier/refusal.ts';
import type { Barring } from '../../src/verifier/registry/barring.ts';
import type { EntryWish } from '../../src/verifier/registry/entries.ts';
import { openRegistry, type Registry } from '../../src/verifier/registry/registry.ts';
import type { Store } from '../../src/verifier/store/store.ts';
import { MemoryStore } from './memory-store.ts';
import { TestClock } from './test-clock.ts';

export const DOMAIN = 'company.com';
export const idOf = (name: string): AgentId => `spiffe://${DOMAIN}/agent/${name}` as AgentId;

export const OPERATOR: Actor = {
  kind: 'local',
  name: 'local:1000',
  roles: new Set(['admin', 'operator']),
  id: undefined,
  principal: undefined,
};
export const STRANGER: Actor = { ...OPERATOR, kind: 'anyone', name: '192.0.2.7', roles: new Set() };
export const agentActor = (id: AgentId): Actor => ({
  ...STRANGER,
  kind: 'agent',
  name: id,
  id,
  roles: new Set(['agent']),
});
export const SOURCE = '192.0.2.7';

/** Notes who was barred, as revocation would. */
export class NotedBarring implements Barring {
  readonly agents = new Set<string>();
  readonly keys = new Map<string, ReasonCode>();

  async bar(...[, id]: Parameters<Barring['bar']>) {
    this.agents.add(id);
    return [];
  }
  async keyLost(...[, , thumbprint]: Parameters<Barring['keyLost']>) {
    this.keys.set(thumbprint, 'agent_key_lost');
    return [];
  }
  async barred(id: AgentId, thumbprint: string | undefined): Promise<ReasonCode | undefined> {
    return this.agents.has(id) ? 'revoked_agent' : this.keys.get(thumbprint ?? '');
  }
}

export interface RegistryWorld {
  readonly clock: TestClock;
  readonly records: Records;
  readonly authority: Authority;
  readonly barring: NotedBarring;
  readonly registry: Registry;
  /** Names of the ledger's events, and the last one's data. */
  events(): Promise<readonly { readonly event: string; readonly data: Record<string, unknown> }[]>;
  /** The whole ledger as text. */
  ledger(): Promise<string>;
  close(): Promise<void>;
}

export const makeRegistryWorld = async (
  attestation: unknown = {},
  options: {
    readonly store?: Store;
    readonly addresses?: () => readonly string[];
    readonly svidTtlSeconds?: number;
  } = {},
): Promise<RegistryWorld> => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-registry-'));
  const clock = new TestClock();
  const store = options.store ?? new MemoryStore();
  const records = new Records(store, clock);
  const authority = await Authority.open({ trustDomain: DOMAIN, directory, records, clock });
  const barring = new NotedBarring();
  const registry = openRegistry({
    records,
    clock,
    authority,
    barring,
    attestation: attestationSchema.parse(attestation),
    directory,
    addresses: options.addresses ?? (() => ['127.0.0.1:14300']),
    published: () => ({ roles: authority.rolesText() }),
    svidTtlSeconds: options.svidTtlSeconds,
  });
  const lines = async () => store.events({ after: 0, limit: 10_000 });
  return {
    clock,
    records,
    authority,
    barring,
    registry,
    events: async () => (await lines()).map(({ line }) => JSON.parse(line)),
    ledger: async () => (await lines()).map(({ line }) => line).join('\n'),
    close: async () => {
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
};

export const wish = (selectors: readonly string[], more: Partial<EntryWish> = {}): EntryWish => ({
  selectors,
  hint: '',
  ...more,
});

/** An entry for an agent that joins, and a token for it. */
export const addJoiner = async (
  { registry }: RegistryWorld,
  name: string,
): Promise<{ readonly id: AgentId; readonly token: string; readonly joinString: string }> => {
  const id = idOf(name);
  const known = await registry.entries.forId(id);
  const entry =
    known[0] ?? (await registry.entries.add(OPERATOR, { id, ...wish([`join:id=${id}`]) }, 'a test'));
  const { joinString } = await registry.tokens.make(OPERATOR, entry.name, { why: 'a test' });
  const parsed = parseJoinString(joinString);
  if (!parsed.ok) throw new Error(parsed.detail);
  return { id, token: parsed.value.token, joinString };
};

export interface Workload {
  readonly agent: SigningKey;
  readonly audit: SigningKey;
}
export const makeWorkload = (): Workload => ({ agent: makeSigningKey(), audit: makeSigningKey() });

/** What a faulty or hostile workload does otherwise. */
export interface RequestFault {
  readonly nonce?: string;
  readonly trustDomain?: string;
  readonly id?: AgentId;
  /** The digest that the proof names. */
  readonly csrDigest?: string;
  readonly csr?: string;
  readonly svidKey?: KeyObject;
  readonly signer?: SigningKey;
  readonly previous?: SigningKey;
  readonly previousId?: AgentId;
}

/** A request as an honest workload makes it, but for its fault. */
export const request = async <E extends Evidence>(
  world: RegistryWorld,
  { agent, audit }: Workload,
  evidence: EvidenceSource<E>,
  fault: RequestFault = {},
): Promise<{ evidence: E; csr: string; proof: string; previous?: string }> => {
  const csr = await makeCsr(fault.svidKey ?? makeSvidKey());
  const nonce = fault.nonce ?? world.registry.challenges.make().nonce;
  const digest = fault.csrDigest ?? csr.digest;
  const proof = mintEnrolmentProof(
    {
      nonce,
      csr: digest,
      agentX: agent.x,
      auditX: audit.x,
      trustDomain: fault.trustDomain ?? DOMAIN,
      ...(fault.id !== undefined && { id: fault.id }),
    },
    (fault.signer ?? agent).sign,
  );
  const { previous, previousId } = fault;
  return {
    evidence: await evidence({ nonce, csr: csr.digest, thumbprint: agent.thumbprint }),
    csr: fault.csr ?? csr.pem,
    proof,
    ...(previous !== undefined && {
      previous: mintRotation(
        { id: previousId ?? idOf('planning/1'), nonce, next: agent.thumbprint },
        previous.x,
        previous.sign,
      ),
    }),
  };
};

export const reasonOf = async (work: Promise<unknown>): Promise<ReasonCode | 'done'> => {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
};

/** A request that is in order, but for its curve. */
export const makeP384Csr = async (): Promise<string> => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-384' } as const;
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys: await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-384' },
  });
  return request.toString('pem');
};
