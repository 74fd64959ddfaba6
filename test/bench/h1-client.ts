/**
 * What a request costs the side that sends it: our pool against undici's, over keep-alive connections of loopback to a server that
 * answers octets with octets. Prints µs of CPU per request. `node test/bench/h1-client.ts [requests] [body octets] [header octets]`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { H1Pool } from '../../src/edge/http/h1-pool.ts';
import { Pool } from '../../src/edge/http/undici.ts';
import type { UpstreamHandler } from '../../src/edge/http/upstream.ts';

const AT_ONCE = 16;
const EMPTY_LINE = Buffer.from('\r\n\r\n');

/** Answers each head with the same octets. */
const serve = (bodyOctets: number): void => {
  const response = Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\nX-Request-Id: 7f3a9c\r\nCache-Control: no-store\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: ${bodyOctets}\r\n\r\n${'x'.repeat(bodyOctets)}`,
  );
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes(EMPTY_LINE)) socket.write(response);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as { port: number }).port));
};

const headersOf = (octets: number): string[] => {
  const headers = ['host', 'agent.internal', 'user-agent', 'bench/1', 'accept', 'application/json'];
  headers.push('traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
  headers.push(
    'hopgate-caller',
    'spiffe://company.com/agent/planner/a',
    'hopgate-principal',
    'mailto:a@company.com',
  );
  headers.push('hopgate-scope', 'cloud:read', 'x-long', 'y'.repeat(octets));
  return headers;
};

type Send = (done: (error?: string) => void) => void;

const run = async (count: number, send: Send): Promise<void> => {
  let left = count;
  let open = 0;
  const over = Promise.withResolvers<void>();
  const next = (error?: string): void => {
    if (error !== undefined) over.reject(new Error(error));
    open--;
    if (left > 0) begin();
    else if (open === 0) over.resolve();
  };
  const begin = (): void => {
    left--;
    open++;
    send(next);
  };
  while (open < AT_ONCE && left > 0) begin();
  await over.promise;
};

const measure = async (name: string, count: number, send: Send): Promise<void> => {
  await run(Math.min(count, 20_000), send);
  const before = process.cpuUsage();
  const started = performance.now();
  await run(count, send);
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - started) / 1000;
  const each = (µs: number): string => (µs / count).toFixed(2);
  console.log(
    `${name}: ${each(user + system)} µs CPU a request (user ${each(user)}, system ${each(system)}), ${Math.round(count / seconds)}/s`,
  );
};

const bench = async (): Promise<void> => {
  const [count = 200_000, bodyOctets = 100, headerOctets = 100] = process.argv.slice(2).map(Number);
  const only = process.env.ONLY;
  const server = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve', `${bodyOctets}`], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [port] = (await once(server, 'message')) as [number];
  const headers = headersOf(headerOctets);
  const ours = new H1Pool({
    address: { host: '127.0.0.1', port },
    connections: AT_ONCE,
    queue: 100,
    queueTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
  });
  const theirs = new Pool(`http://127.0.0.1:${port}`, { connections: AT_ONCE, pipelining: 1 });
  const mine: Send = (done) => {
    let octets = 0;
    const handler: UpstreamHandler = {
      onInformation() {},
      onHead() {},
      onData(chunk) {
        octets += chunk.length;
      },
      onEnd: () => done(octets === bodyOctets ? undefined : 'octets'),
      onUpgrade() {},
      onFailure: ({ detail }) => done(detail),
    };
    ours.send({ method: 'GET', target: '/a/b?c=d', headers, body: null, headersTimeoutMs: 30_000 }, handler);
  };
  const undici: Send = (done) => {
    let octets = 0;
    theirs.dispatch(
      {
        origin: 'http://agent',
        path: '/a/b?c=d',
        method: 'GET',
        headers,
        body: null,
        headersTimeout: 30_000,
        bodyTimeout: 0,
      },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData(_controller, chunk) {
          octets += chunk.length;
        },
        onResponseEnd: () => done(octets === bodyOctets ? undefined : 'octets'),
        onResponseError: (_controller, error) => done(error.message),
      },
    );
  };
  for (let round = 0; round < 3; round++) {
    if (only !== 'undici') await measure('ours  ', count, mine);
    if (only !== 'ours') await measure('undici', count, undici);
  }
  ours.destroy();
  await theirs.destroy();
  server.kill();
};

if (process.argv[2] === 'serve') serve(Number(process.argv[3]));
else await bench();
