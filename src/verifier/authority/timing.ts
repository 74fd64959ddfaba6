/** How long keys and what they sign live, in seconds. */
import type { KeyConfig } from '../../config/key-schema.ts';
import { DEFAULT_MAX_TASK_AGE_SECONDS } from '../../core/limits.ts';
import type { KeyRole } from './key-records.ts';

export interface Timing {
  /** Age at which an active key is replaced. */
  readonly rotateAfter: Readonly<Record<KeyRole, number>>;
  /** From naming a key to signing with it: every sidecar that still decides must have heard of it by then. */
  readonly overlap: number;
  /** Life of a roles document. A root that is offline must sign within it. */
  readonly roles: number;
  /** The longest life of an SVID and its WIT, whoever allowed it. */
  readonly svid: number;
  /** The longest life of a chain: a link made at the very end of a key binding is believed so long. */
  readonly chain: number;
  readonly bundle: number;
  readonly timestamp: number;
  /** Life of the verifier's own certificate. */
  readonly server: number;
}

const DAY = 86_400;

export const DEFAULT_TIMING: Timing = {
  rotateAfter: {
    'svid-ca': 30 * DAY,
    'wit-issuer': 30 * DAY,
    'root-issuer': 90 * DAY,
    policy: 90 * DAY,
    timestamp: 30 * DAY,
  },
  // Twice the default of `limits.maxStaleness`, after which a sidecar that hears nothing decides nothing.
  overlap: 7200,
  roles: 90 * DAY,
  svid: DAY,
  chain: DEFAULT_MAX_TASK_AGE_SECONDS,
  bundle: DAY,
  timestamp: 300,
  server: 3600,
};

/** What the configuration says, and the rest as it is by default. */
export const timingOf = ({ rotateDays, overlap }: KeyConfig): Timing => ({
  ...DEFAULT_TIMING,
  rotateAfter: {
    'svid-ca': rotateDays.svidCa * DAY,
    'wit-issuer': rotateDays.witIssuer * DAY,
    'root-issuer': rotateDays.rootIssuer * DAY,
    policy: rotateDays.policy * DAY,
    timestamp: rotateDays.timestamp * DAY,
  },
  overlap,
});

/** What a key of this role signs ends at most so many seconds later. */
export const longestOf = (role: KeyRole, timing: Timing): number =>
  ({
    'svid-ca': Math.max(timing.svid, timing.server),
    'wit-issuer': timing.svid + timing.chain,
    'root-issuer': timing.chain,
    policy: timing.bundle,
    timestamp: timing.timestamp,
  })[role];

/** A CA whose successor waits for an offline root still issues whole SVIDs for half a year. */
export const caSecondsOf = (timing: Timing): number =>
  timing.rotateAfter['svid-ca'] + timing.overlap + timing.svid + 180 * DAY;
