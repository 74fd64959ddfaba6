/** Everything that is measured, started in front of one agent. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { thumbprintUrn } from '../../../src/core/keys.ts';
import { TEST_SCOPE } from '../../testkit/mesh.ts';
import { type BenchWorld, NO_RATES } from '../world.ts';
import type { AuthorizerFacts } from './authorizer.ts';
import { type PeerPlace, startPeer } from './peers.ts';
import type { Absent, System } from './system.ts';

/** Bounds that are about strangers and many callers: here one caller is all there is. */
export const LIMITS = {
  handshakesPerSource: 256,
  connections: 20_000,
  connectionsPerCaller: 20_000,
  requestsPerCaller: 1024,
  ...NO_RATES,
  idleTimeout: '1h',
};

export type Sidecar = System & {
  readonly stderr: NodeJS.ReadableStream;
  readonly stop: () => Promise<void>;
};

let started = 0;

export const startSidecar = async (world: BenchWorld, upstream: number, core: number): Promise<Sidecar> => {
  // Each its own log.
  const { child, port } = await world.sidecar(upstream, core, {
    limits: LIMITS,
    stateDirectory: `state-${started++}`,
  });
  return {
    name: 'hopgate',
    note: 'sidecar: handshake, chain of depth 3, time, revocation, decision, two audit records a request',
    port,
    mode: 'frames',
    pids: [child.pid ?? 0],
    chain: 'needed',
    stderr: child.stderr as NodeJS.ReadableStream,
    stop: () => world.end(child),
  };
};

/** What the service behind auth_request has to know, as a sidecar has it from its bundle and policy. */
const factsOf = ({ domain }: BenchWorld): AuthorizerFacts => {
  const { x, thumbprint, uri, anchor } = domain.principal();
  return {
    trustDomain: domain.trustDomain,
    anchors: {
      [thumbprintUrn(thumbprint)]: {
        x,
        principals: [uri],
        scope: anchor.scope,
        maxTtl: anchor.max_ttl ?? 7200,
      },
    },
    issuers: { [domain.issuer.thumbprint]: domain.issuer.x },
    revoked: [],
    maxDepth: 5,
    routes: [
      { method: 'GET', path: '^/ec2/([A-Za-z]+)$', scope: 'ec2:$1' },
      { method: 'GET', path: '^/.*$', scope: TEST_SCOPE[0] ?? '' },
    ],
  };
};

const startAuthorizer = async (world: BenchWorld, name: string, core: number, remember: boolean) => {
  const facts = path.join(world.directory, 'facts.json');
  writeFileSync(facts, JSON.stringify(factsOf(world)));
  const log = path.join(world.directory, `${name}-authorizer.log`);
  const { child, port } = await world.fork(
    'dataplane/authorizer.ts',
    [facts, log, ...(remember ? ['--remember'] : [])],
    core,
  );
  return { port, pid: child.pid ?? 0 };
};

/** The peers of a sidecar; those that can't be had here say why. */
export const startPeers = async (
  world: BenchWorld,
  upstream: number,
  core: number,
  wanted: (name: string) => boolean,
): Promise<(System | Absent)[]> => {
  const place: PeerPlace = { world, core, upstream };
  const starts: Record<string, (name: string) => Promise<System | Absent>> = {
    'bare-proxy': async (name) => {
      const { child, port } = await world.fork(
        'bare-proxy.ts',
        [`${world.directory}/cloud`, String(upstream)],
        core,
      );
      return {
        name,
        note: 'the barest mTLS proxy with undici: no checks, no log',
        port,
        mode: 'tls',
        pids: [child.pid ?? 0],
        chain: 'ignored',
      };
    },
    nginx: (name) => startPeer('nginx', name, place),
    haproxy: (name) => startPeer('haproxy', name, place),
    envoy: (name) => startPeer('envoy', name, place),
    'nginx-auth-request': async (name) => {
      const authorizer = await startAuthorizer(world, name, core, false);
      return startPeer('nginx', name, { ...place, authorizer });
    },
    'nginx-auth-request-cached': async (name) => {
      const authorizer = await startAuthorizer(world, name, core, true);
      return startPeer('nginx', name, { ...place, authorizer });
    },
    'envoy-ext-authz': async (name) => {
      const authorizer = await startAuthorizer(world, name, core, false);
      return startPeer('envoy', name, { ...place, authorizer });
    },
  };
  const systems: (System | Absent)[] = [];
  for (const [name, start] of Object.entries(starts)) {
    if (!wanted(name)) continue;
    try {
      systems.push(await start(name));
    } catch (error) {
      systems.push({ name, absent: (error as Error).message });
    }
  }
  return systems;
};
