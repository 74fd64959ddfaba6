/** The sidecar file that `hopgate join` writes: commented, since people read and change it. */
import { stringify } from 'yaml';
import { agentTypeOf, trustDomainOf } from '../core/spiffe-id.ts';
import type { JoinString } from '../core/trust/join-string.ts';
import { type AgentPorts, routesBlock, type SiblingRoute } from './join-siblings.ts';

const scalar = (text: string): string => stringify(text, { lineWidth: 0 }).trimEnd();

/** `kind: Sidecar`, for an agent that has joined. */
export const joinedSidecar = (
  { id, root, verifiers }: JoinString,
  ports: AgentPorts,
  routes: readonly SiblingRoute[],
): string => {
  const trustDomain = trustDomainOf(id);
  const other = agentTypeOf(id) === 'billing' ? 'security' : 'billing';
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
  # Where a host name leads, who must answer there, and what the callee gets to act onward with. Elsewhere than here:
  #   - host: ${other}.mesh
  #     peer: ${scalar(`spiffe://${trustDomain}/agent/${other}/1`)}
  #     address: ${other}.example:14443
  #     delegate: { scope: [infrastructure:review], ttl: 15m, remainingDepth: 1 }
${routesBlock(routes)}

health:
  listen: 127.0.0.1:${ports.health}

# For Prometheus: GET /metrics.
metrics:
  listen: 127.0.0.1:${ports.metrics}
`;
};
