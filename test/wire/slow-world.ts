/** A sidecar as a process, and beside it a process that is slow on purpose. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import path from 'node:path';
import { BenchWorld, pinProcess } from '../bench/world.ts';
import { TEST_SCOPE } from '../testkit/mesh.ts';
import type { SlowTask, Way } from './slow-peer.ts';

export interface SlowPeers {
  readonly child: ChildProcess;
  /** How many of them had ended. */
  readonly stop: () => Promise<number>;
}

export class SlowWorld {
  readonly world: BenchWorld;
  readonly port: number;
  readonly pid: number;

  private constructor(world: BenchWorld, port: number, pid: number) {
    this.world = world;
    this.port = port;
    this.pid = pid;
  }

  /** `limits` of the sidecar, which runs on a core of its own. */
  static async start(limits: Record<string, unknown>): Promise<SlowWorld> {
    const world = await BenchWorld.make();
    const upstream = await world.fork('upstream.ts', [], 0);
    const { child, port } = await world.sidecar(upstream.port, 1, { limits });
    return new SlowWorld(world, port, child.pid ?? 0);
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
