/**
 * What this agent is, from the verifier: taken up from its folder or enrolled at the first start, renewed at half-life, its agent
 * key replaced when it is old. While the verifier is down the last credentials serve until they end.
 */
import type { AgentId } from '../core/spiffe-id.ts';
import { verifyRoles } from '../core/trust/roles.ts';
import type { Issuers } from '../core/trust/wit.ts';
import { makeSigningKey, type SigningKey } from '../edge/keys/signing-key.ts';
import { checkIdentity, IdentityError, type SidecarIdentity } from '../edge/store/identity-files.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { TlsIdentity } from '../edge/tls/settings.ts';
import { type Attestation, AttestationError } from '../edge/verifier/attestation.ts';
import { Backoff, type Delays, delay } from '../edge/verifier/backoff.ts';
import {
  type AgentKeys,
  admittedIssuers,
  type Enrolled,
  enrol,
  renew,
  type TrustRoot,
} from '../edge/verifier/enrolment.ts';
import {
  credentialsOf,
  type IdentityFolder,
  type KeptIdentity,
  nameIn,
} from '../edge/verifier/identity-folder.ts';
import { VerifierError } from '../edge/verifier/verifier-error.ts';
import type { VerifierLink } from '../edge/verifier/verifier-link.ts';
import type { Clock } from '../ports.ts';

export interface EnrolledIdentityOptions {
  readonly link: VerifierLink;
  readonly trust: TrustRoot;
  readonly attestation: Attestation;
  /** Undefined: keys are in memory alone. */
  readonly folder: IdentityFolder | undefined;
  /** Age of the agent key at which it is replaced. */
  readonly rotateAfterSeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Hears of each identity, the first included. */
  readonly onIdentity: (identity: SidecarIdentity, enrolled: Enrolled | undefined) => void;
  /** Why the agent key can't be replaced now, in words. */
  readonly rotationFault: () => string | undefined;
  /** Milliseconds. */
  readonly delays?: Delays;
}

/** Milliseconds. */
const DELAYS: Delays = { first: 1000, most: 60_000 };
const TICK_MS = 500;
const SOON_SECONDS = 3;
/** Of its life, when an SVID is renewed: not all sidecars at one moment. */
const renewalShare = (): number => 0.45 + Math.random() / 10;

export class EnrolledIdentity {
  private readonly options: EnrolledIdentityOptions;
  private readonly stopping = new AbortController();
  private keys: AgentKeys | undefined;
  private keyMadeAt = 0;
  /** The agent key of a rotation that has begun. */
  private next: SigningKey | undefined;
  /** Ours in the SVID on disk, which may have ended. */
  private keptName: AgentId | undefined;
  private identity: SidecarIdentity | undefined;
  private renewAt = Number.POSITIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  /** One request at a time: a rotation waits for a renewal. */
  private busy: Promise<unknown> = Promise.resolve();
  private isBusy = false;
  private retryAt = 0;
  private readonly backoff: Backoff;
  private fault: string | undefined;

  constructor(options: EnrolledIdentityOptions) {
    this.options = options;
    this.backoff = new Backoff(options.delays ?? DELAYS);
  }

  /** Undefined before the first. */
  get current(): SidecarIdentity | undefined {
    return this.identity;
  }

  /** For the connection to the verifier. Also when it has ended by our clock: that may be the one that is wrong. */
  get tls(): TlsIdentity | undefined {
    return this.identity?.tls;
  }

  /** Seconds, and why the last renewal failed. */
  get state() {
    return { keyMadeAt: this.keyMadeAt, renewAt: Math.floor(this.renewAt), fault: this.fault };
  }

  private get now(): number {
    return Math.floor(this.options.clock.now() / 1000);
  }

  /** Takes up what the folder holds; false when that is no valid identity. Throws `IdentityError` for what only a person can put right. */
  load(): boolean {
    const { folder } = this.options;
    const kept = folder?.read();
    if (folder === undefined || kept === undefined) return false;
    this.keys = kept.keys;
    this.keyMadeAt = folder.keyMadeAt ?? this.now;
    this.next = folder.nextKey;
    this.keptName = kept.credentials && nameIn(kept.credentials);
    try {
      const identity = this.identityOf(kept, folder.names);
      if (identity === undefined) return false;
      this.take(identity, undefined);
      return true;
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      this.options.log.warn(
        { fault: error.message, now: this.now },
        'the identity in the folder can’t be used',
      );
      return false;
    }
  }

  private identityOf(
    { keys, credentials }: KeptIdentity,
    names: IdentityFolder['names'],
  ): SidecarIdentity | undefined {
    if (credentials === undefined) return undefined;
    const { trust } = this.options;
    const roles = verifyRoles(credentials.roles, { ...trust, now: this.now });
    if (!roles.ok) throw new IdentityError(`the roles kept with the SVID: ${roles.detail} (${roles.reason})`);
    const issuers: Issuers = new Map([[trust.trustDomain, admittedIssuers(roles.value)]]);
    return checkIdentity(
      {
        svidPem: credentials.svid,
        svidKey: credentials.svidKey,
        agentKey: keys.agent.key,
        auditKey: keys.audit.key,
        wit: credentials.wit,
        keyBinding: credentials.keyBinding,
      },
      names,
      { issuers, renewal: 'the verifier is asked for a new one' },
      this.now,
    );
  }

  /** Resolves when there is an identity: that of the folder, or one that the verifier gives as soon as it does. */
  async obtain(): Promise<SidecarIdentity | undefined> {
    if (this.identity === undefined && !this.load()) {
      while (!this.stopping.signal.aborted && !(await this.attempt(() => this.enrolAnew())))
        await delay(this.backoff.next(), this.stopping.signal);
    }
    return this.identity;
  }

  /** Renews from now on. */
  start(): void {
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.timer.unref();
  }

  /** Before half-life: within seconds, and not all sidecars at one moment. */
  renewSoon(why: string): void {
    this.renewAt = Math.min(this.renewAt, this.now + Math.random() * SOON_SECONDS);
    this.options.log.warn({ why, renewAt: Math.floor(this.renewAt) }, 'the credentials are renewed early');
  }

  stop(): void {
    clearInterval(this.timer);
    this.stopping.abort();
  }

  private tick(): void {
    const { now } = this;
    if (this.isBusy || now < this.renewAt || this.options.clock.monotonic() < this.retryAt) return;
    void this.renewNow().then((done) => {
      if (!done) this.retryAt = this.options.clock.monotonic() + this.backoff.next();
    });
  }

  /** Whether it could be done; what failed is logged, and tried again. */
  renewNow(): Promise<boolean> {
    return this.inTurn(() =>
      this.attempt(async () => {
        try {
          if (this.isKeyOld && this.options.rotationFault() === undefined) await this.rotateKey();
          else await this.renewSvid();
        } catch (error) {
          if (!(error instanceof VerifierError) || error.reason !== 'svid_expired') throw error;
          await this.enrolAnew();
        }
      }),
    );
  }

  private get isKeyOld(): boolean {
    return this.now - this.keyMadeAt >= this.options.rotateAfterSeconds;
  }

  /** Replaces the agent key now. Throws `VerifierError`, `AttestationError`, and `RangeError` when it must wait. */
  rotate(): Promise<void> {
    return this.inTurn(async () => {
      const fault = this.options.rotationFault();
      if (fault !== undefined) throw new RangeError(fault);
      await this.rotateKey();
    });
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.busy.then(async () => {
      this.isBusy = true;
      try {
        return await work();
      } finally {
        this.isBusy = false;
      }
    });
    this.busy = turn.catch(() => undefined);
    return turn;
  }

  private async attempt(work: () => Promise<void>): Promise<boolean> {
    const { log } = this.options;
    try {
      await work();
      this.fault = undefined;
      this.backoff.reset();
      return true;
    } catch (error) {
      if (this.stopping.signal.aborted) return false;
      const expected = error instanceof VerifierError || error instanceof AttestationError;
      this.fault = (error as Error).message;
      const facts = {
        notAfter: this.identity?.svidNotAfter,
        ...(error instanceof VerifierError && { reason: error.reason }),
        ...(expected ? { detail: this.fault } : { err: error }),
        ...this.options.link.clocks.facts(),
      };
      const what =
        this.identity === undefined ? 'enrolment failed' : 'renewal failed; the SVID serves until it ends';
      if (expected) log.warn(facts, what);
      else log.error(facts, what);
      return false;
    }
  }

  private async enrolAnew(): Promise<void> {
    const { link, trust, attestation } = this.options;
    const { evidence, id } = await attestation.enrolment();
    const isNew = this.keys === undefined;
    this.keys ??= { agent: makeSigningKey(), audit: makeSigningKey() };
    if (isNew) {
      this.keyMadeAt = this.now;
      // Kept before the verifier hears of them: a join token is good for one key.
      this.options.folder?.write({ keys: this.keys, credentials: undefined });
    }
    const { keys, next } = this;
    const expected = this.identity?.id ?? id;
    const ask = { trust, evidence, now: () => this.now };
    // A rotation that was cut short: the verifier takes the key before no more, once it has heard of the new one.
    const ours =
      next === undefined
        ? { keys, id: expected }
        : { keys: { ...keys, agent: next }, id: expected ?? this.keptName, previous: keys.agent };
    this.keep(await link.run((client) => enrol(client, { ...ask, ...ours })));
  }

  private async renewSvid(): Promise<void> {
    const { keys } = this;
    const id = this.identity?.id;
    if (keys === undefined || id === undefined) return;
    const { next } = this;
    // A rotation that was cut short: the verifier may have heard of the new key, or not.
    if (next !== undefined) await this.renewWith({ ...keys, agent: next }, id, keys.agent);
    else await this.renewWith(keys, id, undefined);
  }

  private async rotateKey(): Promise<void> {
    const { keys } = this;
    const { folder } = this.options;
    const id = this.identity?.id;
    if (keys === undefined || id === undefined)
      throw new RangeError('there is no SVID to replace the key under');
    this.next ??= makeSigningKey();
    folder?.keepNextKey(this.next);
    await this.renewWith({ ...keys, agent: this.next }, id, keys.agent);
  }

  private async renewWith(keys: AgentKeys, id: AgentId, previous: SigningKey | undefined): Promise<void> {
    const { link, trust, attestation } = this.options;
    const evidence = attestation.renewal;
    const enrolled = await link.run((client) =>
      renew(client, { trust, keys, evidence, id, previous, now: () => this.now }),
    );
    this.keep(enrolled);
  }

  /** In force first: a disk that is full must not cost the agent its identity. */
  private keep(enrolled: Enrolled): void {
    const { folder, log, trust } = this.options;
    const { keys, svidKey, credentials, roles } = enrolled;
    const kept = { keys, credentials: credentialsOf(enrolled) };
    const issuers: Issuers = new Map([[trust.trustDomain, admittedIssuers(roles)]]);
    const identity = checkIdentity(
      {
        svidPem: credentials.svid,
        svidKey,
        agentKey: keys.agent.key,
        auditKey: keys.audit.key,
        wit: credentials.wit,
        keyBinding: credentials.keyBinding,
      },
      NAMES,
      { issuers, renewal: 'the verifier gave it so' },
      this.now,
    );
    if (this.keys?.agent.x !== keys.agent.x) this.keyMadeAt = this.now;
    this.keys = keys;
    this.next = undefined;
    this.take(identity, enrolled);
    try {
      folder?.write(kept);
    } catch (error) {
      log.error(
        { err: error },
        'the new identity is in use but can’t be kept: a restart would begin with the one before',
      );
    }
  }

  private take(identity: SidecarIdentity, enrolled: Enrolled | undefined): void {
    const { log, onIdentity } = this.options;
    const before = this.identity;
    this.identity = identity;
    const { svidNotBefore, svidNotAfter } = identity;
    this.renewAt = svidNotBefore + (svidNotAfter - svidNotBefore) * renewalShare();
    const rotated = before !== undefined && before.key.x !== identity.key.x;
    log.info(
      {
        id: identity.id,
        key: identity.key.thumbprint,
        now: this.now,
        notAfter: svidNotAfter,
        renewAt: Math.floor(this.renewAt),
      },
      rotated ? 'agent key replaced' : enrolled === undefined ? 'identity taken up' : 'identity renewed',
    );
    onIdentity(identity, enrolled);
  }
}

const NAMES = {
  svid: 'the new SVID',
  svidKey: 'the key of the new SVID',
  agentKey: 'the agent key',
  auditKey: 'the audit key',
  wit: 'the new WIT',
  keyBinding: 'the new key binding',
};
