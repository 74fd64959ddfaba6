/**
 * The closed table of reason codes: one row for each way in which a hop can be refused.
 * The same code stands in the response, the log, the metrics and SPEC.md section 16 (a test keeps them equal).
 */

/** Where on the path of a hop a reason arises. */
export type Stage =
  | 'parse'
  | 'identify'
  | 'handshake'
  | 'prove'
  | 'verify'
  | 'read'
  | 'decide'
  | 'forward'
  | 'outbound'
  | 'trust'
  | 'verifier'
  | 'audit';

export interface Reason {
  readonly stage: Stage;
  /** HTTP status of the refusal, where there is an HTTP response to carry it. */
  readonly status: number;
  /** Whether the other side of the connection may see this code; otherwise it sees `denied`. */
  readonly peer: boolean;
  readonly meaning: string;
}

const row = (stage: Stage, status: number, peer: boolean, meaning: string): Reason => ({
  stage,
  status,
  peer,
  meaning,
});

export const REASONS = {
  denied: row('decide', 403, true, 'refused; the reason is in the log of the sidecar that refused'),

  // Strict encodings (SPEC 2, 3, 5)
  jws_size: row('parse', 400, true, 'a signed object is larger than its cap'),
  jws_structure: row('parse', 400, true, 'not three non-empty parts, or a signature that is not 64 octets'),
  jws_base64url: row(
    'parse',
    400,
    true,
    'base64url that is padded, non-canonical or has a foreign character',
  ),
  jws_header: row('parse', 400, true, 'a protected header other than the one fixed for this type'),
  json_utf8: row('parse', 400, true, 'ill-formed UTF-8, a BOM or a lone surrogate'),
  json_syntax: row('parse', 400, true, 'not one JSON object'),
  json_duplicate_member: row('parse', 400, true, 'an object member occurs twice'),
  json_number: row('parse', 400, true, 'a number that is not a safe integer'),
  json_depth: row('parse', 400, true, 'nested more than 8 deep'),
  claim_unknown: row('parse', 400, true, 'a member that the specification does not list'),
  claim_missing: row('parse', 400, true, 'a mandatory member is missing'),
  claim_invalid: row('parse', 400, true, 'a member of the wrong type, form or range'),
  scope_invalid: row('parse', 400, true, 'a scope pattern outside the grammar'),
  scope_empty: row('parse', 400, true, 'an empty scope list'),
  caveat_invalid: row('parse', 400, true, 'a malformed caveat'),
  key_length: row('parse', 400, true, 'a public key that is not 32 octets'),
  key_not_canonical: row('parse', 400, true, 'a public key that is not the canonical encoding of a point'),
  key_small_order: row('parse', 400, true, 'a public key of small order'),
  key_mixed_order: row('parse', 400, true, 'a public key with a small-order component'),

  // Connection and SVID (SPEC 10)
  tls_failed: row(
    'identify',
    403,
    false,
    'the TLS handshake failed (version, ALPN, cipher or a broken peer)',
  ),
  tls_no_certificate: row('identify', 403, false, 'the client sent no certificate'),
  svid_untrusted: row('identify', 403, true, 'no chain to an SVID CA of its own trust domain'),
  svid_expired: row('identify', 403, true, 'the SVID is outside its validity period; compare both clocks'),
  svid_resumed: row('identify', 403, true, 'a resumed TLS session, which would skip the SVID check'),
  svid_uri_san: row('identify', 403, true, 'the SVID has no URI SAN, or more than one'),
  svid_id: row('identify', 403, true, 'the SPIFFE ID is not an agent ID'),
  svid_trust_domain: row('identify', 403, true, 'a trust domain that the bundle does not know'),
  svid_is_ca: row('identify', 403, true, 'the SVID is a CA certificate'),
  svid_key_usage: row(
    'identify',
    403,
    true,
    'keyUsage lacks digitalSignature or allows signing certificates',
  ),
  svid_ext_key_usage: row('identify', 403, true, 'extendedKeyUsage lacks serverAuth or clientAuth'),

  // Handshake (SPEC 6, 11)
  hs_busy: row(
    'handshake',
    503,
    true,
    'too many handshakes in flight or connections, in total, from this source or by this agent',
  ),
  hs_timeout: row('handshake', 408, true, 'the handshake missed its deadline'),
  hs_frame: row(
    'handshake',
    400,
    true,
    'a frame that is malformed, oversize, of the wrong type or out of order',
  ),
  hs_version: row('handshake', 400, true, 'no common protocol version'),
  hs_suite: row('handshake', 400, true, 'no common suite, or a suite that was not offered'),
  hs_nonce: row('handshake', 403, true, 'a nonce that was used before'),
  hs_reflection: row('handshake', 403, true, 'the peer presents our own agent key'),
  hs_refused: row('handshake', 502, true, 'the peer refused the handshake; its reason is in the detail'),
  wit_issuer_unknown: row('handshake', 403, true, 'the WIT is by no issuer of its trust domain'),
  wit_expired: row('handshake', 403, true, 'the WIT has expired; compare both clocks'),
  wit_not_yet_valid: row('handshake', 403, true, 'the WIT is from the future; compare both clocks'),
  wit_signature: row('handshake', 403, true, 'the signature of the WIT is wrong'),
  wit_not_svid: row('handshake', 403, true, 'the WIT names another agent than the SVID'),
  proof_role: row('handshake', 403, true, 'the proof is for the other role'),
  proof_identity: row('handshake', 403, true, 'the proof names other agents'),
  proof_key: row('handshake', 403, true, 'the proof names other agent keys'),
  proof_certificate: row('handshake', 403, true, 'the proof names other certificates'),
  proof_channel: row('handshake', 403, true, 'the proof was made on another TLS connection'),
  proof_transcript: row('handshake', 403, true, 'the proof is over other frames'),
  proof_signature: row('handshake', 403, true, 'the proof is not signed by the agent key'),
  peer_not_pinned: row('handshake', 502, true, 'the peer is not the agent that this route names'),
  session_expired: row('handshake', 401, true, 'the session is past its deadline; connect anew'),

  // Proof of one request (SPEC 12.1)
  request_proof_missing: row(
    'prove',
    403,
    true,
    'the request is not signed, and comes without a handshake or for a scope that demands it',
  ),
  request_proof_malformed: row(
    'prove',
    400,
    true,
    'Signature-Input or Signature outside the one form that is read',
  ),
  request_proof_components: row(
    'prove',
    400,
    true,
    'the signature covers more or less of the request than it must',
  ),
  request_proof_audience: row('prove', 403, true, 'the request was signed for another agent'),
  request_proof_ttl: row('prove', 403, true, 'the signature is good for longer than 30 s'),
  request_proof_expired: row('prove', 403, true, 'the signature has expired; compare both clocks'),
  request_proof_not_yet_valid: row(
    'prove',
    403,
    true,
    'the signature is from the future; compare both clocks',
  ),
  request_proof_before_start: row(
    'prove',
    403,
    true,
    'the request was signed before this sidecar began; sign it anew',
  ),
  request_proof_channel: row('prove', 403, true, 'the request was signed for another TLS connection'),
  request_proof_digest: row(
    'prove',
    400,
    true,
    'a body without Content-Digest, or another body than the one that was signed',
  ),
  request_proof_signature: row(
    'prove',
    403,
    true,
    'the request is not signed by the agent key, or not as it came',
  ),
  request_proof_replayed: row('prove', 403, true, 'the nonce of the signature was used before'),
  request_proof_busy: row('prove', 429, true, 'more nonces than can be remembered; sign for fewer seconds'),
  request_proof_not_allowed: row(
    'decide',
    403,
    true,
    'policy lets nobody without a sidecar ask for this, or not this caller',
  ),

  // Delegation chain (SPEC 7)
  chain_missing: row('verify', 401, true, 'no delegation chain'),
  chain_too_large: row('verify', 400, true, 'the chain is larger than 8 KiB'),
  chain_too_many_links: row('verify', 400, true, 'more than 16 links'),
  chain_leaf_not_caller: row(
    'verify',
    403,
    true,
    'the leaf of the chain names another agent than the caller',
  ),
  chain_leaf_key: row('verify', 403, true, 'the leaf of the chain names another key than the caller proved'),
  chain_too_deep: row('verify', 403, true, 'deeper than policy allows'),
  chain_max_depth: row('verify', 403, true, 'deeper than a link of the chain allows'),
  chain_agent_twice: row('verify', 403, true, 'an agent occurs twice'),
  chain_key_twice: row('verify', 403, true, 'a key occurs twice'),
  chain_aud: row(
    'verify',
    403,
    true,
    'a link is not for its delegatee’s trust domain, or the chain not for ours',
  ),
  link_max_depth_raised: row('verify', 403, true, 'a link allows more depth than its parent'),
  link_rebind: row('verify', 403, true, 'a rebind link that changes more than the key, or an unmarked one'),
  link_not_yet_valid: row('verify', 403, true, 'a link is from the future; compare both clocks'),
  link_expired: row('verify', 401, true, 'a link has expired'),
  link_ttl: row('verify', 403, true, 'a link lives longer than policy allows'),
  link_older_than_parent: row('verify', 403, true, 'a link was issued before its parent'),
  link_outlives_parent: row('verify', 403, true, 'a link expires after its parent'),
  link_parent: row('verify', 403, true, 'a link was made for another parent'),
  link_aud_widened: row('verify', 403, true, 'a link is for more trust domains than its parent'),
  link_scope_widened: row('verify', 403, true, 'a link has scope that its parent has not'),
  link_caveats: row('verify', 403, true, 'a link drops, reorders or changes a caveat of its parent'),
  link_signature: row('verify', 403, true, 'a link is not signed by the delegatee of its parent'),
  kb_expired: row('verify', 403, true, 'the key binding had expired when the link was made'),
  kb_issuer_unknown: row('verify', 403, true, 'the key binding is by no issuer of the signer’s trust domain'),
  kb_signature: row('verify', 403, true, 'the signer does not own the name that the parent gives it'),
  anchor_unknown: row('verify', 403, true, 'no anchor has the key that the chain starts from'),
  anchor_principal: row('verify', 403, true, 'the anchor may not speak for this principal'),
  anchor_delegatee: row('verify', 403, true, 'the anchor may not delegate to this agent'),
  anchor_domain: row('verify', 403, true, 'the anchor may not grant into this trust domain'),
  anchor_scope: row('verify', 403, true, 'the anchor may not grant this scope'),
  anchor_ttl: row('verify', 403, true, 'the anchor may not grant for so long'),
  anchor_depth: row('verify', 403, true, 'the anchor may not grant so deep a chain'),
  anchor_not_human: row('verify', 403, true, 'policy wants a human at the root'),
  grant_without_chain: row('verify', 403, true, 'a grant without the chain that it extends'),
  grant_not_child: row('verify', 403, true, 'the grant is no child of the chain’s leaf'),
  grant_callee: row('verify', 403, true, 'the grant names another callee'),
  grant_callee_key: row('verify', 403, true, 'the grant names another key than the callee’s'),

  // What a request says inside its body (SPEC 13)
  message_type: row('read', 415, true, 'the body is not of the media type that its protocol is sent in'),
  message_encoding: row(
    'read',
    415,
    true,
    'a content coding or charset: what we read must be what the agent reads',
  ),
  message_too_large: row('read', 413, true, 'the message is larger than the route reads'),
  message_malformed: row(
    'read',
    400,
    true,
    'the body is not one JSON value, or none that the protocol allows',
  ),
  message_ambiguous: row('read', 400, true, 'two readers could take the body for two different messages'),
  operation_unmatched: row('decide', 403, true, 'the route names no such operation'),
  mcp_session_unknown: row('decide', 404, true, 'no such MCP session; initialize a new one'),
  mcp_session_foreign: row('decide', 404, true, 'the MCP session belongs to another caller or task'),
  mcp_tool_changed: row('decide', 403, true, 'the definition of the tool differs from the approved one'),
  mcp_server_request: row('forward', 502, true, 'the server sent a request that policy does not name'),
  response_malformed: row(
    'forward',
    502,
    true,
    'the agent’s answer is not of its protocol, so that nothing is known of it',
  ),

  // Decision (SPEC 8, 9, 12, 13)
  revoked_link: row('decide', 403, true, 'a link was revoked'),
  revoked_key: row('decide', 403, true, 'an agent key in the chain was revoked'),
  agent_key_lost: row(
    'decide',
    403,
    true,
    'an agent of the chain has lost the key that this was granted to; delegate anew',
  ),
  revoked_agent: row('decide', 403, true, 'an agent in the chain was revoked'),
  revoked_task: row('decide', 403, true, 'the task was revoked'),
  revoked_principal: row('decide', 403, true, 'what the principal granted was revoked'),
  list_blocked: row('decide', 403, false, 'an agent or the principal is on the blocklist'),
  list_not_allowed: row('decide', 403, false, 'the agent is not on the allowlist'),
  target_not_canonical: row(
    'decide',
    400,
    true,
    'the request target is not canonical; it is refused, not rewritten',
  ),
  route_unmatched: row('decide', 403, true, 'no route of the policy knows this callee, method and path'),
  route_value: row('decide', 403, true, 'a path value that can’t be part of a scope'),
  scope_missing: row('decide', 403, true, 'the chain does not hold a scope that the route requires'),
  rule_denied: row('decide', 403, false, 'a rule of the policy denies this'),
  rule_unmatched: row('decide', 403, true, 'no rule of the policy allows this'),
  rule_error: row(
    'decide',
    403,
    false,
    'a condition of a rule could not be evaluated, so that it counts as denied',
  ),
  delegation_denied: row(
    'decide',
    403,
    true,
    'policy does not let an agent of the chain delegate to the next',
  ),
  scope_too_deep: row('decide', 403, true, 'a scope that policy grants only to shorter chains'),
  scope_too_long: row('decide', 403, true, 'a scope that policy grants only for a shorter time'),
  scope_foreign: row('decide', 403, true, 'a scope that may not cross into another trust domain'),
  content_denied: row('decide', 403, false, 'a content rule denies what the body says'),
  content_type: row('decide', 415, true, 'a media type that a content rule does not let through'),
  content_too_large: row('decide', 413, true, 'larger than a content rule lets through'),
  content_unreadable: row(
    'decide',
    415,
    true,
    'a body that a content rule can’t read: a coding, or broken text',
  ),
  quarantined: row('decide', 403, true, 'kept aside for review; the detail has the id'),
  quarantine_unavailable: row('decide', 503, true, 'what was to be kept aside could not be kept'),
  opa_denied: row('decide', 403, true, 'the decision point says no'),
  opa_undefined: row('decide', 403, true, 'the decision point has no answer to this'),
  opa_result: row('decide', 503, true, 'the answer of the decision point is none that we know'),
  opa_timeout: row('decide', 503, true, 'the decision point took too long'),
  opa_unavailable: row('decide', 503, true, 'the decision point can’t be asked'),
  caveat_unknown: row('decide', 403, true, 'a caveat of a type that we don’t know'),
  caveat_callee: row('decide', 403, true, 'a caveat names other callees'),
  caveat_resource: row('decide', 403, true, 'a caveat names other resources'),
  caveat_tool: row('decide', 403, true, 'a caveat names other tools'),
  caveat_before: row('decide', 403, true, 'a caveat’s time has passed'),
  caveat_max_uses: row('decide', 403, true, 'a caveat’s uses are used up'),
  score_too_low: row(
    'decide',
    403,
    false,
    'an agent of the chain has a lower trust score than the scope demands',
  ),
  approval_required: row(
    'decide',
    403,
    true,
    'policy wants a human’s approval for this; the detail has the approval id',
  ),
  approval_invalid: row(
    'decide',
    403,
    true,
    'the approval is for something else, by nobody who may, or over',
  ),
  approval_denied: row('decide', 403, true, 'an approver has refused this'),
  approval_used: row('decide', 403, true, 'the approval was used before'),
  approval_unavailable: row('decide', 503, true, 'the verifier can’t be asked for the approval'),
  task_too_old: row('verify', 403, true, 'the task began longer ago than policy allows'),
  policy_unavailable: row('decide', 503, true, 'no valid policy is loaded'),

  // HTTP and forwarding
  http_malformed: row('forward', 400, true, 'not a request that HTTP allows'),
  http_header_duplicate: row('forward', 400, true, 'a header that may occur once occurs twice'),
  http_headers_too_large: row('forward', 431, true, 'more than 32 KiB of headers'),
  http_body_too_large: row('forward', 413, true, 'the body is larger than the limit'),
  http_timeout: row('forward', 408, true, 'headers or body came too slowly'),
  http_pipelined: row('forward', 400, true, 'more than 16 requests behind an unanswered one'),
  caller_busy: row('forward', 429, true, 'the caller has too many requests under way here'),
  caller_rate: row('forward', 429, true, 'the caller sends more requests a second than are let in'),
  sidecar_busy: row(
    'forward',
    503,
    true,
    'too many requests are under way here; callers that have few of them go first',
  ),
  task_rate: row('verify', 429, true, 'the task sends more requests a second than are let in'),
  body_rate: row('forward', 429, true, 'more octets a second than are read for one caller before a decision'),
  http_upgrade: row(
    'forward',
    501,
    true,
    'an upgrade that no route of protocol websocket is for, or none where one is',
  ),
  upstream_unreachable: row('forward', 502, true, 'the agent does not answer on its port'),
  upstream_failed: row('forward', 502, true, 'the agent broke off its response'),
  upstream_unavailable: row(
    'forward',
    503,
    true,
    'the agent has not answered for some time and is not asked now',
  ),
  upstream_timeout: row('forward', 504, true, 'the agent sent nothing for too long'),
  client_aborted: row('forward', 499, true, 'the client went away'),
  audit_unavailable: row('forward', 503, true, 'the decision could not be recorded'),
  draining: row('forward', 503, true, 'the sidecar is shutting down'),
  internal: row('forward', 500, false, 'a fault in the sidecar or the verifier; see its log'),

  // Outbound: the local agent’s door
  agent_unauthenticated: row('outbound', 407, true, 'the proxy secret is missing or wrong'),
  agent_browser: row('outbound', 403, true, 'it comes from a web page (Origin or Sec-Fetch headers)'),
  admin_unauthenticated: row('outbound', 401, true, 'the admin token is missing or wrong'),
  admin_forbidden: row('outbound', 403, true, 'the token is good for other calls'),
  egress_host_unknown: row('outbound', 403, true, 'no outbound route and no egress has this host and port'),
  egress_address_forbidden: row(
    'outbound',
    403,
    true,
    'loopback, link-local, metadata, or private and not opened',
  ),
  egress_tls: row('outbound', 400, true, 'TLS inside CONNECT; the sidecar speaks TLS, send plain HTTP'),
  egress_unresolved: row('outbound', 502, true, 'the name of the destination has no address'),
  egress_unreachable: row('outbound', 502, true, 'the destination does not answer'),
  egress_certificate: row('outbound', 502, true, 'the destination’s certificate or TLS version is not good'),
  egress_failed: row('outbound', 502, true, 'the destination broke off'),
  egress_sni: row('outbound', 403, true, 'no TLS for the host of the destination, or one that hides another'),
  egress_idle: row('outbound', 408, true, 'nothing went through the tunnel for too long'),
  egress_busy: row('outbound', 429, true, 'too many tunnels, or requests that wait for a connection'),
  egress_credential: row('outbound', 503, true, 'the credential for the destination can’t be had'),
  egress_credential_shown: row('outbound', 502, true, 'the destination sent the credential back'),
  context_missing: row(
    'outbound',
    401,
    true,
    'no context handle; send back the Hopgate-Context of the request you work for',
  ),
  context_unknown: row('outbound', 401, true, 'no context has this handle, or it has ended'),
  context_conflict: row('outbound', 400, true, 'two different context handles in one request'),
  context_key: row(
    'outbound',
    401,
    true,
    'the context was granted to a key that this sidecar no longer holds',
  ),
  delegate_widened: row(
    'outbound',
    403,
    true,
    'the agent asked to delegate more than its route or its chain allows',
  ),
  delegate_invalid: row('outbound', 400, true, 'a malformed request to delegate less'),
  peer_unreachable: row('outbound', 502, true, 'the peer’s sidecar does not answer'),
  peer_failed: row('outbound', 502, true, 'the peer’s sidecar broke off'),

  // Trust bundle (SPEC 9)
  bundle_domain: row('trust', 503, false, 'the bundle is of another trust domain'),
  bundle_signer: row('trust', 503, false, 'the bundle is by a signer that the root does not name'),
  bundle_signature: row('trust', 503, false, 'a signature of the bundle is wrong'),
  bundle_expired: row('trust', 503, true, 'the trust bundle has expired'),
  bundle_rollback: row(
    'trust',
    503,
    false,
    'the bundle is older than one accepted before, or another under the same number',
  ),
  bundle_role: row('trust', 503, false, 'a key in a role that the root did not give it, or in two roles'),
  bundle_stale: row(
    'trust',
    503,
    true,
    'nothing has been heard of the verifier for longer than policy allows for this scope',
  ),

  // The verifier's API (docs: openapi)
  api_malformed: row('verifier', 400, true, 'a request that is not of the documented form'),
  api_unauthenticated: row('verifier', 401, true, 'no SVID of this trust domain'),
  api_forbidden: row('verifier', 403, true, 'none of the caller’s roles may do this'),
  api_not_found: row('verifier', 404, true, 'there is no such thing'),
  api_conflict: row('verifier', 409, true, 'somebody else changed it, or it exists already'),
  api_too_large: row('verifier', 413, true, 'the body is larger than the limit'),
  api_busy: row('verifier', 429, true, 'too many attempts, or too much that is open already'),
  api_unavailable: row('verifier', 503, true, 'the verifier can’t do this now; its log says why'),
  verifier_unreachable: row('verifier', 502, true, 'the verifier does not answer'),
  verifier_untrusted: row('verifier', 502, true, 'who answers is not the verifier of this root'),
  attestation_refused: row('verifier', 403, true, 'nothing proves that this workload is who it says'),
  attestation_expired: row('verifier', 403, true, 'the evidence has expired; compare both clocks'),
  entry_unmatched: row(
    'verifier',
    403,
    true,
    'no registration entry has selectors that this workload fulfils',
  ),
  enrolment_proof: row(
    'verifier',
    403,
    true,
    'the request does not prove that the keys are the workload’s own',
  ),
  id_retired: row('verifier', 403, true, 'the agent was retired or revoked, or the session has ended'),
  login_refused: row('verifier', 403, true, 'the identity token is not one that this trust domain accepts'),
  login_expired: row(
    'verifier',
    403,
    true,
    'the identity token has expired, or is from the future; compare both clocks',
  ),
  login_unknown: row('verifier', 403, true, 'no principal is registered for this issuer and subject'),
  standing_lost: row('verifier', 403, true, 'the principal may not grant this any more'),
  policy_invalid: row('verifier', 400, true, 'the policy does not pass its check'),
  policy_unapproved: row('verifier', 409, true, 'the revision waits for a second person'),
  self_approval: row('verifier', 403, true, 'who asked can’t be who approves'),

  // Log verification (SPEC 14)
  audit_line: row('audit', 500, false, 'a line that is not a record in canonical form'),
  audit_hash: row('audit', 500, false, 'a record was changed: its hash differs'),
  audit_order: row('audit', 500, false, 'a record does not follow the one before it'),
  audit_gap: row('audit', 500, false, 'records are missing'),
  audit_checkpoint: row('audit', 500, false, 'a checkpoint’s proof, certificate or position is wrong'),
  audit_cut: row('audit', 500, false, 'the log ends before a record that is known to have been written'),
} as const satisfies Record<string, Reason>;

export type ReasonCode = keyof typeof REASONS;

/** The reason of a permit. */
export const OK = 'ok';

export const isReasonCode = (text: string): text is ReasonCode => Object.hasOwn(REASONS, text);
