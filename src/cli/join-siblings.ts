/** Agents that join on one machine, in folders beside each other: which ports are taken, and the routes between them. */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import { formatAddress } from '../config/forms.ts';
import { ConfigError, parseConfig } from '../config/load.ts';
import { type OutboundRoute, type SidecarConfig, sidecarSchema } from '../config/sidecar-schema.ts';
import { type AgentId, parseAgentId, trustDomainOf } from '../core/spiffe-id.ts';
import { writeFilesAtomic } from '../edge/store/atomic-file.ts';
import { parsePeerCertificate } from '../edge/tls/peer-certificate.ts';
import { AGENT_FOLDER } from '../edge/verifier/agent-folder.ts';
import { hostsOf, isAgentName, MAX_AGENTS, portsOf } from '../verifier/local/layout.ts';

/** Loopback ports of one of several agents on one machine. */
export type AgentPorts = ReturnType<typeof portsOf>;

/** An agent with a folder beside another's. */
export interface Sibling {
  readonly id: AgentId;
  /** `planning/1` */
  readonly name: string;
  /** Its sidecar.yaml. */
  readonly file: string;
  /** Where its sidecar listens for peers. */
  readonly address: string;
}

export interface Neighbourhood {
  /** Of the same trust domain and root, in the order of their ports. */
  readonly siblings: readonly Sibling[];
  /** That no sidecar in it has. */
  readonly ports: AgentPorts;
}

/** A route of one agent to another beside it. */
export interface SiblingRoute {
  readonly host: string;
  readonly peer: AgentId;
  readonly address: string;
  /** Scope set that the callee gets to act onward with; without one it gets nothing. */
  readonly scopeSet: string | undefined;
}

/** Where `hopgate join` adds a route; whoever takes the line out keeps the file to himself. */
export const ROUTES_END =
  '    # "hopgate join" adds agents that join beside this one above this line; take the line out, and it does not.';
const NO_ROUTES = '  routes: []';

const configIn = (text: string, file: string): SidecarConfig | undefined => {
  try {
    return parseConfig(text, file, sidecarSchema).value;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
};

const readText = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // No sidecar there, or none of ours.
    return undefined;
  }
};

/** The agent that a folder is of, by the certificate in it. */
const idIn = (folder: string): AgentId | undefined => {
  const pem = readText(path.join(folder, AGENT_FOLDER.svid));
  if (pem === undefined) return undefined;
  try {
    return parseAgentId(parsePeerCertificate(new X509Certificate(pem)).uriSans[0] ?? '');
  } catch {
    return undefined;
  }
};

/** `planning/1`, of an agent whose name can stand in a host name. */
export const nameOf = (id: AgentId): string | undefined => {
  const [, , , kind, ...rest] = id.split('/');
  const name = rest.join('/');
  return kind === 'agent' && isAgentName(name) ? name : undefined;
};

/** What stands in the folders beside one that is to be made for an agent of this trust domain and root. */
export const neighbourhoodOf = (directory: string, id: AgentId, root: string): Neighbourhood => {
  const own = path.resolve(directory);
  const parent = path.dirname(own);
  const taken = new Set<number>();
  const found: (Sibling & { readonly port: number })[] = [];
  for (const entry of readdirSync(parent).slice(0, 4 * MAX_AGENTS)) {
    if (entry.startsWith('.') || entry === path.basename(own)) continue;
    const folder = path.join(parent, entry);
    const file = path.join(folder, AGENT_FOLDER.sidecar);
    const text = readText(file);
    const config = text === undefined ? undefined : configIn(text, file);
    if (config?.inbound === undefined) continue;
    const { listen } = config.inbound;
    taken.add(listen.port);
    const other = idIn(folder);
    const name = other === undefined ? undefined : nameOf(other);
    const { trust } = config;
    if (other === undefined || name === undefined || listen.port === 0) continue;
    if (trust.root !== root || trust.trustDomain !== trustDomainOf(id)) continue;
    found.push({
      id: other,
      name,
      file: path.relative('', file),
      address: formatAddress(listen),
      port: listen.port,
    });
  }
  const index = Array.from({ length: MAX_AGENTS }, (_, i) => i).find((i) => !taken.has(portsOf(i).inbound));
  return {
    siblings: found.toSorted((a, b) => a.port - b.port).map(({ port: _, ...sibling }) => sibling),
    ports: portsOf(index ?? MAX_AGENTS),
  };
};

/** What one agent calls another by, among those beside each other. */
export const routeTo = (
  { id, name, address }: Pick<Sibling, 'id' | 'name' | 'address'>,
  names: readonly string[],
  scopeSet: string | undefined,
): SiblingRoute => ({ host: hostsOf(names, name)[0] ?? '', peer: id, address, scopeSet });

const scalar = (text: string): string => stringify(text, { lineWidth: 0 }).trimEnd();

/** YAML below `routes:`, a line each. */
export const routeLines = ({ host, peer, address, scopeSet }: SiblingRoute): readonly string[] => [
  `    - host: ${scalar(host)}`,
  `      peer: ${scalar(peer)}`,
  `      address: ${scalar(address)}`,
  ...(scopeSet === undefined
    ? []
    : [`      delegate: { scope: [${scalar(scopeSet)}], ttl: 15m, remainingDepth: 1 }`]),
];

/** `routes:` and what is below it, for a new sidecar file. */
export const routesBlock = (routes: readonly SiblingRoute[]): string =>
  [...(routes.length === 0 ? [NO_ROUTES] : ['  routes:', ...routes.flatMap(routeLines)]), ROUTES_END].join(
    '\n',
  );

const withRoute = (text: string, route: SiblingRoute): string | undefined => {
  const lines = text.split('\n');
  const at = lines.indexOf(ROUTES_END);
  if (at < 0) return undefined;
  const before = lines.slice(0, at);
  if (before.at(-1) === NO_ROUTES) before.splice(-1, 1, '  routes:');
  return [...before, ...routeLines(route), ...lines.slice(at)].join('\n');
};

const isOurs = ({ host, peer }: OutboundRoute, route: SiblingRoute): boolean =>
  host === route.host && peer === route.peer;

/** Whether one document is the other with this route behind its own, and nothing else. */
const addsOnly = (before: SidecarConfig, after: SidecarConfig, route: SiblingRoute): boolean => {
  const routes = after.outbound?.routes ?? [];
  const last = routes.at(-1);
  return (
    after.outbound !== undefined &&
    last !== undefined &&
    isOurs(last, route) &&
    isDeepStrictEqual({ ...after, outbound: { ...after.outbound, routes: routes.slice(0, -1) } }, before)
  );
};

/** `added`; `there` already; or `left`: a file without our line, or one that can't take the route. */
export type RouteOutcome = 'added' | 'there' | 'left';

/** Adds a route to the file of a sibling, whole or not at all. */
export const addRoute = (file: string, route: SiblingRoute): RouteOutcome => {
  const text = readText(file);
  const before = text === undefined ? undefined : configIn(text, file);
  if (text === undefined || before === undefined) return 'left';
  if (before.outbound?.routes.some((one) => isOurs(one, route)) === true) return 'there';
  const content = withRoute(text, route);
  const after = content === undefined ? undefined : configIn(content, file);
  if (content === undefined || after === undefined || !addsOnly(before, after, route)) return 'left';
  try {
    writeFilesAtomic([{ file, content, mode: 0o644 }]);
    return 'added';
  } catch {
    // Somebody else's: the agent has joined all the same.
    return 'left';
  }
};
