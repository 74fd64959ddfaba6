/** What stands between the load and the agent: the sidecar, a peer, or nothing. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { cpuSeconds, residentMiB } from '../world.ts';
import type { Mode } from './load-process.ts';

export interface System {
  readonly name: string;
  /** What it is and does, for the table. */
  readonly note: string;
  readonly port: number;
  readonly mode: Mode;
  /** Roots of the process trees whose CPU counts: all on one core. */
  readonly pids: readonly number[];
  /** Whether the request has to carry the chain. */
  readonly chain: 'needed' | 'ignored';
}

export interface Absent {
  readonly name: string;
  readonly absent: string;
}

export const isPresent = (system: System | Absent): system is System => !('absent' in system);

/** A process and all that it has started. */
const treeOf = (pid: number): number[] => {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return [pid, ...(children === '' ? [] : children.split(' ').flatMap((child) => treeOf(Number(child))))];
  } catch {
    return [pid];
  }
};

/** User and system CPU of a system's processes, seconds. */
export const cpuOf = ({ pids }: System): number =>
  pids.flatMap(treeOf).reduce((sum, pid) => sum + cpuSeconds(pid), 0);

/** Resident memory of a system's processes, KiB. */
export const residentKiB = ({ pids }: System): number =>
  pids.flatMap(treeOf).reduce((sum, pid) => sum + residentMiB(pid) * 1024, 0);

const PATIENCE_MS = 10_000;

/** Until a child listens on a port; throws when it ends before. */
export const listening = async (child: ChildProcess, port: number): Promise<void> => {
  const deadline = performance.now() + PATIENCE_MS;
  while (child.exitCode === null && performance.now() < deadline) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await wait(50);
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`nothing listens on port ${port}; exit code ${child.exitCode}`);
};
