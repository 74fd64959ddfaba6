/** Figures of the process, under the names that every exporter has for them; and how busy its event loop is. */
import { readdirSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { type Family, labelled, readFamily } from './series.ts';

/** A finer one wakes an idle process more often than it is worth. */
const RESOLUTION_MS = 20;
/** Several scrapers must not take the figures from each other. */
const WINDOW_MS = 10_000;

interface Lag {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Seconds. The histogram has the whole time between two looks. */
const lagOf = (delays: ReturnType<typeof monitorEventLoopDelay>): Lag => {
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000);
  if (delays.count === 0) return { mean: 0, p50: 0, p99: 0, max: 0 };
  return {
    mean: late(delays.mean),
    p50: late(delays.percentile(50)),
    p99: late(delays.percentile(99)),
    max: late(delays.max),
  };
};

const openFiles = (): number => {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    // No /proc on this system.
    return Number.NaN;
  }
};

const mostOpenFiles = (): number => {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return found === undefined ? Number.NaN : Number(found);
  } catch {
    return Number.NaN;
  }
};

/** One for a process: it watches its event loop until it is stopped. */
export class ProcessFigures {
  private readonly delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private since = performance.now();
  /** Of the last whole window. */
  private last: Lag | undefined;

  constructor() {
    this.delays.enable();
  }

  stop(): void {
    this.delays.disable();
  }

  private lag(): Lag {
    const now = performance.now();
    const isWhole = now - this.since >= WINDOW_MS;
    if (!isWhole && this.last !== undefined) return this.last;
    const lag = lagOf(this.delays);
    if (isWhole) {
      this.last = lag;
      this.since = now;
      this.delays.reset();
    }
    return lag;
  }

  readonly families: readonly Family[] = [
    readFamily('counter', 'process_cpu_seconds_total', 'CPU time, user and system.', [], (put) => {
      const { user, system } = process.cpuUsage();
      put((user + system) / 1e6);
    }),
    readFamily('gauge', 'process_start_time_seconds', 'When the process started, since 1970.', [], (put) =>
      put(performance.timeOrigin / 1000),
    ),
    readFamily('gauge', 'process_resident_memory_bytes', 'Resident memory.', [], (put) =>
      put(process.memoryUsage.rss()),
    ),
    readFamily('gauge', 'process_open_fds', 'Open file descriptors, connections among them.', [], (put) =>
      put(openFiles()),
    ),
    readFamily('gauge', 'process_max_fds', 'The most that there may be.', [], (put) => put(mostOpenFiles())),
    readFamily('gauge', 'nodejs_heap_size_used_bytes', 'Of the JavaScript heap, in use.', [], (put) =>
      put(process.memoryUsage().heapUsed),
    ),
    readFamily('gauge', 'nodejs_external_memory_bytes', 'Buffers outside that heap.', [], (put) =>
      put(process.memoryUsage().external),
    ),
    readFamily('gauge', 'nodejs_version_info', 'Always 1: the Node.js that runs this.', ['version'], (put) =>
      put(1, labelled({ version: process.version })),
    ),
    readFamily(
      'gauge',
      'nodejs_eventloop_lag_seconds',
      'How late the event loop was since the last scrape, 10 s at least.',
      ['stat'],
      (put) => {
        for (const [stat, seconds] of Object.entries(this.lag())) put(seconds, labelled({ stat }));
      },
    ),
    readFamily(
      'counter',
      'nodejs_eventloop_active_seconds_total',
      'Time in which the event loop had something to do: its rate is the share of a core that is used.',
      [],
      (put) => put(performance.eventLoopUtilization().active / 1000),
    ),
  ];
}
