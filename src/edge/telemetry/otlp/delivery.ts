/**
 * Spans or log records on their way to a receiver: a bounded queue, one delivery at a time. Whoever puts something in never waits, and
 * never hears what became of it; what is lost is counted.
 */

/** What became of a delivery: taken, less so many of it; not now; or not at all. */
export type Delivered = { readonly rejected: number } | 'again' | 'refused';

export interface DeliveryOptions<T> {
  /** Never rejects, and ends within a bound of its own. */
  readonly send: (items: readonly T[]) => Promise<Delivered>;
  /** That may wait. */
  readonly most: number;
  readonly intervalMs: number;
  /** Hears when deliveries begin to fail, and when they succeed again. */
  readonly onChange: (works: boolean) => void;
}

export interface DeliveryFigures {
  readonly waiting: number;
  readonly delivered: number;
  /** There was no room. */
  readonly dropped: number;
  /** The receiver did not take them. */
  readonly failed: number;
}

/** In one delivery: writing it as JSON takes a millisecond, in which no request goes on. */
const BATCH = 128;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 500;

/** Until then, or until the signal; holds no process. */
const pause = (
  milliseconds: number,
  signal: AbortSignal,
): { readonly done: Promise<void>; readonly timer: NodeJS.Timeout } => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, signal.aborted ? 0 : milliseconds).unref();
  const end = (): void => {
    clearTimeout(timer);
    resolve();
  };
  signal.addEventListener('abort', end, { once: true });
  void promise.then(() => signal.removeEventListener('abort', end));
  return { done: promise, timer };
};

export class Delivery<T> {
  private readonly options: DeliveryOptions<T>;
  private queue: T[] = [];
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private readonly stopping = new AbortController();
  private works = true;
  private delivered = 0;
  private dropped = 0;
  private failed = 0;

  constructor(options: DeliveryOptions<T>) {
    this.options = options;
  }

  get figures(): DeliveryFigures {
    const { queue, delivered, dropped, failed } = this;
    return { waiting: queue.length, delivered, dropped, failed };
  }

  push(item: T): void {
    const { most, intervalMs } = this.options;
    if (this.queue.length >= most || this.stopping.signal.aborted) {
      this.dropped++;
      return;
    }
    this.queue.push(item);
    if (this.running !== undefined) return;
    if (this.queue.length >= BATCH) this.run();
    else this.timer ??= setTimeout(() => this.run(), intervalMs).unref();
  }

  private run(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.running ??= this.deliverAll().finally(() => {
      this.running = undefined;
      if (this.queue.length > 0 && !this.stopping.signal.aborted)
        this.timer ??= setTimeout(() => this.run(), this.options.intervalMs).unref();
    });
  }

  /** What waits now, and what comes meanwhile as long as it fills whole batches. */
  private async deliverAll(): Promise<void> {
    do {
      const batch = this.queue.splice(0, BATCH);
      const taken = await this.deliver(batch);
      this.delivered += taken;
      this.failed += batch.length - taken;
    } while (this.queue.length >= BATCH);
  }

  /** How many of them were taken. */
  private async deliver(batch: readonly T[]): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const result = await this.options.send(batch);
      if (typeof result === 'object') {
        this.change(true);
        return batch.length - Math.min(batch.length, result.rejected);
      }
      this.change(false);
      if (result === 'refused' || attempt >= ATTEMPTS || this.stopping.signal.aborted) return 0;
      await pause(FIRST_PAUSE_MS * 2 ** (attempt - 1), this.stopping.signal).done;
    }
  }

  private change(works: boolean): void {
    if (works === this.works) return;
    this.works = works;
    this.options.onChange(works);
  }

  /** Takes nothing more; resolves when what waits was delivered once, or after so many milliseconds. */
  async close(withinMs: number): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    const rest = async (): Promise<void> => {
      await this.running;
      while (this.queue.length > 0) await this.deliverAll();
    };
    const inTime = new AbortController();
    // Whoever waits for this holds the process until then.
    const { done, timer } = pause(withinMs, inTime.signal);
    timer.ref();
    await Promise.race([rest(), done]);
    inTime.abort();
    this.failed += this.queue.length;
    this.queue = [];
  }
}
