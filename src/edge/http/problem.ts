/** Refusals as `application/problem+json` (RFC 9457), with what the table lets the other side see. */
import { REASONS, type ReasonCode } from '../../core/reasons.ts';
import type { Denial } from '../../core/verdict.ts';
import type { Call } from './call.ts';

/** What to do about it, for the codes where that isn't plain from the meaning. */
const HINTS: Partial<Record<ReasonCode, string>> = {
  chain_missing:
    'Send the request through your own sidecar, with the Hopgate-Context of the request that you work for.',
  context_missing:
    'Send back the Hopgate-Context header of the request that you work for, or open a task with "hopgate task start".',
  context_unknown: 'The context has ended: open a task anew, or ask the caller to call again.',
  agent_unauthenticated: 'Use the proxy URL in the file proxy-url of the sidecar’s state directory.',
  link_expired: 'Ask the principal for a new delegation; compare the clocks if it should still hold.',
  scope_missing: 'Ask the delegator for the scope that the detail names.',
  approval_required:
    'An approver decides with "hopgate approve grant --id=ID"; then send exactly the same request again.',
  approval_used: 'Each approval is good for one request.',
  route_unmatched: 'Add a route to the policy, or check method and path.',
  egress_host_unknown:
    'Add a route for this host to the sidecar’s configuration; beyond the mesh, an entry of outbound.egress, and of egress in the policy.',
  egress_tls: 'Use http:// in the URL: the sidecar speaks TLS.',
  egress_address_forbidden:
    'A private address: see allowPrivate in the egress of the policy. Loopback, link-local and metadata addresses are never dialled.',
};

/** A denial, with the id of the approval that would lift it where there is one. */
export interface Refused extends Denial {
  readonly approval?: string;
}

export interface Problem {
  readonly status: number;
  readonly body: string;
  /** Seconds, for `Retry-After`. */
  readonly retryAfter: number | undefined;
}

/** `trusted` is the local agent, which may see every code. */
export const problemOf = (denial: Refused, hop: string, trusted: boolean): Problem => {
  const visible = trusted || REASONS[denial.reason].peer;
  const code: ReasonCode = visible ? denial.reason : 'denied';
  const { status, meaning } = REASONS[code];
  const hint = HINTS[code];
  const body = JSON.stringify({
    type: `https://hopgate.dev/reasons#${code}`,
    title: meaning,
    status,
    code,
    ...(visible ? { detail: denial.detail } : {}),
    ...(visible && denial.approval !== undefined ? { approval: denial.approval } : {}),
    ...(hint === undefined ? {} : { hint }),
    ...(hop === '' ? {} : { hop }),
  });
  return { status, body, retryAfter: denial.retryAfterSeconds };
};

/** Google's codes (grpc/doc/http-grpc-status-mapping.md), but that a denial by a limit is one that may pass. */
const GRPC_STATUS: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  403: 7,
  404: 12,
  408: 4,
  413: 8,
  429: 8,
  431: 8,
  502: 14,
  503: 14,
  504: 4,
};
const GRPC_UNKNOWN = 2;

/** gRPC clients read no HTTP status and no body: they are told in their own way (trailers alone, with the code first). */
const grpcHeaders = ({ status, body }: Problem): string[] => {
  const { code, detail, title } = JSON.parse(body) as Record<string, string>;
  const message = encodeURIComponent(`${code}: ${detail ?? title}`.toWellFormed()).replaceAll('%20', ' ');
  return [
    'content-type',
    'application/grpc',
    'grpc-status',
    String(GRPC_STATUS[status] ?? GRPC_UNKNOWN),
    'grpc-message',
    message,
  ];
};

const isGrpc = ({ rawHeaders, version }: Call): boolean =>
  version === '2' &&
  rawHeaders.some(
    (name, at) =>
      at % 2 === 0 && name === 'content-type' && rawHeaders[at + 1]?.startsWith('application/grpc') === true,
  );

/** Milliseconds that a refusal over HTTP/2 has to be taken. */
const UNREAD_MS = 5000;

/** Answers with a refusal, if anything can still be answered. */
export const sendProblem = (call: Call, denial: Refused, hop: string, trusted: boolean): void => {
  if (call.isClosed) return;
  if (call.isHeadSent) {
    call.abort();
    return;
  }
  const problem = problemOf(denial, hop, trusted);
  const { status, body, retryAfter } = problem;
  if (isGrpc(call)) {
    call.sendHead(200, grpcHeaders(problem), true);
    return;
  }
  const octets = Buffer.from(body);
  // The body of a refused request isn't read; over HTTP/1.1 the connection can't go on behind it.
  if (!call.isComplete && call.version !== '2') call.retire();
  call.sendHead(
    status,
    [
      'content-type',
      'application/problem+json',
      'content-length',
      String(octets.length),
      'cache-control',
      'no-store',
      'date',
      new Date().toUTCString(),
      ...(status === 407 ? ['proxy-authenticate', 'Basic realm="hopgate"'] : []),
      ...(retryAfter === undefined ? [] : ['retry-after', String(retryAfter)]),
    ],
    false,
  );
  call.end(octets);
  if (call.version !== '2') return;
  // Who lets no octet of an answer through would keep each refused stream for ever, on a connection that has room for more.
  const late = setTimeout(() => call.abort(), UNREAD_MS).unref();
  call.onClose(() => clearTimeout(late));
};
