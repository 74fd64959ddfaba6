/** What sidecars know and how they hear of it: roles, bundle, timestamp, the stream of both; the SPIFFE bundle for others. */
import { z } from 'zod';
import { endpoint, streamEndpoint, taggedEndpoint } from './endpoint.ts';
import { noBody, none } from './forms.ts';

const epoch = z.int().min(1).describe('Begun by the root with every new roles document.');
const seq = z.int().min(1).describe('Bundles are ordered by (epoch, seq).');
const digest = z.string().describe('base64url SHA-256 of the bundle’s octets; the ETag.');
const timestamp = z.string().describe('timestamp+jwt: that this bundle is the newest.');
const packed = z.string().describe('The bundle, bundle+jwt: base64 of gzip.');

export const bundleAnswer = z.strictObject({ epoch, seq, digest, packed, timestamp: timestamp.optional() });

/** Either names the bundle that is the newest; the first event of a stream does. */
export const trustEvent = z.discriminatedUnion('event', [
  z.strictObject({
    event: z.literal('bundle'),
    epoch,
    seq,
    digest,
    packed: packed.optional().describe('The bundle, if it is small; else ask for it.'),
    timestamp: timestamp.optional(),
  }),
  z.strictObject({ event: z.literal('timestamp'), timestamp }),
]);
export type TrustEvent = z.output<typeof trustEvent>;

const spiffeKey = z.looseObject({
  kty: z.enum(['EC', 'OKP']),
  use: z.enum(['x509-svid', 'wit-svid']),
  crv: z.enum(['P-256', 'Ed25519']),
  kid: z.string().optional(),
  x: z.string(),
  y: z.string().optional(),
  x5c: z.array(z.string()).optional(),
});

export const trustEndpoints = {
  getRoles: endpoint({
    name: 'getRoles',
    method: 'GET',
    path: '/v1/roles',
    summary:
      'Which keys the root trusts with what: to be verified with the root’s thumbprint before anything else is believed',
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({ roles: z.string().describe('roles+jwt') }),
    status: 200,
  }),
  getBundle: taggedEndpoint({
    name: 'getBundle',
    method: 'GET',
    path: '/v1/bundle',
    summary: 'The trust bundle',
    access: 'member',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: bundleAnswer,
  }),
  getTimestamp: endpoint({
    name: 'getTimestamp',
    method: 'GET',
    path: '/v1/timestamp',
    summary: 'That the bundle is the newest, said within the last minutes',
    access: 'member',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({ timestamp }),
    status: 200,
  }),
  streamTrust: streamEndpoint({
    name: 'streamTrust',
    method: 'GET',
    path: '/v1/stream',
    summary: 'New bundles and timestamps as they are made, the present ones first',
    access: 'member',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: trustEvent,
  }),
  getSpiffeBundle: endpoint({
    name: 'getSpiffeBundle',
    method: 'GET',
    path: '/.well-known/spiffe-bundle',
    summary: 'The trust domain’s keys in the form of SPIFFE (Trust Domain and Bundle, section 4)',
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({
      keys: z.array(spiffeKey),
      spiffe_sequence: z.int().min(1),
      spiffe_refresh_hint: z.int().min(1).describe('Seconds.'),
    }),
    status: 200,
  }),
};
