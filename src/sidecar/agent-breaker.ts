/**
 * Leaves the agent behind this sidecar alone when it is not there: its callers hear so at once, and nothing is read, decided or
 * kept for them. That nobody listens holds for all. That nothing is answered holds for the caller whose requests they were: one
 * that sends what takes too long, or what makes the agent hang up, shuts the door to nobody else.
 */
import { LRUCache } from 'lru-cache';
import type { AgentId } from '../core/spiffe-id.ts';
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
  private readonly callers = new LRUCache<AgentId, Breaker>({ max: MOST_CALLERS });
  private isWatched = false;
  private isStopped = false;

  constructor(options: AgentBreakerOptions) {
    this.options = options;
    this.port = new Breaker(options.limits, options.clock);
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Of the agent's port. */
  get state(): BreakerState {
    return this.port.state;
  }

  /** Refuses with `upstream_unavailable`. */
  fault(caller: AgentId): Denial | undefined {
    // Only our own probe finds out whether it is there again: no request is spent on that.
    if (this.port.state !== 'closed') return this.unavailable('the agent does not answer on its port');
    const mine = this.callers.get(caller);
    return mine === undefined || mine.canBegin
      ? undefined
      : this.unavailable(`the agent has not answered ${caller} for some time`);
  }

  begin(caller: AgentId): AgentAttempt {
    const port = this.port.state === 'closed' ? this.port.begin() : undefined;
    return new BegunAttempt(port, this.ofCaller(caller).begin(), (isCaller) => this.look(caller, isCaller));
  }

  private ofCaller(caller: AgentId): Breaker {
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

  /** After a failure. */
  private look(caller: AgentId, isCaller: boolean): void {
    const { log } = this.options;
    if (isCaller && this.callers.get(caller)?.state === 'open')
      log.warn({ caller }, 'the agent does not answer this caller: its requests are refused for a time');
    if (this.isWatched || this.port.state === 'closed') return;
    this.isWatched = true;
    log.error('the agent does not answer on its port: requests are refused until it does');
    this.probeLater();
  }

  private probeLater(): void {
    const { limits, later } = this.options;
    later(limits.coolDownMs + TIMER_SLACK_MS, () => void this.probe());
  }

  private async probe(): Promise<void> {
    if (this.isStopped) return;
    const attempt = this.port.begin();
    attempt?.((await this.options.probe()) ? 'answered' : 'failed');
    if (this.port.state !== 'closed') {
      this.probeLater();
      return;
    }
    this.isWatched = false;
    this.options.log.info('the agent answers on its port again');
  }
}

class BegunAttempt implements AgentAttempt {
  private readonly port: Attempt | undefined;
  private readonly caller: Attempt | undefined;
  private readonly failed: (isCaller: boolean) => void;
  private isOver = false;

  constructor(port: Attempt | undefined, caller: Attempt | undefined, failed: (isCaller: boolean) => void) {
    this.port = port;
    this.caller = caller;
    this.failed = failed;
  }

  answered(): void {
    this.settle('answered', 'answered');
  }

  ended(result: ExchangeResult['result']): void {
    if (this.isOver) return;
    if (result === 'ok') this.settle('answered', 'answered');
    else if (result === 'upstream_unreachable') this.settle('failed', 'untried');
    // Whoever lets a request in is there.
    else if (result === 'upstream_timeout' || result === 'upstream_failed') this.settle('answered', 'failed');
    else this.settle('untried', 'untried');
  }

  private settle(port: Parameters<Attempt>[0], caller: Parameters<Attempt>[0]): void {
    if (this.isOver) return;
    this.isOver = true;
    this.port?.(port);
    this.caller?.(caller);
    if (port === 'failed' || caller === 'failed') this.failed(caller === 'failed');
  }
}
