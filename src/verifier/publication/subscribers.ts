/** Who listens for new bundles and timestamps. One event is one object for all of them; who doesn't keep up is dropped. */
import type { TrustEvent } from '../../api/trust.ts';
import { EventQueue } from './event-queue.ts';

/** A subscriber that far behind would get only what has been replaced since. */
const CAPACITY = 16;

export class Subscribers {
  private readonly queues = new Set<EventQueue<TrustEvent>>();
  private greeting: Extract<TrustEvent, { readonly event: 'bundle' }> | undefined;

  get size(): number {
    return this.queues.size;
  }

  /** Begins with the present bundle and timestamp, so that nothing is missed between asking and listening. */
  subscribe(signal: AbortSignal): AsyncIterable<TrustEvent> {
    const queue: EventQueue<TrustEvent> = new EventQueue(signal, () => this.queues.delete(queue), CAPACITY);
    if (signal.aborted) return queue;
    this.queues.add(queue);
    if (this.greeting !== undefined) queue.push(this.greeting);
    return queue;
  }

  say(event: TrustEvent): void {
    if (event.event === 'bundle') this.greeting = event;
    else if (this.greeting !== undefined) this.greeting = { ...this.greeting, timestamp: event.timestamp };
    for (const queue of [...this.queues]) queue.push(event);
  }

  close(): void {
    for (const queue of [...this.queues]) queue.end();
  }
}
