/** What a bundle carries, read in form, after its signatures have been checked: it is large, and reading it is dear (SPEC.md section 9). */
import type { Anchor } from '../delegation/chain.ts';
import { parseScope } from '../delegation/scope.ts';
import { canonicalJson, type Json, type JsonObject } from '../encoding/json.ts';
import { sha256Base64url } from '../encoding/jws.ts';
import { checkMembers, isBoolean, isInteger, isListOf, isObject } from '../encoding/members.ts';
import { type AgentJwk, jwkFault } from '../keys.ts';
import { HARD_MAX_DEPTH, MAX_TIME } from '../limits.ts';
import type { Policy, PolicyLists } from '../policy/model.ts';
import { readLists, readPolicy } from '../policy/read.ts';
import { type IdPattern, isIdPattern, isPrincipal, isTrustDomain } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import { Attributes } from './attributes.ts';
import { Revocations } from './revocation.ts';
import { readCertificates, readKeys } from './roles.ts';
import { Scores } from './scores.ts';

const isUri = (value: unknown): boolean => typeof value === 'string' && isPrincipal(value);

const DOMAIN = { x509: Array.isArray, issuers: Array.isArray } as const;
const APPROVER = { principal: isUri, jwk: isObject } as const;
const ANCHOR = {
  kind: (value: Json) => value === 'principal' || value === 'root-issuer',
  jwk: isObject,
  principals: isListOf((uri) => uri === '*' || isUri(uri), 1, 10_000),
  human: isBoolean,
  delegatees: isListOf(isIdPattern, 1, 256),
  domains: isListOf((domain) => isTrustDomain(domain as string), 1, 64),
  scope: Array.isArray,
  max_ttl: isInteger(1, MAX_TIME),
  max_depth: isInteger(1, HARD_MAX_DEPTH),
} as const;

/** Their keys are admitted with the bundle, each a millisecond. */
const MAX_APPROVERS = 1024;

/** Public keys, base64url of 32 octets, not yet admitted. */
export interface Contents {
  readonly domains: ReadonlyMap<
    string,
    { readonly x509: readonly Buffer[]; readonly issuers: readonly string[] }
  >;
  readonly anchors: readonly Anchor[];
  readonly approvers: readonly { readonly x: string; readonly principal: string }[];
  readonly revocations: Revocations;
  readonly scores: Scores;
  readonly policy: Policy | undefined;
  readonly lists: PolicyLists | undefined;
  readonly attributes: Attributes;
}

/** Refuses with parse faults, `scope_*`, `policy_invalid`. */
export const readContents = (bundle: JsonObject): Verdict<Contents> => {
  const domains = readDomains(bundle.domains as JsonObject);
  if (!domains.ok) return domains;
  const anchors = readAnchors(bundle.anchors as readonly Json[]);
  if (!anchors.ok) return anchors;
  const revocations = Revocations.parse(bundle.revoked as readonly Json[]);
  if (!revocations.ok) return revocations;
  const approvers = readApprovers((bundle.approvers ?? []) as readonly Json[]);
  if (!approvers.ok) return approvers;
  const policy = readBundledPolicy(bundle);
  if (!policy.ok) return policy;
  const lists = bundle.lists === undefined ? grant(undefined) : readLists(bundle.lists as JsonObject);
  if (!lists.ok) return lists;
  const scores = bundle.scores === undefined ? grant(Scores.none) : Scores.parse(bundle.scores as JsonObject);
  if (!scores.ok) return scores;
  const attributes =
    bundle.attributes === undefined
      ? grant(Attributes.none)
      : Attributes.parse(bundle.attributes as JsonObject);
  if (!attributes.ok) return attributes;
  return grant({
    domains: domains.value,
    anchors: anchors.value,
    approvers: approvers.value,
    revocations: revocations.value,
    scores: scores.value,
    policy: policy.value,
    lists: lists.value,
    attributes: attributes.value,
  });
};

const readDomains = (entries: JsonObject): Verdict<Contents['domains']> => {
  const domains = new Map<string, { x509: readonly Buffer[]; issuers: readonly string[] }>();
  for (const [name, entry] of Object.entries(entries)) {
    if (!isTrustDomain(name) || !isObject(entry))
      return deny('claim_invalid', 'domains has a name that is no trust domain');
    const domain = checkMembers(entry, DOMAIN, `domain ${name}`);
    if (!domain.ok) return domain;
    const x509 = readCertificates(domain.value.x509 as readonly Json[], name);
    if (!x509.ok) return x509;
    const issuers = readKeys(domain.value.issuers as readonly Json[], 0, 8, `issuers of ${name}`);
    if (!issuers.ok) return issuers;
    domains.set(name, { x509: x509.value, issuers: issuers.value });
  }
  return grant(domains);
};

const readAnchors = (entries: readonly Json[]): Verdict<Contents['anchors']> => {
  const anchors: Anchor[] = [];
  const keys = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const anchor = readAnchor(entry, index);
    if (!anchor.ok) return anchor;
    // Two ceilings for one key: whichever a reader takes, another may take the wider one.
    if (keys.has(anchor.value.x))
      return deny('claim_invalid', `anchor ${index + 1} has the key of one before it`);
    keys.add(anchor.value.x);
    anchors.push(anchor.value);
  }
  return grant(anchors);
};

const readAnchor = (entry: Json, index: number): Verdict<Anchor> => {
  if (!isObject(entry)) return deny('claim_invalid', `anchor ${index + 1} is not an object`);
  const closed = checkMembers(entry, ANCHOR, `anchor ${index + 1}`);
  if (!closed.ok) return closed;
  const fault = jwkFault(entry.jwk as Json);
  if (fault !== undefined) return fault;
  const scope = parseScope(entry.scope as readonly Json[]);
  if (!scope.ok) return scope;
  const principals = entry.principals as readonly string[];
  if (principals.includes('*') && (entry.kind !== 'root-issuer' || principals.length > 1))
    return deny('claim_invalid', `anchor ${index + 1}: "*" is for a root issuer, and alone`);
  return grant({
    kind: entry.kind as Anchor['kind'],
    x: (entry.jwk as unknown as AgentJwk).x,
    principals,
    human: entry.human as boolean,
    delegatees: entry.delegatees as readonly IdPattern[],
    domains: entry.domains as readonly string[],
    scope: scope.value,
    maxTtlSeconds: entry.max_ttl as number,
    maxDepth: entry.max_depth as number,
  });
};

const readApprovers = (entries: readonly Json[]): Verdict<Contents['approvers']> => {
  if (entries.length > MAX_APPROVERS) return deny('claim_invalid', `more than ${MAX_APPROVERS} approvers`);
  const approvers: Contents['approvers'][number][] = [];
  const keys = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    if (!isObject(entry)) return deny('claim_invalid', `approver ${index + 1} is not an object`);
    const closed = checkMembers(entry, APPROVER, `approver ${index + 1}`);
    if (!closed.ok) return closed;
    const fault = jwkFault(entry.jwk as Json);
    if (fault !== undefined) return fault;
    const { x } = entry.jwk as unknown as AgentJwk;
    // One key for two people: whose word it is would be anybody's guess.
    if (keys.has(x)) return deny('claim_invalid', `approver ${index + 1} has the key of one before it`);
    keys.add(x);
    approvers.push({ x, principal: entry.principal as string });
  }
  return grant(approvers);
};

/** The policy stands whole in the bundle, and its digest beside it, which is what reports and the history call it by. */
const readBundledPolicy = ({ policy, policy_digest: digest }: JsonObject): Verdict<Policy | undefined> => {
  if (policy === undefined)
    return digest === undefined ? grant(undefined) : deny('claim_invalid', 'policy_digest without a policy');
  if (digest !== policyDigest(policy as JsonObject))
    return deny('claim_invalid', 'policy_digest is not that of the policy');
  return readPolicy(policy as JsonObject);
};

/** SHA-256 over the canonical JSON of a policy, base64url. */
export const policyDigest = (policy: unknown): string => sha256Base64url(canonicalJson(policy));
