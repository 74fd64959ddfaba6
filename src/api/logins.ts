/**
 * Logins of people. An ID token is shown once, with proof of a key that was made for this session, and what comes back
 * is bound to that key: from then on nothing that a human sends is worth anything to whoever reads it.
 */
import { z } from 'zod';
import { principal, scopeMember, thumbprint } from '../config/forms.ts';
import { isBase64urlOf } from '../core/encoding/base64url.ts';
import { HARD_LINK_TTL_SECONDS, HARD_MAX_DEPTH, MAX_SCOPE_PATTERNS } from '../core/limits.ts';
import { isAgentId } from '../core/spiffe-id.ts';
import { endpoint } from './endpoint.ts';
import { keyBinding } from './enrolment.ts';
import { noBody, none } from './forms.ts';
import { issuerUrl } from './principals.ts';

const nonce = z.string().refine((text) => isBase64urlOf(text, 32), 'base64url of 32 octets');
const login = z.string().regex(/^[A-Za-z0-9_-]{43,128}$/, 'a login, as startLogin gave it');

/**
 * `pkce`: authorization code with PKCE, the ID token must have our nonce. `device`: RFC 8628, which knows no nonce; where
 * the provider carries ours nevertheless it must be ours, and else the token must be younger than the login.
 */
const flow = z.enum(['pkce', 'device']);
export type LoginFlow = z.output<typeof flow>;

/** What the first link is to hold; by default all that the groups of the person give. */
export const linkWish = z.strictObject({
  scope: z.array(scopeMember).min(1).max(MAX_SCOPE_PATTERNS).optional(),
  ttlSeconds: z.int().min(1).max(HARD_LINK_TTL_SECONDS).optional(),
  maxDepth: z.int().min(1).max(HARD_MAX_DEPTH).optional().describe('The session itself is one of them.'),
  purpose: z.string().min(1).max(256).optional(),
});
export type LinkWish = z.output<typeof linkWish>;

export const session = z.strictObject({
  id: z.string().refine(isAgentId, 'an agent ID'),
  principal,
  svid: z.string().describe('PEM.'),
  svidNotAfter: z.int().describe('Seconds; WIT and key binding end with it, and the session.'),
  wit: z.string(),
  keyBinding,
  link: z
    .string()
    .optional()
    .describe('L0, for this session and its key; left out where the groups of the person may grant nothing.'),
  task: thumbprint.optional().describe('Link id of the first L0.'),
});
export type SessionAnswer = z.output<typeof session>;

export const loginEndpoints = {
  startLogin: endpoint({
    name: 'startLogin',
    method: 'POST',
    path: '/v1/logins/start',
    summary: 'Begin a login: a nonce for the identity provider, for one use within ten minutes',
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: z.strictObject({ issuer: issuerUrl, flow }),
    answer: z.strictObject({
      login,
      nonce,
      clientId: z.string(),
      scopes: z.string(),
      expires: z.int().describe('Seconds.'),
    }),
    status: 201,
  }),
  finishLogin: endpoint({
    name: 'finishLogin',
    method: 'POST',
    path: '/v1/logins',
    summary: 'Exchange an ID token for a session: SVID, WIT, key binding and the first link of a chain',
    access: 'anyone',
    // An event, but the wish says why.
    changes: false,
    params: none,
    query: none,
    body: z.strictObject({
      login,
      idToken: z.string().min(1).max(16_384),
      csr: z.string().min(1).max(4096).describe('PKCS#10, PEM: ECDSA P-256.'),
      proof: z
        .string()
        .min(1)
        .max(4096)
        .describe('JWS, typ enrol+jwt, by the session’s key; its nonce is the login.'),
      wish: linkWish.default({}),
      renews: thumbprint.optional().describe('The task that this goes on with.'),
    }),
    answer: session,
    status: 201,
    guessable: true,
  }),
  endSession: endpoint({
    name: 'endSession',
    method: 'DELETE',
    path: '/v1/logins/session',
    summary: 'Log out: the session is nobody here any more; by itself, or by an operator',
    access: 'member',
    changes: false,
    params: none,
    query: z.strictObject({
      session: z.string().refine(isAgentId, 'an agent ID').optional().describe('By default whoever calls.'),
    }),
    body: noBody,
    answer: noBody,
    status: 204,
  }),
};
