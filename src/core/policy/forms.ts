/** The JSON of a policy, part by part: closed objects, bounded lists, no value outside its form (SPEC.md section 13). */
import { isScopePattern } from '../delegation/scope.ts';
import type { Json } from '../encoding/json.ts';
import {
  type Is,
  isBoolean,
  isDigest,
  isInteger,
  isListOf,
  isObject,
  type Members,
  optional,
} from '../encoding/members.ts';
import { HARD_MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_TIME } from '../limits.ts';
import { isIdPattern, isPrincipal, isTrustDomain } from '../spiffe-id.ts';
import { MAX_CONDITION_CHARACTERS } from './condition.ts';
import { isDestination } from './destination.ts';
import { isPrivateRange } from './private-range.ts';

/** Rules that a policy may have, and routes; ten thousand are a large mesh. */
export const MAX_RULES = 16_384;
const MAX_EGRESS = 4096;
const MAX_DEMANDS = 1024;
const MAX_EDGES = 4096;
const MAX_CONTENT_RULES = 1024;
const MAX_DECISION_POINTS = 256;
const MAX_WITHOUT_SIDECAR = 1024;
const MAX_OPERATIONS = 1024;
const MAX_APPROVED_TOOLS = 4096;

const matching =
  (form: RegExp): Is =>
  (value) =>
    typeof value === 'string' && form.test(value);

const isName = matching(/^[A-Za-z0-9._-]{1,64}$/);
const isType = matching(/^[A-Za-z0-9._-]+$/);
/** `pii`, `finance`: of data. */
export const LABEL: RegExp = /^[a-z][a-z0-9_-]{0,31}$/;
const isText =
  (most: number): Is =>
  (value) =>
    typeof value === 'string' && value.length > 0 && value.length <= most;
const isOneOf =
  (...words: readonly string[]): Is =>
  (value) =>
    typeof value === 'string' && words.includes(value);
const isTrue: Is = (value) => value === true;

const isIds = (least: number): Is => isListOf(isIdPattern, least, 10_000);
const isPrincipals = (least: number): Is =>
  isListOf((uri) => typeof uri === 'string' && isPrincipal(uri), least, 10_000);
const isPatterns = isListOf((scope) => typeof scope === 'string' && isScopePattern(scope), 1, 1024);
const isTypes = isListOf(isType, 1, 1024);
const isDomains = isListOf((domain) => typeof domain === 'string' && isTrustDomain(domain), 1, 1024);
const isRoutes = isListOf(isName, 1, MAX_RULES);
const isLabels = (least: number): Is => isListOf(matching(LABEL), least, 64);
const isTemplates = (least: number): Is => isListOf(() => true, least, 64);
const isSeconds = isInteger(1, MAX_TIME);

const isArray =
  (most: number): Is =>
  (value) =>
    Array.isArray(value) && value.length <= most;

export const POLICY = {
  revision: isName,
  limits: isObject,
  scopeSets: isObject,
  lists: isObject,
  routes: isArray(MAX_RULES),
  egress: optional(isArray(MAX_EGRESS)),
  rules: isArray(MAX_RULES),
  demands: optional(isArray(MAX_DEMANDS)),
  delegation: optional(isObject),
  content: optional(isArray(MAX_CONTENT_RULES)),
  decisionPoints: optional(isArray(MAX_DECISION_POINTS)),
  withoutSidecar: optional(isArray(MAX_WITHOUT_SIDECAR)),
} as const satisfies Members;

export const LIMITS = {
  maxDepth: isInteger(1, HARD_MAX_DEPTH),
  linkTtlSeconds: isSeconds,
  callbacks: isBoolean,
  humanRoot: isBoolean,
  sessionSeconds: isSeconds,
  maxStalenessSeconds: optional(isSeconds),
  maxTaskAgeSeconds: optional(isSeconds),
} as const satisfies Members;

export const LISTS = {
  allowAgents: isIds(0),
  blockAgents: isIds(0),
  blockPrincipals: isPrincipals(0),
} as const satisfies Members;

export const ROUTE = {
  name: isName,
  callees: optional(isIds(1)),
  methods: optional(isListOf(matching(/^[A-Z]+$/), 1, 64)),
  path: (value: Json) => typeof value === 'string' && value.startsWith('/'),
  scopes: isTemplates(0),
  protocol: optional(isOneOf('http', 'mcp', 'a2a', 'a2a-rest', 'websocket')),
  server: optional(isText(256)),
  operations: optional(isArray(MAX_OPERATIONS)),
  serverRequests: optional(isListOf(isText(256), 1, 64)),
  tools: optional(isObject),
  skillMember: optional(matching(/^[!-~]{1,128}$/)),
  maxMessageBytes: optional(isInteger(1, MAX_MESSAGE_BYTES)),
  labels: optional(isObject),
  observeUntil: optional(isSeconds),
} as const satisfies Members;

const { callees: _agents, observeUntil: _observed, ...OF_ROUTE } = ROUTE;

/** What leaves can't be taken back: no `observeUntil`. */
export const EGRESS = {
  ...OF_ROUTE,
  destination: (value: Json) => isDestination(value),
  mode: isOneOf('api', 'tunnel'),
  inside: optional(isOneOf('tls', 'any')),
  allowPrivate: optional(isListOf(isPrivateRange, 1, 16)),
} as const satisfies Members;

export const OPERATION = {
  methods: optional(isListOf(isText(256), 1, 64)),
  names: optional(isListOf(isText(256), 1, 1024)),
  scopes: isTemplates(0),
} as const satisfies Members;

export const TOOLS = {
  filter: isBoolean,
  approved: (value: Json) =>
    isObject(value) &&
    Object.keys(value).length <= MAX_APPROVED_TOOLS &&
    Object.entries(value).every(([name, digest]) => isText(256)(name) && isDigest(digest)),
  changed: isOneOf('flag', 'deny'),
  unlisted: isOneOf('allow', 'flag', 'deny'),
} as const satisfies Members;

export const ROUTE_LABELS = { request: isLabels(0), response: isLabels(0) } as const satisfies Members;

export const RULE = {
  name: isName,
  effect: isOneOf('allow', 'deny', 'approve', 'quarantine', 'flag'),
  callers: optional(isIds(1)),
  callerTypes: optional(isTypes),
  callees: optional(isIds(1)),
  principals: optional(isPrincipals(1)),
  scopes: optional(isPatterns),
  routes: optional(isRoutes),
  when: optional(isText(MAX_CONDITION_CHARACTERS)),
  shadow: optional(isTrue),
} as const satisfies Members;

export const DEMAND = {
  scopes: optional(isPatterns),
  labels: optional(isLabels(1)),
  approval: optional(isTrue),
  minScore: optional(isInteger(1, 1000)),
  maxStalenessSeconds: optional(isSeconds),
  maxDepth: optional(isInteger(1, HARD_MAX_DEPTH)),
  maxLinkTtlSeconds: optional(isSeconds),
  sameDomain: optional(isTrue),
  requestProof: optional(isTrue),
} as const satisfies Members;

export const DELEGATION = {
  otherwise: isOneOf('allow', 'deny'),
  rules: isArray(MAX_EDGES),
} as const satisfies Members;

export const EDGE = {
  name: isName,
  effect: isOneOf('allow', 'deny'),
  from: optional(isIds(1)),
  fromTypes: optional(isTypes),
  fromDomains: optional(isDomains),
  to: optional(isIds(1)),
  toTypes: optional(isTypes),
  toDomains: optional(isDomains),
  crossing: optional(isTrue),
} as const satisfies Members;

export const CONTENT_RULE = {
  name: isName,
  directions: isListOf(isOneOf('request', 'response'), 1, 2),
  callees: optional(isIds(1)),
  routes: optional(isRoutes),
  detectors: optional(isListOf(isText(64), 1, 64)),
  patterns: optional(
    (value) =>
      isObject(value) &&
      Object.keys(value).length > 0 &&
      Object.keys(value).length <= 256 &&
      Object.values(value).every((pattern) => isText(4096)(pattern)),
  ),
  types: optional(isListOf(isText(256), 1, 256)),
  maxBytes: optional(isInteger(0, Number.MAX_SAFE_INTEGER)),
  action: isOneOf('flag', 'deny', 'quarantine'),
  mode: isOneOf('hold', 'stream'),
  holdBytes: isInteger(1, MAX_MESSAGE_BYTES),
  shadow: optional(isTrue),
} as const satisfies Members;

export const DECISION_POINT = {
  point: matching(/^[a-z0-9][a-z0-9-]{0,63}$/),
  path: matching(/^(?=.{1,256}$)[A-Za-z_][A-Za-z0-9_]*(?:\/[A-Za-z_][A-Za-z0-9_]*)*$/),
  callees: optional(isIds(1)),
  routes: optional(isRoutes),
} as const satisfies Members;

export const WITHOUT_SIDECAR = {
  name: isName,
  callers: optional(isIds(1)),
  callerTypes: optional(isTypes),
  callees: optional(isIds(1)),
  scopes: optional(isPatterns),
  routes: optional(isRoutes),
} as const satisfies Members;

/** What JSON leaves out is `undefined` in our types. */
export const optionalOf = (members: Members): readonly string[] =>
  Object.entries(members).flatMap(([name, is]) => (typeof is === 'function' ? [] : [name]));
