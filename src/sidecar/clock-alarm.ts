/** A refusal whose cause may be a clock is told of at once, with both times: nobody finds that in a table of reason codes. */
import type { ReasonCode } from '../core/reasons.ts';
import type { Denial } from '../core/verdict.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock } from '../ports.ts';

const OF_TIME: ReadonlySet<ReasonCode> = new Set([
  'svid_expired',
  'wit_expired',
  'wit_not_yet_valid',
  'link_not_yet_valid',
  'request_proof_expired',
  'request_proof_not_yet_valid',
]);
/** Peers cause these lines: one a minute for each reason. */
const QUIET_MS = 60_000;

export interface ClockAlarmOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** How our clock and the verifier's compare; undefined without a verifier. */
  readonly facts: () => Readonly<Record<string, unknown>> | undefined;
}

export class ClockAlarm {
  private readonly options: ClockAlarmOptions;
  private readonly quietUntil = new Map<ReasonCode, number>();

  constructor(options: ClockAlarmOptions) {
    this.options = options;
  }

  /** `peer` is the other side, as well as it is known. */
  hear({ reason, detail }: Denial, peer: string): void {
    if (!OF_TIME.has(reason)) return;
    const { clock, log, facts } = this.options;
    const monotonic = clock.monotonic();
    if (monotonic < (this.quietUntil.get(reason) ?? Number.NEGATIVE_INFINITY)) return;
    this.quietUntil.set(reason, monotonic + QUIET_MS);
    const now = Math.floor(clock.now() / 1000);
    log.warn(
      { peer, reason, detail, now, ...facts() },
      'refused for its time: one of the clocks may be wrong',
    );
  }
}
