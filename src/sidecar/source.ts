/** Where trust and identity come from: files that others write, or the verifier. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { HeldTrust } from '../edge/store/trust-state.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { ApprovalPort, Clock } from '../ports.ts';

export interface SourceOptions {
  readonly config: SidecarConfig;
  /** Names in the configuration are relative to its file. */
  readonly fileAt: (name: string) => string;
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Hears of each identity, the first included. */
  readonly onIdentity: (identity: SidecarIdentity) => void;
  /** Hears that TLS is to be set up anew: another SVID, or other CAs. */
  readonly onTls: () => void;
}

export interface Source {
  readonly trust: HeldTrust;
  /** Undefined where there is no verifier to ask. */
  readonly approvals: ApprovalPort | undefined;
  /** Resolves when there are trust and identity, or with false when it was stopped before. */
  open(): Promise<boolean>;
  /** Keeps both up to date from now on. */
  start(): void;
  /** Looks for news now, as an operator asks. */
  reload(): void;
  /** Replaces the agent key. Throws where that is not ours to do, or not now. */
  rotateKey(): Promise<void>;
  /** How our clock and the verifier's compare, for the log; undefined without a verifier. */
  clockFacts(): Readonly<Record<string, unknown>> | undefined;
  /** For people. */
  readonly state: unknown;
  stop(): void;
}
