/** The `kind: Sidecar` documents of the demo's mesh. */
import type { JoinString } from '../../core/trust/join-string.ts';
import {
  AGENTS,
  type AgentRole,
  API_OF,
  APIS,
  GRANTED,
  hostOf,
  idOf,
  TAKEN,
  TAKEN_HOST,
  TRUST_DOMAIN,
  WORKER_ROLES,
} from './story.ts';

/** Where the inbound doors of sidecars listen, by name: `inventory/def456`. */
export type Doors = ReadonlyMap<string, number>;

const at = (port: number | undefined): string => `127.0.0.1:${port}`;

/** Whom all of them trust, and where that one listens. */
export type DemoTrust = Pick<JoinString, 'root' | 'verifiers'>;

/** What every sidecar has: its identity, whom it trusts, its log. */
const common = ({ root, verifiers }: DemoTrust) => ({
  apiVersion: 'hopgate.dev/v1',
  kind: 'Sidecar',
  identity: { directory: '.' },
  trust: { trustDomain: TRUST_DOMAIN, root, verifier: { addresses: verifiers } },
  health: { listen: '127.0.0.1:0' },
  metrics: { listen: 'off' },
  // Beside the state, since the path of a unix socket must be short.
  admin: { socket: '../admin.sock' },
  // Quick, so that the demo needn't wait to show what was refused before authentication.
  audit: { refusalInterval: '1s', checkpointInterval: '2s' },
  limits: { drainTimeout: '5s' },
});

const inbound = (agentPort: number) => ({ listen: at(0), agent: at(agentPort) });

const routesOf = (role: AgentRole, doors: Doors) => {
  if (role !== 'planning') {
    const api = API_OF[role];
    const name = APIS[api];
    // An API acts for nobody: it gets no grant.
    return [{ host: hostOf(api), peer: idOf(name), address: at(doors.get(name)) }];
  }
  const delegate = (scope: string, remainingDepth: number) => ({
    scope: [scope],
    ttl: '15m',
    remainingDepth,
  });
  return [
    ...WORKER_ROLES.map((worker) => ({
      host: hostOf(worker),
      peer: idOf(AGENTS[worker]),
      address: at(doors.get(AGENTS[worker])),
      delegate: delegate(GRANTED[worker], 0),
    })),
    {
      host: TAKEN_HOST,
      peer: idOf(TAKEN.inventory),
      address: at(doors.get(TAKEN.inventory)),
      delegate: delegate(GRANTED.inventory, 2),
    },
  ];
};

/** The sidecar of an API: a door in, and none out. */
export const apiSidecar = (trust: DemoTrust, apiPort: number) => ({
  ...common(trust),
  inbound: inbound(apiPort),
});

export const agentSidecar = (trust: DemoTrust, role: AgentRole, agentPort: number, doors: Doors) => ({
  ...common(trust),
  inbound: inbound(agentPort),
  outbound: { listen: at(0), routes: routesOf(role, doors) },
});
