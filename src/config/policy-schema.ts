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
import {
  agentType,
  duration,
  idPattern,
  principal,
  ruleName,
  scopeMember,
  scopeName,
  scopePattern,
} from './forms.ts';

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

const route = z.strictObject({
  name: ruleName.describe('Stands in the audit log and in rules.'),
  callees: z.array(idPattern).min(1).optional().describe('Agents that this is about; any, if left out.'),
  methods: z
    .array(
      z
        .string()
        .regex(/^[A-Z]+$/, 'a method in upper case')
        .meta({ title: 'method' }),
    )
    .min(1)
    .optional()
    .describe('Methods; any, if left out.'),
  path: z
    .string()
    .regex(/^\//, 'path starts with "/"')
    .meta({ title: 'path' })
    .describe('Canonical path. {name} stands for one segment, a final /* for one or more.'),
  scopes: z
    .array(z.string().meta({ title: 'scope template' }))
    .min(1)
    .describe('All of these are required. Literals; {name} is filled from the path.'),
});

const rule = z.strictObject({
  name: ruleName.describe('Stands in the audit log as the rule that decided.'),
  effect: z.enum(['allow', 'deny']).describe('deny overrides allow, in whatever order they stand.'),
  callers: z
    .array(idPattern)
    .min(1)
    .optional()
    .describe('allow: who calls. deny: any agent of the chain, the caller included. Anyone, if left out.'),
  callerTypes: z
    .array(agentType)
    .min(1)
    .optional()
    .describe(
      'The same by type alone: planning, or client for principals’ own clients, through whom most chains pass. In any trust domain.',
    ),
  callees: z.array(idPattern).min(1).optional().describe('Who is called; anyone, if left out.'),
  principals: z.array(principal).min(1).optional().describe('Who stands at the root of the chain.'),
  scopes: z
    .array(scopePattern)
    .min(1)
    .optional()
    .describe(
      'allow: together they cover every required scope. deny: they cover any of them. Patterns, never names of scope sets.',
    ),
  routes: z.array(ruleName).min(1).optional().describe('Names of routes.'),
});

const demand = z
  .strictObject({
    scopes: z.array(scopePattern).min(1).describe('For requests that require a scope one of these covers.'),
    approval: z
      .literal('required')
      .optional()
      .describe('A human must have approved the delegation, or this very request.'),
    minScore: z.int().min(1).max(1000).optional().describe('Least trust score of every agent in the chain.'),
    maxStaleness: duration.optional().describe('How old the last word of the verifier may be.'),
  })
  .refine(
    ({ approval, minScore, maxStaleness }) =>
      approval !== undefined || minScore !== undefined || maxStaleness !== undefined,
    'demands nothing: give approval, minScore or maxStaleness',
  );

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
    rules: z
      .array(rule)
      .describe('Who may. Every selector that is given must match; deny overrides; no allow is a denial.'),
    demands: z
      .array(demand)
      .default([])
      .describe('What some scopes demand besides being held; of several demands the strictest counts.'),
  })
  .describe('What the mesh allows. The same policy is for every sidecar of a trust domain.');

export type PolicyConfig = z.output<typeof policySchema>;
