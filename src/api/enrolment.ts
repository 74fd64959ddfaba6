/** How a workload becomes an agent and stays one: a challenge, evidence, proof of its keys, credentials. */
import { z } from 'zod';
import { isBase64urlOf, isCanonicalBase64url } from '../core/encoding/base64url.ts';
import { isAgentId } from '../core/spiffe-id.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none } from './forms.ts';

const MAX_TOKEN_BYTES = 8192;
const base64url = (most: number) =>
  z.string().min(1).max(most).refine(isCanonicalBase64url, 'base64url without padding');
const bearer = z.string().min(1).max(MAX_TOKEN_BYTES);

const joinEvidence = z.strictObject({
  method: z.literal('join'),
  token: z.string().refine((text) => isBase64urlOf(text, 32), 'base64url of 32 octets'),
});
const kubernetesEvidence = z.strictObject({
  method: z.literal('kubernetes'),
  token: bearer.describe(
    'A projected service-account token for the audience spiffe://<trust domain>/verifier.',
  ),
});
const oidcEvidence = z.strictObject({
  method: z.literal('oidc'),
  token: bearer.describe(
    'An access token from the client-credentials grant of an issuer that is configured.',
  ),
});
const x509popEvidence = z.strictObject({
  method: z.literal('x509pop'),
  chain: z.array(base64url(MAX_TOKEN_BYTES)).min(1).max(5).describe('DER, the leaf first.'),
  signature: base64url(1024).describe(
    'By the leaf’s key over hopgate-x509pop/1, nonce, csr digest, agent-key thumbprint.',
  ),
});
const svidEvidence = z.strictObject({ method: z.literal('svid') });

export const enrolmentEvidence = z.discriminatedUnion('method', [
  joinEvidence,
  kubernetesEvidence,
  oidcEvidence,
  x509popEvidence,
]);
export const renewalEvidence = z.discriminatedUnion('method', [
  svidEvidence.describe('For who joined with a token: the SVID of this connection.'),
  kubernetesEvidence,
  oidcEvidence,
  x509popEvidence,
]);
export type EnrolmentEvidence = z.output<typeof enrolmentEvidence>;
export type RenewalEvidence = z.output<typeof renewalEvidence>;
export type Evidence = EnrolmentEvidence | RenewalEvidence;

const proven = {
  csr: z
    .string()
    .min(1)
    .max(4096)
    .describe('PKCS#10, PEM: ECDSA P-256. Subject and names in it count for nothing.'),
  proof: z.string().min(1).max(4096).describe('JWS, typ enrol+jwt, by the agent key.'),
  previous: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('JWS, typ rotate+jwt, by the agent key so far: a planned rotation.'),
};

export const keyBinding = z.strictObject({ exp: z.int(), kid: z.string(), sig: z.string() });

/** What an agent needs to begin, all of one moment. */
export const credentials = z.strictObject({
  id: z.string().refine(isAgentId, 'an agent ID'),
  svid: z.string().describe('PEM.'),
  svidNotAfter: z.int().describe('Seconds; WIT and key binding end with it.'),
  wit: z.string(),
  keyBinding,
  entry: z.string().describe('The registration entry that made it.'),
  roles: z.string().describe('JWS, typ roles+jwt.'),
  packed: z
    .string()
    .optional()
    .describe('The bundle, bundle+jwt: base64 of gzip; left out where none has been published yet.'),
  timestamp: z.string().optional().describe('JWS, typ timestamp+jwt.'),
});
export type Credentials = z.output<typeof credentials>;

export const enrolmentEndpoints = {
  createChallenge: endpoint({
    name: 'createChallenge',
    method: 'POST',
    path: '/v1/challenges',
    summary: 'A nonce for one enrolment or renewal',
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({ nonce: z.string(), expires: z.int().describe('Seconds.') }),
    status: 201,
  }),
  enrol: endpoint({
    name: 'enrol',
    method: 'POST',
    path: '/v1/enrolments',
    summary: 'Become an agent: evidence and proof for an SVID, a WIT and a key binding',
    access: 'anyone',
    // An event each, but nobody is there to be asked why.
    changes: false,
    params: none,
    query: none,
    body: z.strictObject({ evidence: enrolmentEvidence, ...proven }),
    answer: credentials,
    status: 201,
    guessable: true,
  }),
  renew: endpoint({
    name: 'renew',
    method: 'POST',
    path: '/v1/renewals',
    summary: 'Stay an agent: new credentials for who has some, attested anew',
    access: 'member',
    changes: false,
    params: none,
    query: none,
    body: z.strictObject({ evidence: renewalEvidence, ...proven }),
    answer: credentials,
    status: 201,
    guessable: true,
  }),
};
