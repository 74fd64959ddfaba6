/** Bundle and policy from files: hot reloaded, the last good one kept, no way back to an older bundle. */
import { readFileSync } from 'node:fs';
import { compilePolicy } from '../../core/policy/evaluate.ts';
import type { Policy } from '../../core/policy/model.ts';
import { type Bundle, freshnessOf, verifyBundle } from '../../core/trust/bundle.ts';
import type { Verdict } from '../../core/verdict.ts';
import type { Clock, TrustSnapshot } from '../../ports.ts';
import { authoritiesPem } from '../tls/settings.ts';
import { readOrder, writeOrder } from './bundle-order.ts';
import { TrustError } from './trust-error.ts';
import { type HeldTrust, TrustState } from './trust-state.ts';

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

export class TrustFiles implements HeldTrust {
  private readonly options: TrustFilesOptions;
  private readonly state: TrustState;
  private isOrderKept: boolean;
  private bundleText = '';
  private policyText = '';

  /** Reads both files. Throws {@link TrustError} or a configuration error: a sidecar doesn't start without trust. */
  constructor(options: TrustFilesOptions) {
    this.options = options;
    this.state = new TrustState(options.clock, readOrder(options.files.order));
    const policy = this.readPolicy();
    const bundle = this.readBundle();
    this.isOrderKept = bundle.digest === this.state.order.digest;
    this.replace(bundle, policy);
    if (!this.isOrderKept) this.keepOrder();
  }

  current(): Verdict<TrustSnapshot> {
    return this.state.current();
  }

  get last(): TrustSnapshot {
    return this.state.last;
  }

  get known(): TrustSnapshot {
    return this.state.last;
  }

  onChange(listener: () => void): void {
    this.state.onChange(listener);
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
    const policy = attempt(() => this.readPolicy()) ?? this.last.policy.policy;
    const bundle = attempt(() => this.readBundle()) ?? this.last.bundle;
    if (this.bundleText !== bundleText || this.policyText !== policyText) {
      this.isOrderKept = false;
      this.replace(bundle, policy);
    }
    // A disk that is full must not keep a revocation from taking effect.
    if (!this.isOrderKept) attempt(() => this.keepOrder());
    return faults;
  }

  /** The lists of the bundle hold besides the policy's, whoever the policy comes from. */
  private replace(bundle: Bundle, policy: Policy): void {
    this.state.replace(bundle, compilePolicy(policy, bundle.lists), freshnessOf(bundle, policy.limits));
  }

  private readPolicy(): Policy {
    const { files, parsePolicy } = this.options;
    const text = readText(files.policy, 'the policy');
    const policy = parsePolicy(text, files.policy);
    this.policyText = text;
    return policy;
  }

  private readBundle(): Bundle {
    const { files, trustDomain, root, clock } = this.options;
    const text = readText(files.bundle, 'the trust bundle').trim();
    const bundle = verifyBundle(text, {
      trustDomain,
      root,
      last: this.state.order,
      now: Math.floor(clock.now() / 1000),
    });
    if (!bundle.ok) throw new TrustError(`${files.bundle}: ${bundle.detail} (${bundle.reason})`);
    authoritiesPem(bundle.value.authorities);
    this.bundleText = text;
    return bundle.value;
  }

  private keepOrder(): void {
    writeOrder(this.options.files.order, this.state.order);
    this.isOrderKept = true;
  }
}

const readText = (file: string, what: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new TrustError(`${file}: ${what} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
};
