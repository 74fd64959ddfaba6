/**
 * What conditions can read: one table from which types, values, the input of decision points and the reference page come
 * (SPEC.md section 13).
 */

/** How long a value stays what it is. */
export type Lasts =
  /** As long as policy, chain, callee, method and target are the same: a condition over these is decided once. */
  | 'standing'
  /** For this request: headers, size, labels, time. */
  | 'request'
  /** For this operation of a message: only there where the route has a protocol. */
  | 'operation';

export interface Attribute {
  /** A CEL type. */
  readonly type: string;
  readonly lasts: Lasts;
  readonly meaning: string;
}

const of = (type: string, lasts: Lasts, meaning: string): Attribute => ({ type, lasts, meaning });

const agent = (who: string): Readonly<Record<string, Attribute>> => ({
  id: of('string', 'standing', `SPIFFE ID of ${who}`),
  type: of('string', 'standing', '`planning` of `…/agent/planning/1`; `client` of a principal’s own client'),
  domain: of('string', 'standing', 'trust domain'),
  attributes: of(
    'map<string, string>',
    'standing',
    'as registered at the verifier; none for a foreign agent',
  ),
  score: of('int', 'request', 'trust score now, 0–1000'),
});

/** Variable to member to what it is. */
export const ENVIRONMENT = {
  caller: agent('the agent that sent the request'),
  callee: agent('the agent that it is for; "" and 0 where the request leaves the mesh'),
  principal: {
    id: of('string', 'standing', 'URI of who stands at the root of the chain'),
    issuer: of(
      'string',
      'standing',
      'OIDC issuer of the login behind the chain; "" for a key of the principal’s own',
    ),
    groups: of('list<string>', 'standing', 'as registered at the verifier'),
  },
  chain: {
    depth: of('int', 'standing', 'links, the principal’s own included'),
    agents: of(
      'list<string>',
      'standing',
      'SPIFFE IDs, the principal’s first delegatee first, the caller last',
    ),
    types: of('list<string>', 'standing', 'their types, in that order'),
    domains: of('list<string>', 'standing', 'their trust domains, in that order'),
    scopes: of('list<string>', 'standing', 'scope patterns of the leaf'),
    task: of('string', 'standing', 'link id of the task’s first link'),
    purpose: of('string', 'standing', 'as the principal’s link says it; signed, but its author’s own words'),
    age: of('int', 'request', 'seconds since the principal’s link was made'),
    remaining: of('int', 'request', 'seconds until the first link ends'),
  },
  request: {
    direction: of('string', 'standing', '`inbound` at the callee’s sidecar, `outbound` at the caller’s own'),
    method: of('string', 'standing', 'HTTP method'),
    path: of('string', 'standing', 'canonical path'),
    query: of(
      'map<string, string>',
      'standing',
      'query parameters, decoded; one that occurs twice makes the condition fail',
    ),
    route: of('string', 'standing', 'name of the route'),
    destination: of('string', 'standing', '`api.github.com:443` where the request leaves the mesh; else ""'),
    protocol: of('string', 'standing', '`http`, `mcp`, `a2a` or `a2a-rest`'),
    scopes: of('list<string>', 'operation', 'required scopes of this request or operation'),
    headers: of(
      'map<string, string>',
      'request',
      'by lower-case name: `content-type`, `content-length`, `user-agent`, `accept`, and `x-` headers',
    ),
    size: of(
      'int',
      'request',
      'octets of the body, as announced or read; where nobody knows yet, the condition fails',
    ),
  },
  mcp: {
    server: of('string', 'standing', 'the route’s `server`'),
    method: of(
      'string',
      'operation',
      '`tools/call`, `resources/read`, … `response`, `http:GET`; "" where the route is not of this protocol',
    ),
    kind: of('string', 'operation', '`request`, `notification`, `response` or `http`'),
    tool: of('string', 'operation', 'of `tools/call`; else ""'),
    prompt: of('string', 'operation', 'of `prompts/get`; else ""'),
    resource: of('string', 'operation', 'URI of `resources/…`; else ""'),
    arguments: of('map<string, dyn>', 'operation', 'of `tools/call` and `prompts/get`; else empty'),
  },
  a2a: {
    method: of(
      'string',
      'operation',
      'name of version 1.0, such as `SendMessage`, whatever binding or version it came in; "" elsewhere',
    ),
    kind: of('string', 'operation', 'as `mcp.kind`'),
    skill: of('string', 'operation', 'skill that the message names in its metadata; else ""'),
    taskId: of('string', 'operation', 'task that it is about; else ""'),
    contextId: of('string', 'operation', 'context that it is about; else ""'),
  },
  data: {
    labels: of(
      'list<string>',
      'request',
      'labels of the data: of this request and of what the task has touched before',
    ),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Attribute>>>>;

/** Time of the decision, as `now`. */
export const NOW: Attribute = of('google.protobuf.Timestamp', 'request', 'time of the decision');

/** Headers that conditions may read besides `x-…`: none that carries a secret. */
export const READABLE_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'accept-language',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'host',
  'mcp-protocol-version',
  'a2a-version',
  'a2a-extensions',
  'user-agent',
]);
