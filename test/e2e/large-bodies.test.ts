/**
 * Bodies that no memory should hold, up and down through two sidecars, over HTTP/1.1 and HTTP/2. `HOPGATE_LARGE_MIB` says how
 * large; the default is for every run.
 */
import { createServer, request as httpRequest, type Server } from 'node:http';
import { createServer as createH2, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';
import { connectUnixH2, openUnixDoor, type UnixDoor } from '../testkit/unix-client.ts';

const MIB = 1024 * 1024;
const SIZE = Number(process.env.HOPGATE_LARGE_MIB ?? 32) * MIB;
/** What one transfer may add to the memory of this process, in which both agents and both sidecars live. */
const MOST_GROWTH = 192 * MIB;

const body = (): Readable => {
  let left = SIZE;
  const chunk = Buffer.alloc(MIB / 4, 'x');
  return new Readable({
    read() {
      if (left === 0) this.push(null);
      else {
        left -= chunk.length;
        this.push(chunk);
      }
    },
  });
};

const count = async (stream: AsyncIterable<Buffer>): Promise<number> => {
  let octets = 0;
  for await (const chunk of stream) octets += chunk.length;
  return octets;
};

/** The most that is resident while it runs, above what was before. */
const growthOf = async (run: () => Promise<void>): Promise<number> => {
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  await run().finally(() => clearInterval(timer));
  return most - before;
};

describe.each(['h1', 'h2'])(`${SIZE / MIB} MiB over %s`, (version) => {
  let mesh: Mesh;
  let agent: Server | Http2Server;
  let door: UnixDoor;

  beforeAll(async () => {
    const answer = async (
      request: AsyncIterable<Buffer> & { method?: string | undefined },
      response: NodeJS.WritableStream,
    ): Promise<void> => {
      if (request.method === 'POST') response.end(String(await count(request)));
      else await pipeline(body(), response).catch(() => undefined);
    };
    agent =
      version === 'h1'
        ? createServer((request, response) => void answer(request, response))
        : createH2((request, response) => void answer(request, response as never));
    await new Promise<void>((ready) => agent.listen(0, '127.0.0.1', () => ready()));
    mesh = await makeMesh({});
    await mesh.start('inventory/def456', {
      agentPort: (agent.address() as AddressInfo).port,
      config: { inbound: { agentHttp: 'as-received' } },
    });
    door = await openUnixDoor(mesh, ['cloud:read', 'cloud:write']);
  });
  afterAll(() => {
    mesh.stop();
    agent.close();
  });

  const ask = async (method: 'GET' | 'POST'): Promise<number> => {
    const { socketPath, context } = door;
    const headers = { 'hopgate-context': context };
    if (version === 'h1')
      return new Promise((resolve, reject) => {
        const request = httpRequest(
          { socketPath, method, path: '/big', headers: { ...headers, host: 'inventory.mesh' }, agent: false },
          (response) => {
            if (method === 'GET') count(response).then(resolve, reject);
            else
              response.toArray().then((chunks) => resolve(Number(Buffer.concat(chunks).toString())), reject);
          },
        );
        request.on('error', reject);
        if (method === 'POST') pipeline(body(), request).catch(reject);
        else request.end();
      });
    const session = connectUnixH2(door);
    const stream = session.request({ ...headers, ':method': method, ':path': '/big' });
    if (method === 'POST') void pipeline(body(), stream, { end: true }).catch(() => undefined);
    const octets =
      method === 'GET'
        ? await count(stream)
        : Number(Buffer.concat((await stream.toArray()) as Buffer[]).toString());
    session.close();
    return octets;
  };

  const LIMIT_MS = 300_000;
  it.each(['GET', 'POST'] as const)(
    '%s, with flat memory',
    async (method) => {
      await ask(method);
      let octets = 0;
      const growth = await growthOf(async () => {
        octets = await ask(method);
      });
      expect(octets).toBe(SIZE);
      expect(growth).toBeLessThan(MOST_GROWTH);
    },
    LIMIT_MS,
  );
});
