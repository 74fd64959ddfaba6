/**
 * Tasks that began here and are over, told to the verifier, which ends their grants at every sidecar: ended at the admin socket,
 * or idle for too long. Never on a request's path.
 */
import type { TaskOutcome } from '../api/tasks.ts';
import { CLOCK_SKEW_SECONDS } from '../core/limits.ts';
import { REASONS, type ReasonCode } from '../core/reasons.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import { Backoff, delay } from '../edge/verifier/backoff.ts';
import { VerifierError } from '../edge/verifier/verifier-error.ts';
import type { VerifierLink } from '../edge/verifier/verifier-link.ts';
import type { LiveHops } from '../hop/forward.ts';
import type { Clock } from '../ports.ts';
import type { Context, Contexts } from './contexts.ts';

export interface TaskEndsOptions {
  /** Undefined where trust comes from files: a task then ends here alone. */
  readonly link: Pick<VerifierLink, 'endTask'> | undefined;
  readonly contexts: Contexts;
  readonly live: Pick<LiveHops, 'tasks' | 'cutTask'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What became of the end of a task. */
export type TaskEnded =
  | { readonly where: 'everywhere' }
  /** The verifier can't be told yet, and will be; or there is none. */
  | { readonly where: 'here'; readonly isPending: boolean }
  | {
      readonly where: 'here';
      readonly isPending: false;
      readonly reason: ReasonCode;
      readonly detail: string;
    };

interface Ending {
  readonly context: Context;
  readonly outcome: TaskOutcome;
  readonly settled: ((ended: TaskEnded) => void)[];
}

/** Ends that wait to be told; beyond it the link's own end has to do. */
const MOST_PENDING = 1024;
/** Milliseconds. */
const DELAYS = { first: 500, most: 60_000 };
/** Milliseconds: whoever ends a task waits no longer for the verifier. */
const ANSWER_WITHIN_MS = 5000;
/** Refusals of the verifier that another attempt may not meet. */
const PASSING: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'verifier_unreachable',
  'verifier_untrusted',
  'api_unavailable',
  'api_busy',
  'api_unauthenticated',
  'svid_expired',
  'internal',
]);

const nameOf = ({ chain }: Context): string => `${chain.task} ${chain.principal}`;

export class TaskEnds {
  private readonly options: TaskEndsOptions;
  /** Contexts of tasks that began here, by handle. */
  private readonly begun = new Map<string, Context>();
  private readonly pending = new Map<string, Ending>();
  private readonly stopping = new AbortController();
  private isTelling = false;

  constructor(options: TaskEndsOptions) {
    this.options = options;
  }

  /** A task has begun here, or goes on here under another chain. */
  began(context: Context): void {
    this.begun.set(context.handle, context);
  }

  /** Ends the task of a context, under all its handles; undefined when there is no such context of a task that began here. */
  async end(handle: string, outcome: TaskOutcome): Promise<TaskEnded | undefined> {
    const context = this.begun.get(handle);
    if (context === undefined) return undefined;
    const name = nameOf(context);
    for (const other of [...this.begun.values()]) if (nameOf(other) === name) this.drop(other);
    // Beyond the mesh nobody else would hear that it is over, and a tunnel lasts.
    this.options.live.cutTask(name, 'revoked_task');
    if (this.options.link === undefined) return { where: 'here', isPending: false };
    const told = new Promise<TaskEnded>((resolve) => this.tell(context, outcome, resolve));
    const late = delay(ANSWER_WITHIN_MS, this.stopping.signal).then(
      (): TaskEnded => ({ where: 'here', isPending: true }),
    );
    return Promise.race([told, late]);
  }

  /** Looks for tasks that nobody has gone on with. What streams keeps its task alive. */
  sweep(nowSeconds: number): void {
    if (this.begun.size === 0) return;
    const { contexts, live, link } = this.options;
    const busy = live.tasks();
    for (const context of [...this.begun.values()]) {
      const { handle, chain } = context;
      const isOver = nowSeconds >= chain.exp + CLOCK_SKEW_SECONDS;
      if (busy.has(nameOf(context)) && !isOver) {
        contexts.keep(handle);
        continue;
      }
      const state = contexts.stateOf(handle);
      if (state === 'open') continue;
      this.drop(context);
      const goesOn = [...this.begun.values()].some((other) => nameOf(other) === nameOf(context));
      if (state === 'idle' && !isOver && !goesOn && link !== undefined) this.tell(context, 'idle');
    }
  }

  private drop({ handle }: Context): void {
    this.begun.delete(handle);
    this.options.contexts.end(handle);
  }

  private tell(context: Context, outcome: TaskOutcome, settled?: (ended: TaskEnded) => void): void {
    const name = nameOf(context);
    const known = this.pending.get(name);
    if (known === undefined && this.pending.size >= MOST_PENDING) {
      this.options.log.warn(
        { task: context.chain.task, outcome },
        'too many ended tasks wait for the verifier',
      );
      settled?.({ where: 'here', isPending: false });
      return;
    }
    const ending = known ?? { context, outcome, settled: [] };
    if (settled !== undefined) ending.settled.push(settled);
    this.pending.set(name, ending);
    if (!this.isTelling) void this.tellAll();
  }

  private async tellAll(): Promise<void> {
    this.isTelling = true;
    const { log, clock } = this.options;
    const backoff = new Backoff(DELAYS);
    try {
      // What is put behind is met again: this ends when nothing is left.
      for (const [name, ending] of this.pending) {
        if (this.stopping.signal.aborted) return;
        const ended = await this.tellOne(ending);
        const { task, exp } = ending.context.chain;
        // What it granted has ended by itself.
        const isOver = clock.now() / 1000 >= exp + CLOCK_SKEW_SECONDS;
        this.pending.delete(name);
        if (ended === undefined && !isOver) {
          // Behind the others: one that can't be told must not hold them up.
          this.pending.set(name, ending);
          await delay(backoff.next(), this.stopping.signal);
          continue;
        }
        if (ended === undefined) continue;
        backoff.reset();
        if ('reason' in ended)
          log.warn(
            { task, reason: ended.reason, detail: ended.detail },
            'a task ended here and not everywhere',
          );
        else log.info({ task, outcome: ending.outcome }, 'a task has ended everywhere');
        for (const settle of ending.settled) settle(ended);
      }
    } finally {
      this.isTelling = false;
    }
  }

  /** Undefined: to be tried again. */
  private async tellOne({ context, outcome }: Ending): Promise<TaskEnded | undefined> {
    const { chainText, chain } = context;
    const { task, principal } = chain;
    const why = outcome === 'idle' ? 'idle for too long' : 'ended where it began';
    const body = { principal, outcome, chain: chainText, why };
    try {
      await this.options.link?.endTask(task, body, this.stopping.signal);
      return { where: 'everywhere' };
    } catch (error) {
      if (!(error instanceof VerifierError)) {
        this.options.log.error({ err: error }, 'the end of a task could not be told');
        return { where: 'here', isPending: false, reason: 'internal', detail: 'a fault in the sidecar' };
      }
      const { reason, message } = error;
      if (PASSING.has(reason)) return undefined;
      return { where: 'here', isPending: false, reason, detail: message || REASONS[reason].meaning };
    }
  }

  stop(): void {
    this.stopping.abort();
  }
}
