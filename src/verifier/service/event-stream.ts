/** Server-sent events to one subscriber: heartbeats, a check that it still may listen, and no buffer without bound. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setImmediate as immediately } from 'node:timers/promises';

/** Looked at in one turn of the event loop. */
const AT_ONCE = 16;

export interface StreamTimes {
  /** Between signs of life; at each it is checked whether the subscriber still may listen. */
  readonly heartbeatMs: number;
  /** So long an event may wait for a subscriber that doesn't read. */
  readonly slowMs: number;
}

export interface EventStream {
  readonly response: ServerResponse;
  /** JSON, one line each. */
  readonly events: AsyncIterable<string>;
  readonly times: StreamTimes;
  readonly mayListen: () => Promise<boolean>;
  /** Aborted when it ends, for whatever reason. */
  readonly ended: AbortController;
}

/** Live streams, so that all can be looked at anew, or ended. */
export class EventStreams {
  private readonly live = new Set<() => Promise<void>>();
  private readonly endings = new Set<() => void>();

  get count(): number {
    return this.live.size;
  }

  /** Ends the streams of whoever may not listen any more. */
  async recheck(): Promise<void> {
    const checks = [...this.live];
    for (let at = 0; at < checks.length; at += AT_ONCE) {
      await Promise.all(checks.slice(at, at + AT_ONCE).map((check) => check()));
      // What those who stay are to be told doesn't wait for all the others to be looked at.
      await immediately();
    }
  }

  endAll(): void {
    for (const end of [...this.endings]) end();
  }

  /** Resolves when the stream is over. Throws what the source of the events throws. */
  async run({ response, events, times, mayListen, ended }: EventStream): Promise<void> {
    const end = (): void => {
      ended.abort();
      response.destroy();
    };
    const check = async (): Promise<void> => {
      if (!(await mayListen().catch(() => false))) end();
    };
    const heartbeat = setInterval(() => {
      // A subscriber that doesn't read gets no more to read.
      if (!response.writableNeedDrain) response.write(':\n\n');
      void check();
    }, times.heartbeatMs);
    this.live.add(check);
    this.endings.add(end);
    response.once('close', () => ended.abort());
    try {
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      response.write(':\n\n');
      for await (const event of events) {
        if (response.destroyed) break;
        if (response.write(`data: ${event}\n\n`)) continue;
        const slow = AbortSignal.any([ended.signal, AbortSignal.timeout(times.slowMs)]);
        await once(response, 'drain', { signal: slow });
      }
      if (!response.destroyed) response.end();
    } catch (error) {
      const expected = ended.signal.aborted || (error as Error).name === 'AbortError';
      end();
      if (!expected) throw error;
    } finally {
      clearInterval(heartbeat);
      this.live.delete(check);
      this.endings.delete(end);
      ended.abort();
    }
  }
}
