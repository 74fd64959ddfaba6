/** What people write of a policy to what the core decides by. Members that say nothing are left out: a digest is over what is said. */
import type { ScopePattern } from '../core/delegation/scope.ts';
import type { Destination } from '../core/policy/destination.ts';
import type {
  AccessRule,
  ContentRule,
  DelegationRules,
  EgressRule,
  Policy,
  RouteRule,
  ScopeDemand,
} from '../core/policy/model.ts';
import type { IdPattern } from '../core/spiffe-id.ts';
import type { PolicyConfig } from './policy-schema.ts';

type Entry<K extends 'routes' | 'egress' | 'rules' | 'demands' | 'content'> = PolicyConfig[K][number];
type Ids = IdPattern[] | undefined;

const shadowOf = (shadow: boolean): true | undefined => (shadow ? true : undefined);

const toolsOf = ({ tools }: Pick<Entry<'routes'>, 'tools'>): RouteRule['tools'] =>
  tools && {
    ...tools,
    // Who approves some tools by their definition has not approved the others.
    unlisted: tools.unlisted ?? (Object.keys(tools.approved).length > 0 ? 'deny' : 'allow'),
  };

const routeOf = (route: Entry<'routes'>): RouteRule => ({
  name: route.name,
  callees: route.callees as Ids,
  methods: route.methods,
  path: route.path,
  scopes: route.scopes ?? [],
  protocol: route.protocol === 'http' ? undefined : route.protocol,
  server: route.server,
  operations: route.operations?.map(({ methods, names, scopes }) => ({ methods, names, scopes })),
  serverRequests: route.serverRequests,
  tools: toolsOf(route),
  skillMember: route.skillMember,
  maxMessageBytes: route.maxMessage,
  labels: route.labels,
  observeUntil: route.observeUntil,
});

/** A tunnel is a route of `CONNECT /`: nothing else is known of what goes through it. */
const egressOf = ({ destination, mode, inside, allowPrivate, ...route }: Entry<'egress'>): EgressRule => {
  const asked = mode === 'tunnel' ? { path: '/', methods: ['CONNECT'] } : { path: route.path ?? '' };
  const {
    callees: _,
    observeUntil: __,
    ...rule
  } = routeOf({
    ...route,
    ...asked,
    callees: undefined,
    enforcement: 'enforce',
    observeUntil: undefined,
  });
  return { ...rule, destination: destination as Destination, mode, inside, allowPrivate } as EgressRule;
};

const ruleOf = (rule: Entry<'rules'>): AccessRule => ({
  name: rule.name,
  effect: rule.effect,
  callers: rule.callers as Ids,
  callerTypes: rule.callerTypes,
  callees: rule.callees as Ids,
  principals: rule.principals,
  scopes: rule.scopes as ScopePattern[] | undefined,
  routes: rule.routes,
  when: rule.when,
  shadow: shadowOf(rule.shadow),
});

const demandOf = (demand: Entry<'demands'>): ScopeDemand => ({
  scopes: demand.scopes as ScopePattern[] | undefined,
  labels: demand.labels,
  approval: demand.approval === undefined ? undefined : true,
  minScore: demand.minScore,
  maxStalenessSeconds: demand.maxStaleness,
  maxDepth: demand.maxDepth,
  maxLinkTtlSeconds: demand.linkTtl,
  sameDomain: demand.domains === undefined ? undefined : true,
  requestProof: demand.requestProof === undefined ? undefined : true,
});

const delegationOf = ({ delegation }: PolicyConfig): DelegationRules | undefined =>
  delegation && {
    otherwise: delegation.otherwise,
    rules: delegation.rules.map((rule) => ({
      name: rule.name,
      effect: rule.effect,
      from: rule.from as Ids,
      fromTypes: rule.fromTypes,
      fromDomains: rule.fromDomains,
      to: rule.to as Ids,
      toTypes: rule.toTypes,
      toDomains: rule.toDomains,
      crossing: rule.crossing,
    })),
  };

const contentOf = (rule: Entry<'content'>): ContentRule => ({
  name: rule.name,
  directions: rule.directions,
  callees: rule.callees as Ids,
  routes: rule.routes,
  detectors: rule.detectors,
  patterns: rule.patterns,
  types: rule.types,
  maxBytes: rule.maxBytes,
  action: rule.action,
  mode: rule.mode ?? (rule.action === 'flag' ? 'stream' : 'hold'),
  holdBytes: rule.holdBytes,
  shadow: shadowOf(rule.shadow),
});

const someOf = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);

export const toPolicy = (config: PolicyConfig): Policy => ({
  revision: config.revision,
  limits: {
    maxDepth: config.limits.maxDepth,
    linkTtlSeconds: config.limits.linkTtl,
    callbacks: config.limits.callbacks === 'allowed',
    humanRoot: config.limits.humanRoot === 'required',
    sessionSeconds: config.limits.session,
    maxStalenessSeconds: config.limits.maxStaleness,
    maxTaskAgeSeconds: config.limits.maxTaskAge,
  },
  scopeSets: config.scopeSets,
  lists: {
    allowAgents: config.lists.allow.agents as IdPattern[],
    blockAgents: config.lists.block.agents as IdPattern[],
    blockPrincipals: config.lists.block.principals,
  },
  routes: config.routes.map(routeOf),
  egress: someOf(config.egress.map(egressOf)),
  rules: config.rules.map(ruleOf),
  demands: config.demands.map(demandOf),
  delegation: delegationOf(config),
  content: someOf(config.content.map(contentOf)),
  decisionPoints: someOf(
    config.decisionPoints.map(({ point, path, callees, routes }) => ({
      point,
      path,
      callees: callees as Ids,
      routes,
    })),
  ),
  withoutSidecar: someOf(
    config.withoutSidecar.map(({ name, callers, callerTypes, callees, scopes, routes }) => ({
      name,
      callers: callers as Ids,
      callerTypes,
      callees: callees as Ids,
      scopes: scopes as ScopePattern[] | undefined,
      routes,
    })),
  ),
});
