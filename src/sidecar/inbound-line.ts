/** A proven connection's side of a request: what one agent has under way here, and what of a request is wrong at the door. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { parseLabels } from '../core/policy/labels.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { Call } from '../edge/http/call.ts';
import { MAX_HEADERS } from '../edge/http/node-http2.ts';
import type { RequestHeaders } from '../edge/http/request-headers.ts';
import { upgradeFault } from '../edge/http/upgrade.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import { isSession, type PlainConnection, type Session } from '../hop/session.ts';
import type { BodyBudget, UnderWay } from './door-guard.ts';

/** What one agent has under way here, on all its connections. */
export interface Caller extends UnderWay {
  readonly name: string;
  lines: number;
  /** Bodies that wait for an approver. */
  beforeApprover: number;
  readonly bodies: BodyBudget;
}

/**
 * Under which name a connection's use of this sidecar is counted: who has an SVID's key and not the agent key must not take the
 * places of the agent's own sidecar.
 */
export const callerName = (id: AgentId, isPlain: boolean): string =>
  isPlain ? `${id} without a sidecar` : id;

/** A connection over which requests come. */
export interface Line {
  readonly session: Session | PlainConnection;
  /** Ours, as it was proven on this connection: grants that come over it are for this key. */
  readonly own: SidecarIdentity;
  readonly caller: Caller;
  /** Requests without a whole response yet: pipelining peers have more than one. */
  unanswered: number;
  /** It ends; what still comes on it is nobody's request. */
  broken: boolean;
  /** Over HTTP/2: takes no further request, and ends with those that are under way. */
  close?: (() => void) | undefined;
}

export const lineName = (session: Session | PlainConnection): string =>
  callerName(session.identified.id, !isSession(session));

/** What is wrong with a request before anything of it is verified. `entered`: what the guard of the door says of it. */
export const faultOf = (
  call: Call,
  { session }: Line,
  headers: RequestHeaders,
  entered: Denial | undefined,
  { bodyBytes }: SidecarConfig['limits'],
  now: number,
  isUpgrade: boolean,
): Denial | undefined => {
  if (call.malformed !== undefined) return deny('http_malformed', call.malformed);
  if (headers.host === undefined) return deny('http_malformed', 'the request has no Host');
  // Some versions of Node leave out what is over the limit, and with it perhaps the header that says where the body ends.
  if (call.rawHeaders.length > 2 * MAX_HEADERS)
    return deny('http_headers_too_large', `more than ${MAX_HEADERS} headers`);
  if (now >= session.deadline)
    return deny('session_expired', `the session ended at ${session.deadline}, it is ${now}`);
  if (entered !== undefined) return entered;
  if (headers.contentLength !== undefined && headers.contentLength > bodyBytes)
    return deny('http_body_too_large', `${headers.contentLength} octets, at most ${bodyBytes}`);
  if (headers.labels !== undefined && parseLabels(headers.labels) === undefined)
    return deny('http_malformed', 'Delegation-Labels is no list of labels');
  return headers.fault ?? upgradeFault(call, headers, isUpgrade);
};
