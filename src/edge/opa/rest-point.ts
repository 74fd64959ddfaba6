/**
 * OPA over its REST API: one question, one answer, no retry, and never longer than the timeout. Whatever is no clear yes is a denial.
 */
import { LRUCache } from 'lru-cache';
import type { RestConfig } from '../../config/decision-point-schema.ts';
import type { Clock, DecisionPoint, PointVerdict } from '../../ports.ts';
import { Breaker, type BreakerState } from '../breaker.ts';
import { request } from '../http/undici.ts';
import { watchFiles } from '../store/watched-files.ts';
import type { Logger } from '../telemetry/log.ts';
import { readAnswer, refuse } from './answer.ts';
import { callerOf, MOST_CALLERS } from './caller.ts';
import { openService, readCa, readToken, type Service } from './service-pool.ts';

/** An answer is a yes or a no and a sentence. */
const MAX_ANSWER_BYTES = 65_536;
/** Of what stands between us and OPA, or of an OPA that isn't ready: it was not asked. */
const NOT_THERE = new Set([429, 502, 503, 504]);
/** Of those under way, in hundredths, that one caller may have: whose questions are slow keeps nobody else from asking. */
const MOST_OF_ONE_CALLER = 75;

export interface RestPointOptions {
  readonly name: string;
  readonly config: RestConfig;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RestPointState {
  readonly kind: 'rest';
  readonly breaker: BreakerState;
  readonly inFlight: number;
}

class TooLarge extends Error {}

type Input = Readonly<Record<string, unknown>>;

/** What one caller has to do with how this point answers. */
interface Caller {
  inFlight: number;
  /** Opened by what is too slow: heavy questions of one caller are no reason not to ask those of others. */
  readonly slow: Breaker;
}

export class RestPoint implements DecisionPoint {
  private readonly options: RestPointOptions;
  private readonly service: Service;
  /** Opened by what is not there at all. */
  private readonly breaker: Breaker;
  private readonly callers = new LRUCache<string, Caller>({ max: MOST_CALLERS });
  private headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' };
  private stopWatching: () => void = () => {};
  private inFlight = 0;
  private said: BreakerState = 'closed';

  /** Opens no connection. Throws on CA and token files that can't be read. */
  constructor(options: RestPointOptions) {
    this.options = options;
    const { url, caFile, maxInFlight, timeout } = options.config;
    this.service = openService({ url, ca: readCa(caFile), connections: maxInFlight, connectMs: timeout });
    this.breaker = this.newBreaker();
    this.authorize();
  }

  private newBreaker(): Breaker {
    const { config, clock } = this.options;
    const { failures, coolDown } = config.breaker;
    return new Breaker({ failures, coolDownMs: coolDown * 1000 }, clock);
  }

  private callerNamed(id: string): Caller {
    const known = this.callers.get(id);
    if (known !== undefined) return known;
    const caller = { inFlight: 0, slow: this.newBreaker() };
    this.callers.set(id, caller);
    return caller;
  }

  get state(): RestPointState {
    return { kind: 'rest', breaker: this.breaker.state, inFlight: this.inFlight };
  }

  start(): void {
    const { config, name, log } = this.options;
    if (config.tokenFile === undefined) return;
    this.stopWatching = watchFiles([config.tokenFile], () => {
      try {
        this.authorize();
      } catch (error) {
        log.error({ point: name, error: String(error) }, 'the token can’t be read; the last one stays');
      }
    });
  }

  async stop(): Promise<void> {
    this.stopWatching();
    await this.service.pool.destroy();
  }

  async decide(path: string, input: Input): Promise<PointVerdict> {
    const { name, config } = this.options;
    const caller = this.callerNamed(callerOf(input));
    const mostOfCaller = Math.ceil((config.maxInFlight * MOST_OF_ONE_CALLER) / 100);
    if (this.inFlight >= config.maxInFlight || caller.inFlight >= mostOfCaller)
      return refuse('opa_unavailable', `${name} has ${this.inFlight} questions under way`);
    const isProbe = this.breaker.state !== 'closed';
    const attempt = this.breaker.begin();
    if (attempt === undefined)
      return refuse('opa_unavailable', `${name} has not answered for some time and is not asked`);
    const ofCaller = caller.slow.begin();
    if (ofCaller === undefined) {
      attempt('untried');
      return refuse('opa_unavailable', `${name} has not answered this caller for some time and is not asked`);
    }
    this.inFlight++;
    caller.inFlight++;
    try {
      const { verdict, isAnswer } = await this.ask(path, input);
      const isSlow = !verdict.ok && verdict.reason === 'opa_timeout';
      ofCaller(isAnswer ? 'answered' : isSlow ? 'failed' : 'untried');
      if (isSlow && caller.slow.state === 'open')
        this.options.log.warn(
          { point: name, caller: callerOf(input) },
          'questions of this caller take too long',
        );
      attempt(isAnswer ? 'answered' : isSlow && !isProbe ? 'untried' : 'failed');
      return verdict;
    } finally {
      this.inFlight--;
      caller.inFlight--;
      this.report();
    }
  }

  private authorize(): void {
    const { tokenFile } = this.options.config;
    if (tokenFile !== undefined)
      this.headers = { ...this.headers, authorization: `Bearer ${readToken(tokenFile)}` };
  }

  private async ask(
    path: string,
    input: Input,
  ): Promise<{ readonly verdict: PointVerdict; readonly isAnswer: boolean }> {
    const { name, config } = this.options;
    const { pool, path: prefix } = this.service;
    const giveUp = new AbortController();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      giveUp.abort();
    }, config.timeout);
    const no = (reason: 'opa_timeout' | 'opa_unavailable' | 'opa_result', detail: string) => ({
      verdict: refuse(reason, detail),
      isAnswer: reason === 'opa_result',
    });
    try {
      const { statusCode, body } = await request(pool, {
        method: 'POST',
        path: `${prefix}/v1/data/${path.split('/').map(encodeURIComponent).join('/')}`,
        headers: this.headers,
        body: JSON.stringify({ input }),
        signal: giveUp.signal,
      });
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) throw new TooLarge();
        chunks.push(chunk);
      }
      if (NOT_THERE.has(statusCode)) return no('opa_unavailable', `${name} answered ${statusCode}`);
      // Not counted as a failure: one request that makes a rule fail must not shut the door to all others.
      if (statusCode !== 200) return no('opa_result', `${name} answered ${statusCode}`);
      return { verdict: readAnswer(Buffer.concat(chunks, size)), isAnswer: true };
    } catch (error) {
      if (isLate) return no('opa_timeout', `${name} has not answered within ${config.timeout} ms`);
      if (error instanceof TooLarge)
        return no('opa_result', `${name} answered with more than ${MAX_ANSWER_BYTES} octets`);
      return no(
        'opa_unavailable',
        `${name} can’t be asked (${(error as { code?: string }).code ?? 'error'})`,
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** Once for each change, not for each request. */
  private report(): void {
    const { state } = this.breaker;
    if (state === this.said || state === 'half-open') return;
    this.said = state;
    const { log, name } = this.options;
    if (state === 'open')
      log.error({ point: name }, 'the decision point does not answer: all it would decide is denied');
    else log.info({ point: name }, 'the decision point answers again');
  }
}
