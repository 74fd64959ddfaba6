/**
 * Running sidecars on a running verifier, in this process: each joins with a join string, trust and policy come from the verifier,
 * and what a test changes, it changes as an operator does.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { stringify } from 'yaml';
import { policyEndpoints } from '../../src/api/policy.ts';
import { principalEndpoints } from '../../src/api/principals.ts';
import { registryEndpoints } from '../../src/api/registry.ts';
import { type RevocationTarget, revocationEndpoints } from '../../src/api/revocations.ts';
import type { VerifierConfig } from '../../src/config/verifier-schema.ts';
import { mintRootLink } from '../../src/core/delegation/mint.ts';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { makeSigningKey, type SigningKey } from '../../src/edge/keys/signing-key.ts';
import type { VerifierClient } from '../../src/edge/verifier/client.ts';
import type { Clock } from '../../src/ports.ts';
import { VerifierSource } from '../../src/sidecar/verifier-source.ts';
import { makeTokenId } from '../../src/verifier/authority/tokens.ts';
import { agentIdOf, must } from './domain.ts';
import { DEFAULT_DELEGATE, openTask, TEST_POLICY, TEST_SCOPE } from './mesh.ts';
import { type MeshMember, merge, startMember } from './mesh-member.ts';
import { RunningVerifier, TRUST_DOMAIN } from './running-verifier.ts';
import { TestClock } from './test-clock.ts';

/** A line that a sidecar said on stderr. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface VerifiedMember extends MeshMember {
  readonly id: AgentId;
  readonly source: VerifierSource;
  /** What it said so far, parsed; the newest last. */
  readonly said: readonly LogLine[];
}

export interface VerifiedMeshOptions {
  readonly clock?: TestClock;
  readonly verifier?: Partial<VerifierConfig>;
  /** Merged into the policy of the tests. */
  readonly policy?: Record<string, unknown>;
  readonly svidTtlSeconds?: number;
  /** For the verifier's state, in place of a new one. */
  readonly verifierDirectory?: string;
}

export interface VerifiedStartOptions {
  readonly handler?: RequestListener;
  /** Host to agent name; the peer is pinned exactly. */
  readonly routes?: Readonly<Record<string, string>>;
  readonly delegate?: Record<string, unknown> | null;
  /** Merged into the sidecar's configuration. */
  readonly config?: Record<string, unknown>;
  readonly clock?: Clock;
  /** False: the configuration says how it is attested. */
  readonly joins?: boolean;
  /** Instead of the verifier's own. */
  readonly addresses?: readonly string[];
  /** Where its log goes, for who looks at it before the sidecar has started. */
  readonly said?: LogLine[];
}

const PRINCIPAL = `mailto:alice@${TRUST_DOMAIN}`;

export class VerifiedMesh {
  readonly clock: TestClock;
  readonly directory: string;
  readonly alice: SigningKey = makeSigningKey();
  running: RunningVerifier;
  private readonly options: VerifiedMeshOptions;
  private readonly members = new Map<string, VerifiedMember>();
  private readonly servers: Server[] = [];
  private isVerifierUp = true;

  private constructor(running: RunningVerifier, options: VerifiedMeshOptions) {
    this.running = running;
    this.clock = running.clock;
    this.options = options;
    this.directory = mkdtempSync(path.join(tmpdir(), 'hopgate-mesh-'));
  }

  static async start(options: VerifiedMeshOptions = {}): Promise<VerifiedMesh> {
    const clock = options.clock ?? new TestClock();
    const running = await RunningVerifier.start({
      clock,
      ...(options.verifier && { config: options.verifier }),
      ...(options.verifierDirectory !== undefined && { directory: options.verifierDirectory }),
    });
    const mesh = new VerifiedMesh(running, options);
    await mesh.publishPolicy(options.policy ?? {});
    await mesh.operator.call(principalEndpoints.addPrincipal, {
      body: {
        uri: PRINCIPAL,
        human: true,
        ceiling: { scope: TEST_SCOPE, delegatees: ['*'] },
        keys: [{ x: mesh.alice.x, name: 'laptop' }],
        why: 'a test',
      },
    });
    return mesh;
  }

  /** Whoever may open the verifier's socket. */
  get operator(): VerifierClient {
    return this.running.local();
  }

  get root(): string {
    return this.running.verifier.rooms.authority.rootThumbprint;
  }

  async publishPolicy(change: Record<string, unknown>): Promise<void> {
    const source = stringify({ ...TEST_POLICY, ...this.options.policy, ...change });
    await this.operator.call(policyEndpoints.publishPolicy, { body: { source, why: 'a test' } });
  }

  async revoke(target: RevocationTarget): Promise<void> {
    await this.operator.call(revocationEndpoints.revoke, { body: { target, why: 'a test' } });
  }

  member(name: string): VerifiedMember {
    const member = this.members.get(name);
    if (member === undefined) throw new RangeError(`${name} is not running`);
    return member;
  }

  /** Lets workloads with these facts become an agent such as `planning/1`, or `planning/{pod}`; the entry's name. */
  async addEntry(name: string, selectors: readonly string[]): Promise<string> {
    const { svidTtlSeconds } = this.options;
    const { name: entry } = await this.operator.call(registryEndpoints.addEntry, {
      body: {
        id: name.endsWith('}') ? `spiffe://${TRUST_DOMAIN}/agent/${name}` : agentIdOf(TRUST_DOMAIN, name),
        selectors: [...selectors],
        ...(svidTtlSeconds !== undefined && { svidTtlSeconds }),
        why: 'a test',
      },
    });
    return entry;
  }

  /** A join string for one start of an agent. */
  async joinString(name: string): Promise<string> {
    const entry = await this.addEntry(name, [`join:id=${agentIdOf(TRUST_DOMAIN, name)}`]);
    const made = await this.operator.call(registryEndpoints.addJoinToken, {
      params: { name: entry },
      body: { why: 'a test' },
    });
    return made.joinString;
  }

  /** Starts a sidecar that joins, or one that has joined before and was stopped, and an agent behind it. */
  async start(name: string, options: VerifiedStartOptions = {}): Promise<VerifiedMember> {
    const id = agentIdOf(TRUST_DOMAIN, name);
    const directory = path.join(this.directory, name.replace('/', '-'));
    const joinFile = path.join(directory, 'join.txt');
    const { joins = true } = options;
    mkdirSync(directory, { recursive: true });
    if (joins && !this.members.has(name)) {
      writeFileSync(joinFile, await this.joinString(name), { mode: 0o600 });
    }
    const { said = [] } = options;
    const log = pino(
      { level: 'debug', base: null },
      { write: (line: string) => void said.push(JSON.parse(line) as LogLine) },
    );
    const { member, server } = await startMember({
      name,
      directory,
      routes: Object.entries(options.routes ?? {}).map(([host, peer]) => ({
        host,
        peer: this.member(peer).id,
        address: `127.0.0.1:${this.member(peer).addresses.inbound?.port}`,
        ...(options.delegate === null ? {} : { delegate: options.delegate ?? DEFAULT_DELEGATE }),
      })),
      document: merge(
        {
          identity: { attestation: joins ? { joinFile: 'join.txt' } : {} },
          trust: {
            trustDomain: TRUST_DOMAIN,
            root: this.root,
            verifier: { addresses: options.addresses ?? [...this.running.verifier.addresses] },
          },
        },
        options.config ?? {},
      ),
      handler: options.handler,
      agentPort: undefined,
      clock: options.clock ?? this.clock,
      log,
    });
    this.servers.push(server);
    const source = member.sidecar.origin;
    if (!(source instanceof VerifierSource)) throw new Error('this sidecar has no verifier');
    const started: VerifiedMember = { ...member, id, source, said };
    this.members.set(name, started);
    return started;
  }

  /** Stops a sidecar and its agent, and starts them anew: what it had on disk is still there. */
  restart(name: string, options: VerifiedStartOptions = {}): Promise<VerifiedMember> {
    this.member(name).sidecar.stop('restart');
    return this.start(name, options);
  }

  /** L0 from Alice to a member's agent key of now. */
  mintRoot(
    to: VerifiedMember,
    options: { readonly scope?: readonly string[]; readonly ttlSeconds?: number } = {},
  ): string {
    const key = to.sidecar.identity;
    return must(
      mintRootLink(
        {
          anchorX: this.alice.x,
          principal: PRINCIPAL,
          delegatee: { id: to.id, x: key.key.x },
          aud: [TRUST_DOMAIN],
          scope: options.scope ?? TEST_SCOPE,
          maxDepth: 5,
          ttlSeconds: options.ttlSeconds ?? 3600,
          now: this.clock.seconds,
          jti: makeTokenId(),
        },
        this.alice.sign,
      ),
    );
  }

  /** Opens a task at a member; the handle. */
  startTask(name: string, chain: string): Promise<string> {
    return openTask(this.member(name), chain);
  }

  /** The verifier goes down, and its directory stays. */
  async stopVerifier(): Promise<void> {
    this.isVerifierUp = false;
    await this.running.stop(true);
  }

  /** It comes back, at the address that it had. */
  async restartVerifier(): Promise<void> {
    const { directory, clock, port } = this.running;
    this.running = await RunningVerifier.start({
      clock,
      directory,
      config: { ...this.options.verifier, listen: { host: '127.0.0.1', port } },
    });
    this.isVerifierUp = true;
  }

  async stop(): Promise<void> {
    for (const { sidecar } of this.members.values()) sidecar.stop('test over');
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
    if (this.isVerifierUp) await this.running.stop();
    else rmSync(this.running.directory, { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A policy of the tests and Alice, who may grant all of it; type names of agents are those of the policy's rule. */
export const makeVerifiedMesh = (options: VerifiedMeshOptions = {}): Promise<VerifiedMesh> =>
  VerifiedMesh.start(options);
