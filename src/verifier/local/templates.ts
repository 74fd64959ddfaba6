/** The configuration files that a local trust domain starts with: commented, since people read and change them. */
import { stringify } from 'yaml';
import type { DomainState } from './layout.ts';
import { AGENT_FILES, agentIdIn, hostsOf, portsOf } from './layout.ts';

/** A scalar in YAML, quoted where it must be. */
const scalar = (text: string): string => stringify(text, { lineWidth: 0 }).trimEnd();

/** The scope set that the default policy, the default delegation and the walkthrough have in common. */
export const DEFAULT_SCOPE_SET = 'infrastructure:review';

/** The most that a principal of a local domain may grant. */
export const DEFAULT_CEILING: DomainState['ceiling'] = {
  scope: ['cloud:*', 'ec2:*', 's3:*'],
  maxTtlSeconds: 7200,
  maxDepth: 5,
};

export const policyTemplate = (trustDomain: string): string => `\
# The policy of the trust domain ${trustDomain}, made by "hopgate init". Yours to change; init never writes it again.
# Every sidecar of the domain reads the same file. What it does not allow is denied.
apiVersion: hopgate.dev/v1
kind: Policy

# Names this version in the audit log. Change it whenever you change the policy.
revision: "1"

limits:
  maxDepth: 3 # longest chain, in links: alice → planning is 1, alice → planning → inventory is 2
  linkTtl: 2h # longest life of a link
  humanRoot: required # a human must stand at the root of every chain

# People think in names. Minting expands a name to its patterns; a link carries the patterns.
scopeSets:
  ${DEFAULT_SCOPE_SET}: [cloud:read, "ec2:Describe*", "s3:List*"]

# Never take part, at any position of a chain:
# lists:
#   block:
#     agents: [${scalar(`spiffe://${trustDomain}/agent/planning/9`)}]
#     principals: ["mailto:mallory@${trustDomain}"]

# What a request needs. The first match counts; no match is a denial.
# {name} stands for one path segment; a final /* for one or more; "/" only for itself.
# With "callees" a route is about some agents only; without it, about any.
routes:
  - name: ec2
    methods: [GET]
    path: /ec2/{action}
    scopes: ["ec2:{action}"]
  - name: s3
    methods: [GET]
    path: /s3/{action}
    scopes: ["s3:{action}"]
  - name: read-root
    methods: [GET, HEAD]
    path: /
    scopes: [cloud:read]
  - name: read
    methods: [GET, HEAD]
    path: /*
    scopes: [cloud:read]
  - name: write
    methods: [POST, PUT, PATCH, DELETE]
    path: /*
    scopes: [cloud:write]

# Who may. Every selector that is given must match; a matching deny overrides; no matching allow is a denial.
rules:
  - name: review
    effect: allow
    scopes: [cloud:read, "ec2:Describe*", "s3:List*"]
  # Writing stays denied, whatever a chain holds, until a rule like this one allows it:
  # - name: inventory-may-write
  #   effect: allow
  #   callers: [${scalar(`spiffe://${trustDomain}/agent/inventory/*`)}]
  #   scopes: [cloud:write]
`;

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
        `    scope: [${DEFAULT_SCOPE_SET}]`,
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
`;
};
