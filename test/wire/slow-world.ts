/** A sidecar as a process, and beside it a process that is slow on purpose. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { BenchWorld, pinProcess } from '../bench/world.ts';
import { TEST_SCOPE } from '../testkit/mesh.ts';
import type { SlowTask, Way } from './slow-peer.ts';

/** Of one collection that gives back what the start needed. */
const RELIEF_COLLECTIONS = 2;
const LOOK_MS = 100;

export interface SlowPeers {
  readonly child: ChildProcess;
  /** How many of them had ended. */
  readonly stop: () => Promise<number>;
}

export class SlowWorld {
  readonly world: BenchWorld;
  readonly port: number;
  readonly pid: number;
  private readonly counted: string;

  private constructor(world: BenchWorld, port: number, pid: number, counted: string) {
    this.world = world;
    this.port = port;
    this.pid = pid;
    this.counted = counted;
  }

  /** How often V8 has collected the sidecar's whole heap so far. */
  collections(): number {
    return Number(readFileSync(this.counted, 'utf8'));
  }

  /** `limits` of the sidecar, which runs on a core of its own. */
  static async start(limits: Record<string, unknown>): Promise<SlowWorld> {
    const world = await BenchWorld.make();
    const upstream = await world.fork('upstream.ts', [], 0);
    const counted = path.join(world.directory, 'collections');
    process.env.COLLECTIONS_FILE = counted;
    process.env.BENCH_NODE_ARGS = `--require=${path.join(import.meta.dirname, 'count-collections.cjs')}`;
    const { child, port } = await world.sidecar(upstream.port, 1, { limits });
    const slow = new SlowWorld(world, port, child.pid ?? 0, counted);
    // As it is after a quiet moment: with the heap's limits drawn close (`edge/memory.ts`).
    const atStart = slow.collections();
    while (slow.collections() < atStart + RELIEF_COLLECTIONS) await wait(LOOK_MS);
    return slow;
  }

  /** Resolves when all of them are there. */
  async slowPeers(way: Way, count: number): Promise<SlowPeers> {
    const { domain, callee } = this.world;
    const { id, thumbprint, svidPem, svidKeyPem, wit, agentKey } = domain.agent('planning/abc123');
    const task: SlowTask = {
      port: this.port,
      way,
      count,
      chain: domain.mintChain(['client/alice', 'planning/abc123'], { scope: TEST_SCOPE, remainingDepth: 1 }),
      agent: { id, thumbprint, svidPem, svidKeyPem, wit },
      agentKey: agentKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      target: { id: callee.id, thumbprint: callee.thumbprint, svidPem: callee.svidPem },
    };
    const child = fork(path.join(import.meta.dirname, 'slow-peer.ts'));
    if (child.pid !== undefined) {
      pinProcess(child.pid, 0);
      // It shares a core with the client whose time is taken: what is to be seen is the sidecar's part in it.
      setPriority(child.pid, constants.priority.PRIORITY_LOW);
    }
    const failed = once(child, 'exit').then(() => {
      throw new Error('the slow peer ended');
    });
    failed.catch(() => undefined);
    child.send(task);
    await Promise.race([once(child, 'message'), failed]);
    const stop = async (): Promise<number> => {
      const said = once(child, 'message');
      child.send('stop');
      const [{ ended }] = (await said) as [{ ended: number }];
      return ended;
    };
    return { child, stop };
  }

  stop(): Promise<void> {
    return this.world.stop();
  }
}
