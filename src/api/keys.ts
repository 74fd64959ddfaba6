/** The verifier's role keys: which there are, their rotation, and what the root has to say of them. */
import { z } from 'zod';
import { endpoint } from './endpoint.ts';
import { noBody, none, why } from './forms.ts';

export const KEY_ROLE = z.enum(['svid-ca', 'wit-issuer', 'root-issuer', 'policy', 'timestamp']);

const moment = z.int().min(0).nullable();
const roleKey = z.strictObject({
  role: KEY_ROLE,
  thumbprint: z.string().describe('RFC 7638; of the CA, SHA-256 of its certificate; base64url.'),
  state: z.enum(['next', 'active', 'retiring', 'gone']),
  madeAt: z.int().min(0).describe('Seconds, as all here.'),
  namedAt: moment.describe('When the root first named it.'),
  activeAt: moment,
  retiredAt: moment,
  until: moment.describe('When what it signed has ended.'),
});

const keysAnswer = z.strictObject({
  root: z.strictObject({
    thumbprint: z.string().describe('What a sidecar is configured with.'),
    here: z.boolean().describe('Whether the root key is on the verifier’s machine.'),
    awaited: z.boolean().describe('Whether a root that is elsewhere has something to sign.'),
  }),
  epoch: z.int().min(1),
  rolesExp: z.int().min(0).describe('End of the roles document; a new one must be signed before.'),
  keys: z.array(roleKey),
});
export type KeysAnswer = z.output<typeof keysAnswer>;

const jwk = z.strictObject({ crv: z.literal('Ed25519'), kty: z.literal('OKP'), x: z.string() });
const time = z.int().min(0);

/** Members of SPEC.md section 9; their forms are checked by the core when it is signed. */
export const rolesPayload = z.strictObject({
  trust_domain: z.string(),
  epoch: z.int().min(1),
  iat: time,
  exp: time,
  root: jwk,
  policy: z.array(jwk),
  timestamp: z.array(jwk),
  issuers: z.array(jwk),
  root_issuers: z.array(jwk),
  x509: z.array(z.string()),
});
export type RolesPayload = z.output<typeof rolesPayload>;

/** What a verifier without its root key hands to whoever has it. */
export const rolesRequest = z.strictObject({
  v: z.literal(1),
  request: z.literal('roles'),
  payload: rolesPayload,
});
export type RolesRequest = z.output<typeof rolesRequest>;

export const keyEndpoints = {
  listKeys: endpoint({
    name: 'listKeys',
    method: 'GET',
    path: '/v1/keys',
    summary: 'The role keys and their states',
    access: ['admin', 'operator', 'auditor'],
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: keysAnswer,
    status: 200,
  }),
  rotateKey: endpoint({
    name: 'rotateKey',
    method: 'POST',
    path: '/v1/rotations',
    summary: 'Replace a role key: in time, or at once because somebody else has it',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({
      role: KEY_ROLE,
      compromised: z
        .boolean()
        .default(false)
        .describe('Drop it now: what it signed is believed no longer, from the next bundle on.'),
      thumbprint: z.string().optional().describe('With compromised: another key than the active one.'),
      why,
    }),
    answer: keysAnswer,
    status: 201,
  }),
  getRolesRequest: endpoint({
    name: 'getRolesRequest',
    method: 'GET',
    path: '/v1/root/request',
    summary: 'What a root that is kept elsewhere has to sign',
    access: ['admin'],
    changes: false,
    params: none,
    query: z.strictObject({
      newEpoch: z
        .enum(['true', 'false'])
        .default('false')
        .describe('After a restored backup: above every epoch that was lost.'),
    }),
    body: noBody,
    answer: rolesRequest,
    status: 200,
  }),
  installRoles: endpoint({
    name: 'installRoles',
    method: 'POST',
    path: '/v1/root/roles',
    summary: 'Take over roles that the root has signed elsewhere',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ roles: z.string().max(32_768), why }),
    answer: keysAnswer,
    status: 201,
  }),
  beginEpoch: endpoint({
    name: 'beginEpoch',
    method: 'POST',
    path: '/v1/root/epochs',
    summary: 'Begin a new epoch, under which bundles are numbered anew: after a restored backup',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ why }),
    answer: keysAnswer,
    status: 201,
  }),
};
