/** `kind: Policy`: the one source of its types, defaults, validator, JSON Schema and reference page. */
import { z } from 'zod';
import {
  DEFAULT_LINK_TTL_SECONDS,
  DEFAULT_MAX_DEPTH,
  DEFAULT_MAX_STALENESS_SECONDS,
  DEFAULT_MAX_TASK_AGE_SECONDS,
  HARD_LINK_TTL_SECONDS,
  HARD_MAX_DEPTH,
} from '../core/limits.ts';
import { duration, idPattern, principal, scopeMember, scopeName } from './forms.ts';
import { egress } from './policy-egress-schema.ts';
import { route } from './policy-route-schema.ts';
import {
  contentRule,
  decisionPoint,
  delegation,
  demand,
  rule,
  withoutSidecar,
} from './policy-rule-schema.ts';

const limits = z
  .strictObject({
    maxDepth: z
      .int()
      .min(1)
      .max(HARD_MAX_DEPTH)
      .default(DEFAULT_MAX_DEPTH)
      .describe('Deepest chain, in links; L0 alone is 1.'),
    linkTtl: duration.prefault(`${DEFAULT_LINK_TTL_SECONDS / 3600}h`).describe('Longest life of a link.'),
    allowLongLinks: z
      .boolean()
      .default(false)
      .describe(`Lets linkTtl exceed ${HARD_LINK_TTL_SECONDS / 3600}h.`),
    humanRoot: z
      .enum(['required', 'optional'])
      .default('required')
      .describe('Whether a human must stand at the root of every chain.'),
    callbacks: z
      .enum(['denied', 'allowed'])
      .default('denied')
      .describe('Whether an agent may occur twice in a chain (A → B → A).'),
    session: duration.prefault('1h').describe('Longest life of a connection between sidecars.'),
    maxStaleness: duration
      .prefault(`${DEFAULT_MAX_STALENESS_SECONDS / 3600}h`)
      .describe(
        'How long a sidecar decides on without a word of the verifier. For a domain in files the bundle’s end counts alone.',
      ),
    maxTaskAge: duration
      .prefault(`${DEFAULT_MAX_TASK_AGE_SECONDS / 3600}h`)
      .describe('How long after its beginning a renewed task may still hold.'),
  })
  .refine((value) => value.allowLongLinks || value.linkTtl <= HARD_LINK_TTL_SECONDS, {
    path: ['linkTtl'],
    message: `longer than ${HARD_LINK_TTL_SECONDS / 3600}h needs allowLongLinks: true`,
  })
  .prefault({});

const lists = z
  .strictObject({
    allow: z
      .strictObject({
        agents: z.array(idPattern).default([]).describe('Agents; none means that there is no allowlist.'),
      })
      .prefault({})
      .describe('When it names any agent, only these take part.'),
    block: z
      .strictObject({
        agents: z.array(idPattern).default([]).describe('Agents.'),
        principals: z.array(principal).default([]).describe('Principals.'),
      })
      .prefault({})
      .describe('These never take part, at any position of a chain.'),
  })
  .prefault({});

export const policySchema = z
  .strictObject({
    apiVersion: z.literal('hopgate.dev/v1').describe('Version of this form.'),
    kind: z.literal('Policy').describe('What this document is.'),
    revision: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'letters, digits, ".", "_", "-"')
      .meta({ title: 'revision' })
      .describe('Names this version in the audit log.'),
    limits: limits.describe('What every chain and session must keep.'),
    scopeSets: z
      .record(scopeName, z.array(scopeMember).min(1))
      .default({})
      .describe('Names for scope lists; a member that is itself a name stands for that set.'),
    lists: lists.describe('Allowlist and blocklist.'),
    routes: z.array(route).describe('What a request needs. The first match counts; no match is a denial.'),
    egress: z
      .array(egress)
      .default([])
      .describe(
        'What may leave the mesh, and what that requires. All else may not. A sidecar has a door to those alone that its own configuration takes up besides.',
      ),
    rules: z
      .array(rule)
      .describe(
        'Who may. Every selector that is given must match, and the condition hold; deny overrides; no allow is a denial.',
      ),
    demands: z
      .array(demand)
      .default([])
      .describe('What some scopes or data demand besides; of several demands the strictest counts.'),
    delegation: delegation
      .optional()
      .describe(
        'Who may delegate to whom, between agents; what a principal may grant to whom is its anchor’s.',
      ),
    content: z
      .array(contentRule)
      .default([])
      .describe('What is looked for in bodies. Each rule that applies has its say.'),
    decisionPoints: z
      .array(decisionPoint)
      .default([])
      .describe('Requests that another decision point (OPA) must permit too.'),
    withoutSidecar: z
      .array(withoutSidecar)
      .default([])
      .describe(
        'Who may come without a sidecar, proving each request by a signature. Every selector that is given must match; nobody, if left out. It allows nothing by itself: rules decide about these requests as about all others.',
      ),
  })
  .describe('What the mesh allows. The same policy is for every sidecar of a trust domain.');

export type PolicyConfig = z.output<typeof policySchema>;
