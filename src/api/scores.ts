/** How far an agent is trusted, and why. */
import { z } from 'zod';
import { isAgentId } from '../core/spiffe-id.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none } from './forms.ts';

const agentId = z.string().refine(isAgentId, 'an agent ID');
const points = z.number().describe('Points of the score, −1000 to 1000, as of now.');

export const scoreAnswer = z.strictObject({
  id: z.string(),
  score: z.int().min(0).max(1000),
  uncertainty: z
    .int()
    .min(0)
    .max(500)
    .describe('Half the width of the range in which it lies; grows as evidence ages.'),
  baseline: z.int().min(0).max(1000).describe('What an agent of which nothing is known has.'),
  halfLife: z.int().describe('Seconds in which half of the distance to the baseline is gone.'),
  at: z.int().nullable().describe('Seconds: of the last evidence; null without any.'),
  trend: z.enum(['rising', 'falling', 'steady']).describe('Against an hour or more ago, decay left aside.'),
  reasons: z
    .array(z.strictObject({ reason: z.string(), class: z.string(), count: z.number() }))
    .describe('What counts for and against it, the most first; counts decay with the half-life.'),
  reporters: z
    .array(z.strictObject({ reporter: z.string(), stake: points, at: z.int() }))
    .describe('Whose word moves it, the most first.'),
  mostOfOne: points.describe('The most that one reporter can move it.'),
  published: z.int().min(0).max(1000).describe('What sidecars go by until the next bundle.'),
});
export type ScoreAnswer = z.output<typeof scoreAnswer>;

export const scoreEndpoints = {
  getScore: endpoint({
    name: 'getScore',
    method: 'GET',
    path: '/v1/scores/{id}',
    summary: 'The trust score of an agent, and why',
    access: ['admin', 'operator', 'approver', 'auditor'],
    changes: false,
    params: z.strictObject({ id: agentId }),
    query: none,
    body: noBody,
    answer: scoreAnswer,
    status: 200,
  }),
};
