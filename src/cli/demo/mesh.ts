/** A whole mesh on this machine: a process for the verifier, for each sidecar and each agent, and one for the APIs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { Client, request } from 'undici';
import { stringify } from 'yaml';
import type { JoinString } from '../../core/trust/join-string.ts';
import { AGENT_FOLDER } from '../../edge/verifier/agent-folder.ts';
import { folderNameOf } from '../../verifier/local/layout.ts';
import { Alice } from './alice.ts';
import type { Child, Children } from './children.ts';
import { AGENT_PROGRAM, API_PROGRAM, MAIN } from './programs.ts';
import { agentSidecar, apiSidecar, type DemoTrust } from './sidecar-documents.ts';
import {
  AGENTS,
  type AgentRole,
  ALL_NAMES,
  API_ROLES,
  APIS,
  type ApiRole,
  POLICY,
  TAKEN,
  WORKER_ROLES,
} from './story.ts';
import { DemoVerifier, joinAgent } from './trust.ts';

/** One sidecar process. */
export interface SidecarProcess {
  readonly name: string;
  readonly child: Child;
  readonly folder: string;
  readonly logFile: string;
  readonly inboundPort: number;
  readonly healthPort: number;
}

export class DemoMesh {
  readonly directory: string;
  readonly sidecars = new Map<string, SidecarProcess>();
  readonly agents = new Map<AgentRole, Child>();
  private readonly children: Children;
  private readonly policy: string;
  private readonly onActed: (role: AgentRole, count: number) => void;
  private readonly doors = new Map<string, number>();
  private apiProcess: Child | undefined;
  private apiPorts: Record<ApiRole, number> | undefined;
  private started: DemoVerifier | undefined;
  private trusted: DemoTrust | undefined;

  /** `policy`: YAML, in place of the story's own. */
  constructor(
    directory: string,
    children: Children,
    onActed: (role: AgentRole, count: number) => void,
    policy: string = stringify(POLICY),
  ) {
    this.directory = directory;
    this.policy = policy;
    this.children = children;
    this.onActed = onActed;
  }

  /** Starts APIs and verifier, tells it who there is and what is allowed, and lets all join, the workloads to be taken over too. */
  async makeDomain(): Promise<Alice> {
    const [verifier, ports] = await Promise.all([
      DemoVerifier.start(this.directory, this.children),
      this.startApis(),
    ]);
    this.started = verifier;
    this.apiPorts = ports;
    const joins: (readonly [string, JoinString])[] = [];
    for (const name of ALL_NAMES) joins.push([name, await verifier.register(name)]);
    await verifier.publishPolicy(this.policy);
    const alice = await Alice.register(this.directory, verifier.client);
    await Promise.all(joins.map(([name, join]) => joinAgent(join, this.folderOf(name))));
    this.trusted = joins[0]?.[1];
    return alice;
  }

  get verifier(): DemoVerifier {
    if (this.started === undefined) throw new RangeError('the verifier is not running');
    return this.started;
  }

  /** Whom every sidecar trusts: the root key by its thumbprint, and where the verifier listens. */
  get trust(): DemoTrust {
    if (this.trusted === undefined) throw new RangeError('nobody has joined yet');
    return this.trusted;
  }

  /** As it was when the first agent joined; any of them has the like. */
  get bundleFile(): string {
    return path.join(this.folderOf(AGENTS.planning), AGENT_FOLDER.bundle);
  }

  /** Starts everything, callees before their callers. `takenPort` is where the agent that was taken over listens. */
  async start(takenPort: number): Promise<void> {
    this.doors.set(TAKEN.inventory, takenPort);
    const ports = this.apiPorts;
    if (ports === undefined) throw new RangeError('the APIs are not running');
    await Promise.all(
      API_ROLES.map((role) => this.startSidecar(APIS[role], apiSidecar(this.trust, ports[role]))),
    );
    await Promise.all(WORKER_ROLES.map((role) => this.startAgent(role)));
    await this.startAgent('planning');
    await Promise.all([...this.sidecars.values()].map(checkReady));
  }

  get logFiles(): readonly string[] {
    return [...this.sidecars.values()].map(({ logFile }) => logFile);
  }

  folderOf(name: string): string {
    return path.join(this.directory, 'agents', folderNameOf(name));
  }

  sidecar(name: string): SidecarProcess {
    const sidecar = this.sidecars.get(name);
    if (sidecar === undefined) throw new RangeError(`${name} has no sidecar`);
    return sidecar;
  }

  agent(role: AgentRole): Child {
    const agent = this.agents.get(role);
    if (agent === undefined) throw new RangeError(`${role} is not running`);
    return agent;
  }

  /** How many requests have reached each API and agent, behind their sidecars. */
  async seen(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    const apis = await this.apiProcess?.order<Record<ApiRole, number>>('seen');
    for (const role of API_ROLES) counts.set(APIS[role], apis?.[role] ?? 0);
    for (const [role, agent] of this.agents) counts.set(AGENTS[role], await agent.order<number>('seen'));
    return counts;
  }

  /** Opens a task at the planning agent's sidecar, as `hopgate task start` does. */
  async startTask(chain: string): Promise<{ readonly handle: string; readonly task: string }> {
    const socketPath = path.join(this.folderOf(AGENTS.planning), 'admin.sock');
    const client = new Client('http://localhost', { connect: { socketPath } });
    try {
      const { statusCode, body } = await client.request({ method: 'POST', path: '/tasks', body: chain });
      const text = await body.text();
      if (statusCode !== 201) throw new Error(`the planning agent's sidecar refused the task: ${text}`);
      return JSON.parse(text) as { handle: string; task: string };
    } finally {
      await client.close();
    }
  }

  private async startApis(): Promise<Record<ApiRole, number>> {
    const logFile = path.join(this.directory, 'apis.log');
    this.apiProcess = this.children.start({ name: 'the APIs', args: [API_PROGRAM, this.directory], logFile });
    return this.apiProcess.order<Record<ApiRole, number>>('listen');
  }

  private async startSidecar(name: string, document: object): Promise<void> {
    const folder = this.folderOf(name);
    const config = path.join(folder, AGENT_FOLDER.sidecar);
    writeFileSync(config, stringify(document));
    const started = Promise.withResolvers<Started>();
    const child = this.children.start({
      name: `the sidecar of ${name}`,
      args: [MAIN, 'sidecar', '--config', config],
      logFile: path.join(folder, 'sidecar.log'),
      onLine: (line) => {
        const addresses = readStarted(line);
        if (addresses !== undefined) started.resolve(addresses);
      },
    });
    const { inbound, health } = await Promise.race([started.promise, child.failed]);
    this.doors.set(name, inbound.port);
    this.sidecars.set(name, {
      name,
      child,
      folder,
      logFile: path.join(folder, 'state', 'audit.log'),
      inboundPort: inbound.port,
      healthPort: health.port,
    });
  }

  private async startAgent(role: AgentRole): Promise<void> {
    const name = AGENTS[role];
    const folder = this.folderOf(name);
    // The port is the agent's before either of the two starts: the sidecar must know it, and the agent the sidecar's.
    const { server, port } = await listenOnLoopback();
    try {
      await this.startSidecar(name, agentSidecar(this.trust, role, port, this.doors));
      const agent = this.children.start({
        name: `the ${role} agent`,
        args: [AGENT_PROGRAM, role, folder],
        logFile: path.join(folder, 'agent.log'),
        env: proxyEnvironment(path.join(folder, 'state', 'proxy-url')),
        onActed: (count) => this.onActed(role, count),
      });
      this.agents.set(role, agent);
      await agent.order('listen', {}, server);
    } finally {
      server.close();
    }
  }
}

/** How any agent is led to its sidecar. Node's fetch looks at `HTTP_PROXY` only when it is told to. */
const proxyEnvironment = (proxyUrlFile: string): Readonly<Record<string, string>> => ({
  HTTP_PROXY: readFileSync(proxyUrlFile, 'utf8').trim(),
  NODE_USE_ENV_PROXY: '1',
});

interface Started {
  readonly inbound: { readonly port: number };
  readonly health: { readonly port: number };
}

/** The line in which a sidecar says where it listens. */
const readStarted = (line: string): Started | undefined => {
  try {
    const said = JSON.parse(line) as Started & { readonly msg?: string };
    return said.msg === 'sidecar started' ? said : undefined;
  } catch {
    return undefined;
  }
};

const listenOnLoopback = (): Promise<{ readonly server: Server; readonly port: number }> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address !== null && typeof address === 'object') resolve({ server, port: address.port });
    });
  });

const checkReady = async ({ name, healthPort }: SidecarProcess): Promise<void> => {
  const { statusCode, body } = await request(`http://127.0.0.1:${healthPort}/readyz`);
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`the sidecar of ${name} is not ready: ${text.trim()}`);
};
