/**
 * What each outcome of a hop says about the peer, in one table over all reason codes. Only what the peer itself did, after it
 * had proven its name on this very connection, counts: a fault of ours, of its upstream, of the network or of the clock says
 * nothing of it; what was decided about it before (revoked, blocked, a low score) must not sink it further; and what a
 * stranger could provoke in its name can't be held against it.
 */
import { OK, type ReasonCode } from '../../core/reasons.ts';

/**
 * `good`: it did what it may. `forged`: no peer that works ever sends this, so one is remembered whatever else it did.
 * `overreached`, `sloppy`: happens to the honest too, so it counts in proportion. `nothing`: not evidence.
 */
export type OutcomeClass = 'good' | 'forged' | 'overreached' | 'sloppy' | 'nothing';

/** How many good hops one of these outweighs. */
export const DENIED_WEIGHT: Readonly<Record<'overreached' | 'sloppy', number>> = {
  overreached: 4,
  sloppy: 1,
};

// By class, so that a code that is missing or stands twice does not compile or fails its test.
const CLASSES = {
  forged: [
    // Another's chain or grant, or one with a link that its signer could not make.
    'chain_leaf_not_caller',
    'grant_without_chain',
    'grant_not_child',
    'grant_callee',
    'link_rebind',
    'link_parent',
    'link_older_than_parent',
    'link_outlives_parent',
    'link_max_depth_raised',
    'link_aud_widened',
    'link_scope_widened',
    'link_caveats',
    'link_signature',
    'kb_signature',
  ],
  overreached: [
    'scope_missing',
    'rule_denied',
    'rule_unmatched',
    'request_proof_not_allowed',
    'caveat_callee',
    'caveat_resource',
    'caveat_tool',
    'caveat_max_uses',
    'caveat_unknown',
    // Who retries an honest request shows its approval twice.
    'approval_invalid',
    'approval_used',
    'target_not_canonical',
    'message_ambiguous',
    'operation_unmatched',
    'delegation_denied',
    'mcp_session_foreign',
    'scope_foreign',
    'opa_denied',
  ],
  sloppy: [
    'chain_missing',
    'chain_too_large',
    'chain_too_many_links',
    'chain_too_deep',
    'chain_max_depth',
    'chain_agent_twice',
    'chain_key_twice',
    'chain_aud',
    'route_unmatched',
    'route_value',
    'http_malformed',
    'http_header_duplicate',
    'http_headers_too_large',
    'http_body_too_large',
    'http_pipelined',
    'caller_busy',
    'caller_rate',
    'body_rate',
    'scope_too_deep',
    'scope_too_long',
    'message_type',
    'message_encoding',
    'message_too_large',
    'message_malformed',
  ],
} as const satisfies Partial<Record<OutcomeClass, readonly ReasonCode[]>>;

const BY_CODE: ReadonlyMap<string, OutcomeClass> = new Map<string, OutcomeClass>([
  [OK, 'good'],
  ...Object.entries(CLASSES).flatMap(([name, codes]) =>
    codes.map((code): [string, OutcomeClass] => [code, name as OutcomeClass]),
  ),
]);

/** All codes of the table that count against a peer. */
export const COUNTED: readonly ReasonCode[] = Object.values(CLASSES).flat();

export const classOf = (outcome: ReasonCode | typeof OK): OutcomeClass => BY_CODE.get(outcome) ?? 'nothing';
