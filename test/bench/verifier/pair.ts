/** Two agents, each behind a real sidecar, with an open stream between them; and a caller who comes to the second one's door alone. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { Client } from 'undici';
import { admitKey } from '../../../src/core/keys.ts';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import type { AgentId, IdPattern } from '../../../src/core/spiffe-id.ts';
import { privateKeyPem } from '../../../src/edge/keys/signing-key.ts';
import { SocketFrames } from '../../../src/edge/tls/frame-channel.ts';
import { parsePeerCertificate } from '../../../src/edge/tls/peer-certificate.ts';
import { ALPN_PROTOCOLS, authoritiesPem, channelExporter } from '../../../src/edge/tls/settings.ts';
import { initiate } from '../../../src/hop/handshake.ts';
import { identify } from '../../../src/hop/identify.ts';
import type { TrustSnapshot } from '../../../src/ports.ts';
import { ALWAYS_FRESH, must } from '../../testkit/domain.ts';
import { TEST_SCOPE } from '../../testkit/mesh.ts';
import { machineMs } from './distribution.ts';
import type { StartedSidecar, TrustDomain } from './trust-domain.ts';

const EVENT_EVERY_MS = 20;
const PATIENCE_MS = 10_000;
const HOST = 'inventory.mesh';

/** What came of one request: a status, and the reason code of a refusal. */
export interface Outcome {
  readonly status: number;
  readonly code: string | undefined;
}

const outcomeOf = (status: number, type: unknown, body: string): Outcome => ({
  status,
  code:
    type === 'application/problem+json' ? (JSON.parse(body) as { readonly code: string }).code : undefined,
});

/** An agent that streams events without end at /events, and answers all else. */
const startAgent = async (): Promise<Server> => {
  const server = createServer((request, response) => {
    if (request.url !== '/events') {
      response.end('hello');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    const timer = setInterval(() => response.write('data: 1\n\n'), EVENT_EVERY_MS);
    response.once('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
};
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** An open stream at agent A. */
export interface OpenStream {
  /** Resolves with the time at which A saw it end. */
  readonly cut: Promise<number>;
  close(): void;
}

export class Pair {
  readonly caller: StartedSidecar;
  readonly callee: StartedSidecar;
  private readonly servers: readonly Server[];
  private readonly door: Client;
  /** How far each log was read. */
  private readonly read = new Map<string, number>();

  private constructor(
    caller: StartedSidecar,
    callee: StartedSidecar,
    servers: readonly Server[],
    door: Client,
  ) {
    this.caller = caller;
    this.callee = callee;
    this.servers = servers;
    this.door = door;
  }

  static async start(domain: TrustDomain, number: number): Promise<Pair> {
    const servers = [await startAgent(), await startAgent()] as const;
    const callee = await domain.sidecar(`inventory/${number}`, portOf(servers[0]), []);
    const route = {
      host: HOST,
      peer: callee.joined.enrolled.id,
      address: `127.0.0.1:${callee.inbound}`,
      delegate: { scope: TEST_SCOPE, ttl: '15m', remainingDepth: 1 },
    };
    const caller = await domain.sidecar(`planning/${number}`, portOf(servers[1]), [route]);
    // A connection that stands idle for too long is closed; the next one proves itself anew.
    const door = new Client('http://localhost', {
      connect: (_options, done) => {
        connectPeer(caller, callee).then(
          (socket) => done(null, socket),
          (error: Error) => done(error, null),
        );
      },
    });
    return new Pair(caller, callee, servers, door);
  }

  get id(): AgentId {
    return this.caller.joined.enrolled.id;
  }

  get x(): string {
    return this.caller.joined.enrolled.keys.agent.x;
  }

  /** Opens a task at A's sidecar, as `hopgate task start` does; its handle, or "". */
  async openTask(chain: string): Promise<Outcome & { readonly handle: string }> {
    const headers = { 'content-type': 'text/plain' };
    const { status, type, body } = await this.ask(
      { socketPath: this.caller.admin, method: 'POST', path: '/tasks', headers },
      chain,
    );
    const handle = status === 201 ? (JSON.parse(body) as { readonly handle: string }).handle : '';
    return { ...outcomeOf(status, type, body), handle };
  }

  private proxied(handle: string, path: string): object {
    const proxy = new URL(readFileSync(this.caller.proxyUrlFile, 'utf8').trim());
    return {
      host: proxy.hostname,
      port: Number(proxy.port),
      path: `http://${HOST}${path}`,
      headers: {
        host: HOST,
        'hopgate-context': handle,
        'proxy-authorization': `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`,
      },
    };
  }

  private ask(options: object, body?: string): Promise<{ status: number; type: unknown; body: string }> {
    return new Promise((resolve, reject) => {
      const asked = httpRequest({ agent: false, ...options }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], body: text }),
        );
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }

  /** A request of agent A, through both sidecars. */
  async request(handle: string): Promise<Outcome> {
    const { status, type, body } = await this.ask(this.proxied(handle, '/reports'));
    return outcomeOf(status, type, body);
  }

  /** A request of A's identity at B's door, past A's sidecar: B's decides alone. */
  async knock(chain: string): Promise<Outcome> {
    const { statusCode, headers, body } = await this.door.request({
      method: 'GET',
      path: '/reports',
      headers: { host: HOST, 'delegation-chain': chain },
    });
    return outcomeOf(statusCode, headers['content-type'], await body.text());
  }

  /** Opens a stream from B to A through both sidecars; resolves when its first event has come. */
  openStream(handle: string): Promise<OpenStream> {
    return new Promise((resolve, reject) => {
      const asked = httpRequest(
        { agent: false, ...this.proxied(handle, '/events') },
        (response: IncomingMessage) => {
          const cut = new Promise<number>((ended) => {
            response.once('error', () => ended(machineMs()));
            response.once('close', () => ended(machineMs()));
          });
          response.once('data', () => resolve({ cut, close: () => response.destroy() }));
          if (response.statusCode !== 200) reject(new Error(`the stream is refused: ${response.statusCode}`));
        },
      );
      asked.on('error', reject);
      asked.end();
    });
  }

  /** What the logs say so far is not looked at. */
  forgetLogs(): void {
    for (const { auditLog } of [this.caller, this.callee]) this.read.set(auditLog, statSync(auditLog).size);
  }

  /** Waits until both logs say since then that a stream was cut for this reason; in how many it stands. */
  async logged(reason: string): Promise<number> {
    const since = machineMs();
    const has = new Set<string>();
    while (has.size < 2 && machineMs() - since < PATIENCE_MS) {
      for (const { auditLog } of [this.caller, this.callee])
        if (this.newRecords(auditLog).some(({ kind, result }) => kind === 'outcome' && result === reason))
          has.add(auditLog);
      if (has.size < 2) await new Promise((next) => setTimeout(next, 10));
    }
    return has.size;
  }

  private newRecords(file: string): readonly Record<string, unknown>[] {
    const from = this.read.get(file) ?? 0;
    const octets = Buffer.alloc(statSync(file).size - from);
    const descriptor = openSync(file, 'r');
    readSync(descriptor, octets, 0, octets.length, from);
    closeSync(descriptor);
    const whole = octets.subarray(0, octets.lastIndexOf('\n') + 1);
    this.read.set(file, from + whole.length);
    return whole
      .toString()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async stop(): Promise<void> {
    await this.door.destroy();
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}

/** TLS and handshake at B's door as A, as A's sidecar does it. */
const connectPeer = async (caller: StartedSidecar, callee: StartedSidecar): Promise<TLSSocket> => {
  const { enrolled, bundle } = caller.joined;
  const { credentials, keys, svidKey, id } = enrolled;
  if (bundle.policy === undefined) throw new Error('the bundle has no policy');
  const trust: TrustSnapshot = {
    generation: 1,
    bundle,
    policy: compilePolicy(bundle.policy),
    bundleName: '',
    ...ALWAYS_FRESH,
  };
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const made = connect(
      {
        host: '127.0.0.1',
        port: callee.inbound,
        cert: credentials.svid,
        key: privateKeyPem(svidKey),
        ca: authoritiesPem(bundle.authorities),
        checkServerIdentity: () => undefined,
        ALPNProtocols: [...ALPN_PROTOCOLS],
      },
      () => resolve(made),
    );
    made.once('error', reject);
  });
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) throw new Error('no certificate');
  const nowSeconds = Math.floor(Date.now() / 1000);
  const frames = new SocketFrames(socket);
  const own = {
    id,
    key: must(admitKey(keys.agent.x)),
    certificate: parsePeerCertificate(new X509Certificate(credentials.svid)).digest,
    wit: credentials.wit,
    sign: keys.agent.sign,
    notAfter: credentials.svidNotAfter,
  };
  const peer = must(identify(parsePeerCertificate(leaf), bundle, nowSeconds));
  must(
    await initiate(
      { own, peer, exporter: channelExporter(socket), nonce: randomBytes(32), trust, nowSeconds },
      frames,
      callee.joined.enrolled.id as string as IdPattern,
    ),
  );
  frames.release();
  return socket;
};
