/**
 * Leaves the agent behind this sidecar alone when it is not there: its callers hear so at once, and nothing is read, decided or
 * kept for them. That nobody listens holds for all, and is only believed when the sidecar has tried the port itself: whoever
 * takes all connections must not make it look so. That nothing is answered holds for the caller whose requests they were: one
 * that sends what takes too long, or what makes the agent hang up, shuts the door to nobody else.
 */
import { LRUCache } from 'lru-cache';
import { type Denial, deny } from '../core/verdict.ts';
import { type Attempt, Breaker, type BreakerLimits, type BreakerState } from '../edge/breaker.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock, ExchangeResult } from '../ports.ts';

export interface AgentBreakerOptions {
  readonly limits: BreakerLimits;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'error' | 'info' | 'warn'>;
  /** Whether somebody listens there now. Never rejects. */
  readonly probe: () => Promise<boolean>;
  /** Calls back after so many milliseconds. */
  readonly later: (milliseconds: number, then: () => void) => void;
}

/** One request on its way to the agent. */
export interface AgentAttempt {
  /** The head of a response has come. */
  answered(): void;
  ended(result: ExchangeResult['result']): void;
}

/** Callers that are remembered; most have nothing to be remembered for. */
const MOST_CALLERS = 1024;
/** Timers may come a little before their time, and then it would not have cooled down. */
const TIMER_SLACK_MS = 2;

export class AgentBreaker {
  private readonly options: AgentBreakerOptions;
  private readonly port: Breaker;
  private readonly callers = new LRUCache<string, Breaker>({ max: MOST_CALLERS });
  /** Requests in a row that found no connection. */
  private missed = 0;
  private isWatched = false;
  private isGone = false;
  private isStopped = false;

  constructor(options: AgentBreakerOptions) {
    this.options = options;
    const { limits, clock } = options;
    this.port = new Breaker(
      {
        failures: 1,
        get coolDownMs() {
          return limits.coolDownMs;
        },
      },
      clock,
    );
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Of the agent's port. */
  get state(): BreakerState {
    return this.port.state;
  }

  /** Refuses with `upstream_unavailable`. */
  fault(caller: string): Denial | undefined {
    // Only our own probe finds out whether it is there again: no request is spent on that.
    if (this.port.state !== 'closed') return this.unavailable('the agent does not answer on its port');
    const mine = this.callers.get(caller);
    return mine === undefined || mine.canBegin
      ? undefined
      : this.unavailable(`the agent has not answered ${caller} for some time`);
  }

  begin(caller: string): AgentAttempt {
    return new BegunAttempt(this.ofCaller(caller).begin(), {
      reached: () => {
        this.missed = 0;
      },
      missed: () => this.miss(),
      unanswered: () => this.warn(caller),
    });
  }

  private ofCaller(caller: string): Breaker {
    const known = this.callers.get(caller);
    if (known !== undefined) return known;
    const breaker = new Breaker(this.options.limits, this.options.clock);
    this.callers.set(caller, breaker);
    return breaker;
  }

  private unavailable(detail: string): Denial {
    const { coolDownMs } = this.options.limits;
    return {
      ...deny('upstream_unavailable', detail),
      retryAfterSeconds: Math.max(1, Math.ceil(coolDownMs / 1000)),
    };
  }

  private warn(caller: string): void {
    if (this.callers.get(caller)?.state === 'open')
      this.options.log.warn(
        { caller },
        'the agent does not answer this caller: its requests are refused for a time',
      );
  }

  private miss(): void {
    this.missed++;
    if (this.isWatched || this.missed < this.options.limits.failures) return;
    this.isWatched = true;
    void this.look();
  }

  /** Until somebody listens there. */
  private async look(): Promise<void> {
    if (this.isStopped) return;
    const { limits, later, log, probe } = this.options;
    const attempt = this.port.begin();
    attempt?.((await probe()) ? 'answered' : 'failed');
    if (this.port.state === 'closed') {
      this.missed = 0;
      this.isWatched = false;
      if (this.isGone) log.info('the agent answers on its port again');
      this.isGone = false;
      return;
    }
    if (!this.isGone) log.error('the agent does not answer on its port: requests are refused until it does');
    this.isGone = true;
    later(limits.coolDownMs + TIMER_SLACK_MS, () => void this.look());
  }
}

interface Heard {
  /** The agent took the request. */
  readonly reached: () => void;
  readonly missed: () => void;
  readonly unanswered: () => void;
}

class BegunAttempt implements AgentAttempt {
  private readonly caller: Attempt | undefined;
  private readonly heard: Heard;
  private isOver = false;

  constructor(caller: Attempt | undefined, heard: Heard) {
    this.caller = caller;
    this.heard = heard;
  }

  answered(): void {
    this.ended('ok');
  }

  ended(result: ExchangeResult['result']): void {
    if (this.isOver) return;
    this.isOver = true;
    const { caller, heard } = this;
    switch (result) {
      case 'ok':
        caller?.('answered');
        heard.reached();
        return;
      case 'upstream_unreachable':
        caller?.('untried');
        heard.missed();
        return;
      case 'upstream_timeout':
      case 'upstream_failed':
        caller?.('failed');
        // Whoever lets a request in is there.
        heard.reached();
        heard.unanswered();
        return;
      default:
        caller?.('untried');
    }
  }
}
