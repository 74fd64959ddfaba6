/** What a sidecar is made of: its configuration, and what of the world it doesn't take itself. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { EgressNetwork } from '../edge/egress/network.ts';
import type { Logger, LogTap } from '../edge/telemetry/log.ts';
import type { ApprovalPort, Clock } from '../ports.ts';

export interface SidecarOptions {
  readonly config: SidecarConfig;
  /** base64url SHA-256 of the text that it was read from. */
  readonly configDigest: string;
  /** The file that the configuration came from: names in it are relative to this. */
  readonly configFile: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where lines of that log are heard. */
  readonly logTap?: LogTap | undefined;
  /** Where humans approve requests, if there is a verifier. */
  readonly approvals?: ApprovalPort | undefined;
  /** Names and addresses beyond the mesh; the system's, unless a test has its own. */
  readonly network?: EgressNetwork | undefined;
}
