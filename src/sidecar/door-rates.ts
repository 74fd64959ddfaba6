/**
 * How fast it may go at the door in: handshakes of one source, requests of one caller and of one task, and octets of bodies that
 * are read before anything is decided. A pause is made good: so many times the rate may come at once.
 */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { VerifiedChain } from '../core/delegation/chain.ts';
import { type Denial, deny } from '../core/verdict.ts';
import { Pace } from '../edge/pace.ts';
import type { Clock } from '../ports.ts';

export type RateLimits = Pick<
  SidecarConfig['limits'],
  'handshakesPerSecond' | 'requestsPerSecond' | 'taskRequestsPerSecond' | 'readBytesPerSecond'
>;

/** Seconds at the full rate that may come at once. */
const BURST_SECONDS = 2;
/** A sidecar that starts again has all its peers before it at once, and some come through one address. */
const HANDSHAKE_BURST_SECONDS = 5;

export class DoorRates {
  /** As they are in force. */
  private readonly limits: () => RateLimits;
  private readonly handshakes: Pace;
  private readonly requests: Pace;
  private readonly tasks: Pace;
  private readonly reads: Pace;
  /** Chains are kept for their next request: their task is put into words once. */
  private readonly taskNames = new WeakMap<VerifiedChain, string>();

  constructor(limits: () => RateLimits, clock: Clock) {
    this.limits = limits;
    const pace = (name: keyof RateLimits, seconds = BURST_SECONDS): Pace =>
      new Pace(
        {
          get perSecond() {
            return limits()[name];
          },
          get burst() {
            return limits()[name] * seconds;
          },
        },
        clock,
      );
    this.handshakes = pace('handshakesPerSecond', HANDSHAKE_BURST_SECONDS);
    this.requests = pace('requestsPerSecond');
    this.tasks = pace('taskRequestsPerSecond');
    this.reads = pace('readBytesPerSecond');
  }

  /** Takes note of a connection from this source, and says whether it is not one too many a second. */
  handshake(source: string): boolean {
    return this.handshakes.allows(source);
  }

  /** Takes note of a request before anything of it is verified. Refuses with `caller_rate`. */
  request(caller: string): Denial | undefined {
    const waitMs = this.requests.take(caller);
    return waitMs === 0
      ? undefined
      : tooFast(
          'caller_rate',
          `${caller} may send ${this.limits().requestsPerSecond} requests a second`,
          waitMs,
        );
  }

  /** The same for the task of a chain that has been verified: nobody uses up another's by naming it. Refuses with `task_rate`. */
  task(chain: VerifiedChain): Denial | undefined {
    let name = this.taskNames.get(chain);
    if (name === undefined) {
      name = `${chain.task} ${chain.principal}`;
      this.taskNames.set(chain, name);
    }
    const waitMs = this.tasks.take(name);
    return waitMs === 0
      ? undefined
      : tooFast(
          'task_rate',
          `the task ${chain.task} may send ${this.limits().taskRequestsPerSecond} requests a second`,
          waitMs,
        );
  }

  /**
   * Takes note of octets that are going to be read, 0 where nobody says how many. A body of any size is read while the caller is
   * within its rate, and then paid for. Refuses with `body_rate`.
   */
  read(caller: string, octets: number): Denial | undefined {
    const waitMs = this.reads.takeOnCredit(caller, octets);
    return waitMs === 0
      ? undefined
      : tooFast(
          'body_rate',
          `bodies of ${caller} are read at ${this.limits().readBytesPerSecond} octets a second`,
          waitMs,
        );
  }

  /** Octets that have been read and that nobody had announced. */
  haveRead(caller: string, octets: number): void {
    this.reads.charge(caller, octets);
  }
}

const tooFast = (
  reason: 'caller_rate' | 'task_rate' | 'body_rate',
  detail: string,
  waitMs: number,
): Denial => ({ ...deny(reason, detail), retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) });
