/** `kind: PolicyTest`: requests, and what a policy has to say of each. */
import { z } from 'zod';
import { REASONS } from '../core/reasons.ts';
import { isAgentId } from '../core/spiffe-id.ts';
import {
  destination,
  duration,
  issuerUrl,
  label,
  moment,
  principal,
  ruleName,
  scopeMember,
} from './forms.ts';

const agentId = z
  .string()
  .refine(isAgentId, {
    error: 'an agent ID: spiffe://company.com/agent/planning/1 or spiffe://company.com/client/alice',
    abort: true,
  })
  .meta({ title: 'agent ID' });

const reason = z
  .string()
  .refine((text) => text === 'ok' || Object.hasOwn(REASONS, text), {
    error: 'a reason code of SPEC.md section 16',
    abort: true,
  })
  .meta({ title: 'reason code' });

const score = z.int().min(0).max(1000);
const scope = z.array(scopeMember).min(1);
const text = z.string().meta({ title: 'text' });

const link = z.strictObject({
  agent: agentId.describe('Who is delegated to.'),
  scope: scope.optional().describe('Of this link; that of the request, if left out.'),
  ttl: duration.optional().describe('Life of this link; that of the request, if left out.'),
});

const mcp = z.strictObject({
  method: z.string().min(1).max(256).default('tools/call').describe('Method of the message.'),
  tool: z.string().min(1).max(256).optional().describe('Of tools/call.'),
  prompt: z.string().min(1).max(256).optional().describe('Of prompts/get.'),
  resource: z.string().min(1).max(256).optional().describe('URI, of resources/….'),
  arguments: z
    .record(z.string().meta({ title: 'name' }), z.json().meta({ title: 'JSON value' }))
    .default({})
    .describe('Of the tool or prompt.'),
});

const a2a = z.strictObject({
  method: z
    .string()
    .min(1)
    .max(256)
    .default('SendMessage')
    .describe('Method of the message, of version 1.0.'),
  skill: z.string().min(1).max(256).optional().describe('Named in the metadata, as skillId.'),
  text: z.string().max(65_536).default('').describe('Of the message.'),
  task: z.string().min(1).max(256).optional().describe('Task that it is about.'),
  context: z.string().min(1).max(256).optional().describe('Context that it is about.'),
});

export const requestSchema = z.strictObject({
  direction: z
    .enum(['inbound', 'outbound'])
    .optional()
    .describe(
      'At whose sidecar: the callee’s or the caller’s own; inbound, if left out. What leaves the mesh is outbound.',
    ),
  caller: agentId.optional().describe('Where there is no chain: it is the principal’s own delegatee.'),
  callee: agentId.optional().describe('Who is called.'),
  proof: z
    .enum(['session', 'request', 'both'])
    .optional()
    .describe(
      'How the caller proves itself: by its sidecar’s handshake (session, if left out), without a sidecar by signing the request (request), or both.',
    ),
  destination: destination
    .optional()
    .describe('In place of a callee: where it leaves the mesh for. Without a path a tunnel.'),
  method: z
    .string()
    .regex(/^[A-Z]+$/, 'a method in upper case')
    .meta({ title: 'method' })
    .optional()
    .describe('GET, if left out; POST with a body or a message.'),
  path: z.string().min(1).max(8192).meta({ title: 'path' }).optional().describe('As sent.'),
  query: text.optional().describe('Behind the "?".'),
  headers: z
    .record(z.string().min(1).max(256).meta({ title: 'name' }), text)
    .optional()
    .describe('A content type is added to a message.'),
  principal: principal.optional().describe('At the root; mailto:alice@company.com, if left out.'),
  issuer: issuerUrl.optional().describe('Where the principal logged in.'),
  groups: z.array(text).optional().describe('Of the principal, as registered.'),
  purpose: text.optional().describe('Of the principal’s link.'),
  chain: z
    .array(z.union([agentId, link]))
    .min(1)
    .max(16)
    .optional()
    .describe('Agent IDs, or links: the principal’s first delegatee first, the caller last.'),
  scope: scope.optional().describe('Of every link that has none of its own.'),
  ttl: duration.optional().describe('Life of every link that has none of its own; 1h, if left out.'),
  age: duration.optional().describe('How long ago the chain was made; now, if left out.'),
  labels: z.array(label).optional().describe('Of the data that the task has touched before.'),
  body: text.optional().describe('As sent.'),
  mcp: mcp.optional().describe('In place of a body: a message of MCP.'),
  a2a: a2a.optional().describe('In place of a body: a message of A2A, JSON-RPC.'),
  now: moment.optional().describe('When it is; the time of the run, if left out.'),
  score: score.optional().describe('Trust score of all agents; 500, if left out.'),
  scores: z.record(agentId, score).optional().describe('Of single agents.'),
  attributes: z
    .record(agentId, z.record(z.string().meta({ title: 'name' }), text))
    .optional()
    .describe('Of agents, as registered.'),
  points: z
    .record(ruleName, z.enum(['permit', 'deny']))
    .optional()
    .describe('What other decision points say; one that isn’t named can’t be asked.'),
  approved: z.boolean().optional().describe('As if a human had approved what policy wants approved.'),
  released: z.boolean().optional().describe('As if a reviewer had released it.'),
});

const expectation = z.strictObject({
  verdict: z
    .enum(['permit', 'deny', 'approve', 'quarantine'])
    .describe('approve: a human is asked; quarantine: it is kept aside. Both refuse for now.'),
  reason: reason.optional().describe('Reason code.'),
  rule: text.optional().describe('That decided; "" for none.'),
  route: text.optional().describe('That matched.'),
  required: z.array(text).optional().describe('Required scopes, in any order.'),
  flags: z.array(text).optional().describe('Rules that mark it; all of them.'),
  shadow: z.array(text).optional().describe('Rules in shadow that would have had a say; all of them.'),
  labels: z.array(label).optional().describe('Of the data, in any order.'),
  content: z.array(text).optional().describe('Content rules that found something; all of them.'),
  observed: reason
    .optional()
    .describe('With which policy would have denied, on a route that is only observed.'),
});

export const policyTestSchema = z
  .strictObject({
    apiVersion: z.literal('hopgate.dev/v1').describe('Version of this form.'),
    kind: z.literal('PolicyTest').describe('What this document is.'),
    policy: z
      .string()
      .min(1)
      .meta({ title: 'file' })
      .optional()
      .describe('Which policy, relative to this file; --policy says otherwise.'),
    given: requestSchema.prefault({}).describe('What every request has that doesn’t say otherwise.'),
    cases: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(256).meta({ title: 'text' }).describe('What it shows.'),
          request: requestSchema.describe('What is sent.'),
          expect: expectation.describe('What policy says of it; what is left out may be anything.'),
        }),
      )
      .min(1)
      .describe('Each is decided alone.'),
  })
  .describe('Requests, and what a policy has to say of each; `hopgate policy test` runs them.');

export type PolicyTestConfig = z.output<typeof policyTestSchema>;
export type RequestConfig = z.output<typeof requestSchema>;
export type ExpectationConfig = z.output<typeof expectation>;
