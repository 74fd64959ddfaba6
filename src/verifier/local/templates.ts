/** The sidecar files that a local trust domain starts with: commented, since people read and change them. */
import { stringify } from 'yaml';
import { STARTER_SCOPE_SET } from '../policy/starter-policy.ts';
import type { DomainState } from './layout.ts';
import { AGENT_FILES, agentIdIn, hostsOf, portsOf } from './layout.ts';

/** A scalar in YAML, quoted where it must be. */
const scalar = (text: string): string => stringify(text, { lineWidth: 0 }).trimEnd();

/** The most that a principal of a local domain may grant. */
export const DEFAULT_CEILING: DomainState['ceiling'] = {
  scope: ['cloud:*', 'ec2:*', 's3:*'],
  maxTtlSeconds: 7200,
  maxDepth: 5,
};

/** The outbound routes of one agent to each of the others, as YAML below `routes:`. */
export const routesTemplate = (state: DomainState, name: string, indent = '    '): string =>
  state.agents
    .map((other, index) => ({ other, ports: portsOf(index) }))
    .filter(({ other }) => other !== name)
    .flatMap(({ other, ports }) =>
      hostsOf(state.agents, other).flatMap((host) => [
        `- host: ${scalar(host)}`,
        `  peer: ${scalar(agentIdIn(state.trustDomain, other))}`,
        `  address: 127.0.0.1:${ports.inbound}`,
        '  delegate:',
        `    scope: [${STARTER_SCOPE_SET}]`,
        '    ttl: 15m',
        '    remainingDepth: 1',
      ]),
    )
    .map((line) => `${indent}${line}\n`)
    .join('');

export const sidecarTemplate = (state: DomainState, name: string): string => {
  const ports = portsOf(state.agents.indexOf(name));
  const routes = routesTemplate(state, name);
  return `\
# The sidecar of ${agentIdIn(state.trustDomain, name)}, made by "hopgate init". File names are relative to this file.
apiVersion: hopgate.dev/v1
kind: Sidecar

# Who this agent is. "hopgate init DIR --renew" renews all but agentKey and auditKey; changed files are read again.
identity:
  svid: ${AGENT_FILES.svid}
  svidKey: ${AGENT_FILES.svidKey}
  agentKey: ${AGENT_FILES.agentKey}
  auditKey: ${AGENT_FILES.auditKey}
  wit: ${AGENT_FILES.wit}
  keyBinding: ${AGENT_FILES.keyBinding}

# What it trusts: one root key, by its thumbprint, and what that root signed.
trust:
  trustDomain: ${scalar(state.trustDomain)}
  root: ${scalar(state.root)}
  bundle: ../../bundle.jws

policy: ../../policy.yaml

# Audit log, admin socket and counters.
stateDirectory: state

# The door in: peers connect to "listen" (mTLS); what is permitted goes on to the agent.
inbound:
  listen: 127.0.0.1:${ports.inbound}
  agent: 127.0.0.1:${ports.agent}

# The door out: the agent's HTTP proxy.
outbound:
  listen: 127.0.0.1:${ports.outbound}
  # Where a host name leads, who must answer there, and what the callee gets to act onward with.${
    routes === '' ? '\n  routes: []\n' : `\n  routes:\n${routes}`
  }
health:
  listen: 127.0.0.1:${ports.health}

# For Prometheus: GET /metrics.
metrics:
  listen: 127.0.0.1:${ports.metrics}
`;
};
