/** A server that holds the verifier's own certificate and key, and says what a test wants of trust: a verifier in the wrong hands. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TrustEvent } from '../../src/api/trust.ts';
import { parseJws, sha256Base64url } from '../../src/core/encoding/jws.ts';
import { packBundle } from '../../src/edge/verifier/packed-bundle.ts';

export interface Said {
  /** JWS, or whatever is to stand in its place. */
  readonly bundle: string;
  readonly timestamp?: string | undefined;
  /** Sent in place of the packed bundle. */
  readonly packed?: string;
}

const numberOf = (bundle: string): { readonly epoch: number; readonly seq: number } => {
  const parsed = parseJws(bundle, 'bundle+jwt');
  const { epoch, seq } = parsed.ok ? parsed.value.payload : {};
  return typeof epoch === 'number' && typeof seq === 'number' ? { epoch, seq } : { epoch: 9999, seq: 1 };
};

export class FalseVerifier {
  /** By path. */
  readonly asked: string[] = [];
  private readonly server: ReturnType<typeof createServer>;
  private readonly roles: string;
  private readonly streams = new Set<ServerResponse>();
  private said: Said;

  private constructor(identity: { readonly cert: string; readonly key: string }, roles: string, first: Said) {
    this.roles = roles;
    this.said = first;
    this.server = createServer({ ...identity, minVersion: 'TLSv1.3' }, (request, response) => {
      const path = (request.url ?? '').split('?')[0] ?? '';
      this.asked.push(path);
      request.resume();
      void this.answer(path, response);
    });
  }

  /** Listens where the verifier did; `first` is what it says until it is told something else. */
  static async start(
    port: number,
    identity: { readonly certPem: string; readonly keyPem: string },
    roles: string,
    first: Said,
  ): Promise<FalseVerifier> {
    const made = new FalseVerifier({ cert: identity.certPem, key: identity.keyPem }, roles, first);
    made.server.listen(port, '127.0.0.1');
    await once(made.server, 'listening');
    return made;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get listeners(): number {
    return this.streams.size;
  }

  /** What is said from now on, to who asks and to who listens. */
  async say(said: Said): Promise<void> {
    this.said = said;
    const event = await this.bundleEvent();
    for (const stream of this.streams) stream.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  sayTimestamp(timestamp: string): void {
    this.said = { ...this.said, timestamp };
    const event: TrustEvent = { event: 'timestamp', timestamp };
    for (const stream of this.streams) stream.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  private async bundleEvent(): Promise<TrustEvent> {
    const { bundle, timestamp, packed } = this.said;
    return {
      event: 'bundle',
      ...numberOf(bundle),
      digest: sha256Base64url(bundle),
      packed: packed ?? (await packBundle(bundle)),
      ...(timestamp !== undefined && { timestamp }),
    };
  }

  private async answer(path: string, response: ServerResponse): Promise<void> {
    const json = (value: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    if (path === '/v1/roles') json({ roles: this.roles });
    else if (path === '/v1/timestamp') json({ timestamp: this.said.timestamp ?? '' });
    else if (path === '/v1/bundle') {
      const { event: _, ...answer } = (await this.bundleEvent()) as TrustEvent & { event: 'bundle' };
      response.setHeader('etag', `"${answer.digest}"`);
      json(answer);
    } else if (path === '/v1/stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(await this.bundleEvent())}\n\n`);
      this.streams.add(response);
      response.once('close', () => this.streams.delete(response));
    } else response.writeHead(503).end();
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }
}
