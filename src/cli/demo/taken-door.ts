/** The door of an agent that was taken over: it shakes hands like any other's, and keeps what crosses it. */
import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { FRAME, parseFrame } from '../../core/handshake/frames.ts';
import { Responder } from '../../core/handshake/machine.ts';
import { parseAgentId } from '../../core/spiffe-id.ts';
import { SocketFrames } from '../../edge/tls/frame-channel.ts';
import { parsePeerCertificate } from '../../edge/tls/peer-certificate.ts';
import {
  ALPN_PROTOCOLS,
  authoritiesPem,
  channelExporter,
  secureContextOptions,
} from '../../edge/tls/settings.ts';
import { nowSeconds } from '../time-words.ts';
import type { Attacker } from './attacker.ts';

const SESSION_SECONDS = 600;

/** What a caller sent. */
export interface Loot {
  /** The caller's chain, whose leaf names the caller. */
  readonly chain: string;
  /** The link that names this agent, below it. */
  readonly grant: string;
  /** The caller's WIT. */
  readonly wit: string;
}

export class TakenDoor {
  private readonly attacker: Attacker;
  private readonly server: Server;
  private readonly http = createHttpServer((request, response) => this.onRequest(request, response));
  private readonly wits = new WeakMap<object, string>();
  private readonly sockets = new Set<TLSSocket>();
  /** Of all requests, in order. */
  readonly loot: Loot[] = [];

  constructor(attacker: Attacker) {
    this.attacker = attacker;
    const { identity, bundle } = attacker;
    this.server = createServer({
      ...secureContextOptions(identity.tls, authoritiesPem(bundle.authorities)),
      ALPNProtocols: ALPN_PROTOCOLS,
      requestCert: true,
      rejectUnauthorized: true,
    });
    this.server.on('secureConnection', (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
      // A caller that goes away is no fault of ours.
      socket.on('error', () => socket.destroy());
      this.shakeHands(socket).catch(() => socket.destroy());
    });
  }

  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(0, '127.0.0.1', () => {
        const address = this.server.address();
        if (address !== null && typeof address === 'object') resolve(address.port);
      });
    });
  }

  private async shakeHands(socket: TLSSocket): Promise<void> {
    const certificate = parsePeerCertificate(mustHave(socket.getPeerX509Certificate()));
    const { identity, bundle } = this.attacker;
    const responder = new Responder(
      {
        own: identity,
        channel: {
          peerId: mustHave(parseAgentId(certificate.uriSans[0] ?? '')),
          peerCertificate: certificate.digest,
          exporter: channelExporter(socket),
        },
        issuers: bundle.issuers,
        now: nowSeconds(),
        nonce: randomBytes(32),
      },
      () => true,
    );
    const frames = new SocketFrames(socket);
    const hello = await frames.read([FRAME.hello]);
    const challenge = hello.ok ? responder.onHello(hello.value) : hello;
    if (!hello.ok || !challenge.ok) throw new Error('no handshake');
    const frame = parseFrame(hello.value, [FRAME.hello]);
    if (frame.ok) this.wits.set(socket, frame.value.fields[3]?.toString('latin1') ?? '');
    await frames.write(challenge.value);
    const proof = await frames.read([FRAME.proof]);
    if (!proof.ok || !responder.onProof(proof.value).ok) throw new Error('no proof');
    await frames.write(Responder.accepted(nowSeconds() + SESSION_SECONDS));
    frames.release();
    this.http.emit('connection', socket);
    socket.resume();
  }

  private onRequest(request: IncomingMessage, response: ServerResponse): void {
    const header = (name: string): string => String(request.headers[name] ?? '');
    this.loot.push({
      chain: header('delegation-chain'),
      grant: header('delegation-grant'),
      wit: this.wits.get(request.socket) ?? '',
    });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 }).end('{}');
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

const mustHave = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('the caller did not say who it is');
  return value;
};
