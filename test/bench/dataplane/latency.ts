/** What one hop adds: the same paced requests through a system and straight to the agent, in turns. */
import { median } from '../world.ts';
import type { LoadProcess, Mode } from './load-process.ts';

const CONNECTIONS = 16;
/** A tenth or so of what a sidecar can do: answers are not late because they queue. */
const PER_SECOND = 2000;

interface Way {
  readonly name: string;
  readonly port: number;
  readonly mode: Mode;
  readonly request: string;
}

export interface Added {
  readonly name: string;
  /** Milliseconds more than direct. */
  readonly p50: number;
  readonly p99: number;
}

const timesOf = async (load: LoadProcess, way: Way, milliseconds: number) => {
  const group = await load.open(way.port, CONNECTIONS, way.mode);
  await load.load(group, milliseconds / 4, PER_SECOND, way.request);
  const { p50, p99, odd } = await load.load(group, milliseconds, PER_SECOND, way.request);
  await load.close(group);
  if (odd > 0) throw new Error(`${way.name} refused ${odd} requests`);
  return { p50: p50 / 1000, p99: p99 / 1000 };
};

/** The medians of paired differences; `direct` goes first in each round. */
export const measureAdded = async (
  load: LoadProcess,
  direct: Way,
  ways: readonly Way[],
  rounds: number,
  milliseconds: number,
): Promise<{ readonly direct: number; readonly added: readonly Added[] }> => {
  const straight: number[] = [];
  const differences = ways.map(({ name }) => ({ name, p50: [] as number[], p99: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    const base = await timesOf(load, direct, milliseconds);
    straight.push(base.p50);
    for (const [at, way] of ways.entries()) {
      const times = await timesOf(load, way, milliseconds);
      differences[at]?.p50.push(times.p50 - base.p50);
      differences[at]?.p99.push(times.p99 - base.p99);
    }
  }
  return {
    direct: median(straight),
    added: differences.map(({ name, p50, p99 }) => ({ name, p50: median(p50), p99: median(p99) })),
  };
};
