/** A session: a connection on which both agent keys were proven. It is the connection, and ends with it (SPEC.md section 11). */
import { encodeBase64url } from '../core/encoding/base64url.ts';
import { sha256 } from '../core/encoding/jws.ts';
import type { Party } from '../core/handshake/proof.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { TrustSnapshot } from '../ports.ts';
import { type Identified, identify } from './identify.ts';
import type { Delegated } from './verify-chain.ts';

declare const handshaken: unique symbol;
declare const plain: unique symbol;

/** A connection over which requests come. */
export interface Connection {
  /** 22 characters. */
  readonly id: string;
  /** What TLS proved of it. */
  readonly identified: Identified;
  /** Hex SHA-256 of the peer's certificate. */
  readonly peerCertificateHex: string;
  /** TLS exporter, RFC 9266: 32 octets. */
  readonly exporter: Uint8Array;
  /** Seconds. */
  readonly startedAt: number;
  /** Seconds: the earliest end of both SVIDs, both WITs and the policy's session limit. */
  readonly deadline: number;
  /** Requests so far: the ordinal of the last hop id. */
  requests: number;
  /** The chain of the last request, which is mostly that of the next. */
  last: Delegated | undefined;
}

/** Only the handshake stage makes one. */
export interface Session extends Connection {
  readonly [handshaken]: true;
  readonly peer: Party;
}

/**
 * A connection of a client without a sidecar: its SVID is known and no key of it, so that nothing that comes over it has a
 * caller before it is proven for itself (`prove-request.ts`).
 */
export interface PlainConnection extends Connection {
  readonly [plain]: true;
}

const PLAIN_LABEL = 'hopgate-plain/1';

/** Both ends can work it out; it tells nobody the exporter. */
const plainId = (exporter: Uint8Array): string =>
  encodeBase64url(sha256(PLAIN_LABEL, exporter).subarray(0, 16));

export const isSession = (connection: Session | PlainConnection): connection is Session =>
  'peer' in connection;

export interface PlainInput {
  readonly peer: Identified;
  readonly exporter: Uint8Array;
  /** Seconds: the earlier end of our SVID and our WIT. */
  readonly ownNotAfter: number;
  readonly trust: TrustSnapshot;
  readonly nowSeconds: number;
}

/** Refuses with `revoked_agent`, `session_expired`. */
export const openPlain = ({
  peer,
  exporter,
  ownNotAfter,
  trust,
  nowSeconds,
}: PlainInput): Verdict<PlainConnection> => {
  const revoked = trust.bundle.revocations.checkHolder(peer.id, NO_KEY);
  if (revoked !== undefined) return revoked;
  const deadline = Math.min(
    ownNotAfter,
    peer.certificate.notAfter,
    nowSeconds + trust.policy.policy.limits.sessionSeconds,
  );
  if (deadline <= nowSeconds) return deny('session_expired', 'a credential of this connection has ended');
  return grant({
    id: plainId(exporter),
    identified: peer,
    peerCertificateHex: peer.certificate.digestHex,
    exporter,
    startedAt: nowSeconds,
    deadline,
    requests: 0,
    last: undefined,
  } as unknown as PlainConnection);
};

/** No thumbprint is empty. */
const NO_KEY = '';

const FRESH_SHARE = 0.8;

/** From 80 % of its life on, a session takes no new work: the next request goes over a new connection. */
export const isAging = (session: Connection, nowSeconds: number): boolean =>
  nowSeconds >= session.startedAt + (session.deadline - session.startedAt) * FRESH_SHARE;

export const nextHopId = (session: Connection): string => {
  session.requests++;
  return `${session.id}.${session.requests}`;
};

/** Where requests come in any order but with their place: HTTP/2. */
export const hopIdOf = (session: Connection, ordinal: number): string => {
  session.requests = Math.max(session.requests, ordinal);
  return `${session.id}.${ordinal}`;
};

/**
 * Whether a session still stands: its time, its peer's revocation, and whether the bundle of now would still let the
 * peer's SVID in. Refuses with `session_expired`, `revoked_*`, `svid_*`.
 */
export const checkSession = (
  session: Session | PlainConnection,
  { bundle }: TrustSnapshot,
  nowSeconds: number,
): Denial | undefined => {
  if (nowSeconds >= session.deadline)
    return deny('session_expired', `the session ended at ${session.deadline}, it is ${nowSeconds}`);
  const thumbprint = isSession(session) ? session.peer.key.thumbprint : NO_KEY;
  const revoked = bundle.revocations.checkHolder(session.identified.id, thumbprint);
  if (revoked !== undefined) return revoked;
  const identified = identify(session.identified.certificate, bundle, nowSeconds);
  return identified.ok ? undefined : identified;
};
