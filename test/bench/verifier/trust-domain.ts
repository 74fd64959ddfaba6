/** A trust domain of the bench: a verifier as a process, agents that have really enrolled, and what an operator does. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { stringify } from 'yaml';
import { registryEndpoints } from '../../../src/api/registry.ts';
import type { AgentId } from '../../../src/core/spiffe-id.ts';
import { parseJoinString } from '../../../src/core/trust/join-string.ts';
import { AGENT_FOLDER, NewAgentFolder } from '../../../src/edge/verifier/agent-folder.ts';
import { VerifierClient } from '../../../src/edge/verifier/client.ts';
import { type Joined, joinVerifier } from '../../../src/edge/verifier/join.ts';
import { must } from '../../testkit/domain.ts';
import { machineMs } from './distribution.ts';
import type { Processes, Running } from './processes.ts';

export const TRUST_DOMAIN = 'company.com';
const READY_POLL_MS = 2;

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** Status of `GET /readyz`; 0 when nobody answers. */
const readiness = (port: number): Promise<number> =>
  new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/readyz', agent: false, rejectUnauthorized: false },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    asked.on('error', () => resolve(0));
    asked.end();
  });

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

export interface StartedSidecar {
  readonly running: Running;
  readonly joined: Joined;
  readonly inbound: number;
  /** Of the outbound listener, with its secret. */
  readonly proxyUrlFile: string;
  readonly admin: string;
  readonly auditLog: string;
}

export class TrustDomain {
  readonly directory: string;
  readonly running: Running;
  readonly port: number;
  /** Milliseconds from starting the process to the first 200 of /readyz. */
  readonly startMs: number;
  readonly operator: VerifierClient;
  private readonly processes: Processes;

  private constructor(
    processes: Processes,
    started: {
      readonly directory: string;
      readonly running: Running;
      readonly port: number;
      readonly startMs: number;
    },
  ) {
    this.processes = processes;
    this.directory = started.directory;
    this.running = started.running;
    this.port = started.port;
    this.startMs = started.startMs;
    this.operator = new VerifierClient(
      { kind: 'socket', path: path.join(this.directory, 'state/api.sock') },
      { timeoutMs: 60_000 },
    );
  }

  /** Starts a verifier in `directory`, anew or on what is there, on a port that it is told. */
  static async start(processes: Processes, name: string, port: number): Promise<TrustDomain> {
    const directory = path.join(processes.directory, name);
    mkdirSync(directory, { recursive: true });
    const config = path.join(directory, 'verifier.yaml');
    writeFileSync(
      config,
      stringify({
        apiVersion: 'hopgate.dev/v1',
        kind: 'Verifier',
        trustDomain: TRUST_DOMAIN,
        directory: 'state',
        listen: `127.0.0.1:${port}`,
        metrics: { listen: 'off' },
        log: { level: 'debug' },
      }),
    );
    const began = machineMs();
    const running = processes.start(name, ['verifier', '--config', config]);
    let over = false;
    running.child.once('exit', () => {
      over = true;
    });
    // A closed port is refused in microseconds: asking costs the verifier nothing.
    while (!over && !(await isListening(port))) await wait(READY_POLL_MS);
    while (!over && (await readiness(port)) !== 200) await wait(READY_POLL_MS);
    if (over) throw new Error(`${name}: the verifier did not start`);
    return new TrustDomain(processes, { directory, running, port, startMs: machineMs() - began });
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Registers an agent or client, and enrols it with a join string: `planning/1`, `client/alice`. */
  async join(name: string): Promise<Joined & { readonly root: string }> {
    const id = `spiffe://${TRUST_DOMAIN}/${name.startsWith('client/') ? name : `agent/${name}`}` as AgentId;
    const entry = await this.operator.call(registryEndpoints.addEntry, {
      body: { id, selectors: [`join:id=${id}`], why: 'bench' },
    });
    const { joinString } = await this.operator.call(registryEndpoints.addJoinToken, {
      params: { name: entry.name },
      body: { why: 'bench' },
    });
    const join = must(parseJoinString(joinString));
    return { ...(await joinVerifier(join, nowSeconds)), root: join.root };
  }

  /** Joins, and starts its sidecar. */
  async sidecar(
    name: string,
    agentPort: number,
    routes: readonly Record<string, unknown>[],
    nodeArgs: readonly string[] = [],
  ): Promise<StartedSidecar> {
    const joined = await this.join(name);
    const { root } = joined;
    const directory = path.join(this.directory, name.replace('/', '-'));
    const folder = NewAgentFolder.reserve(directory);
    if (folder === undefined) throw new Error(`${directory} is there already`);
    const document = {
      apiVersion: 'hopgate.dev/v1',
      kind: 'Sidecar',
      identity: { directory: '.' },
      trust: { trustDomain: TRUST_DOMAIN, root, verifier: { addresses: [this.address] } },
      inbound: { listen: '127.0.0.1:0', agent: `127.0.0.1:${agentPort}` },
      outbound: { listen: '127.0.0.1:0', routes },
      health: { listen: '127.0.0.1:0' },
      metrics: { listen: 'off' },
    };
    folder.fill({
      enrolled: joined.enrolled,
      root,
      bundle: joined.bundleText,
      timestamp: joined.timestamp,
      sidecar: stringify(document),
    });
    const config = path.join(directory, AGENT_FOLDER.sidecar);
    const running = this.processes.start(name, ['sidecar', '--config', config], nodeArgs);
    const started = (await running.says('sidecar started')) as unknown as {
      readonly inbound: { readonly port: number };
      readonly admin: string;
    };
    return {
      running,
      joined,
      inbound: started.inbound.port,
      admin: started.admin,
      proxyUrlFile: path.join(directory, 'state/proxy-url'),
      auditLog: path.join(directory, 'state/audit.log'),
    };
  }

  async stop(): Promise<void> {
    await this.operator.close();
    await this.running.stop();
  }
}
