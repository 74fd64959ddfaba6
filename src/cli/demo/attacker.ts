/**
 * An attacker with the identity of one workload of the mesh: he speaks the wire protocol with a program of his own, so that
 * nothing keeps him from sending what a sidecar never would.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { FRAME, parseFrame } from '../../core/handshake/frames.ts';
import { Initiator } from '../../core/handshake/machine.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { type Bundle, verifyBundle } from '../../core/trust/bundle.ts';
import type { Verdict } from '../../core/verdict.ts';
import { loadIdentity, type SidecarIdentity } from '../../edge/store/identity-files.ts';
import { connectTls } from '../../edge/tls/connect.ts';
import { SocketFrames } from '../../edge/tls/frame-channel.ts';
import { parsePeerCertificate } from '../../edge/tls/peer-certificate.ts';
import { authoritiesPem, channelExporter, secureContextOptions } from '../../edge/tls/settings.ts';
import { AGENT_FOLDER } from '../../edge/verifier/agent-folder.ts';
import { ORDER_FREE } from '../../verifier/local/files.ts';
import { nowSeconds } from '../time-words.ts';
import { ACCEPTED, idOf, TRUST_DOMAIN } from './story.ts';

const TIMEOUT_MS = 5000;

/** A sidecar to attack. */
export interface Target {
  readonly name: string;
  readonly id: AgentId;
  readonly port: number;
}

/** What came back: a refusal with its reason and, once there is a session, its hop id; or an answer of the agent behind. */
export interface Outcome {
  readonly reason: string;
  /** Empty where there is none. */
  readonly hop: string;
  /** The path of a request that never left its own sidecar. */
  readonly target?: string;
}

export interface RequestParts {
  readonly method: string;
  readonly target: string;
  readonly chain?: string;
  readonly grant?: string;
}

/** The initiator's frames of one handshake, as they went over the wire. */
export interface Recording {
  readonly hello: Buffer;
  readonly proof: Buffer;
}

const take = <T>(verdict: Verdict<T>): T => {
  if (!verdict.ok) throw new Error(`${verdict.reason}: ${verdict.detail}`);
  return verdict.value;
};

/** The bundle of the mesh, which any of its workloads holds. */
export const readDemoBundle = (file: string, root: string): Bundle =>
  take(
    verifyBundle(readFileSync(file, 'utf8').trim(), {
      ...ORDER_FREE,
      trustDomain: TRUST_DOMAIN,
      root,
      now: nowSeconds(),
    }),
  );

export class Attacker {
  readonly identity: SidecarIdentity;
  readonly bundle: Bundle;

  /** `folder`: the identity files of the workload that he has taken over, and no others. */
  constructor(folder: string, bundle: Bundle) {
    const at = (name: keyof typeof AGENT_FOLDER): string => path.join(folder, AGENT_FOLDER[name]);
    this.bundle = bundle;
    this.identity = loadIdentity(
      {
        svid: at('svid'),
        svidKey: at('svidKey'),
        agentKey: at('agentKey'),
        auditKey: at('auditKey'),
        wit: at('wit'),
        keyBinding: at('keyBinding'),
      },
      bundle,
      nowSeconds(),
    );
  }

  private async connect({ port }: Target): Promise<TLSSocket> {
    const secureContext = createSecureContext(
      secureContextOptions(this.identity.tls, authoritiesPem(this.bundle.authorities)),
    );
    return take(
      await connectTls({ host: '127.0.0.1', port, http: 'h1', secureContext, timeoutMs: TIMEOUT_MS }),
    );
  }

  /** A handshake as it should be, but for the WIT where another is given. */
  private async shakeHands(
    socket: TLSSocket,
    frames: SocketFrames,
    target: Target,
    wit = this.identity.wit,
  ): Promise<{ readonly refused: string } | { readonly recording: Recording }> {
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) throw new Error(`${target.name} showed no certificate`);
    const initiator = new Initiator(
      {
        own: { ...this.identity, wit },
        channel: {
          peerId: target.id,
          peerCertificate: parsePeerCertificate(leaf).digest,
          exporter: channelExporter(socket),
        },
        issuers: this.bundle.issuers,
        now: nowSeconds(),
        nonce: randomBytes(32),
      },
      target.id,
    );
    await frames.write(initiator.hello);
    const challenge = take(await frames.read([FRAME.challenge, FRAME.result]));
    const refused = reasonIn(challenge);
    if (refused !== undefined) return { refused };
    const { proof } = take(initiator.onChallenge(challenge));
    await frames.write(proof);
    const result = reasonIn(take(await frames.read([FRAME.result])));
    return result === undefined || result === ACCEPTED
      ? { recording: { hello: initiator.hello, proof } }
      : { refused: result };
  }

  /** Sends one request over a connection of his own. */
  async send(target: Target, parts: RequestParts, wit?: string): Promise<Outcome> {
    const socket = await this.connect(target);
    const frames = new SocketFrames(socket);
    try {
      const shaken = await this.shakeHands(socket, frames, target, wit);
      if ('refused' in shaken) return { reason: shaken.refused, hop: '' };
      frames.release();
      return await exchange(socket, target, parts);
    } finally {
      socket.destroy();
    }
  }

  /** Makes an honest connection, and keeps what it said. */
  async record(target: Target): Promise<Recording> {
    const socket = await this.connect(target);
    try {
      const shaken = await this.shakeHands(socket, new SocketFrames(socket), target);
      if ('refused' in shaken) throw new Error(`${target.name} refused: ${shaken.refused}`);
      return shaken.recording;
    } finally {
      socket.destroy();
    }
  }

  /** Says the same again on a new TLS connection. */
  async replay(target: Target, { hello, proof }: Recording): Promise<Outcome> {
    const socket = await this.connect(target);
    const frames = new SocketFrames(socket);
    try {
      await frames.write(hello);
      const refused = reasonIn(take(await frames.read([FRAME.challenge, FRAME.result])));
      if (refused !== undefined) return { reason: refused, hop: '' };
      await frames.write(proof);
      return { reason: reasonIn(take(await frames.read([FRAME.result]))) ?? ACCEPTED, hop: '' };
    } finally {
      socket.destroy();
    }
  }
}

/** What F4 says; `undefined` for another frame. */
const reasonIn = (octets: Buffer): string | undefined => {
  const { type, fields } = take(parseFrame(octets, [FRAME.challenge, FRAME.result]));
  if (type !== FRAME.result) return undefined;
  return fields[0]?.[0] === 0 ? ACCEPTED : (fields[1]?.toString('latin1') ?? '');
};

const exchange = (
  socket: TLSSocket,
  { name }: Target,
  { method, target, chain, grant }: RequestParts,
): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        method,
        path: target,
        createConnection: () => socket,
        headers: {
          host: `${name.split('/')[0]}.mesh`,
          'content-length': 0,
          ...(chain === undefined ? {} : { 'delegation-chain': chain }),
          ...(grant === undefined ? {} : { 'delegation-grant': grant }),
        },
      },
      (response) => resolve(readOutcome(response)),
    );
    request.once('error', reject);
    // The frames were read paused; the parser waits for a socket that flows.
    request.once('socket', () => socket.resume());
    request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error(`${name} did not answer`)));
    request.end();
  });

const readOutcome = async (response: IncomingMessage): Promise<Outcome> => {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  if (response.headers['content-type'] !== 'application/problem+json') return { reason: ACCEPTED, hop: '' };
  const problem = JSON.parse(Buffer.concat(chunks).toString()) as { code?: string; hop?: string };
  return { reason: problem.code ?? '', hop: problem.hop ?? '' };
};

/** A sidecar of the mesh as a target. */
export const targetOf = (name: string, port: number): Target => ({ name, id: idOf(name), port });
