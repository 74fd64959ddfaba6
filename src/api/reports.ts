/** What sidecars report: what they enforce, and how the hops with each peer ended. Lost reports are lost. */
import { z } from 'zod';
import { isBase64urlOf } from '../core/encoding/base64url.ts';
import { MAX_REPORTED_PEERS } from '../core/limits.ts';
import { REASONS, type ReasonCode } from '../core/reasons.ts';
import { isAgentId } from '../core/spiffe-id.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none } from './forms.ts';

const digest = z.string().refine((text) => isBase64urlOf(text, 32), 'base64url SHA-256');
const seconds = z.int().min(0);
const reason = z.enum(Object.keys(REASONS) as [ReasonCode, ...ReasonCode[]]);
const count = z.int().min(1).max(1_000_000_000);

const evidence = {
  outcomes: z
    .partialRecord(z.union([z.literal('ok'), reason]), count)
    .describe('Hops that were permitted, by how they ended.'),
  denials: z.partialRecord(reason, count).describe('Requests that this sidecar refused, by reason.'),
};

export const peerEvidence = z.strictObject({
  peer: z
    .string()
    .refine(isAgentId, 'an agent ID')
    .describe('As it was proven: never a name that was only claimed.'),
  ...evidence,
});
export type PeerEvidence = z.output<typeof peerEvidence>;

export const report = z.strictObject({
  version: z.string().min(1).max(64).describe('Of the sidecar.'),
  bundle: z
    .strictObject({ epoch: z.int().min(1), seq: z.int().min(1), digest })
    .describe('What is in force.'),
  policy: z
    .strictObject({ revision: z.string().min(1).max(256), digest })
    .optional()
    .describe('Left out where the bundle has none.'),
  freshAt: seconds.describe('When the verifier was last heard to say that this is its newest.'),
  svidNotAfter: seconds,
  agentKey: digest.describe('Thumbprint of the agent key in use.'),
  from: seconds.describe('Of the counts below.'),
  to: seconds,
  peers: z.array(peerEvidence).max(MAX_REPORTED_PEERS),
  others: z.strictObject(evidence).describe('With peers beyond the limit, or that nothing proves.'),
});
export type Report = z.output<typeof report>;

export const reportEndpoints = {
  sendReport: endpoint({
    name: 'sendReport',
    method: 'POST',
    path: '/v1/reports',
    summary: 'What a sidecar enforces, and how its hops ended',
    access: ['agent'],
    // Many a minute from every sidecar: what they say goes into scores and status, not into the ledger.
    changes: false,
    params: none,
    query: none,
    body: report,
    answer: noBody,
    status: 204,
    maxBytes: 512 * 1024,
  }),
};
