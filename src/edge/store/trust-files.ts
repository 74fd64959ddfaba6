/** Bundle and policy from files: hot reloaded, the last good one kept, no way back to an older bundle. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseStrictObjectText } from '../../core/encoding/json.ts';
import { isDigest } from '../../core/encoding/members.ts';
import { CLOCK_SKEW_SECONDS } from '../../core/limits.ts';
import { type CompiledPolicy, compilePolicy } from '../../core/policy/evaluate.ts';
import type { Policy } from '../../core/policy/model.ts';
import { type Bundle, type BundleOrder, verifyBundle } from '../../core/trust/bundle.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import type { Clock, TrustPort, TrustSnapshot } from '../../ports.ts';
import { authoritiesPem } from '../tls/settings.ts';

export interface TrustFileNames {
  readonly bundle: string;
  readonly policy: string;
  /** Where order and digest of the last bundle are kept. */
  readonly order: string;
}

export interface TrustFilesOptions {
  readonly files: TrustFileNames;
  readonly trustDomain: string;
  /** Thumbprint. */
  readonly root: string;
  readonly clock: Clock;
  readonly parsePolicy: (text: string, file: string) => Policy;
}

export class TrustError extends Error {}

const readOrder = (file: string): BundleOrder => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { epoch: 0, seq: 0 };
    throw error;
  }
  const parsed = parseStrictObjectText(text);
  const { epoch, seq, digest } = parsed.ok ? parsed.value : {};
  // Without the order, a rollback can't be seen: better not to start.
  if (typeof epoch !== 'number' || typeof seq !== 'number')
    throw new TrustError(`${file}: is damaged; it holds the order of the last accepted bundle`);
  // A file of an older version has no digest; the next bundle brings one.
  if (digest === undefined) return { epoch, seq };
  if (!isDigest(digest)) throw new TrustError(`${file}: is damaged; its digest is none`);
  return { epoch, seq, digest: digest as string };
};

const orderOf = ({ epoch, seq, digest }: Bundle): BundleOrder => ({ epoch, seq, digest });

export class TrustFiles implements TrustPort {
  private readonly options: TrustFilesOptions;
  private readonly listeners: (() => void)[] = [];
  private order: BundleOrder;
  private isOrderKept = true;
  private snapshot: TrustSnapshot;
  private bundleText = '';
  private policyText = '';

  /** Reads both files. Throws {@link TrustError} or a configuration error: a sidecar doesn't start without trust. */
  constructor(options: TrustFilesOptions) {
    this.options = options;
    this.order = readOrder(options.files.order);
    const policy = this.readPolicy();
    const bundle = this.readBundle();
    this.snapshot = snapshotOf(1, bundle, policy);
    if (bundle.digest !== this.order.digest) {
      this.order = orderOf(bundle);
      this.keepOrder();
    }
  }

  current(): Verdict<TrustSnapshot> {
    const { exp } = this.snapshot.bundle;
    const now = Math.floor(this.options.clock.now() / 1000);
    return now < exp + CLOCK_SKEW_SECONDS
      ? grant(this.snapshot)
      : deny('bundle_expired', `the trust bundle expired at ${exp}, it is ${now}`);
  }

  /** Even when it has expired: what a sidecar needs to say so. */
  get last(): TrustSnapshot {
    return this.snapshot;
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Reads the files again. What is bad is left out and returned as a sentence each; the last good one stays. */
  reload(): string[] {
    const faults: string[] = [];
    const attempt = <T>(read: () => T): T | undefined => {
      try {
        return read();
      } catch (error) {
        faults.push((error as Error).message);
        return undefined;
      }
    };
    const { bundleText, policyText } = this;
    const policy = attempt(() => this.readPolicy()) ?? this.snapshot.policy;
    const bundle = attempt(() => this.readBundle()) ?? this.snapshot.bundle;
    if (this.bundleText !== bundleText || this.policyText !== policyText) {
      this.snapshot = snapshotOf(this.snapshot.generation + 1, bundle, policy);
      this.order = orderOf(bundle);
      this.isOrderKept = false;
      for (const listener of this.listeners) listener();
    }
    // A disk that is full must not keep a revocation from taking effect.
    if (!this.isOrderKept) attempt(() => this.keepOrder());
    return faults;
  }

  private readPolicy(): CompiledPolicy {
    const { files, parsePolicy } = this.options;
    const text = readText(files.policy, 'the policy');
    const policy = compilePolicy(parsePolicy(text, files.policy));
    this.policyText = text;
    return policy;
  }

  private readBundle(): Bundle {
    const { files, trustDomain, root, clock } = this.options;
    const text = readText(files.bundle, 'the trust bundle').trim();
    const bundle = verifyBundle(text, {
      trustDomain,
      root,
      last: this.order,
      now: Math.floor(clock.now() / 1000),
    });
    if (!bundle.ok) throw new TrustError(`${files.bundle}: ${bundle.detail} (${bundle.reason})`);
    authoritiesPem(bundle.value.authorities);
    this.bundleText = text;
    return bundle.value;
  }

  private keepOrder(): void {
    const { order } = this.options.files;
    mkdirSync(dirname(order), { recursive: true });
    writeFileSync(`${order}.tmp`, `${JSON.stringify(this.order)}\n`, { mode: 0o600 });
    renameSync(`${order}.tmp`, order);
    this.isOrderKept = true;
  }
}

/** A domain in files is signed as a whole: the bundle is as fresh as it is old, and only its end or a demand ends it. */
const snapshotOf = (generation: number, bundle: Bundle, policy: CompiledPolicy): TrustSnapshot => ({
  generation,
  bundle,
  policy,
  bundleName: `${bundle.epoch}.${bundle.seq}`,
  freshAt: bundle.iat,
  maxStalenessSeconds: Number.POSITIVE_INFINITY,
});

const readText = (file: string, what: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new TrustError(`${file}: ${what} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
};
