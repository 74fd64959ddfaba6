/** What has ended early: links, keys, agents, tasks, and what principals granted. */
import { z } from 'zod';
import { principal, thumbprint } from '../config/forms.ts';
import { MAX_CHAIN_BYTES, MAX_TIME, MAX_TOKEN_BYTES } from '../core/limits.ts';
import { isAgentId } from '../core/spiffe-id.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none, page, why } from './forms.ts';

const agentId = z.string().refine(isAgentId, 'an agent ID');
const linkId = thumbprint.describe('Link id: base64url SHA-256 of its signing input.');
const chain = z.string().min(1).max(MAX_CHAIN_BYTES);
const time = z.int().min(1).max(MAX_TIME).describe('Seconds.');

/** What is to end, as it is asked for. */
export const revocationTarget = z.union([
  z
    .strictObject({ chain, link: linkId.optional() })
    .describe('A link of this chain, the last one unless named; its minter can’t make it again.'),
  z.strictObject({ link: linkId }).describe('A link of which only the id is known: it could be made again.'),
  z.strictObject({ key: thumbprint }).describe('A key of an agent or a principal, by its thumbprint.'),
  z.strictObject({ agent: agentId }).describe('An agent, under every key.'),
  z.strictObject({ task: linkId, principal }).describe('A task: its id means nothing without the principal.'),
  z
    .strictObject({ principal, before: time.optional() })
    .describe('All that a principal granted before this time; all until now unless given.'),
]);
export type RevocationTarget = z.output<typeof revocationTarget>;

/** What ended, as bundles say it. */
export const revoked = z.union([
  z.strictObject({ link: linkId, parent: linkId, delegatee: agentId }),
  z.strictObject({ link: linkId }),
  z.strictObject({ key: thumbprint, lost: z.literal(true) }),
  z.strictObject({ key: thumbprint }),
  z.strictObject({ agent: agentId }),
  z.strictObject({ task: linkId, principal }),
  z.strictObject({ principal, before: time }),
]);
export type Revoked = z.output<typeof revoked>;

export const revocation = z.strictObject({
  revoked,
  by: z.string().describe('Who, as the ledger has it.'),
  why: z.string(),
  at: z.int().describe('Seconds.'),
  until: z
    .int()
    .nullable()
    .describe(
      'Seconds: from then on nothing that it bars can be alive, and bundles leave it out. null: for ever.',
    ),
});
export type Revocation = z.output<typeof revocation>;

const bundle = z.strictObject({ epoch: z.int(), seq: z.int() }).describe('The bundle that carries it.');
const done = z.strictObject({
  ...revocation.shape,
  isNew: z.boolean().describe('False when it was on record already.'),
  bundle,
});
export type RevocationDone = z.output<typeof done>;

const known = z.strictObject({
  sidecar: z.string().describe('SPIFFE ID.'),
  agent: z.string().describe('With whom.'),
  hops: z.int().describe('That its last report counts.'),
  to: z.int().describe('Seconds: until when that report counts.'),
});

export const revocationPreview = z.strictObject({
  revoked,
  until: revocation.shape.until,
  onRecord: z.boolean().describe('Whether it is revoked already.'),
  agents: z.array(z.strictObject({ id: z.string(), effect: z.string() })).describe('Whom it touches.'),
  tasks: z
    .array(z.strictObject({ task: z.string(), principal: z.string(), exp: z.int() }))
    .describe('Tasks that end.'),
  hops: z.array(known).describe('Where those agents were seen last.'),
  unknown: z.array(z.string()).describe('What nobody can tell in advance, in sentences.'),
});
export type RevocationPreview = z.output<typeof revocationPreview>;

const READERS = ['admin', 'operator', 'auditor'] as const;

export const revocationEndpoints = {
  listRevocations: endpoint({
    name: 'listRevocations',
    method: 'GET',
    path: '/v1/revocations',
    summary: 'What is revoked',
    access: READERS,
    changes: false,
    params: none,
    query: page,
    body: noBody,
    answer: z.strictObject({ revocations: z.array(revocation.extend({ id: z.string() })) }),
    status: 200,
  }),
  previewRevocation: endpoint({
    name: 'previewRevocation',
    method: 'POST',
    path: '/v1/revocations/preview',
    summary: 'What a revocation would cut, as far as anybody knows',
    access: READERS,
    changes: false,
    params: none,
    query: none,
    body: z.strictObject({ target: revocationTarget }),
    answer: revocationPreview,
    status: 200,
  }),
  revoke: endpoint({
    name: 'revoke',
    method: 'POST',
    path: '/v1/revocations',
    summary:
      'Revoke: admins and operators anything, an agent a link that it or somebody below it gave, by its chain',
    access: 'member',
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ target: revocationTarget, why }),
    answer: done,
    status: 201,
  }),
  requestRevocation: endpoint({
    name: 'requestRevocation',
    method: 'POST',
    path: '/v1/revocations/requests',
    summary: 'Revoke by the word of a principal, signed with its key',
    // The signature says who; who brings it doesn't matter.
    access: 'anyone',
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({
      request: z.string().min(1).max(MAX_TOKEN_BYTES).describe('JWS, typ revoke+jwt.'),
      chain: chain.optional().describe('With a link: the chain that it stands in.'),
      why,
    }),
    answer: done,
    status: 201,
    guessable: true,
  }),
  liftRevocation: endpoint({
    name: 'liftRevocation',
    method: 'POST',
    path: '/v1/revocations/lift',
    summary: 'Let a revoked agent take part again; everything else that was revoked stays so',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ agent: agentId, why }),
    answer: z.strictObject({ agent: z.string(), bundle }),
    status: 200,
  }),
};
