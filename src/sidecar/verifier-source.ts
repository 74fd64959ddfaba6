/** Trust and identity from the verifier: what it last gave serves until it gives more, and until it ends. */

import { formatAddress } from '../config/forms.ts';
import { KeyEncryption } from '../edge/keys/key-encryption.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import { VerifierApprovals } from '../edge/verifier/approvals.ts';
import { makeAttestation } from '../edge/verifier/attestation.ts';
import type { Enrolled } from '../edge/verifier/enrolment.ts';
import { IdentityFolder } from '../edge/verifier/identity-folder.ts';
import { TrustFeed } from '../edge/verifier/trust-feed.ts';
import { VerifiedTrust } from '../edge/verifier/verified-trust.ts';
import { VerifierLink } from '../edge/verifier/verifier-link.ts';
import type { ApprovalPort } from '../ports.ts';
import { disownedBy } from './disowned.ts';
import { EnrolledIdentity } from './enrolled-identity.ts';
import type { Source, SourceOptions } from './source.ts';

const DIRECTORY = 'identity';
const ROTATE_AFTER_SECONDS = 30 * 86_400;

export interface VerifierSourceOptions extends SourceOptions {
  /** Seconds: until then something rests on the last rotation of the agent key, and another one would end it. */
  readonly rotationBusyUntil: () => number;
}

export class VerifierSource implements Source {
  readonly trust: VerifiedTrust;
  readonly link: VerifierLink;
  readonly approvals: ApprovalPort;
  private readonly options: VerifierSourceOptions;
  private readonly feed: TrustFeed;
  private identity: EnrolledIdentity | undefined;
  private isDiskFull = false;
  private readonly stopped = new AbortController();

  /** Throws `TrustError` for state on disk that can't be relied on. Connects to nothing yet. */
  constructor(options: VerifierSourceOptions) {
    this.options = options;
    const { config, clock, log, fileAt, stateDirectory } = options;
    const { trustDomain, root, verifier } = config.trust;
    const trust = { trustDomain, root };
    this.trust = new VerifiedTrust({
      trust,
      clock,
      directory: stateDirectory,
      seed: fileAt(config.identity.directory ?? DIRECTORY),
      onDiskFault: (error) => this.onDiskFault(error),
    });
    const { keptFault } = this.trust;
    if (keptFault !== undefined)
      log.warn(
        { reason: keptFault.reason, detail: keptFault.detail },
        'the bundle on disk is not taken; the verifier is asked',
      );
    this.link = new VerifierLink({
      addresses: (verifier?.addresses ?? []).map(formatAddress),
      trust,
      clock,
      authorities: () => this.trust.known?.bundle.roles,
      identity: () => this.identity?.tls,
    });
    this.approvals = new VerifierApprovals(this.link, clock);
    this.feed = new TrustFeed({ link: this.link, trust: this.trust, clock, log });
    this.trust.onChange(this.renewForAuthorities());
    this.trust.onChange(() => this.renewIfDisowned());
  }

  /** Other CAs: who is connected under the old ones may stay, who comes is held against the new. */
  private renewForAuthorities(): () => void {
    let before = this.trust.known?.bundle.authorities;
    return () => {
      const { authorities } = this.trust.last.bundle;
      const same = before !== undefined && sameAuthorities(before, authorities);
      before = authorities;
      if (same) return;
      this.link.renew();
      this.options.onTls();
    };
  }

  /** A key of the verifier was dropped, and with it what it had signed for us. */
  private renewIfDisowned(): void {
    const { identity } = this;
    if (identity?.current === undefined) return;
    const now = Math.floor(this.options.clock.now() / 1000);
    const why = disownedBy(identity.current, this.trust.last.bundle, now);
    if (why !== undefined) identity.renewSoon(why);
  }

  private onDiskFault(error: Error | undefined): void {
    const { log } = this.options;
    if (error !== undefined && !this.isDiskFull)
      log.error(
        { err: error },
        'the bundle in force can’t be kept on disk: a restart without the verifier would begin with an older one',
      );
    if (error === undefined && this.isDiskFull) log.info('the bundle in force is kept on disk again');
    this.isDiskFull = error !== undefined;
  }

  async open(): Promise<boolean> {
    this.identity = await this.makeIdentity();
    if ((await this.identity.obtain()) === undefined) return false;
    this.feed.start();
    await this.firstBundle();
    return !this.stopped.signal.aborted;
  }

  private async makeIdentity(): Promise<EnrolledIdentity> {
    const { config, fileAt, clock, log } = this.options;
    const { trustDomain, root } = config.trust;
    const trust = { trustDomain, root };
    const { store = 'file', encryption, rotateAfter = ROTATE_AFTER_SECONDS } = config.keys ?? {};
    const directory = fileAt(config.identity.directory ?? DIRECTORY);
    const sealed =
      encryption === undefined
        ? undefined
        : await KeyEncryption.open({
            file: fileAt(encryption.keyFile),
            passphraseFile:
              encryption.passphraseFile === undefined ? undefined : fileAt(encryption.passphraseFile),
          });
    return new EnrolledIdentity({
      link: this.link,
      trust,
      attestation: makeAttestation({ config: config.identity.attestation, trust, fileAt }),
      folder: store === 'memory' ? undefined : new IdentityFolder(directory, sealed),
      rotateAfterSeconds: rotateAfter,
      clock,
      log,
      onIdentity: (identity, enrolled) => this.onIdentity(identity, enrolled),
      rotationFault: () => this.rotationFault(),
    });
  }

  private rotationFault(): string | undefined {
    const until = this.options.rotationBusyUntil();
    return Math.floor(this.options.clock.now() / 1000) < until
      ? `tasks rest on the last rotation of the agent key until ${until}; another one would end them`
      : undefined;
  }

  private onIdentity(identity: SidecarIdentity, enrolled: Enrolled | undefined): void {
    this.options.onIdentity(identity);
    this.link.renew();
    this.options.onTls();
    if (enrolled !== undefined) void this.takeAlong(enrolled);
  }

  /** The bundle that came with the credentials: the same that the stream would bring. */
  private async takeAlong({ credentials: { packed, timestamp } }: Enrolled): Promise<void> {
    if (packed === undefined) return;
    await this.feed.takePacked(packed);
    if (timestamp !== undefined) this.feed.takeTimestamp(timestamp);
  }

  private firstBundle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.trust.known !== undefined || this.stopped.signal.aborted) {
        resolve();
        return;
      }
      this.options.log.warn('there is no trust bundle yet: waiting for the verifier');
      this.trust.onChange(resolve);
      this.stopped.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  start(): void {
    this.identity?.start();
  }

  reload(): void {
    this.feed.fetch().catch((error: unknown) => {
      this.options.log.error(
        { fault: (error as Error).message },
        'the verifier can’t be asked; what is in force stays',
      );
    });
  }

  /** For an operator, and for tests: renews now. Whether it could be done. */
  renew(): Promise<boolean> {
    return this.identity?.renewNow() ?? Promise.resolve(false);
  }

  async rotateKey(): Promise<void> {
    if (this.identity === undefined) throw new RangeError('there is no agent key yet');
    await this.identity.rotate();
  }

  clockFacts(): Readonly<Record<string, unknown>> {
    return this.link.clocks.facts();
  }

  get state(): unknown {
    return { ...this.link.state, ...this.feed.state, identity: this.identity?.state };
  }

  stop(): void {
    this.stopped.abort();
    this.feed.stop();
    this.identity?.stop();
    this.link.close();
  }
}

const sameAuthorities = (
  one: ReadonlyMap<string, readonly Buffer[]>,
  other: ReadonlyMap<string, readonly Buffer[]>,
): boolean =>
  one.size === other.size &&
  [...one].every(([domain, list]) => {
    const others = other.get(domain);
    return others?.length === list.length && list.every((der, index) => others[index]?.equals(der));
  });
