/** Tasks: what a principal asked for, how long it may go on, and how it ends. */
import { z } from 'zod';
import { principal, thumbprint } from '../config/forms.ts';
import { MAX_CHAIN_BYTES, MAX_LINK_BYTES } from '../core/limits.ts';
import { isAgentId } from '../core/spiffe-id.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none, why } from './forms.ts';
import { linkWish } from './logins.ts';

const agentId = z.string().refine(isAgentId, 'an agent ID');
const link = z.string().min(1).max(MAX_LINK_BYTES);
const chain = z.string().min(1).max(MAX_CHAIN_BYTES);

/** How a task came to its end. */
export const taskOutcome = z.enum(['ended', 'completed', 'failed', 'canceled', 'idle']);
export type TaskOutcome = z.output<typeof taskOutcome>;

export const taskRecord = z.strictObject({
  task: thumbprint.describe('Link id of its first L0.'),
  principal,
  start: z.int().describe('Seconds: iat of that L0.'),
  exp: z.int().describe('Seconds: that of its latest L0.'),
  renewals: z.int().min(0),
  /** Who may end it besides the principal: its session, and the agent that the principal or the session delegated to. */
  parties: z.array(agentId).max(16),
  ended: z
    .strictObject({
      at: z.int().describe('Seconds.'),
      by: z.string(),
      outcome: taskOutcome,
      why: z.string(),
    })
    .optional(),
});
export type TaskRecord = z.output<typeof taskRecord>;

const named = z.strictObject({ task: thumbprint });

export const taskEndpoints = {
  listTasks: endpoint({
    name: 'listTasks',
    method: 'GET',
    path: '/v1/tasks',
    summary: 'Tasks that the verifier has heard of',
    access: ['admin', 'operator', 'auditor'],
    changes: false,
    params: none,
    query: z.strictObject({ principal: principal.optional() }),
    body: noBody,
    answer: z.strictObject({ tasks: z.array(taskRecord) }),
    status: 200,
  }),
  registerTask: endpoint({
    name: 'registerTask',
    method: 'POST',
    path: '/v1/tasks',
    summary: 'Make a task known by its chain; only needed to see it, or to let its first agent end it',
    // What is registered was signed by an anchor; who brings it doesn't matter.
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: z.strictObject({ chain }),
    answer: taskRecord,
    status: 201,
    guessable: true,
  }),
  endTask: endpoint({
    name: 'endTask',
    method: 'POST',
    path: '/v1/tasks/{task}/end',
    summary:
      'End a task and every grant of it: an operator, its principal’s key, its session or its first agent',
    access: 'anyone',
    changes: true,
    params: named,
    query: none,
    body: z.strictObject({
      principal,
      outcome: taskOutcome.default('ended'),
      proof: z
        .string()
        .min(1)
        .max(4096)
        .optional()
        .describe('JWS, typ revoke+jwt, by a key of the principal.'),
      chain: chain.optional().describe('Where the verifier has not heard of the task: shows whose it is.'),
      why,
    }),
    answer: taskRecord.pick({ task: true, principal: true, ended: true }),
    status: 200,
    guessable: true,
  }),
  renewTask: endpoint({
    name: 'renewTask',
    method: 'POST',
    path: '/v1/tasks/{task}/renewals',
    summary: 'Go on with a task: a new first link by its session, or one that the principal’s key has signed',
    access: 'anyone',
    changes: true,
    params: named,
    query: none,
    body: z.strictObject({
      principal,
      link: link
        .optional()
        .describe('The new L0, where a key of the principal signs; left out, the root issuer does.'),
      wish: linkWish.default({}),
      why,
    }),
    answer: z.strictObject({ task: taskRecord, link }),
    status: 201,
    guessable: true,
  }),
};
