/** The `kind: Sidecar` documents of the demo's mesh. */
import { AGENT_FILES } from '../../verifier/local/layout.ts';
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

/** What every sidecar has: its identity, whom it trusts, its log. */
const common = (root: string) => ({
  apiVersion: 'hopgate.dev/v1',
  kind: 'Sidecar',
  identity: {
    svid: AGENT_FILES.svid,
    svidKey: AGENT_FILES.svidKey,
    agentKey: AGENT_FILES.agentKey,
    auditKey: AGENT_FILES.auditKey,
    wit: AGENT_FILES.wit,
    keyBinding: AGENT_FILES.keyBinding,
  },
  trust: { trustDomain: TRUST_DOMAIN, root, bundle: '../../bundle.jws' },
  policy: '../../policy.yaml',
  health: { listen: '127.0.0.1:0' },
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
export const apiSidecar = (root: string, apiPort: number) => ({
  ...common(root),
  inbound: inbound(apiPort),
});

export const agentSidecar = (root: string, role: AgentRole, agentPort: number, doors: Doors) => ({
  ...common(root),
  inbound: inbound(agentPort),
  outbound: { listen: at(0), routes: routesOf(role, doors) },
});
