/** Who may be what: registration entries, join tokens, and the agents that have enrolled. */
import { z } from 'zod';
import { MAX_AGENT_ATTRIBUTES } from '../core/limits.ts';
import { isAgentId, isIdPattern } from '../core/spiffe-id.ts';
import { isAttributeName, isAttributeValue } from '../core/trust/attributes.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none, page, why } from './forms.ts';

const SELECTOR =
  /^(?:k8s:(?:cluster|ns|sa|pod|pod-uid|node)=|oidc:(?:iss|sub|azp|client_id|role)=|x509:(?:spiffe_id|trust_domain)=|join:id=|join:)[\x21-\x7e]{1,600}$/;
/** `{pod}` stands for the whole last segment: two placeholders in one segment could spell one name in two ways. */
export const PLACEHOLDERS = ['pod', 'pod_uid', 'sa', 'node', 'client_id', 'sub'] as const;
const PLACEHOLDER = new RegExp(`/\\{(${PLACEHOLDERS.join('|')})\\}$`);

/** The placeholder of a template, without braces; `undefined` when it is one exact ID. */
export const placeholderOf = (template: string): string | undefined => PLACEHOLDER.exec(template)?.[1];

export const idTemplate = z
  .string()
  .refine(
    (text) => isAgentId(text) || (PLACEHOLDER.test(text) && isIdPattern(text.replace(PLACEHOLDER, '/*'))),
    'a SPIFFE ID such as spiffe://company.com/agent/planning/1, or one whose last segment is {pod}, {pod_uid}, {sa}, {node}, {client_id} or {sub}',
  )
  .describe('The SPIFFE ID that a workload gets, or a template of it.');

export const selector = z
  .string()
  .regex(
    SELECTOR,
    'a selector: k8s:ns=…, k8s:sa=…, k8s:pod=…, k8s:cluster=…, oidc:iss=…, oidc:client_id=…, oidc:azp=…, oidc:sub=…, oidc:role=…, x509:spiffe_id=…, join:id=… or join:<token id>',
  )
  .describe('A fact that attestation must have shown.');

export const entryName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'a name: lower-case letters, digits, ".", "_" and "-"');

const attributeName = z
  .string()
  .refine(isAttributeName, 'a name: a letter a–z, then letters, digits, "_" and "-", 64 at most');
const attributeValue = z.string().refine(isAttributeValue, 'a value: 1 to 256 printable ASCII characters');
/** A WIT has 4096 octets for everything. */
const MAX_ATTRIBUTES_BYTES = 1024;
export const attributes = z
  .record(attributeName, attributeValue)
  .refine((map) => Object.keys(map).length <= MAX_AGENT_ATTRIBUTES, {
    error: `at most ${MAX_AGENT_ATTRIBUTES} attributes`,
  })
  .refine((map) => JSON.stringify(map).length <= MAX_ATTRIBUTES_BYTES, {
    error: `at most ${MAX_ATTRIBUTES_BYTES} octets of attributes`,
  })
  .describe('Facts about the agent for policy: bundles carry them, and its WIT.');

export const MIN_SVID_TTL_SECONDS = 300;
export const MAX_SVID_TTL_SECONDS = 3600;
/** With `allowLongSvid`. */
export const MAX_LONG_SVID_TTL_SECONDS = 86_400;

const changeable = {
  selectors: z.array(selector).min(1).max(16).describe('All of them must hold.'),
  svidTtlSeconds: z
    .int()
    .min(MIN_SVID_TTL_SECONDS)
    .max(MAX_LONG_SVID_TTL_SECONDS)
    .optional()
    .describe('Life of its SVID; the verifier’s default unless said. Above an hour only with allowLongSvid.'),
  hint: z.string().max(200).default('').describe('For people.'),
};

export const entry = z.strictObject({
  name: entryName,
  id: idTemplate,
  ...changeable,
  attributes,
  state: z.enum(['active', 'retired']),
  createdAt: z.int().describe('Seconds.'),
  updatedAt: z.int().describe('Seconds.'),
});
export type Entry = z.output<typeof entry>;

const agentId = z.string().refine(isAgentId, 'a SPIFFE ID of an agent or a client');

export const agent = z.strictObject({
  id: agentId,
  state: z
    .enum(['live', 'expired', 'revoked', 'retired'])
    .describe('revoked: it or its key, which can be lifted; retired: for good.'),
  /** RFC 7638 thumbprint of the agent key. */
  thumbprint: z.string(),
  entry: entryName,
  attestor: z.string(),
  facts: z.array(z.string()),
  enrolledAt: z.int().describe('Seconds.'),
  renewedAt: z.int().describe('Seconds.'),
  svidNotAfter: z.int().describe('Seconds.'),
});
export type AgentView = z.output<typeof agent>;

const attributesWish = attributes
  .optional()
  .describe('An admin’s to give. Left out: those that the names of this entry have.');

const READERS = ['admin', 'operator', 'auditor'] as const;
const WRITERS = ['admin', 'operator'] as const;
const byName = z.strictObject({ name: entryName });

export const registryEndpoints = {
  listEntries: endpoint({
    name: 'listEntries',
    method: 'GET',
    path: '/v1/entries',
    summary: 'Registration entries: who may become what',
    access: READERS,
    changes: false,
    params: none,
    query: page.extend({ id: idTemplate.optional().describe('Those for this ID alone.') }),
    body: noBody,
    answer: z.strictObject({ entries: z.array(entry) }),
    status: 200,
  }),
  getEntry: endpoint({
    name: 'getEntry',
    method: 'GET',
    path: '/v1/entries/{name}',
    summary: 'One registration entry',
    access: READERS,
    changes: false,
    params: byName,
    query: none,
    body: noBody,
    answer: entry,
    status: 200,
  }),
  addEntry: endpoint({
    name: 'addEntry',
    method: 'POST',
    path: '/v1/entries',
    summary: 'Let workloads that fulfil the selectors become this agent',
    access: WRITERS,
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({
      name: entryName.optional(),
      id: idTemplate,
      ...changeable,
      attributes: attributesWish,
      why,
    }),
    answer: entry,
    status: 201,
  }),
  updateEntry: endpoint({
    name: 'updateEntry',
    method: 'PUT',
    path: '/v1/entries/{name}',
    summary: 'Change an entry; what agents hold changes with their next renewal',
    access: WRITERS,
    changes: true,
    params: byName,
    query: none,
    body: z.strictObject({ ...changeable, attributes: attributesWish, why }),
    answer: entry,
    status: 200,
  }),
  changeAttributes: endpoint({
    name: 'changeAttributes',
    method: 'PUT',
    path: '/v1/entries/{name}/attributes',
    summary: 'Say of the agents of an entry what policy goes by; in the bundle when it is answered',
    // What policy grants to whoever has an attribute, whoever gives it grants.
    access: ['admin'],
    changes: true,
    params: byName,
    query: none,
    body: z.strictObject({
      set: attributes.default({}),
      remove: z.array(attributeName).max(MAX_AGENT_ATTRIBUTES).default([]),
      why,
    }),
    answer: entry,
    status: 200,
  }),
  retireEntry: endpoint({
    name: 'retireEntry',
    method: 'POST',
    path: '/v1/entries/{name}/retire',
    summary: 'Retire an entry and every agent that it made: revoked at once, never renewed',
    access: WRITERS,
    changes: true,
    params: byName,
    query: none,
    body: z.strictObject({ why }),
    answer: z.strictObject({ entry, agents: z.array(agentId) }),
    status: 200,
  }),
  addJoinToken: endpoint({
    name: 'addJoinToken',
    method: 'POST',
    path: '/v1/entries/{name}/join-tokens',
    summary: 'A join string for one agent, to be used once',
    access: WRITERS,
    changes: true,
    params: byName,
    query: none,
    body: z.strictObject({
      ttlSeconds: z.int().min(30).max(86_400).default(600),
      why,
    }),
    answer: z.strictObject({
      joinString: z
        .string()
        .describe('A secret: token, root thumbprint, SPIFFE ID and verifier, on one line.'),
      tokenId: z.string(),
      id: agentId,
      expires: z.int().describe('Seconds.'),
    }),
    status: 201,
  }),
  listAgents: endpoint({
    name: 'listAgents',
    method: 'GET',
    path: '/v1/agents',
    summary: 'Agents that have enrolled',
    access: READERS,
    changes: false,
    params: none,
    query: page,
    body: noBody,
    answer: z.strictObject({ agents: z.array(agent) }),
    status: 200,
  }),
  getAgent: endpoint({
    name: 'getAgent',
    method: 'GET',
    path: '/v1/agents/{id}',
    summary: 'One agent that has enrolled',
    access: READERS,
    changes: false,
    params: z.strictObject({ id: agentId }),
    query: none,
    body: noBody,
    answer: agent,
    status: 200,
  }),
  retireAgent: endpoint({
    name: 'retireAgent',
    method: 'POST',
    path: '/v1/agents/{id}/retire',
    summary: 'Retire one agent: revoked at once, never renewed',
    access: WRITERS,
    changes: true,
    params: z.strictObject({ id: agentId }),
    query: none,
    body: z.strictObject({ why }),
    answer: agent,
    status: 200,
  }),
};
