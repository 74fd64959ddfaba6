/** Requests a second through each system, in turns, one core each. */
import { median } from '../world.ts';
import type { LoadProcess, LoadResult } from './load-process.ts';
import type { RequestFiles } from './requests.ts';
import { cpuOf, type System } from './system.ts';

const CONNECTIONS = 32;
/** Share of each run that goes before what is measured. */
const WARMING = 0.2;
/** Before the first round: until what compiles itself has done so. */
const WARM_UP_MS = 3000;
/** From this share of its core on, a system is what limits it. */
const SATURATED = 0.9;

export interface Run {
  readonly perSecond: number;
  /** CPU of the system, microseconds a request. */
  readonly micros: number;
  /** Share of its core that the system used. */
  readonly share: number;
  /** The same of the load. */
  readonly loadShare: number;
}

export interface Row {
  readonly system: System;
  /** With the chain in it, or without. */
  readonly request: 'same' | 'no chain';
  readonly runs: readonly Run[];
}

/** What a load says, with what a system used meanwhile. Throws when it answered anything but 200. */
const checked = (result: LoadResult, system: System): LoadResult => {
  if (result.odd > 0) throw new Error(`${system.name} refused ${result.odd} of ${result.responses} requests`);
  return result;
};

const runOnce = async (
  load: LoadProcess,
  system: System,
  request: string,
  milliseconds: number,
): Promise<Run> => {
  const group = await load.open(system.port, CONNECTIONS, system.mode);
  checked(await load.load(group, milliseconds * WARMING, 0, request), system);
  const cpu = cpuOf(system);
  const result = checked(await load.load(group, milliseconds, 0, request), system);
  const used = cpuOf(system) - cpu;
  await load.close(group);
  return {
    perSecond: result.responses / result.seconds,
    micros: (used * 1e6) / result.responses,
    share: used / result.seconds,
    loadShare: result.cpu / result.seconds,
  };
};

/** Each system once a round, so that all see the same machine. The first round is thrown away. */
export const measureThroughput = async (
  load: LoadProcess,
  systems: readonly System[],
  requests: RequestFiles,
  rounds: number,
  milliseconds: number,
  say: (text: string) => void,
): Promise<readonly Row[]> => {
  const rows = systems.flatMap((system) =>
    system.chain === 'needed'
      ? [{ system, request: 'same' as const, runs: [] as Run[] }]
      : (['same', 'no chain'] as const).map((request) => ({ system, request, runs: [] as Run[] })),
  );
  for (let round = 0; round <= rounds; round++) {
    say(round === 0 ? 'throughput, warming up …' : `throughput, round ${round} of ${rounds} …`);
    for (const { system, request, runs } of rows) {
      const file = request === 'same' ? requests.withChain : requests.withoutChain;
      const run = await runOnce(load, system, file, round === 0 ? WARM_UP_MS : milliseconds);
      if (round > 0) runs.push(run);
    }
  }
  return rows;
};

export interface Comparison {
  readonly ratio: number;
  readonly by: 'requests/s' | 'requests per CPU second';
}

/**
 * The median of the ratios of paired runs: by requests a second where both cores were the limit, else by requests per second of CPU,
 * since a system that had to wait for the load could have done more.
 */
export const compare = (ours: Row, theirs: Row): Comparison => {
  const bySecond = [ours, theirs].every(({ runs }) => median(runs.map(({ share }) => share)) >= SATURATED);
  const measure = ({ perSecond, micros }: Run): number => (bySecond ? perSecond : 1 / micros);
  const ratios = ours.runs.map((run, at) => measure(run) / measure(theirs.runs[at] as Run));
  return { ratio: median(ratios), by: bySecond ? 'requests/s' : 'requests per CPU second' };
};

/** The median run of a row, by each of its figures. */
export const summaryOf = ({ runs }: Row): Run => {
  const of = (pick: (run: Run) => number): number => median(runs.map(pick));
  return {
    perSecond: of((run) => run.perSecond),
    micros: of((run) => run.micros),
    share: of((run) => run.share),
    loadShare: of((run) => run.loadShare),
  };
};
