/** What connections cost that ask for nothing, and whether memory grows under load. */
import { statfsSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { median } from '../world.ts';
import type { LoadProcess } from './load-process.ts';
import { residentKiB, type System } from './system.ts';

/** Until what a burst of work has left behind is collected, or isn't. */
const REST_MS = 10_000;

/** Opened and used at a time: a connection that never asks for anything is not kept by every server. */
const BATCH = 100;
const FIRST_PER_SECOND = 1000;

/** KiB a connection: resident memory with `count` of them at rest after one request each, less that without. */
export const measureIdle = async (
  load: LoadProcess,
  system: System,
  request: string,
  count: number,
): Promise<number> => {
  // What the first connections and requests bring with them is not theirs alone.
  const first = await load.open(system.port, 64, system.mode);
  await load.load(first, 2000, 0, request);
  await load.close(first);
  await wait(REST_MS);
  const before = residentKiB(system);
  const groups: number[] = [];
  for (let opened = 0; opened < count; opened += BATCH) {
    const size = Math.min(BATCH, count - opened);
    const group = await load.open(system.port, size, system.mode);
    await load.load(group, (size / FIRST_PER_SECOND) * 1000, FIRST_PER_SECOND, request);
    groups.push(group);
  }
  await wait(REST_MS);
  const after = residentKiB(system);
  for (const group of groups) await load.close(group);
  return (after - before) / count;
};

const CONNECTIONS = 32;
const PER_SECOND = 4000;
const SAMPLE_MS = 2000;
/** Two records of every request. */
const LOG_BYTES = 2000;

export interface Soak {
  /** Resident memory at the end over that after the first minute. */
  readonly growth: number;
  readonly requests: number;
  readonly firstMiB: number;
  readonly lastMiB: number;
}

/** Steady load for so many seconds; the first `firstSeconds` (60, or less in a short one) are warming. */
export const measureSoak = async (
  load: LoadProcess,
  system: System,
  request: string,
  directory: string,
  seconds: number,
): Promise<Soak> => {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < 2 * seconds * PER_SECOND * LOG_BYTES) throw new Error('no room for the log of a soak');
  const group = await load.open(system.port, CONNECTIONS, system.mode);
  let done = false;
  const result = load.load(group, seconds * 1000, PER_SECOND, request).finally(() => {
    done = true;
  });
  const samples: { readonly at: number; readonly kib: number }[] = [];
  const started = performance.now();
  while (!done) {
    samples.push({ at: (performance.now() - started) / 1000, kib: residentKiB(system) });
    await Promise.race([wait(SAMPLE_MS), result]);
  }
  const { responses, odd } = await result;
  await load.close(group);
  if (odd > 0) throw new Error(`${odd} requests of the soak were refused`);
  // One sample may lie before or after a collection: the median of some around the moment doesn't.
  const first = Math.min(60, seconds / 6);
  const around = (moment: number): number =>
    median(samples.filter(({ at }) => Math.abs(at - moment) <= seconds / 20).map(({ kib }) => kib)) / 1024;
  const firstMiB = around(first);
  const lastMiB = around(seconds - seconds / 20);
  return { growth: lastMiB / firstMiB, requests: responses, firstMiB, lastMiB };
};
