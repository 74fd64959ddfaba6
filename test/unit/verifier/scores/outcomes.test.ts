/** Which outcomes say something about the peer: one table over all reason codes, and nothing that is not its own doing. */
import { describe, expect, test } from 'vitest';
import { REASONS, type ReasonCode } from '../../../../src/core/reasons.ts';
import { COUNTED, classOf } from '../../../../src/verifier/scores/outcomes.ts';

const CODES = Object.keys(REASONS) as ReasonCode[];

/** Stages in which the peer has proven its name, and what is refused is what it sent. */
const AFTER_PROOF = new Set(['verify', 'read', 'decide', 'forward']);

/** Of those stages, what says nothing of the peer, each for a reason; a new code must be put here or into the table. */
const NOT_ITS_DOING: Readonly<Record<string, readonly ReasonCode[]>> = {
  'clocks, times and rotation': [
    'chain_leaf_key',
    'link_not_yet_valid',
    'link_expired',
    'link_ttl',
    'kb_expired',
    'kb_issuer_unknown',
    'grant_callee_key',
    'caveat_before',
    'task_too_old',
    'session_expired',
  ] as ReasonCode[],
  'the principal’s anchor': [
    'anchor_unknown',
    'anchor_principal',
    'anchor_delegatee',
    'anchor_domain',
    'anchor_scope',
    'anchor_ttl',
    'anchor_depth',
    'anchor_not_human',
  ],
  'decided about it before: a low score must not lower itself': [
    'denied',
    'revoked_link',
    'revoked_key',
    'agent_key_lost',
    'revoked_agent',
    'revoked_task',
    'revoked_principal',
    'list_blocked',
    'list_not_allowed',
    'score_too_low',
    'approval_required',
    'approval_denied',
  ],
  'of content that it may only pass on: who feeds it could provoke that in its name': [
    'content_denied',
    'content_type',
    'content_too_large',
    'content_unreadable',
    'quarantined',
  ],
  'the policy’s own, or the tool server’s': [
    'rule_error',
    'mcp_session_unknown',
    'mcp_tool_changed',
    'mcp_server_request',
    'response_malformed',
  ],
  'ours, the upstream’s or the network’s': [
    'quarantine_unavailable',
    'opa_undefined',
    'opa_result',
    'opa_timeout',
    'opa_unavailable',
    'approval_unavailable',
    'policy_unavailable',
    'http_timeout',
    'http_upgrade',
    'upstream_unreachable',
    'upstream_failed',
    'upstream_unavailable',
    'sidecar_busy',
    // Others may send for the same task.
    'task_rate',
    'upstream_timeout',
    'client_aborted',
    'audit_unavailable',
    'draining',
    'internal',
  ],
};

describe('the table of outcomes', () => {
  test('is complete: each code that can follow proof either counts, or is named with why it doesn’t', () => {
    const named = [...COUNTED, ...Object.values(NOT_ITS_DOING).flat()];
    const follow = CODES.filter((code) => AFTER_PROOF.has(REASONS[code].stage));
    expect(follow.filter((code) => !named.includes(code))).toEqual([]);
    expect(COUNTED.filter((code) => Object.values(NOT_ITS_DOING).flat().includes(code))).toEqual([]);
  });

  test('has each code once', () => {
    expect(new Set(COUNTED).size).toBe(COUNTED.length);
  });

  test('counts nothing that a stranger could provoke in somebody’s name', () => {
    const before = CODES.filter((code) => !AFTER_PROOF.has(REASONS[code].stage));
    expect(before.filter((code) => classOf(code) !== 'nothing')).toEqual([]);
  });

  test('knows a good hop', () => {
    expect(classOf('ok')).toBe('good');
  });
});
