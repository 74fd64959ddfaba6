/**
 * Why one request is decided as it is: each stage in its order, each part of the policy with what it says. Every answer is that
 * of the function that decides; nothing is decided here.
 */
import { evaluateCaveats } from '../../delegation/caveats.ts';
import { isCovered, type ScopeLiteral } from '../../delegation/scope.ts';
import type { Message, Operation } from '../../message/message.ts';
import { compileCondition, isCondition, type Values } from '../condition.ts';
import { checkDelegations } from '../delegation-rules.ts';
import { isConcerned } from '../demands.ts';
import { isOneOf, leavesMesh } from '../destination.ts';
import type { CompiledPolicy, StandingRequest } from '../evaluate.ts';
import { checkLists } from '../lists.ts';
import type { AccessRule, RouteRule, ScopeDemand } from '../model.ts';
import { nameOf, operationRuleFor, operationScopes, toolOf } from '../operations.ts';
import { type CallerProof, withoutSidecarEntry } from '../proofs.ts';
import { isEgress, RouteTable } from '../routes.ts';
import { selects } from '../rules.ts';
import { type LiveFacts, valuesOf } from '../values.ts';

/** `yes`: it goes on here, or this part matches. `no`: it ends here, or this part doesn't. `open`: nobody can say. */
export type Answer = 'yes' | 'no' | 'open';

export interface Line {
  readonly answer: Answer;
  /** What was looked at. */
  readonly what: string;
  /** What it says. */
  readonly why: string;
}

export interface Stage {
  readonly stage:
    | 'lists'
    | 'route'
    | 'without sidecar'
    | 'delegation'
    | 'operation'
    | 'scopes'
    | 'rules'
    | 'caveats'
    | 'demands'
    | 'content'
    | 'points';
  readonly lines: readonly Line[];
}

export interface Asked {
  readonly facts: StandingRequest;
  readonly proof: CallerProof;
  readonly live: LiveFacts;
  /** As it was read; undefined where there is none, or none is known. */
  readonly message: Message | undefined;
  /** Attributes that a condition reads, and that are not known here. */
  readonly unknown: (reads: ReadonlySet<string>) => readonly string[];
}

const line = (holds: boolean, what: string, why = ''): Line => ({ answer: holds ? 'yes' : 'no', what, why });

const listLines = ({ lists }: CompiledPolicy, { facts }: Asked): readonly Line[] =>
  lists.map((list, at) => {
    const denial = checkLists(list, facts.chain, facts.callee);
    return line(
      denial === undefined,
      at === 0 ? 'lists of the policy' : 'lists of the bundle',
      denial?.detail,
    );
  });

/** Why a route does not match, by the table that matches. */
const routeLine = (route: RouteRule, { facts: { callee, method, path } }: Asked): Line => {
  if (isEgress(route) ? route.destination !== callee : leavesMesh(callee))
    return line(false, route.name, isEgress(route) ? `leads to ${route.destination}` : 'is for agents');
  if (route.callees !== undefined && !isOneOf(route.callees, callee))
    return line(false, route.name, `is for ${route.callees.join(', ')}`);
  if (!(route.methods?.includes(method) ?? true))
    return line(false, route.name, `is for ${route.methods?.join(', ')}`);
  const match = new RouteTable([route]).match(callee, method, path);
  if (match.ok)
    return line(
      true,
      route.name,
      `${route.path} requires ${match.value.required.join(' ') || 'what its operations do'}`,
    );
  return line(
    match.reason !== 'route_unmatched',
    route.name,
    match.reason === 'route_unmatched' ? `is for ${route.path}` : match.detail,
  );
};

const routeLines = ({ policy }: CompiledPolicy, asked: Asked): readonly Line[] => {
  const lines: Line[] = [];
  for (const route of [...policy.routes, ...(policy.egress ?? [])]) {
    const one = routeLine(route, asked);
    lines.push(one);
    if (one.answer === 'yes') return lines;
  }
  return lines;
};

/** Asked of nobody who comes through a sidecar. */
const withoutSidecarLines = (
  { policy }: CompiledPolicy,
  { facts, proof }: Asked,
  route: RouteRule,
  required: readonly ScopeLiteral[],
): readonly Line[] => {
  if (proof !== 'request') return [];
  const who = {
    caller: facts.chain.holder.id,
    callee: facts.callee,
    route: route.name,
    required,
  };
  const entries = policy.withoutSidecar ?? [];
  if (entries.length === 0)
    return [line(false, 'withoutSidecar', 'policy lets nobody come without a sidecar')];
  return entries.map((entry) =>
    line(
      withoutSidecarEntry({ withoutSidecar: [entry] }, who) !== undefined,
      entry.name,
      `lets ${(entry.callers ?? entry.callerTypes ?? ['anyone']).join(', ')} come for ${(entry.scopes ?? entry.routes ?? ['everything']).join(', ')}`,
    ),
  );
};

const delegationLines = ({ policy }: CompiledPolicy, { facts }: Asked): readonly Line[] => {
  const { links } = facts.granted ?? facts.chain;
  return links.slice(1).map((to, at) => {
    const from = links[at];
    const edge = { links: [from, to] } as unknown as typeof facts.chain;
    const denial = checkDelegations(policy.delegation, edge);
    return line(denial === undefined, `${from?.delegatee} → ${to.delegatee}`, denial?.detail);
  });
};

const scopeLines = (required: readonly ScopeLiteral[], { facts }: Asked): readonly Line[] =>
  required.flatMap((scope) =>
    facts.chain.links.map((link, at) => {
      const by = link.scope.find((pattern) => isCovered([pattern], scope));
      return line(
        by !== undefined,
        `${scope} in link ${at} (${link.delegatee})`,
        by ?? `holds ${link.scope.join(' ')}`,
      );
    }),
  );

const SELECTORS = ['callers', 'callerTypes', 'callees', 'principals', 'routes'] as const;

const selectorsOf = (
  rule: AccessRule,
  route: RouteRule,
  { facts }: Asked,
  required: readonly ScopeLiteral[],
): readonly string[] => {
  const none = {
    callers: undefined,
    callerTypes: undefined,
    callees: undefined,
    principals: undefined,
    routes: undefined,
  };
  const failed = SELECTORS.filter(
    (selector) =>
      rule[selector] !== undefined &&
      !selects({ ...rule, ...none, [selector]: rule[selector] }, facts.chain, facts.callee, route.name),
  );
  const { scopes, effect } = rule;
  const covered = (scope: ScopeLiteral): boolean => scopes === undefined || isCovered(scopes, scope);
  const isAbout =
    scopes === undefined || (effect === 'allow' ? required.every(covered) : required.some(covered));
  return isAbout ? failed : [...failed, 'scopes'];
};

const conditionLine = (rule: AccessRule, values: Values, { unknown }: Asked): Line | undefined => {
  if (rule.when === undefined) return undefined;
  const made = compileCondition(rule.when);
  if (!isCondition(made)) return line(false, rule.name, made.message);
  const missing = unknown(made.reads);
  if (missing.length > 0)
    return { answer: 'open', what: rule.name, why: `${rule.when}: ${missing.join(', ')} is not known` };
  const value = made.evaluate(values);
  return value === undefined
    ? {
        answer: 'open',
        what: rule.name,
        why: `${rule.when}: has no value here, which denies unless it is an allow beside another`,
      }
    : line(value, rule.name, `${rule.when}: ${value}`);
};

const ruleLine = (
  rule: AccessRule,
  route: RouteRule,
  required: readonly ScopeLiteral[],
  values: Values,
  asked: Asked,
): Line => {
  const what = `${rule.effect} ${rule.name}${rule.shadow ? ' (shadow)' : ''}`;
  const failed = selectorsOf(rule, route, asked, required);
  if (failed.length > 0) return line(false, what, `${failed.join(', ')} do not match`);
  const condition = conditionLine(rule, values, asked);
  const given = [...SELECTORS, 'scopes' as const].filter((selector) => rule[selector] !== undefined);
  return {
    answer: condition?.answer ?? 'yes',
    what,
    why: condition?.why ?? (given.length === 0 ? 'matches everything' : `${given.join(', ')} match`),
  };
};

const wordsOf = (demand: ScopeDemand): string =>
  Object.entries(demand)
    .filter(([member, value]) => value !== undefined && member !== 'scopes' && member !== 'labels')
    .map(([member, value]) => `${member} ${value}`)
    .join(', ');

const itemStages = (
  compiled: CompiledPolicy,
  asked: Asked,
  route: RouteRule,
  base: readonly ScopeLiteral[],
  values: ReadonlyMap<string, string>,
  operation: Operation | undefined,
): readonly Stage[] => {
  const { policy } = compiled;
  const { facts, live } = asked;
  const stages: Stage[] = [];
  let required = base;
  if (operation !== undefined) {
    const scopes = operationScopes(route, operation, values);
    const rule = operationRuleFor(route, operation);
    const at = rule === undefined ? 0 : (route.operations ?? []).indexOf(rule) + 1;
    const name = `${operation.method} ${nameOf(operation)}`.trim();
    stages.push({
      stage: 'operation',
      lines: [
        line(
          scopes.ok,
          name,
          scopes.ok ? `operation ${at} requires ${scopes.value.join(' ') || 'nothing more'}` : scopes.detail,
        ),
      ],
    });
    if (!scopes.ok) return stages;
    required = [...new Set([...base, ...scopes.value])];
  }
  const labels = [...new Set([...live.labels, ...(route.labels?.request ?? [])])];
  const environment = valuesOf(facts, live, route, labels, required, operation);
  const caveats = facts.chain.leaf.caveats.map((caveat) => {
    const denial = evaluateCaveats([caveat], {
      callee: facts.callee,
      path: facts.path,
      tool: toolOf(operation, route.protocol),
    });
    return line(denial === undefined, caveat.type, denial?.detail);
  });
  return [
    ...stages,
    { stage: 'without sidecar', lines: withoutSidecarLines(compiled, asked, route, required) },
    { stage: 'scopes', lines: scopeLines(required, asked) },
    {
      stage: 'rules',
      lines: policy.rules.map((rule) => ruleLine(rule, route, required, environment, asked)),
    },
    { stage: 'caveats', lines: caveats },
    {
      stage: 'demands',
      lines: policy.demands.map((demand, at) =>
        line(isConcerned(demand, required, labels), `demand ${at + 1}`, wordsOf(demand)),
      ),
    },
  ];
};

const elsewhere = ({ policy }: CompiledPolicy, route: RouteRule, { facts }: Asked): readonly Stage[] => {
  const isAbout = (one: {
    readonly routes: readonly string[] | undefined;
    readonly callees: RouteRule['callees'];
  }): boolean =>
    (one.routes?.includes(route.name) ?? true) &&
    (one.callees === undefined || isOneOf(one.callees, facts.callee));
  const content = (policy.content ?? []).map((rule) =>
    line(isAbout(rule), rule.name, `${rule.action}, ${rule.mode}, ${rule.directions.join(' and ')}`),
  );
  const points = (policy.decisionPoints ?? []).map((point) => line(isAbout(point), point.point, point.path));
  return [
    { stage: 'content', lines: content },
    { stage: 'points', lines: points },
  ];
};

/** The stages up to the one behind which nothing is asked any more; those that have nothing to say are left out. */
export const explainRequest = (compiled: CompiledPolicy, asked: Asked): readonly Stage[] => {
  const { facts, message } = asked;
  const stages: Stage[] = [
    { stage: 'lists', lines: listLines(compiled, asked) },
    { stage: 'route', lines: routeLines(compiled, asked) },
    {
      stage: 'delegation',
      lines: compiled.policy.delegation === undefined ? [] : delegationLines(compiled, asked),
    },
  ];
  const match = compiled.routes.match(facts.callee, facts.method, facts.path);
  if (match.ok) {
    const { rule: route, required, values } = match.value;
    for (const operation of message?.operations ?? [undefined])
      stages.push(...itemStages(compiled, asked, route, required, values, operation));
    stages.push(...elsewhere(compiled, route, asked));
  }
  return stages.filter(({ lines }) => lines.length > 0);
};
