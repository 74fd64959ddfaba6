/** The values that conditions read, each worked out when it is asked for (SPEC.md section 13). */
import type { VerifiedChain } from '../delegation/model.ts';
import type { ScopeLiteral } from '../delegation/scope.ts';
import type { Operation } from '../message/message.ts';
import { type AgentId, agentTypeOf, trustDomainOf } from '../spiffe-id.ts';
import type { Values } from './condition.ts';
import { type Callee, leavesMesh } from './destination.ts';
import { READABLE_HEADERS } from './environment.ts';
import type { RouteRule } from './model.ts';

/** What the verifier has registered; nothing is known of those that it doesn't know. */
export interface Registered {
  agent(id: AgentId): Readonly<Record<string, string>>;
  groups(principal: string): readonly string[];
}

export const NOTHING_REGISTERED: Registered = { agent: () => NONE, groups: () => [] };
const NONE: Readonly<Record<string, string>> = Object.freeze(Object.create(null));

/** What stays the same while policy, chain, callee, method and target do. */
export interface StandingFacts {
  readonly direction: 'inbound' | 'outbound';
  readonly callee: Callee;
  readonly method: string;
  /** Canonical, without query. */
  readonly path: string;
  /** Without `?`; '' for none. */
  readonly query: string;
  readonly chain: VerifiedChain;
  readonly registered: Registered;
}

/** What may differ from one request to the next. */
export interface LiveFacts {
  readonly nowSeconds: number;
  score(id: AgentId): number;
  /** By lower-case name; made when a condition asks. */
  headers(): Readonly<Record<string, string>>;
  /** Octets of the body; -1 where it is not known: a condition that reads it then has no value. */
  readonly size: number;
  /** Of what the task has touched, without those of this request. */
  readonly labels: readonly string[];
  /** A reviewer has released it, or it is not for this sidecar to keep: what wants it kept aside lets it go. */
  readonly released: boolean;
}

/** A plain object: the evaluator knows no other. Members are worked out when they are read. */
const agentValues = (agent: AgentId, facts: StandingFacts, live: LiveFacts): object => ({
  id: agent,
  get type() {
    return agentTypeOf(agent);
  },
  get domain() {
    return trustDomainOf(agent);
  },
  get attributes() {
    return facts.registered.agent(agent);
  },
  get score() {
    return BigInt(Math.trunc(live.score(agent)));
  },
});

/** Beyond the mesh nobody answers who has an ID. */
const NO_AGENT: object = Object.freeze({ id: '', type: '', domain: '', attributes: NONE, score: 0n });

/** Throws where a parameter occurs twice or can't be decoded: a condition that reads it then has no value. */
const queryOf = (query: string): Record<string, string> => {
  const values: Record<string, string> = Object.create(null);
  for (const part of query.split('&')) {
    if (part === '') continue;
    const [name = '', ...rest] = part.split('=');
    const decoded = decodeURIComponent(name.replaceAll('+', ' '));
    if (decoded in values) throw new TypeError('a parameter occurs twice');
    values[decoded] = decodeURIComponent(rest.join('=').replaceAll('+', ' '));
  }
  return values;
};

const NO_ARGUMENTS: Readonly<Record<string, never>> = Object.freeze(Object.create(null));

/**
 * Those of the headers (name, value, …) that conditions may read, by lower-case name. Throws where one occurs twice or in
 * another spelling: a condition that reads headers then has no value.
 */
export const readableHeaders = (list: readonly string[]): Readonly<Record<string, string>> => {
  const readable: Record<string, string> = Object.create(null);
  for (let at = 0; at < list.length; at += 2) {
    const sent = (list[at] ?? '').toLowerCase();
    const name = sent.replaceAll('_', '-');
    if (!READABLE_HEADERS.has(name) && !name.startsWith('x-')) continue;
    // Servers of the CGI family take the one for the other.
    if (name in readable || name !== sent) throw new TypeError('a header occurs twice, or with _ for -');
    readable[name] = list[at + 1] ?? '';
  }
  return readable;
};

/** The environment of one request, or of one operation of its message. */
export const valuesOf = (
  facts: StandingFacts,
  live: LiveFacts,
  route: RouteRule,
  labels: readonly string[],
  required: readonly ScopeLiteral[],
  operation: Operation | undefined,
): Values => {
  const { chain } = facts;
  const { protocol = 'http' } = route;
  const isMcp = protocol === 'mcp';
  const mcp = isMcp ? operation : undefined;
  const a2a = isMcp ? undefined : operation;
  return {
    get caller() {
      return agentValues(chain.holder.id, facts, live);
    },
    get callee() {
      return leavesMesh(facts.callee) ? NO_AGENT : agentValues(facts.callee, facts, live);
    },
    principal: {
      id: chain.principal,
      issuer: chain.issuer,
      get groups() {
        return facts.registered.groups(chain.principal);
      },
    },
    chain: {
      get depth() {
        return BigInt(chain.depth);
      },
      get agents() {
        return chain.links.map(({ delegatee }) => delegatee);
      },
      get types() {
        return chain.links.map(({ delegatee }) => agentTypeOf(delegatee));
      },
      get domains() {
        return chain.links.map(({ delegatee }) => trustDomainOf(delegatee));
      },
      get scopes() {
        return chain.leaf.scope;
      },
      task: chain.task,
      purpose: chain.root.purpose ?? '',
      get age() {
        return BigInt(live.nowSeconds - chain.root.iat);
      },
      get remaining() {
        return BigInt(chain.exp - live.nowSeconds);
      },
    },
    request: {
      direction: facts.direction,
      method: facts.method,
      path: facts.path,
      get query() {
        return queryOf(facts.query);
      },
      route: route.name,
      destination: leavesMesh(facts.callee) ? facts.callee : '',
      protocol,
      scopes: required,
      get headers() {
        return live.headers();
      },
      get size() {
        if (live.size < 0) throw new TypeError('nobody knows the size yet');
        return BigInt(live.size);
      },
    },
    mcp: {
      server: route.server ?? '',
      method: mcp?.method ?? '',
      kind: mcp?.kind ?? '',
      tool: mcp?.tool ?? '',
      prompt: mcp?.prompt ?? '',
      resource: mcp?.resource ?? '',
      arguments: mcp?.arguments ?? NO_ARGUMENTS,
    },
    a2a: {
      method: a2a?.method ?? '',
      kind: a2a?.kind ?? '',
      skill: a2a?.skill ?? '',
      taskId: a2a?.taskId ?? '',
      contextId: a2a?.contextId ?? '',
    },
    data: { labels },
    get now() {
      return new Date(live.nowSeconds * 1000);
    },
  };
};
