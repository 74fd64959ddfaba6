/** Caveats: conditions that a link adds and that no later link can drop (SPEC.md section 8). */
import { parseLinkApproval } from '../approval/link-approval.ts';
import type { Json, JsonObject } from '../encoding/json.ts';
import { checkMembers, isInteger, isListOf, isObject, isTime, type Members } from '../encoding/members.ts';
import { type Callee, isOneOf } from '../policy/destination.ts';
import { isCanonicalPath } from '../policy/target.ts';
import { type AgentId, type IdPattern, isAgentId, isIdPattern } from '../spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { isScopeSegment } from './scope.ts';

export type Caveat =
  | { readonly type: 'callee'; readonly ids: readonly IdPattern[] }
  | { readonly type: 'resource'; readonly paths: readonly string[] }
  | { readonly type: 'tool'; readonly names: readonly string[] }
  | { readonly type: 'before'; readonly time: number }
  /** `link-approval+jwt`. */
  | { readonly type: 'approval'; readonly token: string }
  | { readonly type: 'max_uses'; readonly uses: number; readonly at: AgentId };

const always = (): boolean => true;

const FORMS: Readonly<Record<Caveat['type'], Members>> = {
  callee: { type: always, ids: isListOf(isIdPattern, 1, 16) },
  resource: { type: always, paths: isListOf((path) => isCanonicalPath(path as string), 1, 16) },
  tool: { type: always, names: isListOf((name) => isScopeSegment(name as string), 1, 64) },
  before: { type: always, time: isTime },
  approval: { type: always, token: (token) => typeof token === 'string' && parseLinkApproval(token).ok },
  max_uses: { type: always, uses: isInteger(1, 1_000_000), at: isAgentId },
};

/** The value of a link's `caveats`, 1–16 of them. Refuses with `caveat_unknown`, `caveat_invalid`. */
export const parseCaveats = (value: Json): Verdict<readonly Caveat[]> => {
  if (!Array.isArray(value) || value.length < 1 || value.length > 16)
    return deny('caveat_invalid', 'caveats are 1 to 16 objects');
  for (const [index, item] of value.entries()) {
    const type = isObject(item) ? item.type : undefined;
    if (typeof type !== 'string') return deny('caveat_invalid', `caveat ${index + 1} has no type`);
    if (!Object.hasOwn(FORMS, type))
      return deny('caveat_unknown', `caveat ${index + 1} is of an unknown type`);
    const closed = checkMembers(item as JsonObject, FORMS[type as Caveat['type']], 'the caveat');
    if (!closed.ok) return deny('caveat_invalid', `caveat ${index + 1} (${type}): ${closed.detail}`);
  }
  return grant(value as unknown as readonly Caveat[]);
};

/** What the caveats of a leaf are held against. */
export interface CaveatFacts {
  /** Of what lies beyond the mesh no `callee` and no `max_uses` holds: it is no agent. */
  readonly callee: Callee;
  /** Canonical path, without query. */
  readonly path: string;
  /** `null`: nothing is called, so that a `tool` caveat has nothing to say. */
  readonly tool: string | null | undefined;
  /** What became of each approval, by the place of its caveat; one that nobody has looked at does not hold. */
  readonly approvals?: ReadonlyMap<number, Verdict<unknown>>;
}

const liesBelow = (path: string, base: string): boolean =>
  path === base || path.startsWith(base.endsWith('/') ? base : `${base}/`);

/**
 * Evaluates what holds or fails for one (callee, path, tool), whenever it is asked: everything but `before`, the time of
 * approvals and the counts of `max_uses`. Refuses with `caveat_*`, `approval_invalid`.
 */
export const evaluateCaveats = (caveats: readonly Caveat[], facts: CaveatFacts): Denial | undefined => {
  for (const [index, caveat] of caveats.entries()) {
    const denial = evaluate(caveat, index, facts);
    if (denial !== undefined) return denial;
  }
  return undefined;
};

const evaluate = (caveat: Caveat, index: number, facts: CaveatFacts): Denial | undefined => {
  switch (caveat.type) {
    case 'callee':
      return isOneOf(caveat.ids, facts.callee)
        ? undefined
        : deny('caveat_callee', `the chain is only for ${caveat.ids.join(', ')}`);
    case 'resource':
      return caveat.paths.some((base) => liesBelow(facts.path, base))
        ? undefined
        : deny('caveat_resource', `the chain is only for ${caveat.paths.join(', ')}`);
    case 'tool':
      return facts.tool === null || (facts.tool !== undefined && caveat.names.includes(facts.tool))
        ? undefined
        : deny('caveat_tool', `the chain is only for the tools ${caveat.names.join(', ')}`);
    case 'max_uses':
      return caveat.at === facts.callee
        ? undefined
        : deny('caveat_max_uses', `the chain is counted at ${caveat.at} and only good there`);
    case 'approval': {
      const approval =
        facts.approvals?.get(index) ?? deny('approval_invalid', 'the approval was not looked at');
      return approval.ok ? undefined : approval;
    }
    case 'before':
      return undefined;
  }
};

/** The earliest `before` of the caveats, in seconds; Infinity without one. */
export const caveatDeadline = (caveats: readonly Caveat[]): number =>
  caveats.reduce(
    (least, caveat) => (caveat.type === 'before' ? Math.min(least, caveat.time) : least),
    Number.POSITIVE_INFINITY,
  );
