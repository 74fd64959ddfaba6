/** The door in: TLS, identify, handshake; then HTTP on the proven connection. Nothing before that reaches a parser of HTTP. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { LRUCache } from 'lru-cache';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { Responder } from '../core/handshake/machine.ts';
import { upTo } from '../core/lru.ts';
import { admitsWithoutSidecar } from '../core/policy/proofs.ts';
import { REASONS, type ReasonCode } from '../core/reasons.ts';
import { deny, type Verdict } from '../core/verdict.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import { SocketFrames } from '../edge/tls/frame-channel.ts';
import { parsePeerCertificate } from '../edge/tls/peer-certificate.ts';
import {
  authoritiesPem,
  channelExporter,
  chooseAlpn,
  type PeerHttp,
  peerHttpOf,
  plainHttpOf,
  secureContextOptions,
} from '../edge/tls/settings.ts';
import { respond } from '../hop/handshake.ts';
import { type Identified, identify } from '../hop/identify.ts';
import { checkSession, isSession, openPlain, type PlainConnection, type Session } from '../hop/session.ts';
import type { TrustSnapshot } from '../ports.ts';
import { Admission } from './admission.ts';
import { callerName } from './inbound-line.ts';
import { InboundRequests } from './inbound-requests.ts';
import { nowSeconds, ownSide, type Parts } from './parts.ts';

const REMEMBERED_NONCES = 65_536;
const NEVER_MS = 2 ** 31 - 1;

interface Arrival {
  readonly socket: Socket;
  readonly source: string;
  readonly timer: NodeJS.Timeout;
  readonly proven: () => void;
  /** Milliseconds, monotonic: when it connected. */
  readonly at: number;
  frames: SocketFrames | undefined;
}

export class Inbound {
  private readonly parts: Parts;
  private readonly server: TlsServer;
  private readonly requests: InboundRequests;
  private readonly admission: Admission;
  private readonly arrivals = new Map<string, Arrival>();
  private readonly sessions = new Map<TLSSocket, Session | PlainConnection>();
  private readonly nonces = new LRUCache<string, true>(upTo(REMEMBERED_NONCES));

  constructor(parts: Parts) {
    this.parts = parts;
    this.admission = new Admission(
      () => parts.config.limits,
      (source) => parts.guard.rates.handshake(source),
    );
    this.requests = new InboundRequests(parts);
    this.server = createServer({
      ...this.contextOptions(),
      ALPNCallback: ({ protocols }) => chooseAlpn(protocols, this.admitsPlain()),
      requestCert: true,
      // Node would hang up on a bad certificate without saying whose: identifyPeer refuses it, and it is counted.
      rejectUnauthorized: false,
      // A time of our own counts from the connection on, and can change.
      handshakeTimeout: NEVER_MS,
      // No session is ever looked up: a ticket that a client presents finds nothing.
      sessionTimeout: 1,
    });
    this.server.on('connection', (socket: Socket) => this.onConnection(socket));
    this.server.on('tlsClientError', (error, socket) => this.onTlsError(error, socket));
    this.server.on('secureConnection', (socket) => void this.onSecure(socket));
  }

  private contextOptions() {
    return secureContextOptions(
      this.parts.identities.current.tls,
      authoritiesPem(this.parts.trust.last.bundle.authorities),
    );
  }

  listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { listen } = this.parts.config.inbound ?? {};
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(listen?.port, listen?.host, () => {
        this.server.off('error', reject);
        const address = this.server.address();
        resolve(
          address !== null && typeof address === 'object'
            ? { host: address.address, port: address.port }
            : { host: '', port: 0 },
        );
      });
    });
  }

  /** Goes by these bounds from now on. Who came without a sidecar and may not any more hangs on to nothing. */
  follow({ limits, inbound }: SidecarConfig): void {
    this.requests.follow(limits);
    if (inbound?.withoutSidecar === true) return;
    this.parts.path.live.cutPlain('request_proof_not_allowed');
    for (const [socket, session] of this.sessions) if (!isSession(session)) socket.destroy();
  }

  /** New connections use the new SVID and CAs; the old ones end with their own deadlines. */
  renew(): void {
    this.server.setSecureContext(this.contextOptions());
  }

  get peers(): {
    readonly id: string;
    readonly http: PeerHttp;
    readonly session: string;
    readonly deadline: number;
    readonly requests: number;
  }[] {
    return [...this.sessions].map(([socket, { identified, id, deadline, requests }]) => ({
      id: identified.id,
      http: httpOf(socket),
      session: id,
      deadline,
      requests,
    }));
  }

  /** Connections, by how far they are. */
  get counts(): { readonly handshaking: number; readonly open: number } {
    return { handshaking: this.arrivals.size, open: this.sessions.size };
  }

  get agentConnections(): InboundRequests['agentConnections'] {
    return this.requests.agentConnections;
  }

  private onConnection(socket: Socket): void {
    const source = socket.remoteAddress ?? 'unknown';
    const place = this.admission.enter(source);
    if (place === undefined) {
      this.refuse(source, 'hs_busy');
      socket.destroy();
      return;
    }
    const key = arrivalKey(socket);
    const timer = setTimeout(
      () => this.onLate(key, socket),
      this.parts.config.limits.handshakeTimeout * 1000,
    );
    const proven = (): void => {
      clearTimeout(timer);
      this.arrivals.delete(key);
      place.proven();
    };
    const at = this.parts.path.clock.monotonic();
    this.arrivals.set(key, { socket, source, timer, proven, at, frames: undefined });
    socket.once('close', () => {
      proven();
      place.left();
    });
  }

  private onLate(key: string, socket: Socket): void {
    const arrival = this.arrivals.get(key);
    if (arrival?.frames !== undefined) arrival.frames.timeOut();
    else {
      this.refuseArrival(arrival, 'hs_timeout');
      socket.destroy();
    }
  }

  private onTlsError(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    const arrival = this.arrivals.get(arrivalKey(socket));
    const reason = error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'hs_timeout' : 'tls_failed';
    this.refuseArrival(arrival, reason);
    socket.destroy();
  }

  private async onSecure(socket: TLSSocket): Promise<void> {
    socket.on('error', () => socket.destroy());
    const arrival = this.arrivals.get(arrivalKey(socket));
    if (arrival === undefined) {
      socket.destroy();
      return;
    }
    // The SVID that TLS has shown: another may have come while it shook hands.
    const shown = socket.getX509Certificate();
    const own = this.parts.identities.shown(shown && parsePeerCertificate(shown).digest);
    let session: Verdict<Session | PlainConnection>;
    try {
      session = await this.prove(socket, arrival, own);
    } catch (error) {
      this.parts.log.error({ err: error }, 'handshake failed unexpectedly');
      session = deny('internal', 'a fault in the handshake');
    }
    arrival.proven();
    if (!session.ok) {
      // Strangers cause this line: what everybody sees of them is the tally in the audit log.
      this.parts.log.debug(
        { source: arrival.source, reason: session.reason, detail: session.detail },
        'connection refused',
      );
      this.parts.clockAlarm.hear(session, arrival.source);
      this.refuse(arrival.source, session.reason);
      // Frames say why: a peer with an expired SVID must not have to guess.
      if (arrival.frames === undefined && peerHttpOf(socket.alpnProtocol) !== undefined)
        socket.write(Responder.refused(REASONS[session.reason].peer ? session.reason : 'denied'));
      socket.end();
      socket.destroySoon();
      return;
    }
    if (isSession(session.value))
      this.parts.handshakes?.proven('inbound', this.parts.path.clock.monotonic() - arrival.at);
    if (socket.destroyed) return;
    this.sessions.set(socket, session.value);
    socket.once('close', () => this.sessions.delete(socket));
    this.requests.serve(socket, session.value, own, httpOf(socket));
  }

  private async prove(
    socket: TLSSocket,
    arrival: Arrival,
    identity: SidecarIdentity,
  ): Promise<Verdict<Session | PlainConnection>> {
    const now = nowSeconds(this.parts);
    const trust = this.parts.trust.current();
    if (!trust.ok) return trust;
    const peer = this.identifyPeer(socket, trust.value, now);
    if (!peer.ok) return peer;
    // Requests are bounded for each agent; connections that ask for nothing would shut the others out just as well.
    const isPlain = plainHttpOf(socket.alpnProtocol) !== undefined;
    const name = callerName(peer.value.id, isPlain);
    const has = this.requests.linesOf(name);
    if (!this.parts.guard.connection(has, this.admission.connections))
      return deny('hs_busy', `${name} has ${has} connections`);
    const exporter = channelExporter(socket);
    if (isPlain)
      return openPlain({
        peer: peer.value,
        exporter,
        ownNotAfter: identity.notAfter,
        trust: trust.value,
        nowSeconds: now,
      });
    const frames = new SocketFrames(socket);
    arrival.frames = frames;
    const own = ownSide(identity);
    const input = {
      own,
      peer: peer.value,
      exporter,
      nonce: randomBytes(32),
      trust: trust.value,
      nowSeconds: now,
    };
    const session = await respond(input, frames, (nonce) => this.isFreshNonce(nonce));
    frames.release();
    return session;
  }

  private identifyPeer(socket: TLSSocket, trust: TrustSnapshot, now: number): Verdict<Identified> {
    if (socket.isSessionReused()) return deny('svid_resumed', 'a resumed TLS session');
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) return deny('tls_no_certificate', 'the client sent no certificate');
    // INVARIANT: nobody gets past here whom TLS did not authorize.
    if (socket.authorized !== true) return deny(verificationReason(socket), 'the certificate was refused');
    if ((peerHttpOf(socket.alpnProtocol) ?? plainHttpOf(socket.alpnProtocol)) === undefined)
      return deny('tls_failed', 'no common application protocol');
    try {
      return identify(parsePeerCertificate(leaf), trust.bundle, now);
    } catch {
      return deny('svid_untrusted', 'the certificate can’t be read');
    }
  }

  /** Whether this door is open for anybody without a sidecar: policy says so, and nobody here says no. */
  private admitsPlain(): boolean {
    const { trust, config, identity } = this.parts;
    const current = trust.current();
    return (
      config.inbound?.withoutSidecar === true &&
      current.ok &&
      admitsWithoutSidecar(current.value.policy.policy, identity().id)
    );
  }

  private isFreshNonce(nonce: Buffer): boolean {
    const text = nonce.toString('base64url');
    if (this.nonces.has(text)) return false;
    this.nonces.set(text, true);
    return true;
  }

  /** Before TLS is through. What follows from hanging up is not counted again. */
  private refuseArrival(arrival: Arrival | undefined, reason: ReasonCode): void {
    if (arrival === undefined) return;
    arrival.proven();
    this.refuse(arrival.source, reason);
  }

  private refuse(source: string, reason: ReasonCode): void {
    this.parts.handshakes?.failed('inbound', reason);
    this.parts.path.audit.countRefusal(source, reason);
  }

  /** Ends sessions whose time is over or whose peer was revoked. */
  sweep(trust: TrustSnapshot, now: number): void {
    for (const [socket, session] of this.sessions) {
      const denial = checkSession(session, trust, now);
      if (denial === undefined) continue;
      this.parts.log.info(
        { peer: session.identified.id, session: session.id, reason: denial.reason },
        'session ended',
      );
      socket.destroy();
    }
  }

  /** No new connections. Those that are there end with the response to their next request. */
  stopListening(): void {
    this.server.close();
  }

  closeIdle(): void {
    this.requests.closeIdle();
  }

  destroy(): void {
    this.server.close();
    // Who is still in the handshake would otherwise get a session that nobody ends.
    for (const { socket } of this.arrivals.values()) socket.destroy();
    for (const socket of this.sessions.keys()) socket.destroy();
    this.requests.close();
  }
}

const arrivalKey = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;

const httpOf = ({ alpnProtocol }: TLSSocket): PeerHttp =>
  peerHttpOf(alpnProtocol) ?? plainHttpOf(alpnProtocol) ?? 'h1';

const verificationReason = (socket: TLSSocket): ReasonCode => {
  const fault = String(socket.authorizationError ?? '');
  return fault.includes('EXPIRED') || fault.includes('NOT_YET_VALID') ? 'svid_expired' : 'svid_untrusted';
};
