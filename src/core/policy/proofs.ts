/** How a caller has proven itself, and whether policy lets it come so (SPEC.md section 13). */
import { isCovered, type ScopeLiteral } from '../delegation/scope.ts';
import { type AgentId, agentTypeOf, idMatches } from '../spiffe-id.ts';
import { type Denial, deny } from '../verdict.ts';
import { type Callee, isOneOf } from './destination.ts';
import type { Policy, WithoutSidecarRule } from './model.ts';

/**
 * `session`: by a handshake on this connection, as sidecars do. `request`: by a signature of this very request, without one.
 * `both`: on top of it.
 */
export type CallerProof = 'session' | 'request' | 'both';

export interface WhoCalls {
  readonly caller: AgentId;
  readonly callee: Callee;
  /** Its name. */
  readonly route: string;
  readonly required: readonly ScopeLiteral[];
}

const matches = (
  { callers, callerTypes, callees, scopes, routes }: WithoutSidecarRule,
  { caller, callee, route, required }: WhoCalls,
): boolean =>
  (callers === undefined || callers.some((pattern) => idMatches(pattern, caller))) &&
  (callerTypes === undefined || callerTypes.includes(agentTypeOf(caller))) &&
  (callees === undefined || isOneOf(callees, callee)) &&
  (routes === undefined || routes.includes(route)) &&
  (scopes === undefined || required.every((scope) => isCovered(scopes, scope)));

/** The first entry that lets somebody come without a sidecar. */
export const withoutSidecarEntry = (
  { withoutSidecar = [] }: Pick<Policy, 'withoutSidecar'>,
  who: WhoCalls,
): WithoutSidecarRule | undefined => withoutSidecar.find((entry) => matches(entry, who));

/** Whether anybody may come to this agent without a sidecar: else its door needn't open for them. */
export const admitsWithoutSidecar = (
  { withoutSidecar = [] }: Pick<Policy, 'withoutSidecar'>,
  callee: AgentId,
): boolean =>
  withoutSidecar.some(({ callees }) => callees?.some((pattern) => idMatches(pattern, callee)) ?? true);

/**
 * Whether the caller may come as it did. With only a part of `required` known, a denial is final. Refuses with
 * `request_proof_not_allowed`.
 */
export const checkCallerProof = (
  policy: Pick<Policy, 'withoutSidecar'>,
  proof: CallerProof,
  who: WhoCalls,
): Denial | undefined =>
  proof !== 'request' || withoutSidecarEntry(policy, who) !== undefined
    ? undefined
    : deny(
        'request_proof_not_allowed',
        `policy lets ${who.caller} not come without a sidecar for route ${who.route}`,
      );

/** Refuses with `request_proof_missing`. */
export const checkDemandedProof = (
  { requestProof }: { readonly requestProof: boolean },
  proof: CallerProof,
): Denial | undefined =>
  requestProof && proof === 'session'
    ? deny('request_proof_missing', 'a required scope demands that the request itself is signed')
    : undefined;
