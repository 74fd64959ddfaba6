/** A request as people write it to one that can be decided. */
import type { RequestConfig } from '../config/policy-test-schema.ts';
import { expandScope, type ScopeSets } from '../core/delegation/scope.ts';
import type { Callee, Destination } from '../core/policy/destination.ts';
import { type AgentId, trustDomainOf } from '../core/spiffe-id.ts';
import type { RehearsedLink } from './mesh.ts';
import { a2aBody, mcpBody } from './message-body.ts';
import type { RehearsedRequest } from './request.ts';

const PRINCIPAL = 'mailto:alice@company.com';
const HOUR_SECONDS = 3600;
const BASELINE_SCORE = 500;

/** Why a request can't be made of it, as a sentence, and in which member. */
export interface RequestFault {
  readonly member: string;
  readonly fault: string;
}

export const isFault = (made: RehearsedRequest | RequestFault): made is RequestFault => 'fault' in made;

const missing = (member: string): RequestFault => ({ member, fault: 'is missing, here and in given' });

/** Names of scope sets become their patterns, as at minting. */
const expanded = (scope: readonly string[], sets: ScopeSets): readonly string[] => {
  const made = expandScope(scope, sets);
  return 'fault' in made ? scope : made.patterns;
};

const linksOf = (
  { caller, chain, scope, ttl = HOUR_SECONDS }: RequestConfig,
  sets: ScopeSets,
): readonly RehearsedLink[] | RequestFault => {
  const named = chain ?? (caller === undefined ? undefined : [caller]);
  if (named === undefined) return missing('chain');
  const links: RehearsedLink[] = [];
  for (const one of named) {
    const { agent, scope: own = scope, ttl: life = ttl } = typeof one === 'string' ? { agent: one } : one;
    if (own === undefined) return missing('scope');
    links.push({ agent: agent as AgentId, scope: expanded(own, sets), ttlSeconds: life });
  }
  return caller !== undefined && links.at(-1)?.agent !== caller
    ? { member: 'chain', fault: 'does not end in its caller' }
    : links;
};

interface Body {
  readonly octets: Buffer;
  readonly isMessage: boolean;
}

const bodyOf = ({ body, mcp, a2a }: RequestConfig): Body | RequestFault => {
  if ([body, mcp, a2a].filter((one) => one !== undefined).length > 1)
    return { member: 'body', fault: 'body, mcp and a2a say the same: give one of them' };
  if (mcp !== undefined) return { octets: Buffer.from(mcpBody(mcp)), isMessage: true };
  if (a2a !== undefined) return { octets: Buffer.from(a2aBody(a2a)), isMessage: true };
  return { octets: Buffer.from(body ?? ''), isMessage: false };
};

const headersOf = ({ headers = {} }: RequestConfig, { isMessage }: Body): readonly string[] => {
  const list = Object.entries(headers).flat();
  const hasType = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
  return isMessage && !hasType ? [...list, 'content-type', 'application/json'] : list;
};

const without = <T extends object>(map: T): Partial<T> =>
  Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)) as Partial<T>;

interface Called {
  readonly callee: Callee;
  readonly direction: RehearsedRequest['direction'];
  readonly path: string;
  /** Of a tunnel. */
  readonly method?: string;
  /** Trust domain of an agent. */
  readonly audience?: string;
}

/** Who is called, or where it leaves the mesh for: by a request, or without a path by a tunnel. */
const calledOf = ({ callee, destination, direction, path }: RequestConfig): Called | RequestFault => {
  if (destination !== undefined) {
    if (callee !== undefined) return { member: 'destination', fault: 'and callee: give one of them' };
    if (direction === 'inbound')
      return { member: 'direction', fault: 'is outbound where it leaves the mesh' };
    const leaves = { callee: destination as Destination, direction: 'outbound' } as const;
    return path === undefined ? { ...leaves, path: '/', method: 'CONNECT' } : { ...leaves, path };
  }
  if (callee === undefined) return missing('callee');
  if (path === undefined) return missing('path');
  const audience = trustDomainOf(callee as AgentId);
  return { callee: callee as AgentId, direction: direction ?? 'inbound', path, audience };
};

/** `given` where the request says nothing itself. */
export const requestFrom = (
  given: RequestConfig,
  own: RequestConfig,
  sets: ScopeSets,
  nowSeconds: number,
): RehearsedRequest | RequestFault => {
  const ownBody = own.body !== undefined || own.mcp !== undefined || own.a2a !== undefined;
  const ownPlace = own.callee !== undefined || own.destination !== undefined;
  const ownChain = own.caller !== undefined || own.chain !== undefined;
  // What stands for another of its kind takes its place.
  const base: RequestConfig = {
    ...given,
    ...(ownBody && { body: undefined, mcp: undefined, a2a: undefined }),
    ...(ownPlace && { callee: undefined, destination: undefined }),
    ...(ownChain && { caller: undefined, chain: undefined }),
  };
  const config: RequestConfig = { ...base, ...without(own) };
  const links = linksOf(config, sets);
  if ('fault' in links) return links;
  const { query = '', now = nowSeconds, age = 0 } = config;
  const called = calledOf(config);
  if ('fault' in called) return called;
  const { callee, direction, path, audience } = called;
  const body = bodyOf(config);
  if ('fault' in body) return body;
  return {
    direction,
    callee,
    proof: config.proof ?? 'session',
    method: called.method ?? config.method ?? (body.octets.length > 0 ? 'POST' : 'GET'),
    target: query === '' ? path : `${path}?${query}`,
    headers: headersOf(config, body),
    body: body.octets,
    chain: {
      links,
      principal: config.principal ?? PRINCIPAL,
      issuer: config.issuer ?? '',
      purpose: config.purpose,
      audience: audience ?? trustDomainOf(links.at(-1)?.agent as AgentId),
      at: now - age,
    },
    nowSeconds: now,
    labels: config.labels ?? [],
    score: config.score ?? BASELINE_SCORE,
    scores: config.scores ?? {},
    attributes: config.attributes ?? {},
    groups: config.groups ?? [],
    points: config.points ?? {},
    approved: config.approved ?? false,
    released: config.released ?? false,
  };
};
