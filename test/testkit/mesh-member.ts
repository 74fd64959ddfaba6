/** One member of a mesh in this process: an agent that answers, and its sidecar with both doors. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { stringify } from 'yaml';
import type { EgressNetwork } from '../../src/edge/egress/network.ts';
import { type Logger, makeLogger } from '../../src/edge/telemetry/log.ts';
import type { ApprovalPort, Clock } from '../../src/ports.ts';
import { readConfigFile } from '../../src/sidecar/config-file.ts';
import { Sidecar, type SidecarAddresses } from '../../src/sidecar/sidecar.ts';

/** What the agent behind a sidecar saw of one request. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
}

/** A running sidecar, and the agent behind it. */
export interface MeshMember {
  readonly sidecar: Sidecar;
  readonly addresses: SidecarAddresses;
  readonly directory: string;
  /** The proxy URL with its secret; empty where the agent has a unix socket. */
  readonly proxyUrl: string;
  readonly seen: SeenRequest[];
  readonly upstreamPort: number;
  readonly log: () => Record<string, unknown>[];
  readonly logFile: string;
}

export interface MemberOptions {
  readonly name: string;
  readonly directory: string;
  /** Identity, trust and whatever else differs from a sidecar with both doors on ports of the system's choice. */
  readonly document: Record<string, unknown>;
  readonly routes: readonly Record<string, unknown>[];
  readonly handler: RequestListener | undefined;
  /** The port of the agent, when the test runs it itself. */
  readonly agentPort: number | undefined;
  readonly clock: Clock;
  readonly log?: Logger | undefined;
  /** Where the sidecar asks for approvals, when it is not its verifier. */
  readonly approvals?: ApprovalPort | undefined;
  /** Beyond the mesh. */
  readonly network?: EgressNetwork | undefined;
}

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  );

export const startMember = async (
  options: MemberOptions,
): Promise<{ readonly member: MeshMember; readonly server: Server }> => {
  const { name, directory, handler, routes, clock, approvals } = options;
  mkdirSync(directory, { recursive: true });
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    seen.push({
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
    });
    if (handler !== undefined) handler(request, response);
    else request.resume().on('end', () => response.end(`hello from ${name}`));
  });
  const upstreamPort = options.agentPort ?? (await listen(server));
  const document = merge(
    {
      apiVersion: 'hopgate.dev/v1',
      kind: 'Sidecar',
      inbound: { listen: '127.0.0.1:0', agent: `127.0.0.1:${upstreamPort}` },
      outbound: { listen: '127.0.0.1:0', routes },
      health: { listen: '127.0.0.1:0' },
      limits: { drainNotice: '1ms' },
      metrics: { listen: 'off' },
    },
    options.document,
  );
  const configFile = path.join(directory, 'sidecar.yaml');
  writeFileSync(configFile, stringify(document));
  const { source, digest: configDigest } = readConfigFile(configFile);
  const config = source.value;
  const log = options.log ?? makeLogger(process.env.HOPGATE_TEST_LOG ?? 'silent');
  const sidecar = await Sidecar.make({
    config,
    configDigest,
    configFile,
    version: 'test',
    clock,
    log,
    approvals,
    network: options.network,
  });
  const addresses = await sidecar.start();
  if (addresses === undefined) throw new Error(`${name} was stopped before it had started`);
  const logFile = path.join(directory, 'state', 'audit.log');
  const proxyFile = path.join(directory, 'state', 'proxy-url');
  return {
    server,
    member: {
      sidecar,
      addresses,
      directory,
      proxyUrl: existsSync(proxyFile) ? readFileSync(proxyFile, 'utf8').trim() : '',
      seen,
      upstreamPort,
      log: () => recordsIn(logFile),
      logFile,
    },
  };
};

const recordsIn = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Maps in maps are merged, everything else is replaced. */
export const merge = (
  base: Record<string, unknown>,
  change: Record<string, unknown>,
): Record<string, unknown> => {
  const out = { ...base };
  for (const [key, value] of Object.entries(change)) {
    const before = out[key];
    const nested =
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      typeof before === 'object' &&
      before !== null;
    out[key] = nested ? merge(before as Record<string, unknown>, value as Record<string, unknown>) : value;
  }
  return out;
};
