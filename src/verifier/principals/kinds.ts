/** What is kept of people: principals and their keys, identity providers, who is who there, sessions, tasks. */
import { z } from 'zod';
import { oidcIssuer, oidcSubject, principalRecord } from '../../api/principals.ts';
import { taskRecord } from '../../api/tasks.ts';
import { type AgentId, isAgentId } from '../../core/spiffe-id.ts';
import { kind } from '../records.ts';

/** One from before there were groups has none. */
export const PRINCIPAL = kind(
  'principal',
  principalRecord.extend({ groups: principalRecord.shape.groups.default([]) }),
);

/** By thumbprint: whose a key is. A bundle can't hold one key under two ceilings. */
export const PRINCIPAL_KEY = kind('principal-key', z.strictObject({ principal: z.string() }));

export const OIDC_ISSUER = kind('oidc-issuer', oidcIssuer);

/** By issuer and subject. */
export const OIDC_SUBJECT = kind('oidc-subject', oidcSubject);

export const SESSION = kind(
  'session',
  z.strictObject({
    id: z.custom<AgentId>(isAgentId, 'an agent ID'),
    principal: z.string(),
    issuer: z.string(),
    subject: z.string(),
    groups: z.array(z.string()),
    /** Public agent key, base64url of 32 octets. */
    agentX: z.string(),
    /** Of the login that opened it; all of `orig` in an L0. */
    login: z.strictObject({
      authTime: z.int(),
      acr: z.string().optional(),
      tokenHash: z.string(),
    }),
    /** Seconds. */
    exp: z.int(),
  }),
);
export type SessionRecord = z.output<typeof SESSION.schema>;

/** An ID token that was accepted, by the digest of its signing input, for as long as it could be shown again. */
export const USED_TOKEN = kind('login-token', z.strictObject({ exp: z.int().describe('Seconds.') }));

/** By principal and task: a task's id means nothing without its principal. */
export const TASK = kind('task', taskRecord);

/** The principal that somebody is who was registered by a first login. */
export const selfNamed = (issuer: string, subject: string): string =>
  `${issuer}#${encodeURIComponent(subject)}`;

/** Names of records may hold anything but what separates their parts. */
export const nameOf = (...parts: readonly string[]): string => parts.map(encodeURIComponent).join('/');
