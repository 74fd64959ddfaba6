/**
 * Contexts: the grant of one inbound request (or a task that starts here), held under an unguessable handle. A context is never
 * found by task, trace id or time; whoever has no handle has no authority.
 */
import { randomFillSync } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { VerifiedChain } from '../core/delegation/chain.ts';
import { CLOCK_SKEW_SECONDS } from '../core/limits.ts';
import { upTo } from '../core/lru.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { Clock } from '../ports.ts';

export interface Context {
  readonly handle: string;
  /** `L0~…~Lk`, whose leaf names this agent. */
  readonly chainText: string;
  readonly chain: VerifiedChain;
}

const HANDLE_BYTES = 24;
const POOL_BYTES = HANDLE_BYTES * 128;
/** Who gave what was not granted by a caller: the operator, who starts a task here. */
export const TASK_GIVER = 'task';
/** Of all contexts, what one giver may hold: a caller that asks for ever more pushes out its own. */
const SHARE = 1 / 4;

/** The handles that came from one caller, oldest first; some may have ended since. */
interface Giver {
  handles: string[];
  live: number;
}

interface Held extends Context {
  readonly giver: string;
}

export class Contexts {
  private readonly clock: Clock;
  private readonly contexts: LRUCache<string, Held>;
  private readonly givers = new Map<string, Giver>();
  /** Of tasks that began here: used once more after they had been idle for too long. */
  private readonly idled = new Set<string>();
  private readonly share: number;
  // Randomness in bulk: one system call for many handles.
  private readonly pool = Buffer.alloc(POOL_BYTES);
  private used = POOL_BYTES;

  constructor(most: number, idleMs: number, clock: Clock) {
    this.clock = clock;
    this.share = Math.max(1, Math.floor(most * SHARE));
    this.contexts = new LRUCache({
      ...upTo(most),
      dispose: (held, handle, why) => this.forget(held, handle, why),
      ttl: idleMs,
      updateAgeOnGet: true,
      ttlResolution: 0,
      perf: { now: () => clock.monotonic() },
    });
  }

  /** Of contexts that are opened from now on. */
  set idleMs(milliseconds: number) {
    this.contexts.ttl = milliseconds;
  }

  get size(): number {
    return this.contexts.size;
  }

  /** Opens a context for what `giver` granted; 32 characters of handle, 24 octets of randomness. */
  open(giver: string, chainText: string, chain: VerifiedChain): Context {
    const handle = this.nextHandle();
    const context = { handle, chainText, chain, giver };
    this.enter(giver, handle);
    this.contexts.set(handle, context);
    return context;
  }

  private nextHandle(): string {
    if (this.used === POOL_BYTES) {
      randomFillSync(this.pool);
      this.used = 0;
    }
    const handle = this.pool.toString('base64url', this.used, this.used + HANDLE_BYTES);
    this.pool.fill(0, this.used, this.used + HANDLE_BYTES);
    this.used += HANDLE_BYTES;
    return handle;
  }

  /** Makes room in the giver's own share first. */
  private enter(name: string, handle: string): void {
    const giver = this.givers.get(name) ?? { handles: [], live: 0 };
    this.givers.set(name, giver);
    while (giver.live >= this.share) this.contexts.delete(giver.handles.shift() ?? '');
    if (giver.handles.length >= 2 * this.share + 64)
      giver.handles = giver.handles.filter((one) => this.contexts.has(one));
    giver.handles.push(handle);
    giver.live++;
  }

  private forget({ giver: name }: Held, handle: string, why: LRUCache.DisposeReason): void {
    if (name === TASK_GIVER && why === 'expire') this.idled.add(handle);
    const giver = this.givers.get(name);
    if (giver === undefined) return;
    giver.live--;
    if (giver.live === 0) this.givers.delete(name);
  }

  /** Refuses with `context_missing`, `context_unknown`. */
  find(handle: string | undefined): Verdict<Context> {
    if (handle === undefined) return deny('context_missing', 'the request names no context');
    const context = this.contexts.get(handle);
    if (context === undefined)
      return deny(
        'context_unknown',
        'no context has this handle; it may have ended or been idle for too long',
      );
    if (Math.floor(this.clock.now() / 1000) >= context.chain.exp + CLOCK_SKEW_SECONDS) {
      this.contexts.delete(handle);
      return deny('context_unknown', `the context ended with its chain at ${context.chain.exp}`);
    }
    return grant(context);
  }

  /** Of a context that nobody asks for by its handle; looking makes it no younger. `gone`: ended, or pushed out. */
  stateOf(handle: string): 'open' | 'idle' | 'gone' {
    if (this.contexts.has(handle)) return 'open';
    const isStale = this.contexts.peek(handle, { allowStale: true }) !== undefined;
    return this.idled.delete(handle) || isStale ? 'idle' : 'gone';
  }

  /** Keeps one from ending for idleness: it is in use in another way than by its handle. */
  keep(handle: string): void {
    const held = this.contexts.peek(handle, { allowStale: true });
    if (held !== undefined) this.contexts.set(handle, held, { noDisposeOnSet: true });
  }

  /** Those that are open now; using one makes it no younger. */
  *all(): Generator<Context, void, void> {
    for (const handle of [...this.contexts.keys()]) {
      const context = this.contexts.peek(handle);
      if (context !== undefined) yield context;
    }
  }

  /** Ends a context; whether there was one. */
  end(handle: string): boolean {
    return this.contexts.delete(handle);
  }

  clear(): void {
    this.contexts.clear();
  }
}
