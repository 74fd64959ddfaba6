/** `rules`, `demands`, `delegation`, `content`, `decisionPoints` and `withoutSidecar` of a policy: who may, and under what conditions. */
import { z } from 'zod';
import { HARD_MAX_DEPTH } from '../core/limits.ts';
import { MAX_CONDITION_CHARACTERS } from '../core/policy/condition.ts';
import {
  agentType,
  bytes,
  duration,
  idPattern,
  label,
  principal,
  ruleName,
  scopePattern,
  trustDomain,
} from './forms.ts';
import { messageBytes } from './policy-route-schema.ts';

const SHADOW = 'true: it decides nothing, and the log says what it would have done.';
const routes = z.array(ruleName).min(1).optional().describe('Names of routes; any, if left out.');
const callees = z.array(idPattern).min(1).optional().describe('Who is called; anyone, if left out.');

export const rule = z.strictObject({
  name: ruleName.describe('Stands in the audit log as the rule that decided.'),
  effect: z
    .enum(['allow', 'deny', 'approve', 'quarantine', 'flag'])
    .describe(
      'deny over quarantine (refused, and kept aside for review) over approve (a human is asked) over allow, in whatever order they stand; flag marks the record.',
    ),
  callers: z
    .array(idPattern)
    .min(1)
    .optional()
    .describe('allow: who calls. Others: any agent of the chain, the caller included. Anyone, if left out.'),
  callerTypes: z
    .array(agentType)
    .min(1)
    .optional()
    .describe(
      'The same by type alone: planning, or client for principals’ own clients, through whom most chains pass. In any trust domain.',
    ),
  callees,
  principals: z.array(principal).min(1).optional().describe('Who stands at the root of the chain.'),
  scopes: z
    .array(scopePattern)
    .min(1)
    .optional()
    .describe(
      'allow: together they cover every required scope. Others: they cover any of them. Patterns, never names of scope sets.',
    ),
  routes,
  when: z
    .string()
    .min(1)
    .max(MAX_CONDITION_CHARACTERS)
    .meta({ title: 'condition' })
    .optional()
    .describe('Must hold besides. One that has no value when it is asked is a denial (rule_error).'),
  shadow: z.boolean().default(false).describe(SHADOW),
});

export const demand = z.strictObject({
  scopes: z
    .array(scopePattern)
    .min(1)
    .optional()
    .describe(
      'For requests that require a scope one of these covers; any request with such labels, if left out.',
    ),
  labels: z
    .array(label)
    .min(1)
    .optional()
    .describe('Only where the data of the request, or what its task has touched, has one of these labels.'),
  approval: z
    .literal('required')
    .optional()
    .describe('A human must have approved the delegation, or this very request.'),
  minScore: z.int().min(1).max(1000).optional().describe('Least trust score of every agent in the chain.'),
  maxStaleness: duration.optional().describe('How old the last word of the verifier may be.'),
  maxDepth: z.int().min(1).max(HARD_MAX_DEPTH).optional().describe('Deepest chain, in links.'),
  linkTtl: duration.optional().describe('Longest life of each link.'),
  domains: z
    .literal('same')
    .optional()
    .describe('All agents of the chain and the callee are of one trust domain.'),
  requestProof: z
    .literal('required')
    .optional()
    .describe(
      'The request itself is signed by the caller’s agent key (RFC 9421), on top of the handshake: sidecars do that by themselves.',
    ),
});

const agents = (who: string) => z.array(idPattern).min(1).optional().describe(`${who}; anyone, if left out.`);
const types = (who: string) =>
  z.array(agentType).min(1).optional().describe(`Types of ${who}, in any trust domain.`);
const domains = (who: string) => z.array(trustDomain).min(1).optional().describe(`Trust domains of ${who}.`);

const edge = z.strictObject({
  name: ruleName.describe('Stands in the denial.'),
  effect: z.enum(['allow', 'deny']).describe('deny overrides allow, in whatever order they stand.'),
  from: agents('Agents that delegate'),
  fromTypes: types('who delegates'),
  fromDomains: domains('who delegates'),
  to: agents('Agents that are delegated to'),
  toTypes: types('who is delegated to'),
  toDomains: domains('who is delegated to'),
  crossing: z.literal(true).optional().describe('Only from one trust domain to another.'),
});

export const delegation = z.strictObject({
  otherwise: z.enum(['allow', 'deny']).describe('What holds between agents of whom no rule speaks.'),
  rules: z.array(edge).default([]).describe('Every selector that is given must match.'),
});

export const contentRule = z.strictObject({
  name: ruleName.describe('Stands in the audit log.'),
  directions: z
    .array(z.enum(['request', 'response']))
    .min(1)
    .default(['request', 'response'])
    .describe('What goes in, what comes out.'),
  callees,
  routes,
  detectors: z
    .array(z.string().min(1).max(64).meta({ title: 'detector' }))
    .min(1)
    .optional()
    .describe('Built-in ones: `injection`, `secrets`, `pii`.'),
  patterns: z
    .record(ruleName, z.string().min(1).max(2048).meta({ title: 'RE2 pattern' }))
    .optional()
    .describe('Patterns of its own, by name.'),
  types: z
    .array(z.string().min(1).max(256).meta({ title: 'media type' }))
    .min(1)
    .optional()
    .describe('Media types that it lets through, such as application/json or text/*; others are its case.'),
  maxBytes: bytes.optional().describe('Larger bodies are its case.'),
  action: z
    .enum(['flag', 'deny', 'quarantine'])
    .describe(
      'flag: logged. deny: refused, or cut. quarantine: refused, and kept aside for review (requests alone).',
    ),
  mode: z
    .enum(['hold', 'stream'])
    .optional()
    .describe(
      'hold: nothing goes on before it was looked at, a body whole, a stream event by event. stream: it goes on meanwhile, and is cut when something is found. If left out: stream for flag, else hold.',
    ),
  holdBytes: messageBytes.prefault('1MiB').describe('What is held at most; more is a denial.'),
  shadow: z.boolean().default(false).describe(SHADOW),
});

export const decisionPoint = z.strictObject({
  point: ruleName.describe('Under this name the sidecar’s `decisionPoints` say how it is reached.'),
  path: z
    .string()
    .regex(
      /^(?=.{1,256}$)[A-Za-z_][A-Za-z0-9_]*(?:\/[A-Za-z_][A-Za-z0-9_]*)*$/,
      'the path of a rule in OPA’s data, such as hopgate/authz/allow',
    )
    .meta({ title: 'path in OPA' })
    .describe('Rule that must be true, or an object whose `allow` is true.'),
  callees,
  routes,
});

export const withoutSidecar = z.strictObject({
  name: ruleName.describe('For people: policy check and explain name it.'),
  callers: z.array(idPattern).min(1).optional().describe('Who calls; anyone, if left out.'),
  callerTypes: z.array(agentType).min(1).optional().describe('The same by type alone. In any trust domain.'),
  callees,
  scopes: z
    .array(scopePattern)
    .min(1)
    .optional()
    .describe('Together they cover every required scope. Patterns, never names of scope sets.'),
  routes,
});
