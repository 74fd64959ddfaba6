/** One proven connection to a peer's sidecar: an undici client over a socket on which the handshake is done. */
import { randomBytes } from 'node:crypto';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import type { IdPattern } from '../core/spiffe-id.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import { Client } from '../edge/http/undici.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import { connectTls } from '../edge/tls/connect.ts';
import { SocketFrames } from '../edge/tls/frame-channel.ts';
import { parsePeerCertificate } from '../edge/tls/peer-certificate.ts';
import { channelExporter } from '../edge/tls/settings.ts';
import { initiate } from '../hop/handshake.ts';
import { identify } from '../hop/identify.ts';
import type { Session } from '../hop/session.ts';
import { nowSeconds, ownSide, type Parts } from './parts.ts';

export interface PeerConnection {
  /** Ours, as it was proven on this connection. */
  readonly own: SidecarIdentity;
  readonly client: Client;
  readonly session: Session;
  readonly isAlive: () => boolean;
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
  { own, secureContext }: OwnTls,
): Promise<Verdict<PeerConnection>> => {
  const trust = parts.trust.current();
  if (!trust.ok) return trust;
  const { limits } = parts.config;
  const socket = await connectTls({
    ...route.address,
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
  return grant(wrap(own, socket.value, session.value, limits.responseTimeout * 1000));
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

const wrap = (
  own: SidecarIdentity,
  socket: TLSSocket,
  session: Session,
  headersTimeout: number,
): PeerConnection => {
  let handed = false;
  const client = new Client('http://peer', {
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    headersTimeout,
    bodyTimeout: 0,
    // The one socket and no other: another connection would be another session.
    connect: (_options, callback) => {
      if (handed || socket.destroyed) {
        callback(new Error('the connection to the peer has ended'), null);
        return;
      }
      handed = true;
      // undici waits for an answer that comes later.
      setImmediate(() => callback(null, socket));
    },
  });
  client.on('disconnect', () => void client.destroy());
  const isAlive = (): boolean => !socket.destroyed && !client.destroyed && !client.closed;
  // A client that never sent a request doesn't have its socket yet, so the socket is ended by itself.
  const end = (ended: Promise<void>): void => {
    ended.catch(() => undefined).finally(() => socket.destroy());
  };
  return {
    own,
    client,
    session,
    isAlive,
    // undici rejects the closing of a client whose connection the peer has ended already.
    close: () => end(isAlive() ? client.close() : client.destroy()),
    destroy: () => end(client.destroy()),
  };
};
