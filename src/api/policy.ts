/** Policy revisions and lists: what is allowed, since when and by whom, and which sidecars enforce it. */
import { z } from 'zod';
import { idPattern, principal, thumbprint } from '../config/forms.ts';
import { MAX_POLICY_BYTES } from '../core/limits.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none, queryInteger, why } from './forms.ts';

const number = z.int().min(1).describe('Of the revision: 1, 2, … in the order in which they came.');
const digest = thumbprint.describe('base64url SHA-256 over the canonical JSON of the policy.');
const seconds = z.int().min(0).describe('Seconds.');

const commit = z
  .string()
  .regex(/^[0-9a-f]{7,64}(-dirty)?$/, 'a commit: 7 to 64 hexadecimal digits')
  .describe('Of the source; "-dirty" when the file had changes that aren’t in it.');
const tests = z
  .strictObject({ ran: z.int().min(0), passed: z.int().min(0) })
  .refine(({ ran, passed }) => passed <= ran, 'no more passed than ran')
  .describe('As the author says.');

export const policyRevision = z.strictObject({
  n: number,
  revision: z.string().describe('The policy’s own name of itself, as audit logs have it.'),
  digest,
  author: z.string(),
  commit: commit.optional(),
  tests: tests.optional(),
  why: z.string(),
  at: seconds,
  state: z
    .enum(['proposed', 'current', 'superseded'])
    .describe(
      'proposed: waits for a second person. superseded: was in force, or another was put in force instead.',
    ),
  base: z.int().min(0).describe('The revision in force when this one was made; 0: none.'),
  rollbackTo: number.optional().describe('The revision whose content this one has again.'),
  approvals: z.array(z.strictObject({ actor: z.string(), why: z.string(), at: seconds })),
});
export type PolicyRevision = z.output<typeof policyRevision>;

export const wholePolicyRevision = policyRevision.extend({
  source: z.string().describe('YAML.'),
  policy: z.record(z.string(), z.json()).describe('As bundles carry it.'),
});
export type WholePolicyRevision = z.output<typeof wholePolicyRevision>;

const bundle = z.strictObject({ epoch: z.int(), seq: z.int() });
const base = z
  .int()
  .min(0)
  .optional()
  .describe('The revision in force that the author has looked at; refused when it is another one meanwhile.');

/** `bundle` where it is in force: the one that carries it. */
const published = z.strictObject({ revision: policyRevision, isNew: z.boolean(), bundle: bundle.optional() });
export type PolicyPublished = z.output<typeof published>;

export const LIST_NAMES = ['allowAgents', 'blockAgents', 'blockPrincipals'] as const;
export type ListName = (typeof LIST_NAMES)[number];
const MAX_LISTED = 10_000;

export const lists = z.strictObject({
  allowAgents: z.array(idPattern).max(MAX_LISTED).describe('When not empty, only these take part.'),
  blockAgents: z.array(idPattern).max(MAX_LISTED),
  blockPrincipals: z.array(principal).max(MAX_LISTED),
});
export type ListsAnswer = z.output<typeof lists>;

const part = z
  .strictObject({
    allowAgents: z.array(idPattern).min(1).max(1000).optional(),
    blockAgents: z.array(idPattern).min(1).max(1000).optional(),
    blockPrincipals: z.array(principal).min(1).max(1000).optional(),
  })
  .prefault({});

export const enforced = z.strictObject({
  sidecar: z.string().describe('SPIFFE ID.'),
  at: seconds.describe('Of its last report.'),
  version: z.string(),
  bundle,
  policy: z.strictObject({ revision: z.string(), digest: z.string() }).optional(),
  freshAt: seconds,
  drifts: z.boolean().describe('Whether it enforces another policy than the one in force.'),
});
export type Enforced = z.output<typeof enforced>;

export const enforcement = z.strictObject({
  current: z.strictObject({
    bundle,
    policy: z.strictObject({ n: number, revision: z.string(), digest: z.string() }).optional(),
  }),
  liveSeconds: z.int().describe('Sidecars that have reported within so many seconds are listed.'),
  sidecars: z.array(enforced),
});
export type Enforcement = z.output<typeof enforcement>;

const READERS = ['admin', 'operator', 'approver', 'auditor'] as const;
const WRITERS = ['admin', 'operator'] as const;
const byNumber = z.strictObject({ n: queryInteger(1, 99_999_999) });

export const policyEndpoints = {
  listPolicyRevisions: endpoint({
    name: 'listPolicyRevisions',
    method: 'GET',
    path: '/v1/policy/revisions',
    summary: 'Policy revisions, the newest first',
    access: READERS,
    changes: false,
    params: none,
    query: z.strictObject({
      before: queryInteger(1, 99_999_999).optional().describe('Only those before this one.'),
      limit: queryInteger(1, 200).default(50),
    }),
    body: noBody,
    answer: z.strictObject({ revisions: z.array(policyRevision) }),
    status: 200,
  }),
  getPolicyRevision: endpoint({
    name: 'getPolicyRevision',
    method: 'GET',
    path: '/v1/policy/revisions/{n}',
    summary: 'One policy revision, with its text',
    access: READERS,
    changes: false,
    params: byNumber,
    query: none,
    body: noBody,
    answer: wholePolicyRevision,
    status: 200,
  }),
  getCurrentPolicy: endpoint({
    name: 'getCurrentPolicy',
    method: 'GET',
    path: '/v1/policy',
    summary: 'The policy in force',
    access: READERS,
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: wholePolicyRevision,
    status: 200,
  }),
  publishPolicy: endpoint({
    name: 'publishPolicy',
    method: 'POST',
    path: '/v1/policy/revisions',
    summary: 'Put a policy in force, or propose it where a second person must approve',
    access: WRITERS,
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({
      source: z.string().min(1).max(MAX_POLICY_BYTES),
      commit: commit.optional(),
      tests: tests.optional(),
      base,
      why,
    }),
    answer: published,
    status: 201,
    maxBytes: 2 * MAX_POLICY_BYTES,
  }),
  rollbackPolicy: endpoint({
    name: 'rollbackPolicy',
    method: 'POST',
    path: '/v1/policy/rollback',
    summary: 'Put the content of an earlier revision in force again, as a new one',
    access: WRITERS,
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ to: number, base, why }),
    answer: published,
    status: 201,
  }),
  approvePolicy: endpoint({
    name: 'approvePolicy',
    method: 'POST',
    path: '/v1/policy/revisions/{n}/approvals',
    summary: 'Approve what somebody else proposed: it is in force then',
    access: ['admin', 'operator', 'approver'],
    changes: true,
    params: byNumber,
    query: none,
    body: z.strictObject({ digest: digest.describe('Of what the approver has looked at.'), why }),
    answer: published,
    status: 201,
  }),
  getEnforcement: endpoint({
    name: 'getEnforcement',
    method: 'GET',
    path: '/v1/policy/enforcement',
    summary: 'Which policy each live sidecar enforces, as it reports',
    access: READERS,
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: enforcement,
    status: 200,
  }),
  getLists: endpoint({
    name: 'getLists',
    method: 'GET',
    path: '/v1/lists',
    summary: 'Allowlist and blocklist, besides the policy’s own',
    access: READERS,
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: lists,
    status: 200,
  }),
  changeLists: endpoint({
    name: 'changeLists',
    method: 'POST',
    path: '/v1/lists',
    summary: 'Block, unblock, allow or disallow',
    access: WRITERS,
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({
      add: part,
      remove: part,
      opens: z
        .boolean()
        .default(false)
        .describe(
          'Said by who takes the last agent off the allowlist and means that all others take part then.',
        ),
      why,
    }),
    answer: z.strictObject({ lists, isNew: z.boolean(), bundle }),
    status: 200,
  }),
};
