/** A session: a connection on which both agent keys were proven. It is the connection, and ends with it (SPEC.md section 11). */
import type { Party } from '../core/handshake/proof.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { TrustSnapshot } from '../ports.ts';
import { type Identified, identify } from './identify.ts';
import type { Delegated } from './verify-chain.ts';

declare const handshaken: unique symbol;

/** Only the handshake stage makes one. */
export interface Session {
  readonly [handshaken]: true;
  /** 22 characters. */
  readonly id: string;
  readonly peer: Party;
  /** What TLS proved of it. */
  readonly identified: Identified;
  /** Hex SHA-256 of the peer's certificate. */
  readonly peerCertificateHex: string;
  /** Seconds. */
  readonly startedAt: number;
  /** Seconds: the earliest end of both SVIDs, both WITs and the policy's session limit. */
  readonly deadline: number;
  /** Requests so far: the ordinal of the last hop id. */
  requests: number;
  /** The chain of the last request, which is mostly that of the next. */
  last: Delegated | undefined;
}

const FRESH_SHARE = 0.8;

/** From 80 % of its life on, a session takes no new work: the next request goes over a new connection. */
export const isAging = (session: Session, nowSeconds: number): boolean =>
  nowSeconds >= session.startedAt + (session.deadline - session.startedAt) * FRESH_SHARE;

export const nextHopId = (session: Session): string => {
  session.requests++;
  return `${session.id}.${session.requests}`;
};

/**
 * Whether a session still stands: its time, its peer's revocation, and whether the bundle of now would still let the
 * peer's SVID in. Refuses with `session_expired`, `revoked_*`, `svid_*`.
 */
export const checkSession = (
  session: Session,
  { bundle }: TrustSnapshot,
  nowSeconds: number,
): Denial | undefined => {
  if (nowSeconds >= session.deadline)
    return deny('session_expired', `the session ended at ${session.deadline}, it is ${nowSeconds}`);
  const revoked = bundle.revocations.checkHolder(session.peer.id, session.peer.key.thumbprint);
  if (revoked !== undefined) return revoked;
  const identified = identify(session.identified.certificate, bundle, nowSeconds);
  return identified.ok ? undefined : identified;
};
