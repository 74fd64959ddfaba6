/**
 * A whole trust domain in memory: CA, issuers, principals, agents with everything a sidecar holds, bundles and chains.
 * The clock is given; without one it is the wall clock, which TLS looks at.
 */
import type { KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Caveat } from '../../src/core/delegation/caveats.ts';
import {
  type ChainContext,
  type ChainLimits,
  type Holder,
  type VerifiedChain,
  verifyChain,
} from '../../src/core/delegation/chain.ts';
import { parseLink } from '../../src/core/delegation/link.ts';
import { mintChildLink, mintRootLink } from '../../src/core/delegation/mint.ts';
import { admitKey, jwkOf } from '../../src/core/keys.ts';
import { type AgentId, agentTypeOf, type IdPattern, parseAgentId } from '../../src/core/spiffe-id.ts';
import { type Bundle, verifyBundle } from '../../src/core/trust/bundle.ts';
import type { KeyBinding } from '../../src/core/trust/wit.ts';
import type { Verdict } from '../../src/core/verdict.ts';
import { makeSigningKey, privateKeyPem, type SigningKey } from '../../src/edge/keys/signing-key.ts';
import {
  issueSvid,
  issueSvidCa,
  makeTlsKey,
  type SvidCa,
} from '../../src/verifier/authority/certificates.ts';
import { issueTokens, makeTokenId } from '../../src/verifier/authority/tokens.ts';
import { issueBundle } from '../../src/verifier/local/bundle.ts';
import type {
  AnchorEntry,
  AttributesEntry,
  RevocationEntry,
} from '../../src/verifier/publication/entries.ts';

/** What a snapshot says of its age where no verifier stands behind it. */
export const ALWAYS_FRESH = { freshAt: 1, maxStalenessSeconds: Number.POSITIVE_INFINITY };

/** The value of a verdict that a test takes for granted. */
export const must = <T>(verdict: Verdict<T>): T => {
  if (!verdict.ok) throw new Error(`${verdict.reason}: ${verdict.detail}`);
  return verdict.value;
};

export const agentIdOf = (trustDomain: string, name: string): AgentId => {
  const id = parseAgentId(
    name.startsWith('spiffe://')
      ? name
      : `spiffe://${trustDomain}/${name.startsWith('client/') ? '' : 'agent/'}${name}`,
  );
  if (id === undefined) throw new TypeError(`"${name}" is no agent`);
  return id;
};

/** An agent with all that its sidecar holds. */
export interface TestAgent extends SigningKey {
  readonly id: AgentId;
  readonly type: string;
  readonly svidPem: string;
  readonly svidKeyPem: string;
  /** Seconds; the end of SVID, WIT and key binding. */
  readonly notAfter: number;
  /** Private; the same as `key`. */
  readonly agentKey: KeyObject;
  readonly audit: SigningKey;
  readonly wit: string;
  readonly keyBinding: KeyBinding;
  /** Name and admitted public key, as a handshake proves them. */
  readonly holder: Holder;
}

export interface TestPrincipal extends SigningKey {
  readonly uri: string;
  readonly anchor: AnchorEntry;
}

export interface DomainOptions {
  readonly trustDomain?: string;
  /** `planning/abc123`, `client/alice`. */
  readonly agents?: readonly string[];
  /** Name to principal; `{ alice: 'mailto:alice@company.com' }`. */
  readonly principals?: Readonly<Record<string, string>>;
  /** What every principal's anchor has instead of the defaults. */
  readonly anchor?: Partial<AnchorEntry>;
  readonly now?: number;
  readonly svidTtlSeconds?: number;
}

export interface TestBundleOptions {
  readonly now?: number;
  readonly ttlSeconds?: number;
  readonly epoch?: number;
  readonly seq?: number;
  readonly anchors?: readonly AnchorEntry[];
  readonly revoked?: readonly RevocationEntry[];
  /** Principals by name who may approve; by default none. */
  readonly approvers?: readonly string[];
  /** Other trust domains whose agents are known here. */
  readonly federated?: readonly TestDomain[];
  readonly attributes?: AttributesEntry;
}

export interface TestLinkOptions {
  readonly scope?: readonly string[];
  readonly ttlSeconds?: number;
  readonly now?: number;
  readonly caveats?: readonly Caveat[];
  readonly purpose?: string;
  readonly aud?: readonly string[];
}
export type TestRootOptions = TestLinkOptions & {
  /** Name of the principal; by default the first. */
  readonly principal?: string;
  readonly maxDepth?: number;
  readonly renews?: { readonly task: string; readonly start: number };
};
export type TestChildOptions = TestLinkOptions & { readonly remainingDepth?: number };

export const TEST_LIMITS: ChainLimits = {
  maxDepth: 5,
  linkTtlSeconds: 7200,
  callbacks: false,
  humanRoot: true,
};

export class TestDomain {
  readonly trustDomain: string;
  readonly now: number;
  readonly root: SigningKey;
  readonly policyKey: SigningKey;
  readonly issuer: SigningKey;
  /** Who issues SVIDs now. */
  authority: SvidCa;
  /** Who did before, and is still trusted. */
  private formerAuthorities: SvidCa[] = [];
  readonly principals: ReadonlyMap<string, TestPrincipal>;
  private readonly agents = new Map<string, TestAgent>();
  private readonly svidTtlSeconds: number;

  constructor(options: DomainOptions, trustDomain: string, now: number, authority: SvidCa) {
    this.trustDomain = trustDomain;
    this.now = now;
    this.authority = authority;
    this.svidTtlSeconds = options.svidTtlSeconds ?? 3600;
    this.root = makeSigningKey();
    this.policyKey = makeSigningKey();
    this.issuer = makeSigningKey();
    const names = options.principals ?? { alice: `mailto:alice@${trustDomain}` };
    this.principals = new Map(
      Object.entries(names).map(([name, uri]) => {
        const key = makeSigningKey();
        return [name, { ...key, uri, anchor: this.anchorOf(key, uri, options.anchor) }];
      }),
    );
  }

  private anchorOf(key: SigningKey, uri: string, changes: Partial<AnchorEntry> = {}): AnchorEntry {
    return {
      kind: 'principal',
      jwk: jwkOf(key.x),
      principals: [uri],
      human: true,
      delegatees: [
        ...['planning', 'inventory', 'security'].map(
          (type) => `spiffe://${this.trustDomain}/agent/${type}/*`,
        ),
        `spiffe://${this.trustDomain}/client/*`,
      ] as IdPattern[],
      domains: [this.trustDomain],
      scope: ['cloud:*', 'ec2:*', 's3:*', 'infrastructure:*'],
      max_ttl: 7200,
      max_depth: 5,
      ...changes,
    };
  }

  /** Makes an agent; with `key`, one under a given agent key. */
  async enrol(
    name: string,
    changes: { readonly key?: SigningKey; readonly now?: number; readonly ttlSeconds?: number } = {},
  ): Promise<TestAgent> {
    const id = agentIdOf(this.trustDomain, name);
    const key = changes.key ?? makeSigningKey();
    const audit = makeSigningKey();
    const now = changes.now ?? this.now;
    const svidKey = makeTlsKey();
    const svid = await issueSvid(this.authority, {
      id,
      key: svidKey,
      now,
      ttlSeconds: changes.ttlSeconds ?? this.svidTtlSeconds,
    });
    const exp = svid.notAfter;
    const tokens = issueTokens(this.issuer, { id, agentX: key.x, auditX: audit.x, now, exp });
    const agent: TestAgent = {
      ...key,
      ...tokens,
      id,
      type: agentTypeOf(id),
      svidPem: svid.pem,
      svidKeyPem: privateKeyPem(svidKey),
      notAfter: exp,
      agentKey: key.key,
      audit,
      holder: { id, key: must(admitKey(key.x)) },
    };
    this.agents.set(id, agent);
    return agent;
  }

  /** Another CA issues from now on; bundles name the former one too until it is dropped. */
  async rotateAuthority(): Promise<void> {
    const next = await issueSvidCa(this.trustDomain, { now: this.now, ttlSeconds: 86_400 });
    this.formerAuthorities.push(this.authority);
    this.authority = next;
  }

  dropFormerAuthorities(): void {
    this.formerAuthorities = [];
  }

  /** By `planning/abc123` or the whole ID. */
  agent(name: string): TestAgent {
    const agent = this.agents.get(agentIdOf(this.trustDomain, name));
    if (agent === undefined) throw new RangeError(`no agent "${name}" in this domain`);
    return agent;
  }

  principal(name?: string): TestPrincipal {
    const principal = this.principals.get(name ?? this.principals.keys().next().value ?? '');
    if (principal === undefined) throw new RangeError(`no principal "${name}" in this domain`);
    return principal;
  }

  /** The signed text of a bundle. */
  bundle(options: TestBundleOptions = {}): string {
    return issueBundle({
      root: this.root,
      policy: this.policyKey,
      trustDomain: this.trustDomain,
      epoch: options.epoch ?? 1,
      seq: options.seq ?? 1,
      now: options.now ?? this.now,
      ttlSeconds: options.ttlSeconds ?? 86_400,
      domains: Object.fromEntries(
        [this, ...(options.federated ?? [])].map((domain: TestDomain) => [
          domain.trustDomain,
          {
            x509: [domain.authority, ...domain.formerAuthorities].map(({ certificateDer }) => certificateDer),
            issuers: [domain.issuer.x],
          },
        ]),
      ),
      anchors: options.anchors ?? [...this.principals.values()].map(({ anchor }) => anchor),
      revoked: options.revoked ?? [],
      attributes: options.attributes,
      ...(options.approvers && {
        approvers: options.approvers.map((name) => {
          const { uri, x } = this.principal(name);
          return { principal: uri, jwk: jwkOf(x) };
        }),
      }),
    });
  }

  verifiedBundle(options: TestBundleOptions = {}): Bundle {
    return must(
      verifyBundle(this.bundle(options), {
        trustDomain: this.trustDomain,
        root: this.root.thumbprint,
        last: { epoch: 0, seq: 0 },
        now: options.now ?? this.now,
      }),
    );
  }

  /** What a sidecar of this domain verifies chains with. */
  chainContext(options: TestBundleOptions & { readonly limits?: Partial<ChainLimits> } = {}): ChainContext {
    const { anchors, issuers } = this.verifiedBundle(options);
    return {
      now: options.now ?? this.now,
      trustDomain: this.trustDomain,
      anchors,
      issuers,
      limits: { ...TEST_LIMITS, ...options.limits },
    };
  }

  /** L0 from a principal to an agent: a chain of one link. */
  mintRoot(to: TestAgent, options: TestRootOptions = {}): string {
    const principal = this.principal(options.principal);
    return must(
      mintRootLink(
        {
          anchorX: principal.x,
          principal: principal.uri,
          delegatee: to,
          aud: options.aud ?? [this.trustDomain],
          scope: options.scope ?? ['cloud:read'],
          maxDepth: options.maxDepth ?? 5,
          ttlSeconds: options.ttlSeconds ?? 3600,
          now: options.now ?? this.now,
          jti: makeTokenId(),
          ...(options.caveats && { caveats: options.caveats }),
          ...(options.purpose && { purpose: options.purpose }),
          ...(options.renews && { renews: options.renews }),
        },
        principal.sign,
      ),
    );
  }

  /** The next link below a chain that `from` holds: a grant for `to`. */
  mintGrant(chain: string, from: TestAgent, to: TestAgent, options: TestChildOptions = {}): string {
    const links = chain.split('~').map((text, index) => must(parseLink(text, index === 0)));
    const leaf = links.at(-1);
    if (leaf === undefined) throw new RangeError('an empty chain');
    return must(
      mintChildLink(
        leaf,
        links.filter((link) => link.root || !link.rebind).length,
        {
          delegatee: to,
          kb: from.keyBinding,
          scope: options.scope ?? leaf.scope,
          remainingDepth: options.remainingDepth ?? 7,
          ttlSeconds: options.ttlSeconds ?? 3600,
          now: options.now ?? this.now,
          jti: makeTokenId(),
          ...(options.aud && { aud: options.aud }),
          ...(options.caveats && { caveats: options.caveats }),
          ...(options.purpose && { purpose: options.purpose }),
        },
        from.sign,
      ),
    );
  }

  /** A chain through agents, in order; every link with the same options. */
  mintChain(names: readonly string[], options: TestRootOptions & TestChildOptions = {}): string {
    const [first, ...rest] = names.map((name) => this.agent(name));
    if (first === undefined) throw new RangeError('a chain needs an agent');
    let chain = this.mintRoot(first, options);
    let holder = first;
    for (const next of rest) {
      chain += `~${this.mintGrant(chain, holder, next, options)}`;
      holder = next;
    }
    return chain;
  }

  verify(chain: string, caller: TestAgent, context: ChainContext = this.chainContext()): VerifiedChain {
    return must(verifyChain(chain, caller.holder, context));
  }
}

/** Makes a trust domain; by default `company.com` with planning/abc123, inventory/def456 and the principal alice. */
export const makeDomain = async (options: DomainOptions = {}): Promise<TestDomain> => {
  const trustDomain = options.trustDomain ?? 'company.com';
  const now = options.now ?? Math.floor(Date.now() / 1000);
  const authority = await issueSvidCa(trustDomain, { now, ttlSeconds: 86_400 });
  const domain = new TestDomain(options, trustDomain, now, authority);
  for (const name of options.agents ?? ['planning/abc123', 'inventory/def456']) await domain.enrol(name);
  return domain;
};

/** Writes an agent's files under the names of the config's `identity`, and returns that section. */
export const writeIdentity = (directory: string, agent: TestAgent) => {
  mkdirSync(directory, { recursive: true });
  const identity = {
    svid: 'svid.pem',
    svidKey: 'svid.key',
    agentKey: 'agent.key',
    auditKey: 'audit.key',
    wit: 'wit.jwt',
    keyBinding: 'key-binding.json',
  };
  const contents: Record<keyof typeof identity, string> = {
    svid: agent.svidPem,
    svidKey: agent.svidKeyPem,
    agentKey: privateKeyPem(agent.key),
    auditKey: privateKeyPem(agent.audit.key),
    wit: agent.wit,
    keyBinding: JSON.stringify(agent.keyBinding),
  };
  for (const [name, file] of Object.entries(identity))
    writeFileSync(path.join(directory, file), contents[name as keyof typeof identity], { mode: 0o600 });
  return identity;
};
