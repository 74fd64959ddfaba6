/** A whole verifier in this process: real store, real TLS, real SVIDs of its own authority; and clients of every kind. */
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defaultVerifierConfig, type VerifierConfig } from '../../src/config/verifier-schema.ts';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { KeyEncryption } from '../../src/edge/keys/key-encryption.ts';
import { makeSigningKey, privateKeyPem } from '../../src/edge/keys/signing-key.ts';
import { makeLogger } from '../../src/edge/telemetry/log.ts';
import type { TlsIdentity } from '../../src/edge/tls/settings.ts';
import { VerifierClient } from '../../src/edge/verifier/client.ts';
import { SYSTEM } from '../../src/verifier/actor.ts';
import { makeTlsKey, type SvidCa } from '../../src/verifier/authority/certificates.ts';
import { KeyRing } from '../../src/verifier/authority/key-ring.ts';
import { keyFilesIn } from '../../src/verifier/authority/root-key.ts';
import { DEFAULT_TIMING } from '../../src/verifier/authority/timing.ts';
import { nameOf, SESSION } from '../../src/verifier/principals/kinds.ts';
import { Edit } from '../../src/verifier/records.ts';
import { AGENT, type AgentRecord } from '../../src/verifier/registry/agent-records.ts';
import { Verifier } from '../../src/verifier/verifier.ts';
import { agentIdOf } from './domain.ts';
import { freePort } from './free-port.ts';
import { TestClock } from './test-clock.ts';

export interface RunningVerifierOptions {
  readonly config?: Partial<VerifierConfig>;
  readonly clock?: TestClock;
  /** Goes on in the directory of another one, which was stopped. */
  readonly directory?: string;
}

export const TRUST_DOMAIN = 'company.com';

export class RunningVerifier {
  readonly verifier: Verifier;
  readonly clock: TestClock;
  readonly directory: string;
  private readonly clients: VerifierClient[] = [];

  private constructor(verifier: Verifier, clock: TestClock, directory: string) {
    this.verifier = verifier;
    this.clock = clock;
    this.directory = directory;
  }

  static async start(options: RunningVerifierOptions = {}): Promise<RunningVerifier> {
    const clock = options.clock ?? new TestClock();
    const directory = options.directory ?? mkdtempSync(path.join(tmpdir(), 'hopgate-verifier-'));
    const config: VerifierConfig = {
      ...defaultVerifierConfig(),
      trustDomain: TRUST_DOMAIN,
      // Its own for as long as the test runs: those who restart it find it where it was.
      listen: { host: '127.0.0.1', port: await freePort() },
      metrics: { listen: 'off' },
      ...options.config,
      directory,
    };
    const verifier = await Verifier.open({ config, base: directory, clock, log: makeLogger('silent') });
    await verifier.start();
    return new RunningVerifier(verifier, clock, directory);
  }

  /** `https://127.0.0.1:port` */
  get url(): string {
    return `https://${this.verifier.addresses[0]}`;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get authorities(): readonly Buffer[] {
    return this.verifier.rooms.authority.authorities();
  }

  /** An SVID by the verifier's own CA, for `planning/1`, `client/alice` or a whole ID. */
  async identity(name: string, ttlSeconds = 3600): Promise<TlsIdentity & { readonly id: AgentId }> {
    const key = makeTlsKey();
    const id = agentIdOf(TRUST_DOMAIN, name);
    const { pem } = await this.verifier.rooms.authority.svid({ id, key: createPublicKey(key), ttlSeconds });
    if (id.includes('/client/')) await this.enrolClient(id, ttlSeconds);
    return { id, cert: pem, key: privateKeyPem(key) };
  }

  /** A client that is no session is somebody only as long as the registry knows it. */
  private async enrolClient(id: AgentId, ttlSeconds: number): Promise<void> {
    const { records } = this.verifier.rooms;
    if (
      (await records.get(AGENT, id)) !== undefined ||
      (await records.get(SESSION, nameOf(id))) !== undefined
    )
      return;
    const key = makeSigningKey();
    const { seconds } = this.clock;
    const agent: AgentRecord = {
      id,
      state: 'live',
      agentX: key.x,
      thumbprint: key.thumbprint,
      auditX: makeSigningKey().x,
      svidKeys: [],
      serial: '01',
      entry: 'a-test',
      attestor: 'join',
      facts: [],
      enrolledAt: seconds,
      renewedAt: seconds,
      svidNotAfter: seconds + ttlSeconds,
    };
    await records.commit(
      { event: 'agent.enrolled', actor: SYSTEM, why: 'a test', data: { id } },
      new Edit().set(AGENT, id, agent, null),
    );
  }

  /** Its CA with the key, for SVIDs with faults in them. */
  async svidCa(): Promise<SvidCa> {
    const { kek } = keyFilesIn(this.verifier.layout.keys);
    const encryption = await KeyEncryption.open({ file: kek, passphraseFile: undefined });
    const ring = await KeyRing.open(TRUST_DOMAIN, this.verifier.rooms.records, encryption, DEFAULT_TIMING);
    const ca = ring.ca();
    if (ca === undefined) throw new Error('this verifier has no SVID CA');
    return ca;
  }

  /** Over HTTPS, as `identity`; as nobody without one. */
  client(identity?: TlsIdentity): VerifierClient {
    return this.keep(
      new VerifierClient({
        kind: 'https',
        url: this.url,
        trustDomain: TRUST_DOMAIN,
        authorities: this.authorities,
        identity,
      }),
    );
  }

  /** Over the unix socket. */
  local(): VerifierClient {
    return this.keep(new VerifierClient({ kind: 'socket', path: this.verifier.layout.socket }));
  }

  private keep(client: VerifierClient): VerifierClient {
    this.clients.push(client);
    return client;
  }

  async stop(keepDirectory = false): Promise<void> {
    for (const client of this.clients.splice(0)) await client.close();
    await this.verifier.stop();
    if (!keepDirectory) rmSync(this.directory, { recursive: true, force: true });
  }
}
