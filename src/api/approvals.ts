/** Approvals: what waits for a human, what one has decided, and the token with which a sidecar sees it for itself. */
import { z } from 'zod';
import { principal, scopeName, scopePattern, thumbprint } from '../config/forms.ts';
import { isApprovableMethod, isApprovableTarget } from '../core/approval/request-approval.ts';
import { HARD_MAX_DEPTH, MAX_LINKS, MAX_SCOPE_PATTERNS, MAX_TOKEN_BYTES } from '../core/limits.ts';
import { type AgentId, isAgentId } from '../core/spiffe-id.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none, page, why } from './forms.ts';

const agentId = z.custom<AgentId>(isAgentId, 'an agent ID').meta({ type: 'string' });
const digest = thumbprint.describe('base64url SHA-256.');
const token = z.string().min(1).max(MAX_TOKEN_BYTES);
const purpose = z.string().min(1).max(256).optional().describe('As the delegation says it; for people.');

/** One request, as the sidecar of its callee saw it. */
export const requestWish = z.strictObject({
  kind: z.literal('request'),
  principal,
  caller: agentId,
  callee: agentId,
  chain: digest.describe('Link id of the leaf: commits to the whole chain.'),
  method: z.string().refine(isApprovableMethod, 'a method in capitals'),
  target: z.string().refine(isApprovableTarget, 'a canonical target, with its query'),
  body: digest.describe('Over the octets of the body.'),
  scopes: z.array(scopeName).min(1).max(MAX_SCOPE_PATTERNS).describe('Those for which policy wants a human.'),
  agents: z.array(agentId).min(1).max(MAX_LINKS).describe('Everybody in the chain.'),
  purpose,
});
export type RequestWish = z.output<typeof requestWish>;

/** One link that is to be made. */
export const linkApprovalWish = z.strictObject({
  kind: z.literal('link'),
  principal,
  delegatee: agentId,
  parent: digest.describe('Link id of the parent; of a first link the thumbprint of the key that signs it.'),
  scope: z.array(scopePattern).min(1).max(MAX_SCOPE_PATTERNS),
  maxDepth: z.int().min(1).max(HARD_MAX_DEPTH).optional().describe('For people.'),
  purpose,
});
export type LinkApprovalWish = z.output<typeof linkApprovalWish>;

export const approvalWish = z.discriminatedUnion('kind', [requestWish, linkApprovalWish]);
export type ApprovalWish = z.output<typeof approvalWish>;

/** `fetched`: approved, and on its way to where it is used. */
export const approvalState = z.enum(['pending', 'approved', 'denied', 'expired', 'fetched']);
export type ApprovalState = z.output<typeof approvalState>;

export const approval = z.strictObject({
  id: digest,
  state: approvalState,
  asked: z.strictObject({ at: z.int().describe('Seconds.'), by: z.string() }),
  ends: z.int().describe('Seconds: from then on it is as if nobody had asked.'),
  decided: z
    .strictObject({
      at: z.int().describe('Seconds.'),
      by: z.string().describe('The approver, or who refused.'),
      why: z.string(),
    })
    .optional(),
  wish: approvalWish,
});
export type Approval = z.output<typeof approval>;

const named = z.strictObject({ id: digest });
/** The signature says who approves; these may bring it. */
const DECIDERS = ['approver', 'admin'] as const;

export const approvalEndpoints = {
  askApproval: endpoint({
    name: 'askApproval',
    method: 'POST',
    path: '/v1/approvals',
    summary: 'Let something wait for an approver; the same asked again is the same approval',
    access: 'member',
    // An event, but it is a sidecar that asks: nobody is there to say why.
    changes: false,
    params: none,
    query: none,
    body: approvalWish,
    answer: approval,
    status: 201,
  }),
  listApprovals: endpoint({
    name: 'listApprovals',
    method: 'GET',
    path: '/v1/approvals',
    summary: 'What waits for an approver, and what was decided lately',
    access: ['approver', 'admin', 'operator', 'auditor'],
    changes: false,
    params: none,
    query: z.strictObject({ ...page.shape, state: approvalState.optional() }),
    body: noBody,
    answer: z.strictObject({ approvals: z.array(approval) }),
    status: 200,
  }),
  getApproval: endpoint({
    name: 'getApproval',
    method: 'GET',
    path: '/v1/approvals/{id}',
    summary: 'One approval, with all that is approved by it',
    access: ['approver', 'admin', 'operator', 'auditor'],
    changes: false,
    params: named,
    query: none,
    body: noBody,
    answer: approval,
    status: 200,
  }),
  grantApproval: endpoint({
    name: 'grantApproval',
    method: 'POST',
    path: '/v1/approvals/{id}/grant',
    summary: 'Approve, with a token that an approver’s key has signed over exactly this',
    access: DECIDERS,
    changes: true,
    params: named,
    query: none,
    body: z.strictObject({ token, why }),
    answer: approval,
    status: 200,
  }),
  denyApproval: endpoint({
    name: 'denyApproval',
    method: 'POST',
    path: '/v1/approvals/{id}/deny',
    summary: 'Refuse; who asks again hears it until the approval ends',
    access: ['approver', 'admin', 'operator'],
    changes: true,
    params: named,
    query: none,
    body: z.strictObject({ why }),
    answer: approval,
    status: 200,
  }),
  fetchApprovalToken: endpoint({
    name: 'fetchApprovalToken',
    method: 'GET',
    path: '/v1/approvals/{id}/token',
    summary: 'The token, for whom it is: the callee of a request, who asked for a link',
    access: 'member',
    changes: false,
    params: named,
    query: none,
    body: noBody,
    answer: z.strictObject({
      state: approvalState.or(z.literal('unknown')),
      token: token.optional(),
      why: z.string().optional().describe('Of a refusal.'),
    }),
    status: 200,
  }),
};
