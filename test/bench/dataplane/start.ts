/** From exec to ready: the sidecar as its image has it, compiled, with files, its agent beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { stringify } from 'yaml';
import { makeDomain, writeIdentity } from '../../testkit/domain.ts';
import { freePort } from '../../testkit/free-port.ts';
import { TEST_POLICY, TEST_SCOPE } from '../../testkit/mesh.ts';
import { compileInto } from '../compiled.ts';
import { median } from '../world.ts';

export interface StartTimes {
  /** Milliseconds. */
  readonly medianMs: number;
  /** Each run, in the order in which they ran. */
  readonly runs: readonly number[];
}

const ROOT = path.join(import.meta.dirname, '../../..');
const NAME = 'inventory/def456';
/** The first start of an installation fills what later ones read: it counts as little as the pulling of an image. */
const WARMING = 1;

/** A folder with the program, and one agent's files, as an operator has them. */
class Installation {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'hopgate-start-'));
  readonly program: string;
  private readonly agent: Server;
  private config = '';
  health = 0;

  constructor() {
    compileInto(this.directory);
    mkdirSync(path.join(this.directory, 'bin'));
    this.program = path.join(this.directory, 'bin/hopgate.js');
    copyFileSync(path.join(ROOT, 'bin/hopgate.js'), this.program);
    this.agent = createServer((_request, response) => response.end('ok'));
  }

  async prepare(): Promise<void> {
    const domain = await makeDomain({ agents: [NAME], anchor: { scope: TEST_SCOPE } });
    const agent = await new Promise<number>((resolve) =>
      this.agent.listen(0, '127.0.0.1', () => resolve((this.agent.address() as AddressInfo).port)),
    );
    this.health = await freePort();
    const file = (name: string): string => path.join(this.directory, name);
    writeFileSync(file('bundle.jws'), domain.bundle());
    writeFileSync(file('policy.yaml'), stringify(TEST_POLICY));
    const document = {
      apiVersion: 'hopgate.dev/v1',
      kind: 'Sidecar',
      identity: writeIdentity(this.directory, domain.agent(NAME)),
      trust: { trustDomain: domain.trustDomain, root: domain.root.thumbprint, bundle: 'bundle.jws' },
      policy: 'policy.yaml',
      inbound: { listen: '127.0.0.1:0', agent: `127.0.0.1:${agent}` },
      outbound: { listen: '127.0.0.1:0' },
      health: { listen: `127.0.0.1:${this.health}` },
    };
    this.config = file('sidecar.yaml');
    writeFileSync(this.config, stringify(document));
  }

  start(): ChildProcess {
    const args = [...(process.env.BENCH_NODE_ARGS?.split(' ') ?? []), this.program];
    return spawn(process.execPath, [...args, 'sidecar', '--config', this.config], {
      stdio: ['ignore', 'ignore', process.env.BENCH_STDERR === undefined ? 'ignore' : 'inherit'],
      // As the image has it; the warming run fills it.
      env: { ...process.env, NODE_COMPILE_CACHE: path.join(this.directory, 'compile-cache') },
    });
  }

  remove(): void {
    this.agent.close();
    this.agent.closeAllConnections();
    if (existsSync(this.directory)) rmSync(this.directory, { recursive: true, force: true });
  }
}

const isReady = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () =>
      socket.write('GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'),
    );
    socket.once('data', (octets: Buffer) => {
      resolve(octets.toString('latin1').startsWith('HTTP/1.1 200'));
      socket.destroy();
    });
  });

const timeOf = async (installation: Installation): Promise<number> => {
  const started = performance.now();
  const child = installation.start();
  const ended = once(child, 'exit');
  try {
    while (!(await isReady(installation.health))) {
      if (child.exitCode !== null) throw new Error(`the sidecar ended with ${child.exitCode}`);
      await wait(2);
    }
    return performance.now() - started;
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
};

/** Starts it again and again, one after the other. */
export const measureStart = async (runs = 11): Promise<StartTimes> => {
  const installation = new Installation();
  try {
    await installation.prepare();
    const times: number[] = [];
    for (let turn = -WARMING; turn < runs; turn++) {
      const time = await timeOf(installation);
      if (turn >= 0) times.push(Math.round(time));
    }
    return { medianMs: Math.round(median(times)), runs: times };
  } finally {
    installation.remove();
  }
};

if (import.meta.main) process.stdout.write(`${JSON.stringify(await measureStart())}\n`);
