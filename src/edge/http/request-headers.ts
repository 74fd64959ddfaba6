/**
 * One pass over the headers of a request: what is ours to read, what is dropped, what goes on. Node keeps the first of two
 * `Host` or `Authorization` headers, so duplicates are refused from the raw list.
 */
import { type Denial, deny } from '../../core/verdict.ts';

/** What becomes of a header, by its name in lower case with `_` read as `-`. */
type Role =
  | 'pass'
  | 'single'
  | 'drop'
  | 'chain'
  | 'grant'
  | 'context'
  | 'delegate'
  | 'labels'
  | 'tracestate'
  | 'connection'
  | 'length'
  | 'transfer'
  | 'upgrade'
  | 'te'
  | 'retire'
  | 'browser';

const ROLES: Readonly<Record<string, Role>> = Object.assign(Object.create(null), {
  host: 'single',
  authorization: 'single',
  'content-type': 'single',
  'content-length': 'length',
  'transfer-encoding': 'transfer',
  connection: 'connection',
  upgrade: 'upgrade',
  // Hop-by-hop (RFC 9110 §7.6.1), and what a proxy asks for itself.
  'keep-alive': 'drop',
  'proxy-connection': 'drop',
  'proxy-authorization': 'drop',
  'proxy-authenticate': 'drop',
  te: 'te',
  trailer: 'drop',
  expect: 'drop',
  'http2-settings': 'drop',
  // What frameworks believe of a proxy on loopback; the one on loopback is this sidecar.
  forwarded: 'drop',
  'x-real-ip': 'drop',
  'remote-user': 'drop',
  'x-remote-user': 'drop',
  // Frameworks that heed these run another method or path than the one that was decided.
  'x-http-method': 'drop',
  'x-http-method-override': 'drop',
  'x-method-override': 'drop',
  'x-original-method': 'drop',
  'x-original-url': 'drop',
  'x-rewrite-url': 'drop',
  // Servers of the CGI family (gunicorn, from loopback) cut this prefix off the path that was decided.
  'script-name': 'drop',
  'path-info': 'drop',
  'delegation-chain': 'chain',
  'delegation-grant': 'grant',
  'delegation-labels': 'labels',
  'hopgate-context': 'context',
  'hopgate-retire': 'retire',
  'hopgate-delegate': 'delegate',
  tracestate: 'tracestate',
  origin: 'browser',
});

const roleOf = (name: string): Role => {
  const folded = name.toLowerCase().replaceAll('_', '-');
  const role = ROLES[folded];
  if (role !== undefined) {
    // Another spelling of a name that means something is never passed on, and never read as that name.
    return name.includes('_') ? 'drop' : role;
  }
  if (folded.startsWith('hopgate-') || folded.startsWith('delegation-') || folded.startsWith('x-forwarded-'))
    return 'drop';
  // Node 22 and 24 send Sec-Fetch-Mode with every fetch; no browser sends it without Sec-Fetch-Site.
  return folded.startsWith('sec-fetch-') && folded !== 'sec-fetch-mode' ? 'browser' : 'pass';
};

// Senders spell few names; the rest is not worth remembering.
const roles = new Map<string, Role>();
const rememberedRole = (name: string): Role => {
  const known = roles.get(name);
  if (known !== undefined) return known;
  const role = roleOf(name);
  if (roles.size < 512) roles.set(name, role);
  return role;
};

export interface RequestHeaders {
  /** Whom the request names, as received; of HTTP/2 its `:authority`. */
  readonly host: string | undefined;
  /** Its sender reads trailers (RFC 9110 §10.1.4), which gRPC asks of every hop. */
  readonly readsTrailers: boolean;
  readonly contentType: string | undefined;
  /** Name, value, name, value …, as received: what goes on. */
  readonly forwarded: string[];
  readonly chain: string | undefined;
  readonly grant: string | undefined;
  readonly context: string | undefined;
  readonly delegate: string | undefined;
  /** Of the data, as the other sidecar says. */
  readonly labels: string | undefined;
  readonly fromBrowser: boolean;
  /** Whether a body is announced. */
  readonly hasBody: boolean;
  /** Octets, when announced. */
  readonly contentLength: number | undefined;
  /** What it asks to become, in lower case. */
  readonly upgrade: string | undefined;
  readonly fault: Denial | undefined;
}

const CONTEXT_MEMBER = 'hopgate=';
/** Readers differ in how they take a key: every spelling that one of them may read as ours is ours. */
const OURS = /^hopgate\s*=/i;
const MAX_TRACESTATE_MEMBERS = 32;

/** Takes our member out of a W3C tracestate. */
const splitTracestate = (value: string): { readonly rest: string; readonly context: string | undefined } => {
  const members = value
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
  const ours = members.filter((member) => member.startsWith(CONTEXT_MEMBER));
  const rest = members.filter((member) => !OURS.test(member)).slice(0, MAX_TRACESTATE_MEMBERS - 1);
  return { rest: rest.join(','), context: ours[0]?.slice(CONTEXT_MEMBER.length) };
};

const duplicate = (name: string): Denial => deny('http_header_duplicate', `${name} occurs twice`);
const READ_ONCE = new Set<Role>([
  'chain',
  'grant',
  'context',
  'delegate',
  'labels',
  'length',
  'transfer',
  'single',
]);

const TRAILERS = /(?:^|[\s,])trailers(?:$|[\s,;])/i;

/**
 * Reads a call's raw headers. `framed`: HTTP/2 itself says whether there is a body; HTTP/1.1 says it in headers. Refusals:
 * `http_header_duplicate`, `http_malformed`, `context_conflict`.
 */
export const readRequestHeaders = (raw: readonly string[], framed?: boolean): RequestHeaders => {
  const forwarded: string[] = [];
  const seen: Partial<Record<string, string>> = {};
  let tracestate: string | undefined;
  let connection: string | undefined;
  let upgrade: string | undefined;
  let readsTrailers = false;
  let fromBrowser = false;
  let fault: Denial | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string;
    const value = raw[at + 1] as string;
    const role = rememberedRole(name);
    if (role === 'pass') {
      forwarded.push(name, value);
      continue;
    }
    if (READ_ONCE.has(role)) {
      const key = role === 'single' ? name.toLowerCase() : role;
      if (seen[key] !== undefined) fault ??= duplicate(name);
      seen[key] = value;
      if (role === 'single' || role === 'length') forwarded.push(name, value);
    } else if (role === 'tracestate')
      tracestate = tracestate === undefined ? value : `${tracestate},${value}`;
    else if (role === 'connection') connection = connection === undefined ? value : `${connection},${value}`;
    else if (role === 'upgrade')
      upgrade = upgrade === undefined ? value.toLowerCase() : `${upgrade},${value}`;
    else if (role === 'te') readsTrailers ||= TRAILERS.test(value);
    else if (role === 'browser') {
      fromBrowser = true;
      forwarded.push(name, value);
    }
  }
  const trace = tracestate === undefined ? undefined : splitTracestate(tracestate);
  if (trace !== undefined && trace.rest !== '') forwarded.push('tracestate', trace.rest);
  if (seen.context !== undefined && trace?.context !== undefined && seen.context !== trace.context)
    fault ??= deny('context_conflict', 'Hopgate-Context and tracestate name two contexts');
  if (seen.transfer !== undefined && seen.transfer.toLowerCase() !== 'chunked')
    fault ??= deny('http_malformed', 'a transfer coding other than chunked');
  const contentLength = seen.length === undefined ? undefined : Number(seen.length);
  return {
    host: seen.host,
    readsTrailers,
    contentType: seen['content-type'],
    forwarded: connection === undefined ? forwarded : withoutNamed(forwarded, connection),
    chain: seen.chain,
    grant: seen.grant,
    context: seen.context ?? trace?.context,
    delegate: seen.delegate,
    labels: seen.labels,
    fromBrowser,
    hasBody: framed ?? (seen.transfer !== undefined || (contentLength !== undefined && contentLength > 0)),
    contentLength,
    upgrade,
    fault,
  };
};

/** Asks for the response as it is: one in a content coding could not be looked at. */
export const withoutCodings = (headers: readonly string[]): string[] =>
  headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== 'accept-encoding');

const KEPT = new Set([
  'host',
  'content-length',
  'content-type',
  'authorization',
  // What a request proof covers: nobody signs `Connection`.
  'content-digest',
  'txn-token',
]);

/** Drops what `Connection` names (RFC 9110 §7.6.1); it can't be used to drop what we or the agent rely on. */
const withoutNamed = (headers: string[], connection: string): string[] => {
  const listed = connection.toLowerCase();
  if (listed === 'keep-alive' || listed === 'close') return headers;
  const named = new Set(listed.split(',').map((name) => name.trim()));
  for (const plain of ['keep-alive', 'close', '']) named.delete(plain);
  if (named.size === 0) return headers;
  const out: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = (headers[at] as string).toLowerCase();
    if (!named.has(name) || KEPT.has(name)) out.push(headers[at] as string, headers[at + 1] as string);
  }
  return out;
};

/** Puts our tracestate member in front of what was received. */
export const addTracestate = (headers: string[], context: string): void => {
  // Names alone: a value that reads "tracestate" is the sender's to choose, and what follows it is another header's name.
  const at = headers.findIndex((text, index) => index % 2 === 0 && text === 'tracestate');
  if (at === -1) headers.push('tracestate', CONTEXT_MEMBER + context);
  else headers[at + 1] = `${CONTEXT_MEMBER}${context},${headers[at + 1]}`;
};

/** Response headers that go back: no hop-by-hop ones, and nothing of ours that an agent echoes. */
export const readResponseHeaders = (
  raw: readonly string[],
): {
  readonly headers: string[];
  readonly contentLength: number | undefined;
  /** Of the data, as the other sidecar says; of an agent it means nothing. */
  readonly labels: string | undefined;
  /** The other sidecar wants no more requests on this connection (SPEC.md section 15). */
  readonly retires: boolean;
} => {
  const headers: string[] = [];
  let labels: string | undefined;
  let connection: string | undefined;
  let contentLength: number | undefined;
  let retires = false;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string;
    const value = raw[at + 1] as string;
    const role = rememberedRole(name);
    if (role === 'retire') retires = true;
    else if (role === 'connection') connection = connection === undefined ? value : `${connection},${value}`;
    // Two of them are no list of labels any more.
    else if (role === 'labels') labels = labels === undefined ? value : `${labels}  ${value}`;
    else if (role === 'tracestate') {
      const { rest } = splitTracestate(value);
      if (rest !== '') headers.push(name, rest);
    } else if (role === 'pass' || role === 'single' || role === 'length' || role === 'browser') {
      if (role === 'length') contentLength = Number(value);
      headers.push(name, value);
    }
  }
  return {
    headers: connection === undefined ? headers : withoutNamed(headers, connection),
    contentLength,
    labels,
    retires,
  };
};

/** Trailers that go on: nothing that a reader takes for a header which was decided on (RFC 9110 §6.5.1). */
export const readTrailers = (raw: readonly string[]): readonly string[] => {
  const trailers: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string;
    if (rememberedRole(name) === 'pass') trailers.push(name, raw[at + 1] as string);
  }
  return trailers;
};
