/** A suggestion as people read and keep it: YAML with the evidence beside each part, and without what has no effect any more. */
import { Document, isMap, isNode, parse } from 'yaml';
import { parsePlacedPolicy } from '../config/policy.ts';
import { lintPolicy } from '../core/policy/analysis/lint.ts';
import type { SuggestedRoute, Suggestion } from '../core/policy/analysis/suggest.ts';
import type { AccessRule, Policy, RouteRule } from '../core/policy/model.ts';

type Written = Readonly<Record<string, unknown>>;

interface Base {
  /** As its author wrote it. */
  readonly written: Written;
  readonly policy: Policy;
}

export const baseFrom = (source: string, policy: Policy): Base => ({
  written: parse(source) as Written,
  policy,
});

const listOf = (written: Written | undefined, part: string): readonly Written[] =>
  (written?.[part] ?? []) as readonly Written[];

const some = <T>(list: readonly T[] | undefined): readonly T[] | undefined =>
  list === undefined || list.length === 0 ? undefined : list;

const defined = (entries: Written): Written =>
  Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));

const toolsOf = ({ rule, tools }: SuggestedRoute, written: Written | undefined): unknown => {
  const own = written?.tools as Written | undefined;
  // What nobody has approved and policy denies was offered, and not used: to approve it is for people.
  if (tools.size === 0 || rule.protocol !== 'mcp' || rule.tools?.unlisted === 'deny') return own;
  const approved = { ...(own?.approved as Written | undefined), ...Object.fromEntries(tools) };
  return { ...own, approved };
};

/** Of the base everything but methods, callees and operations; else what the paths say. */
const writtenRoute = (route: SuggestedRoute, base: Base | undefined): Written => {
  const { rule, at, operations } = route;
  const written = at === undefined ? undefined : listOf(base?.written, 'routes')[at];
  const own = (written?.operations ?? []) as readonly Written[];
  const narrowed = operations?.map(({ methods, names, scopes, at: place }) =>
    defined({ methods, names: some(names), scopes: own[place]?.scopes ?? some(scopes) }),
  );
  return defined({
    ...(written ?? { name: rule.name, path: rule.path, scopes: some(rule.scopes), protocol: rule.protocol }),
    callees: rule.callees,
    methods: rule.methods,
    operations: some(narrowed),
    tools: toolsOf(route, written),
  });
};

const writtenAllow = ({ name, callers, callees, principals, routes, scopes, when }: AccessRule): Written =>
  defined({ name, effect: 'allow', callers, callees, principals, routes, scopes: some(scopes), when });

const only = (written: Written, member: string, known: ReadonlySet<string>): Written | undefined => {
  const names = written[member] as readonly string[] | undefined;
  if (names === undefined) return written;
  const left = names.filter((name) => known.has(name));
  return left.length === 0 ? undefined : { ...written, [member]: left };
};

const kept = (list: readonly Written[], member: string, known: ReadonlySet<string>): readonly Written[] =>
  list.flatMap((one): readonly Written[] => {
    const left = only(one, member, known);
    return left === undefined ? [] : [left];
  });

const labelsOf = (routes: readonly RouteRule[]): ReadonlySet<string> =>
  new Set(routes.flatMap(({ labels }) => [...(labels?.request ?? []), ...(labels?.response ?? [])]));

const limitsOf = ({ maxDepth }: Suggestion, base: Base | undefined): Written => ({
  ...(base?.written.limits as Written | undefined),
  maxDepth: Math.min(maxDepth, base?.policy.limits.maxDepth ?? maxDepth),
});

const revisionOf = (base: Base | undefined): string =>
  `${(base?.policy.revision ?? 'log').slice(0, 54)}.used-1`;

const whole = (suggestion: Suggestion, base: Base | undefined): Record<string, unknown> => {
  const written = base?.written;
  const routes = new Set(suggestion.routes.map(({ rule }) => rule.name));
  const labels = labelsOf([...suggestion.routes.map(({ rule }) => rule), ...(base?.policy.egress ?? [])]);
  // What leaves the mesh is no hop between agents: its list stays, with the allows that are for it alone.
  const beyond = new Set(listOf(written, 'egress').map(({ name }) => String(name)));
  const isBeyond = ({ routes: names }: Written): boolean =>
    Array.isArray(names) && names.every((name) => beyond.has(String(name)));
  for (const name of beyond) routes.add(name);
  const others = listOf(written, 'rules').filter((rule) => rule.effect !== 'allow' || isBeyond(rule));
  const { scopeSets, lists, delegation } = written ?? {};
  return {
    apiVersion: 'hopgate.dev/v1',
    kind: 'Policy',
    revision: revisionOf(base),
    limits: limitsOf(suggestion, base),
    ...defined({ scopeSets, lists }),
    routes: suggestion.routes.map((route) => writtenRoute(route, base)),
    ...defined({ egress: some(listOf(written, 'egress')) }),
    rules: [...suggestion.allows.map(({ rule }) => writtenAllow(rule)), ...kept(others, 'routes', routes)],
    ...defined({
      demands: some(kept(listOf(written, 'demands'), 'labels', labels)),
      delegation,
      content: some(kept(listOf(written, 'content'), 'routes', routes)),
      decisionPoints: some(kept(listOf(written, 'decisionPoints'), 'routes', routes)),
      withoutSidecar: some(
        base === undefined
          ? suggestion.waysIn.map((way) => defined({ ...way }))
          : kept(listOf(written, 'withoutSidecar'), 'routes', routes),
      ),
    }),
  };
};

const PRUNED = ['rules', 'demands', 'content', 'decisionPoints', 'withoutSidecar'] as const;

/** Without what of the base can't match any more: it would be a fault. */
const pruned = (config: Record<string, unknown>): Record<string, unknown> => {
  let left = config;
  for (;;) {
    const { policy } = parsePlacedPolicy(new Document(left).toString(), 'the suggestion');
    const dead = lintPolicy(policy, 0).find(
      ({ severity, path }) => severity === 'fault' && PRUNED.some((part) => part === path[0]),
    );
    if (dead === undefined) return left;
    const [part, at] = dead.path;
    const list = (left[String(part)] as readonly unknown[]).filter((_, place) => place !== at);
    left = { ...left, [String(part)]: list };
    if (list.length === 0 && part !== 'rules') delete left[String(part)];
  }
};

const KEPT = 'not used, and kept: without it its requests would be for a route behind it';

const hops = (count: number): string => `${count} hop${count === 1 ? '' : 's'}`;

/** Behind `#`, one line each. */
const comment = (doc: Document, path: readonly (string | number)[], text: string): void => {
  const node = doc.getIn(path, true);
  if (isNode(node) && isMap(node)) node.commentBefore = ` ${text}`;
};

/** The document; `head` stands above it, a line each. */
export const renderSuggestion = (
  suggestion: Suggestion,
  base: Base | undefined,
  head: readonly string[],
): string => {
  const doc = new Document(pruned(whole(suggestion, base)));
  doc.commentBefore = head.map((line) => (line === '' ? '' : ` ${line}`)).join('\n');
  for (const [at, { count, operations = [] }] of suggestion.routes.entries()) {
    comment(doc, ['routes', at], count === 0 ? KEPT : hops(count));
    for (const [index, operation] of operations.entries())
      comment(doc, ['routes', at, 'operations', index], `${operation.count} times`);
  }
  for (const [at, { count, observed }] of suggestion.allows.entries())
    comment(
      doc,
      ['rules', at],
      observed === 0 ? hops(count) : `${hops(count)}, ${observed} of them only let through because observed`,
    );
  return doc.toString({ lineWidth: 110, flowCollectionPadding: false });
};
