/** SPIFFE IDs of agents, and the two patterns that may stand for them (SPIFFE-ID §2; SPEC.md section 3). */

declare const agentId: unique symbol;
declare const idPattern: unique symbol;

/** `spiffe://<td>/agent/<type>/<instance>` or `spiffe://<td>/client/<name>`, parsed once. */
export type AgentId = string & { readonly [agentId]: true };
/** An agent ID, or one whose last segment is `*`, which stands for exactly one segment. */
export type IdPattern = string & { readonly [idPattern]: true };

const MAX_ID_BYTES = 2048;
const MAX_TRUST_DOMAIN_BYTES = 255;
// No label is empty, so that no trust domain is "." or "..": it stands as a segment in URLs and in file names.
const TRUST_DOMAIN = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const AGENT =
  /^spiffe:\/\/([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\/(?:agent\/([A-Za-z0-9._-]+)|(client))\/([A-Za-z0-9._-]+)$/;
const PATTERN =
  /^spiffe:\/\/([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\/(?:agent\/([A-Za-z0-9._-]+)|(client))\/([A-Za-z0-9._-]+|\*)$/;
const DOTS = /^\.{1,2}$/;

/** 1–255 octets, labels of `a–z 0–9 _ -` joined by dots. */
export const isTrustDomain = (text: string): boolean =>
  text.length <= MAX_TRUST_DOMAIN_BYTES && TRUST_DOMAIN.test(text);

const matches = (form: RegExp, text: string): boolean => {
  if (text.length > MAX_ID_BYTES) return false;
  const match = form.exec(text);
  if (match === null || (match[1] ?? '').length > MAX_TRUST_DOMAIN_BYTES) return false;
  // `client` is the type of `/client/<name>`; an agent that bore it would pass for a principal's own session.
  return match[2] !== 'client' && !DOTS.test(match[2] ?? '') && !DOTS.test(match[4] ?? '');
};

export const isAgentId = (text: unknown): text is AgentId => typeof text === 'string' && matches(AGENT, text);
export const isIdPattern = (text: unknown): text is IdPattern =>
  typeof text === 'string' && matches(PATTERN, text);

/** Parses an agent ID; `undefined` for anything else. */
export const parseAgentId = (text: string): AgentId | undefined => (isAgentId(text) ? text : undefined);

export const trustDomainOf = (id: AgentId | IdPattern): string => id.slice(9, id.indexOf('/', 9));

/** `inventory` of `spiffe://company.com/agent/inventory/def456`; `client` of a client. */
export const agentTypeOf = (id: AgentId): string => {
  const path = id.slice(id.indexOf('/', 9) + 1).split('/');
  return path.length === 3 ? (path[1] ?? '') : 'client';
};

/** The one pattern that stands for an agent and all others of its type. */
export const anyInstanceOf = (id: AgentId): IdPattern => `${id.slice(0, id.lastIndexOf('/'))}/*` as IdPattern;

/** Whether an agent ID matches a pattern. */
export const idMatches = (pattern: IdPattern | AgentId, id: AgentId): boolean => {
  if (!pattern.endsWith('/*')) return pattern === id;
  const prefix = pattern.length - 1;
  return id.startsWith(pattern.slice(0, prefix)) && id.indexOf('/', prefix) === -1;
};

const PRINCIPAL = /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/;

/** A principal: a URI of 3–512 printable ASCII characters, compared octet for octet. */
export const isPrincipal = (text: string): boolean =>
  text.length >= 3 && text.length <= 512 && PRINCIPAL.test(text);
