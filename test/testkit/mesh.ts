/** Running sidecars in this process: real sockets, certificates, files and logs, on ports that the system chooses. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import {
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type RequestOptions,
  type Server,
} from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { systemClock } from '../../src/edge/clock.ts';
import type { EgressNetwork } from '../../src/edge/egress/network.ts';
import type { Logger } from '../../src/edge/telemetry/log.ts';
import type { ApprovalPort, Clock } from '../../src/ports.ts';
import {
  type DomainOptions,
  makeDomain,
  type TestAgent,
  type TestBundleOptions,
  type TestDomain,
  writeIdentity,
} from './domain.ts';
import { type MeshMember, merge, startMember } from './mesh-member.ts';

export type { MeshMember, SeenRequest } from './mesh-member.ts';

/** Scopes of the tests: `GET /…` wants cloud:read, `POST /…` wants cloud:write, `/ec2/{action}` wants ec2:{action}. */
export const TEST_POLICY = {
  apiVersion: 'hopgate.dev/v1',
  kind: 'Policy',
  revision: 'test-1',
  scopeSets: { 'infrastructure:review': ['cloud:read', 'ec2:Describe*', 's3:List*'] },
  routes: [
    { name: 'ec2', methods: ['GET'], path: '/ec2/{action}', scopes: ['ec2:{action}'] },
    { name: 'read-root', methods: ['GET', 'HEAD', 'OPTIONS'], path: '/', scopes: ['cloud:read'] },
    { name: 'read', methods: ['GET', 'HEAD', 'OPTIONS'], path: '/*', scopes: ['cloud:read'] },
    { name: 'write', methods: ['POST', 'PUT', 'DELETE', 'PATCH'], path: '/*', scopes: ['cloud:write'] },
  ],
  rules: [
    {
      name: 'agents',
      effect: 'allow',
      callerTypes: ['planning', 'inventory', 'security', 'cost', 'report', 'cloud'],
    },
  ],
};

export const TEST_SCOPE = ['cloud:read', 'cloud:write', 'ec2:Describe*', 's3:List*'];

export interface MeshAgent extends MeshMember {
  readonly agent: TestAgent;
}

export interface MeshOptions {
  readonly domain?: DomainOptions;
  readonly policy?: Record<string, unknown>;
  readonly bundle?: TestBundleOptions;
  readonly clock?: Clock;
  /** Where the sidecar of an agent asks for approvals. */
  readonly approvals?: (agent: TestAgent) => ApprovalPort;
  /** Beyond the mesh. */
  readonly network?: EgressNetwork;
  /** What sidecars say. */
  readonly log?: Logger;
  /** Merged into each sidecar's configuration. */
  readonly config?: Record<string, unknown>;
}

export interface StartOptions {
  readonly handler?: RequestListener;
  /** Host to agent name; the peer is pinned exactly. `delegate` is added to each route unless null. */
  readonly routes?: Readonly<Record<string, string>>;
  readonly pins?: Readonly<Record<string, string>>;
  readonly delegate?: Record<string, unknown> | null;
  readonly config?: Record<string, unknown>;
  /** The port of the agent, when the test runs it itself. */
  readonly agentPort?: number;
}

export const DEFAULT_DELEGATE = { scope: TEST_SCOPE, ttl: '15m', remainingDepth: 4 };

export class Mesh {
  readonly domain: TestDomain;
  readonly directory: string;
  private readonly options: MeshOptions;
  private readonly running = new Map<string, MeshAgent>();
  private readonly servers: Server[] = [];

  constructor(domain: TestDomain, options: MeshOptions) {
    this.domain = domain;
    this.options = options;
    this.directory = mkdtempSync(path.join(tmpdir(), 'hopgate-mesh-'));
    this.writePolicy(options.policy ?? {});
    this.writeBundle(options.bundle ?? {});
  }

  get bundleFile(): string {
    return path.join(this.directory, 'bundle.jws');
  }

  writePolicy(change: Record<string, unknown>): void {
    writeFileSync(path.join(this.directory, 'policy.yaml'), stringify({ ...TEST_POLICY, ...change }));
  }

  writeBundle(options: TestBundleOptions): void {
    writeFileSync(this.bundleFile, this.domain.bundle(options));
  }

  agent(name: string): MeshAgent {
    const agent = this.running.get(name);
    if (agent === undefined) throw new RangeError(`${name} is not running`);
    return agent;
  }

  /** Starts a sidecar (both doors) and, unless the test has one, an agent behind it. */
  async start(name: string, options: StartOptions = {}): Promise<MeshAgent> {
    const agent = this.domain.agent(name);
    const directory = path.join(this.directory, name.replace('/', '-'));
    mkdirSync(directory, { recursive: true });
    const routes = Object.entries(options.routes ?? {}).map(([host, peer]) => ({
      host,
      peer: options.pins?.[host] ?? this.domain.agent(peer).id,
      address: `127.0.0.1:${this.agent(peer).addresses.inbound?.port}`,
      ...(options.delegate === null ? {} : { delegate: options.delegate ?? DEFAULT_DELEGATE }),
    }));
    const { member, server } = await startMember({
      name,
      directory,
      routes,
      document: merge(
        {
          identity: writeIdentity(directory, agent),
          trust: {
            trustDomain: this.domain.trustDomain,
            root: this.domain.root.thumbprint,
            bundle: '../bundle.jws',
          },
          policy: '../policy.yaml',
        },
        merge(this.options.config ?? {}, options.config ?? {}),
      ),
      handler: options.handler,
      agentPort: options.agentPort,
      clock: this.options.clock ?? systemClock,
      approvals: this.options.approvals?.(agent),
      network: this.options.network,
      log: this.options.log,
    });
    this.servers.push(server);
    const running: MeshAgent = { agent, ...member };
    this.running.set(name, running);
    return running;
  }

  /** Opens a task at a sidecar, as `hopgate task start` does. */
  startTask(name: string, chain: string): Promise<string> {
    return openTask(this.agent(name), chain);
  }

  stop(): void {
    for (const { sidecar } of this.running.values()) sidecar.stop('test over');
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const makeMesh = async (options: MeshOptions = {}): Promise<Mesh> =>
  new Mesh(await makeDomain(options.domain), options);

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** The reason code of a refusal. */
  readonly code: string | undefined;
}

/** One HTTP request with Node's client; whatever the options say is sent as it is. */
export const send = (options: RequestOptions, body?: string | Buffer): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = httpRequest({ agent: false, ...options }, (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isProblem = response.headers['content-type'] === 'application/problem+json';
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text,
          code: isProblem ? (JSON.parse(text) as { code: string }).code : undefined,
        });
      });
    });
    request.on('error', reject);
    request.end(body);
  });

/** Opens a task at a sidecar, as `hopgate task start` does. */
export const openTask = async ({ addresses }: MeshMember, chain: string): Promise<string> => {
  const { status, body } = await send(
    {
      socketPath: addresses.admin,
      method: 'POST',
      path: '/tasks',
      headers: { 'content-type': 'text/plain' },
    },
    chain,
  );
  if (status !== 201) throw new Error(`task refused: ${body}`);
  return (JSON.parse(body) as { handle: string }).handle;
};

export interface ProxyRequest {
  readonly method?: string;
  readonly context?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Leaves out the secret. */
  readonly anonymous?: boolean;
}

/** A request of the local agent through its sidecar, absolute-form, as `curl -x` sends it. */
export const sendThrough = (
  agent: MeshMember,
  url: string,
  { method = 'GET', context, headers = {}, body, anonymous = false }: ProxyRequest = {},
): Promise<Answer> => {
  const proxy = new URL(agent.proxyUrl);
  const authorization = `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`;
  return send(
    {
      host: proxy.hostname,
      port: Number(proxy.port),
      method,
      path: url,
      headers: {
        host: new URL(url).host,
        ...(anonymous ? {} : { 'proxy-authorization': authorization }),
        ...(context === undefined ? {} : { 'hopgate-context': context }),
        ...headers,
      },
    },
    body,
  );
};
