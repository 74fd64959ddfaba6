/** Events for one subscriber, bounded: who doesn't keep up is dropped and comes back for the whole. */

export class EventQueue<T> implements AsyncIterable<T> {
  private readonly waiting: T[] = [];
  private readonly capacity: number;
  private readonly onEnd: () => void;
  private ended = false;
  private wake: (() => void) | undefined;

  /** `onEnd` is called once, however it ends: there the subscription is given up. */
  constructor(signal: AbortSignal, onEnd: () => void, capacity = 64) {
    this.capacity = capacity;
    this.onEnd = onEnd;
    if (signal.aborted) this.end();
    else signal.addEventListener('abort', () => this.end(), { once: true });
  }

  /** False when the subscriber was dropped: it did not keep up, or is gone. */
  push(event: T): boolean {
    if (!this.ended && this.waiting.length >= this.capacity) {
      this.waiting.length = 0;
      this.end();
    }
    if (this.ended) return false;
    this.waiting.push(event);
    this.wake?.();
    return true;
  }

  /** What waits is still read. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.onEnd();
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        const next = this.waiting.shift();
        if (next !== undefined) yield next;
        else if (this.ended) return;
        else {
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
          this.wake = undefined;
        }
      }
    } finally {
      this.end();
    }
  }
}
