/** A policy as a bundle carries it: the JSON of SPEC.md section 13, read strictly. */
import { type ScopeSets, scopeSetsFault } from '../delegation/scope.ts';
import type { Json, JsonObject } from '../encoding/json.ts';
import { checkMembers, isListOf, isObject, type Members } from '../encoding/members.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { firstOf, type PolicyFault } from './fault.ts';
import { policyFaults } from './faults.ts';
import * as forms from './forms.ts';
import type { Policy, PolicyLists } from './model.ts';

const invalid = (detail: string): Denial => deny('policy_invalid', detail);

const closedObject = (value: Json | undefined, members: Members, what: string): Denial | undefined => {
  const closed = checkMembers((value ?? {}) as JsonObject, members, what);
  return closed.ok ? undefined : invalid(closed.detail);
};

const listOf = (value: Json | undefined): readonly JsonObject[] => (value ?? []) as readonly JsonObject[];

/** Every entry an object of these members; `inner` looks at what is nested in one. */
const closedEntries = (
  list: Json | undefined,
  members: Members,
  what: string,
  inner?: (entry: JsonObject, what: string) => Denial | undefined,
): Denial | undefined => {
  for (const [index, entry] of (listOf(list) as readonly Json[]).entries()) {
    const where = `${what} ${index + 1}`;
    if (!isObject(entry)) return invalid(`${where} is not an object`);
    const denial = closedObject(entry, members, where) ?? inner?.(entry, where);
    if (denial !== undefined) return denial;
  }
  return undefined;
};

const closedRoute = ({ operations, tools, labels }: JsonObject, what: string): Denial | undefined =>
  closedEntries(operations, forms.OPERATION, `${what}, operation`) ??
  (tools === undefined ? undefined : closedObject(tools, forms.TOOLS, `${what}, tools`)) ??
  (labels === undefined ? undefined : closedObject(labels, forms.ROUTE_LABELS, `${what}, labels`));

const closedDelegation = (value: Json | undefined): Denial | undefined =>
  value === undefined
    ? undefined
    : (closedObject(value, forms.DELEGATION, 'delegation') ??
      closedEntries((value as JsonObject).rules, forms.EDGE, 'delegation rule'));

/** Reads lists of their own (`lists` of a bundle) or a policy's. Refuses with `policy_invalid`. */
export const readLists = (value: JsonObject): Verdict<PolicyLists> =>
  closedObject(value, forms.LISTS, 'lists') ?? grant(value as unknown as PolicyLists);

const setsFault = (sets: JsonObject): string | undefined => {
  for (const [name, members] of Object.entries(sets)) {
    if (!isListOf(() => true, 1, 1024)(members as Json)) return `scope set ${name} is no list of strings`;
  }
  return scopeSetsFault(sets as unknown as ScopeSets);
};

const formFault = (value: JsonObject): Denial | undefined =>
  closedObject(value, forms.POLICY, 'the policy') ??
  closedObject(value.limits, forms.LIMITS, 'limits') ??
  closedObject(value.lists, forms.LISTS, 'lists') ??
  closedEntries(value.routes, forms.ROUTE, 'route', closedRoute) ??
  closedEntries(value.egress, forms.EGRESS, 'egress', closedRoute) ??
  closedEntries(value.rules, forms.RULE, 'rule') ??
  closedEntries(value.demands, forms.DEMAND, 'demand') ??
  closedDelegation(value.delegation) ??
  closedEntries(value.content, forms.CONTENT_RULE, 'content rule') ??
  closedEntries(value.decisionPoints, forms.DECISION_POINT, 'decision point') ??
  closedEntries(value.withoutSidecar, forms.WITHOUT_SIDECAR, 'entry of withoutSidecar');

/** What JSON leaves out is `undefined` in our types. */
const whole = (object: JsonObject, members: Members): Record<string, unknown> => {
  const made: Record<string, unknown> = { ...object };
  for (const name of forms.optionalOf(members)) made[name] ??= undefined;
  return made;
};

const wholeAll = (list: Json | undefined, members: Members): readonly Record<string, unknown>[] =>
  listOf(list).map((entry) => whole(entry, members));

const wholeRoute = (route: JsonObject, members: Members): Record<string, unknown> =>
  route.operations === undefined
    ? whole(route, members)
    : { ...whole(route, members), operations: wholeAll(route.operations, forms.OPERATION) };

/** Of a value in which everything has its form. */
const toPolicy = (value: JsonObject): Policy => {
  const { egress, delegation, content, decisionPoints, withoutSidecar } = value;
  return {
    ...value,
    routes: listOf(value.routes).map((route) => wholeRoute(route, forms.ROUTE)),
    ...(egress === undefined
      ? {}
      : { egress: listOf(egress).map((route) => wholeRoute(route, forms.EGRESS)) }),
    rules: wholeAll(value.rules, forms.RULE),
    demands: wholeAll(value.demands, forms.DEMAND),
    ...(delegation === undefined
      ? {}
      : {
          delegation: {
            ...(delegation as JsonObject),
            rules: wholeAll((delegation as JsonObject).rules, forms.EDGE),
          },
        }),
    ...(content === undefined ? {} : { content: wholeAll(content, forms.CONTENT_RULE) }),
    ...(decisionPoints === undefined
      ? {}
      : { decisionPoints: wholeAll(decisionPoints, forms.DECISION_POINT) }),
    ...(withoutSidecar === undefined
      ? {}
      : { withoutSidecar: wholeAll(withoutSidecar, forms.WITHOUT_SIDECAR) }),
  } as unknown as Policy;
};

const PARTS: Readonly<Record<string, string>> = {
  routes: 'route',
  egress: 'egress',
  rules: 'rule',
  demands: 'demand',
  content: 'content rule',
  decisionPoints: 'decision point',
  withoutSidecar: 'entry of withoutSidecar',
};

/** Of a fault's place, in words: `rule reviewers-read, when, character 12`. */
const placeOf = (policy: Policy, { path, offset }: PolicyFault): string => {
  const isEdge = path[0] === 'delegation';
  const [part = '', index = 0, ...members] = isEdge ? path.slice(1) : path;
  const list = (isEdge ? policy.delegation?.rules : policy[part as 'rules']) ?? [];
  const name: string = list[Number(index)]?.name ?? String(Number(index) + 1);
  const inside = members.map((member) => (typeof member === 'number' ? String(member + 1) : member));
  return [
    `${isEdge ? 'delegation rule' : PARTS[part]} ${name}`,
    ...(inside.length === 0 ? [] : [inside.join(' ')]),
    ...(offset === undefined ? [] : [`character ${offset + 1}`]),
  ].join(', ');
};

/** Reads the policy of a bundle. Refuses with `policy_invalid`. */
export const readPolicy = (value: JsonObject): Verdict<Policy> => {
  const denial = formFault(value);
  if (denial !== undefined) return denial;
  const sets = setsFault(value.scopeSets as JsonObject);
  if (sets !== undefined) return invalid(sets);
  const policy = toPolicy(value);
  const fault = firstOf(policyFaults(policy));
  return fault === undefined ? grant(policy) : invalid(`${placeOf(policy, fault)}: ${fault.message}`);
};
