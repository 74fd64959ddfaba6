/** What a route that is only observed lets through (SPEC.md section 13). */
import type { ReasonCode } from '../reasons.ts';

/** What `enforcement: observe` lets through: what policy says, and never who somebody is, what a chain proves or what was revoked. */
export const OBSERVED: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'message_type',
  'message_encoding',
  'message_malformed',
  'message_ambiguous',
  'operation_unmatched',
  'mcp_tool_changed',
  'route_value',
  'delegation_denied',
  'scope_missing',
  'scope_too_deep',
  'scope_too_long',
  'scope_foreign',
  'rule_denied',
  'rule_unmatched',
  'rule_error',
  'quarantined',
  'score_too_low',
  'approval_required',
  'content_denied',
  'content_type',
  'content_too_large',
  'content_unreadable',
  'opa_denied',
  'opa_undefined',
  'opa_result',
  'opa_timeout',
  'opa_unavailable',
]);
