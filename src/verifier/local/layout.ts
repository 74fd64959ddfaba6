/** The folder of a local trust domain: what it is called, what stands in `domain.json`, who gets which ports. */
import path from 'node:path';
import { z } from 'zod';
import { principal, scopePattern, thumbprint, trustDomain } from '../../config/forms.ts';
import { HARD_MAX_DEPTH, MAX_SCOPE_PATTERNS } from '../../core/limits.ts';
import { type AgentId, parseAgentId } from '../../core/spiffe-id.ts';
import type { RevocationEntry } from '../publication/entries.ts';

/** Whose message is for the person at the keyboard. */
export class LocalDomainError extends Error {}

/** So many that the ports of {@link portsOf} stay apart and in range. */
export const MAX_AGENTS = 250;
export const MAX_SVID_TTL_SECONDS = 86_400;

// Narrower than a SPIFFE ID: type and instance become a host name and the name of a folder.
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const AGENT_NAME = new RegExp(`^${LABEL}/${LABEL}$`);
const PRINCIPAL_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** `planning/1`: type and instance. */
export const isAgentName = (text: string): boolean => AGENT_NAME.test(text);
export const isPrincipalName = (text: string): boolean => PRINCIPAL_NAME.test(text);

export const domainSchema = z.strictObject({
  trustDomain,
  root: thumbprint.describe('What a sidecar is configured with.'),
  epoch: z.int().min(1),
  seq: z.int().min(1),
  svidTtlSeconds: z.int().min(1).max(MAX_SVID_TTL_SECONDS),
  bundleTtlSeconds: z.int().min(1),
  ceiling: z
    .strictObject({
      scope: z.array(scopePattern).min(1).max(MAX_SCOPE_PATTERNS),
      maxTtlSeconds: z.int().min(1),
      maxDepth: z.int().min(1).max(HARD_MAX_DEPTH),
    })
    .describe('The most that a principal may grant; signed into the bundle at the next renewal.'),
  agents: z.array(z.string().refine(isAgentName, 'an agent: type/instance')).max(MAX_AGENTS),
  principals: z.record(z.string().refine(isPrincipalName, 'the name of a principal'), principal),
  revoked: z
    .array(z.custom<RevocationEntry>((entry) => typeof entry === 'object' && entry !== null, 'a revocation'))
    .describe('Signed into every bundle; their forms are checked there.'),
});

/** `domain.json`. Agents are in the order in which they came: the place of one decides its ports. */
export type DomainState = z.output<typeof domainSchema>;

export const agentIdIn = (domain: string, name: string): AgentId => {
  const id = parseAgentId(`spiffe://${domain}/agent/${name}`);
  if (id === undefined) throw new LocalDomainError(`"${name}" in ${domain} makes no agent ID`);
  return id;
};

export const folderNameOf = (name: string): string => name.replace('/', '-');

/** Where everything is. */
export const layoutOf = (directory: string) => ({
  state: path.join(directory, 'domain.json'),
  bundle: path.join(directory, 'bundle.jws'),
  policy: path.join(directory, 'policy.yaml'),
  /** Written by people, if by anybody. */
  attributes: path.join(directory, 'attributes.yaml'),
  root: path.join(directory, 'root'),
  rootKey: path.join(directory, 'root', 'root.key'),
  policyKey: path.join(directory, 'root', 'policy.key'),
  issuerKey: path.join(directory, 'root', 'issuer.key'),
  caKey: path.join(directory, 'root', 'ca.key'),
  ca: path.join(directory, 'root', 'ca.pem'),
  principals: path.join(directory, 'principals'),
  principalKey: (name: string) => path.join(directory, 'principals', `${name}.key`),
  principal: (name: string) => path.join(directory, 'principals', `${name}.json`),
  agents: path.join(directory, 'agents'),
  agent: (name: string) => path.join(directory, 'agents', folderNameOf(name)),
});

/** File names in an agent's folder. */
export const AGENT_FILES = {
  svid: 'svid.pem',
  svidKey: 'svid.key',
  agentKey: 'agent.key',
  agentPublic: 'agent.pub.json',
  auditKey: 'audit.key',
  wit: 'wit.jwt',
  keyBinding: 'key-binding.json',
  sidecar: 'sidecar.yaml',
} as const;

/** Loopback ports of the i-th agent; none of them is another agent's. */
export const portsOf = (index: number) => ({
  inbound: 14_443 + 10 * index,
  outbound: 14_001 + 10 * index,
  health: 14_020 + 10 * index,
  // The default, 14021, is the proxy of the third.
  metrics: 14_022 + 10 * index,
  agent: 8080 + index,
});

/**
 * The names under which others call an agent: `inventory.mesh`; where a type has several, `2.inventory.mesh`, and the first
 * of them keeps the short name, so that adding one changes nothing for who calls the other.
 */
export const hostsOf = (agents: readonly string[], name: string): readonly string[] => {
  const [type = '', instance = ''] = name.split('/');
  const same = agents.filter((other) => other.startsWith(`${type}/`));
  const long = same.length > 1 ? [`${instance}.${type}.mesh`] : [];
  return same[0] === name ? [`${type}.mesh`, ...long] : long;
};
