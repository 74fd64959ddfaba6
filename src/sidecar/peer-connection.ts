/** One proven connection to a peer's sidecar: HTTP over a socket on which the handshake is done. */
import { randomBytes } from 'node:crypto';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import type { IdPattern } from '../core/spiffe-id.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import { H1Connection } from '../edge/http/h1-connection.ts';
import { H2Connection } from '../edge/http/h2-connection.ts';
import type { Upstream } from '../edge/http/upstream.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import { connectTls } from '../edge/tls/connect.ts';
import { SocketFrames } from '../edge/tls/frame-channel.ts';
import { parsePeerCertificate } from '../edge/tls/peer-certificate.ts';
import { channelExporter, type PeerHttp } from '../edge/tls/settings.ts';
import { initiate } from '../hop/handshake.ts';
import { identify } from '../hop/identify.ts';
import type { Session } from '../hop/session.ts';
import { nowSeconds, ownSide, type Parts } from './parts.ts';

export interface PeerConnection {
  /** Ours, as it was proven on this connection. */
  readonly own: SidecarIdentity;
  readonly upstream: Upstream;
  readonly http: PeerHttp;
  readonly session: Session;
  /** Whether it takes another request. */
  readonly isAlive: () => boolean;
  /** How many requests it can have under way. */
  readonly most: () => number;
  /** Takes no new request; ends the connection when the last one is done. */
  readonly close: () => void;
  /** Ends the connection at once. */
  readonly destroy: () => void;
}

/** An identity, and the TLS context that shows it. */
export interface OwnTls {
  readonly own: SidecarIdentity;
  readonly secureContext: SecureContext;
}

/** Keep-alive of ours is shorter than any peer's, so that we don't write into a connection that it is closing. */
const KEEP_ALIVE_MS = 20_000;

/** Connects, identifies, and runs the handshake. Refuses with `peer_*`, `svid_*`, `hs_*`, `wit_*`, `proof_*`. */
export const connectPeer = async (
  parts: Parts,
  route: OutboundRoute,
  http: PeerHttp,
  { own, secureContext }: OwnTls,
): Promise<Verdict<PeerConnection>> => {
  const trust = parts.trust.current();
  if (!trust.ok) return trust;
  const { limits } = parts.config;
  const socket = await connectTls({
    ...route.address,
    http,
    secureContext,
    timeoutMs: limits.connectTimeout * 1000,
  });
  if (!socket.ok) return socket;
  const session = await proveSession(parts, own, route, socket.value, limits.handshakeTimeout * 1000).catch(
    (error: unknown) => {
      parts.log.error({ err: error }, 'handshake failed unexpectedly');
      return deny('internal', 'a fault in the handshake');
    },
  );
  if (!session.ok) {
    socket.value.destroy();
    return session;
  }
  const base = { own, session: session.value };
  return grant(http === 'h1' ? { ...base, ...overH1(socket.value) } : { ...base, ...overH2(socket.value) });
};

const proveSession = async (
  parts: Parts,
  own: SidecarIdentity,
  route: OutboundRoute,
  socket: TLSSocket,
  timeoutMs: number,
): Promise<Verdict<Session>> => {
  const now = nowSeconds(parts);
  const trust = parts.trust.current();
  if (!trust.ok) return trust;
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return deny('svid_untrusted', 'the peer sent no certificate');
  if (socket.isSessionReused()) return deny('svid_resumed', 'a resumed TLS session');
  const peer = identify(parsePeerCertificate(leaf), trust.value.bundle, now);
  if (!peer.ok) return peer;
  const frames = new SocketFrames(socket);
  const timer = setTimeout(() => frames.timeOut(), timeoutMs);
  const input = {
    own: ownSide(own),
    peer: peer.value,
    exporter: channelExporter(socket),
    nonce: randomBytes(32),
    trust: trust.value,
    nowSeconds: now,
  };
  try {
    return await initiate(input, frames, route.peer as IdPattern);
  } finally {
    clearTimeout(timer);
    frames.release();
  }
};

type Speaker = Omit<PeerConnection, 'own' | 'session'>;

const overH1 = (socket: TLSSocket): Speaker => {
  const connection = new H1Connection(socket, { idleMs: KEEP_ALIVE_MS });
  return {
    http: 'h1',
    upstream: connection,
    most: () => 1,
    isAlive: () => connection.isIdle(),
    close: () => connection.close(),
    destroy: () => connection.destroy(),
  };
};

const overH2 = (socket: TLSSocket): Speaker => {
  const connection = new H2Connection(socket);
  return {
    http: 'h2',
    upstream: connection,
    most: () => connection.mostStreams,
    // The peer may be about to close it, and what is sent then is lost.
    isAlive: () => connection.isAlive && connection.idleMs < KEEP_ALIVE_MS,
    close: () => connection.close(),
    destroy: () => connection.destroy(),
  };
};
