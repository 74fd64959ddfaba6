/**
 * How the verifier does, for Prometheus. Counters are counted as things happen; gauges are set when somebody asks, from
 * what the rooms keep in memory. No label names an agent: how many series there are does not grow with the mesh.
 */
import { X509Certificate } from 'node:crypto';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { enrolmentEndpoints } from '../api/enrolment.ts';
import { loginEndpoints } from '../api/logins.ts';
import { ProcessFigures } from '../edge/telemetry/process-figures.ts';
import { textOf } from '../edge/telemetry/series.ts';
import type { Clock } from '../ports.ts';
import type { PendingApprovals } from './approvals/pending.ts';
import type { Authority } from './authority/authority.ts';
import { KEY_ROLES, type KeyRole } from './authority/key-records.ts';
import type { Enforcement } from './policy/enforcement.ts';
import type { Publication, PublishedFacts } from './publication/publication.ts';
import type { Answered } from './service/routes.ts';

/** What gauges are read from. */
export interface Measured {
  readonly clock: Clock;
  readonly authority: Pick<Authority, 'keys' | 'roles' | 'timing'>;
  readonly publication: Pick<Publication, 'current' | 'subscribers' | 'timestampAt'>;
  readonly enforcement: Enforcement;
  readonly pendingApprovals: PendingApprovals;
}

const BUILD_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const { enrol, renew } = enrolmentEndpoints;
const { finishLogin } = loginEndpoints;
/** What is answered with an SVID. */
const ISSUING: ReadonlyMap<string | undefined, string> = new Map([
  [enrol.name, 'enrolment'],
  [renew.name, 'renewal'],
  [finishLogin.name, 'login'],
]);

export class Metrics {
  private readonly registry = new Registry();
  private ofProcess: ProcessFigures | undefined;
  private readonly sidecars = this.gauge(
    'sidecars',
    'Sidecars that enforce the policy in force, that enforce another or none (behind), or that were heard of within the last hour but not within the last two minutes (silent).',
    'state',
  );
  private readonly policy = this.gauge(
    'policy_revision_info',
    'Always 1: the policy in the newest bundle, by its revision and digest. Absent without a policy.',
    'revision',
    'digest',
  );
  private readonly epoch = this.gauge('bundle_epoch', 'Epoch of the newest bundle.');
  private readonly seq = this.gauge('bundle_seq', 'Number of the newest bundle within its epoch.');
  private readonly octets = this.gauge('bundle_bytes', 'Size of the newest bundle, gzip.');
  private readonly stampAge = this.gauge(
    'timestamp_age_seconds',
    'Seconds since the last timestamp was made: a new one is due every minute, and without one sidecars go stale.',
  );
  private readonly subscribers = this.gauge('subscribers', 'Open streams of bundles and timestamps.');
  private readonly revocations = this.gauge('revocations', 'Revocations in the newest bundle.');
  private readonly approvals = this.gauge('approvals_pending', 'Approvals that wait for an approver.');
  private readonly expiry = this.gauge(
    'key_expiry_seconds',
    'Seconds until the active key of a role is believed no longer, unless the root says so anew: end of the roles, and of the SVID CA’s certificate. 0 where none is active.',
    'role',
  );
  private readonly rotation = this.gauge(
    'key_rotation_due_seconds',
    'Seconds until the active key of a role is old enough for a successor; long below 0 where an offline root has not signed one. 0 where none is active.',
    'role',
  );
  private readonly build = new Histogram({
    ...this.named('bundle_build_seconds', 'Seconds until a bundle was composed, signed and verified.'),
    buckets: BUILD_SECONDS,
  });
  private readonly issued = new Counter({
    ...this.named('svids_issued_total', 'SVIDs handed out since the start, by what asked for them.'),
    labelNames: ['for'],
  });
  private readonly refused = new Counter({
    ...this.named(
      'enrolments_refused_total',
      'Enrolments and renewals refused since the start, by reason code.',
    ),
    labelNames: ['reason'],
  });
  private readonly requests = new Counter({
    ...this.named(
      'requests_total',
      'Requests at the API since the start, when their answer ended, by endpoint of the contract and HTTP status.',
    ),
    labelNames: ['endpoint', 'status'],
  });

  constructor() {
    for (const kind of ISSUING.values()) this.issued.inc({ for: kind }, 0);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** With those of the process, which are watched from now on. */
  addProcess(): void {
    this.ofProcess ??= new ProcessFigures();
  }

  stop(): void {
    this.ofProcess?.stop();
  }

  published({ composeMs }: PublishedFacts): void {
    this.build.observe(composeMs / 1000);
  }

  answered({ endpoint, status, reason }: Answered): void {
    this.requests.inc({ endpoint: endpoint ?? 'none', status: String(status) });
    const issuing = ISSUING.get(endpoint);
    if (issuing !== undefined && status < 300) this.issued.inc({ for: issuing });
    if ((endpoint === enrol.name || endpoint === renew.name) && reason !== undefined)
      this.refused.inc({ reason });
  }

  /** The Prometheus text format, 0.0.4. */
  async text(measured: Measured): Promise<string> {
    const { clock, publication, enforcement, pendingApprovals } = measured;
    const now = Math.floor(clock.now() / 1000);
    const pending = await pendingApprovals.count(now);
    // From here on in one go: all of one moment.
    const { epoch, seq, packed, verified } = publication.current;
    this.approvals.set(pending);
    for (const [state, count] of Object.entries(enforcement.tally(verified.policyDigest)))
      this.sidecars.set({ state }, count);
    this.policy.reset();
    if (verified.policy !== undefined && verified.policyDigest !== undefined)
      this.policy.set({ revision: verified.policy.revision, digest: verified.policyDigest }, 1);
    this.epoch.set(epoch);
    this.seq.set(seq);
    this.octets.set(Buffer.byteLength(packed, 'base64'));
    this.stampAge.set(publication.timestampAt === undefined ? Number.NaN : now - publication.timestampAt);
    this.subscribers.set(publication.subscribers.size);
    this.revocations.set(verified.revocations.size);
    for (const role of KEY_ROLES) this.readKey(role, measured.authority, now);
    return `${await this.registry.metrics()}${textOf(this.ofProcess?.families ?? [])}`;
  }

  private readKey(role: KeyRole, authority: Measured['authority'], now: number): void {
    const { roles, timing } = authority;
    const active = authority.keys().find((key) => key.role === role && key.state === 'active');
    let expiry = active === undefined ? now : roles.exp;
    if (active?.role === 'svid-ca') {
      const { validTo } = new X509Certificate(Buffer.from(active.public, 'base64url'));
      expiry = Math.min(expiry, Math.floor(Date.parse(validTo) / 1000));
    }
    this.expiry.set({ role }, expiry - now);
    const due = active === undefined ? now : (active.activeAt ?? active.madeAt) + timing.rotateAfter[role];
    this.rotation.set({ role }, due - now);
  }

  private gauge<Label extends string>(name: string, help: string, ...labelNames: Label[]): Gauge<Label> {
    return new Gauge({ ...this.named(name, help), labelNames });
  }

  private named(name: string, help: string) {
    return { name: `hopgate_verifier_${name}`, help, registers: [this.registry] };
  }
}
