/** An agent that asks through its sidecar's unix socket, over HTTP/1.1 or HTTP/2, and sees all that HTTP has besides plain answers. */
import { request as httpRequest } from 'node:http';
import { type ClientHttp2Session, connect as connectH2 } from 'node:http2';
import { connect } from 'node:net';
import path from 'node:path';
import type { Mesh } from './mesh.ts';

/** Where `planning/abc123` asks, and what for. */
export interface UnixDoor {
  readonly socketPath: string;
  /** The handle of its task. */
  readonly context: string;
}

/** Starts the sidecar of `planning/abc123`, with a route to the running `inventory/def456` and a task of so much scope. */
export const openUnixDoor = async (mesh: Mesh, scope: readonly string[]): Promise<UnixDoor> => {
  const socketPath = path.join(mesh.directory, 'out.sock');
  await mesh.start('planning/abc123', {
    routes: { 'inventory.mesh': 'inventory/def456' },
    delegate: null,
    config: { outbound: { listen: `unix:${socketPath}` } },
  });
  const chain = mesh.domain.mintChain(['planning/abc123'], { scope: [...scope] });
  return { socketPath, context: await mesh.startTask('planning/abc123', chain) };
};

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
  readonly trailers?: Readonly<Record<string, string>>;
}

type Headers = Readonly<Record<string, unknown>>;

export interface Heard {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  readonly trailers: Headers;
  /** 1xx, with their headers. */
  readonly information: readonly (readonly [number, Headers])[];
  /** It ended as it should. */
  readonly whole: boolean;
}

export const connectUnixH2 = ({ socketPath }: UnixDoor): ClientHttp2Session =>
  connectH2('http://inventory.mesh', { createConnection: () => connect(socketPath) });

const overH1 = (
  { socketPath, context }: UnixDoor,
  target: string,
  { method = 'GET', headers = {}, body, trailers }: Asked,
): Promise<Heard> =>
  new Promise((resolve, reject) => {
    const sent = {
      host: 'inventory.mesh',
      'hopgate-context': context,
      te: 'trailers',
      connection: 'te',
      ...headers,
    };
    const information: [number, Headers][] = [];
    const options = { socketPath, method, path: target, agent: false, headers: sent };
    const request = httpRequest(options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('error', () => undefined);
      response.on('close', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text,
          trailers: response.trailers,
          information,
          whole: response.complete,
        }),
      );
    });
    request.on('information', ({ statusCode, headers: of }) => information.push([statusCode, of]));
    request.on('error', reject);
    const end = (): void => {
      if (trailers !== undefined) {
        request.write(body ?? '');
        request.addTrailers(trailers);
        request.end();
      } else request.end(body);
    };
    if (headers.expect === undefined) end();
    else request.on('continue', end);
  });

const overH2 = (
  door: UnixDoor,
  target: string,
  { method = 'GET', headers = {}, body, trailers }: Asked,
): Promise<Heard> =>
  new Promise((resolve, reject) => {
    const session = connectUnixH2(door);
    session.on('error', reject);
    const sent = {
      ':method': method,
      ':path': target,
      'hopgate-context': door.context,
      te: 'trailers',
      ...headers,
    };
    const hasBody = body !== undefined || trailers !== undefined;
    const stream = session.request(sent, { endStream: !hasBody, waitForTrailers: trailers !== undefined });
    const heard = { status: 0, headers: {}, body: '', trailers: {} };
    const information: [number, Headers][] = [];
    let hasEnded = false;
    stream.on('response', (got) => {
      heard.status = got[':status'] ?? 0;
      heard.headers = got;
    });
    stream.on('headers', (got) => information.push([got[':status'] ?? 0, got]));
    stream.on('trailers', (got) => {
      heard.trailers = got;
    });
    stream.on('wantTrailers', () => stream.sendTrailers({ ...trailers }));
    stream.on('data', (chunk: Buffer) => {
      heard.body += chunk.toString();
    });
    stream.on('end', () => {
      hasEnded = true;
    });
    // Said by its code.
    stream.on('error', () => undefined);
    stream.on('close', () => {
      session.close();
      resolve({ ...heard, information, whole: hasEnded && stream.rstCode === 0 });
    });
    if (!hasBody) return;
    if (headers.expect === undefined) stream.end(body);
    else stream.on('continue', () => stream.end(body));
  });

/** Asks `inventory.mesh` on a connection of its own. */
export const askUnix = (
  version: string,
  door: UnixDoor,
  target: string,
  asked: Asked = {},
): Promise<Heard> => (version === 'h1' ? overH1(door, target, asked) : overH2(door, target, asked));
