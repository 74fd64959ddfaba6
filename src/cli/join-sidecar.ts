/** The sidecar file that `hopgate join` writes: commented, since people read and change it. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { parseConfig } from '../config/load.ts';
import { sidecarSchema } from '../config/sidecar-schema.ts';
import { agentTypeOf, trustDomainOf } from '../core/spiffe-id.ts';
import type { JoinString } from '../core/trust/join-string.ts';
import { AGENT_FOLDER } from '../edge/verifier/agent-folder.ts';

const scalar = (text: string): string => stringify(text, { lineWidth: 0 }).trimEnd();

const MAX_SIBLINGS = 250;

/** Loopback ports of one of several agents on one machine. */
export interface AgentPorts {
  readonly inbound: number;
  readonly outbound: number;
  readonly health: number;
  readonly agent: number;
}

const portsOf = (index: number): AgentPorts => ({
  inbound: 14_443 + 10 * index,
  outbound: 14_001 + 10 * index,
  health: 14_020 + 10 * index,
  agent: 8080 + index,
});

const inboundPortIn = (file: string): number | undefined => {
  try {
    const { inbound } = parseConfig(readFileSync(file, 'utf8'), file, sidecarSchema).value;
    return inbound?.listen.port;
  } catch {
    // No sidecar file, or one that is being changed: it takes no port from us.
    return undefined;
  }
};

/** Ports that no sidecar in a folder beside this one has. */
export const freePorts = (directory: string): AgentPorts => {
  const parent = path.dirname(path.resolve(directory));
  let siblings: readonly string[] = [];
  try {
    siblings = readdirSync(parent).slice(0, 4 * MAX_SIBLINGS);
  } catch {
    // The first of them.
  }
  const taken = new Set(siblings.map((name) => inboundPortIn(path.join(parent, name, AGENT_FOLDER.sidecar))));
  for (let index = 0; index < MAX_SIBLINGS; index++) {
    const ports = portsOf(index);
    if (!taken.has(ports.inbound)) return ports;
  }
  return portsOf(MAX_SIBLINGS);
};

/** `kind: Sidecar`, for an agent that has joined. */
export const joinedSidecar = ({ id, root, verifiers }: JoinString, ports: AgentPorts): string => {
  const trustDomain = trustDomainOf(id);
  const other = agentTypeOf(id) === 'inventory' ? 'security' : 'inventory';
  return `\
# The sidecar of ${id}, made by "hopgate join". File names are relative to this file.
apiVersion: hopgate.dev/v1
kind: Sidecar

# This folder: the sidecar renews what is in it.
identity:
  directory: .

# What it trusts: one root key, by its thumbprint. Bundle, policy and credentials come from the verifier.
trust:
  trustDomain: ${scalar(trustDomain)}
  root: ${scalar(root)}
  verifier:
    addresses: [${verifiers.map((address) => JSON.stringify(address)).join(', ')}]

# Audit log, admin socket and counters.
stateDirectory: state

# The door in: peers connect to "listen" (mTLS); what is permitted goes on to the agent.
inbound:
  listen: 127.0.0.1:${ports.inbound}
  agent: 127.0.0.1:${ports.agent}

# The door out: the agent's HTTP proxy.
outbound:
  listen: 127.0.0.1:${ports.outbound}
  # Where a host name leads, who must answer there, and what the callee gets to act onward with:
  # routes:
  #   - host: ${other}.mesh
  #     peer: ${scalar(`spiffe://${trustDomain}/agent/${other}/1`)}
  #     address: 127.0.0.1:14453
  #     delegate: { scope: [infrastructure:review], ttl: 15m, remainingDepth: 1 }
  routes: []

health:
  listen: 127.0.0.1:${ports.health}
`;
};
