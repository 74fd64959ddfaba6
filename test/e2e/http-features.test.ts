/** What HTTP has besides plain requests, through two sidecars, with every version on either end. */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from 'node:http';
import {
  connect as connectH2,
  createServer as createH2,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect, type Server } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

const TEXT = 'the whole of it';

/** The agent: one handler for both versions. */
const handle = (
  request: IncomingMessage | Http2ServerRequest,
  answer: ServerResponse | Http2ServerResponse,
): void => {
  const response = answer as ServerResponse;
  const { url, method, headers } = request;
  if (url === '/range' && headers.range === 'bytes=4-8')
    response
      .writeHead(206, { 'content-range': `bytes 4-8/${TEXT.length}`, 'content-length': 5 })
      .end('whole');
  else if (url === '/head') response.writeHead(200, { 'content-length': 1234, 'x-method': method }).end();
  else if (url === '/nothing') response.writeHead(204, { etag: '"e"' }).end();
  else if (url === '/unchanged') response.writeHead(304, { etag: '"e"' }).end();
  else if (url === '/hints') {
    response.writeEarlyHints({
      link: '</style.css>; rel=preload',
      'hopgate-principal': 'mailto:eve@company.com',
    });
    response.end('late');
  } else if (url === '/early') {
    // The answer comes before the request has ended.
    response.writeHead(200, { 'content-length': 5 }).end('early');
    request.resume();
  } else if (url === '/trailers') {
    let got = '';
    request.on('data', (chunk: Buffer) => {
      got += chunk.toString();
    });
    request.on('end', () => {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write(`${got} ${JSON.stringify(request.trailers)}`);
      response.addTrailers({
        'x-sum': String(got.length),
        'hopgate-hop': 'forged',
        'delegation-labels': 'pii',
      });
      response.end();
    });
  } else if (url === '/cookies') response.end(String(headers.cookie));
  else {
    let octets = 0;
    request.on('data', (chunk: Buffer) => {
      octets += chunk.length;
    });
    request.on('end', () => response.end(`${method} ${octets}`));
  }
};

interface Heard {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, unknown>>;
  /** 1xx, with their headers. */
  readonly information: readonly (readonly [number, Readonly<Record<string, unknown>>])[];
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
  readonly trailers?: Readonly<Record<string, string>>;
}

describe.each([
  ['h1', 'h1'],
  ['h1', 'h2c'],
  ['h2', 'h1'],
  ['h2', 'h2c'],
])('a client of %s, an agent of %s', (spoken, agentHttp) => {
  let mesh: Mesh;
  let agent: Server;
  let socketPath: string;
  let context: string;

  beforeAll(async () => {
    mesh = await makeMesh({});
    socketPath = path.join(mesh.directory, 'out.sock');
    // A unix socket behind one of them: the other is on a port.
    const listen = agentHttp === 'h1' ? path.join(mesh.directory, 'agent.sock') : 0;
    agent = agentHttp === 'h1' ? createServer(handle) : createH2(handle);
    await new Promise<void>((ready) => agent.listen(listen, () => ready()));
    const address = agent.address();
    const at = typeof address === 'string' ? `unix:${address}` : `127.0.0.1:${address?.port}`;
    await mesh.start('inventory/def456', { agentPort: 1, config: { inbound: { agent: at, agentHttp } } });
    await mesh.start('planning/abc123', {
      routes: { 'inventory.mesh': 'inventory/def456' },
      delegate: null,
      config: { outbound: { listen: `unix:${socketPath}` } },
    });
    context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: ['cloud:read', 'cloud:write'] }),
    );
  });
  afterAll(() => {
    mesh.stop();
    agent.close();
  });

  const overH1 = (target: string, { method = 'GET', headers = {}, body, trailers }: Asked): Promise<Heard> =>
    new Promise((resolve, reject) => {
      const options: RequestOptions = {
        socketPath,
        method,
        path: target,
        agent: false,
        headers: {
          host: 'inventory.mesh',
          'hopgate-context': context,
          te: 'trailers',
          connection: 'te',
          ...headers,
        },
      };
      const information: [number, Record<string, unknown>][] = [];
      const request = httpRequest(options, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: text,
            trailers: response.trailers,
            information,
          }),
        );
      });
      request.on('information', ({ statusCode, headers: sent }) => information.push([statusCode, sent]));
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

  const overH2 = (target: string, { method = 'GET', headers = {}, body, trailers }: Asked): Promise<Heard> =>
    new Promise((resolve, reject) => {
      const session = connectH2('http://inventory.mesh', { createConnection: () => connect(socketPath) });
      session.on('error', reject);
      const sent: OutgoingHttpHeaders = {
        ':method': method,
        ':path': target,
        'hopgate-context': context,
        te: 'trailers',
        ...headers,
      };
      const hasBody = body !== undefined || trailers !== undefined;
      const stream = session.request(sent, { endStream: !hasBody, waitForTrailers: trailers !== undefined });
      const heard = { status: 0, headers: {}, body: '', trailers: {} };
      const information: [number, Record<string, unknown>][] = [];
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
      stream.on('error', reject);
      stream.on('close', () => {
        session.close();
        resolve({ ...heard, information });
      });
      if (!hasBody) return;
      if (headers.expect === undefined) stream.end(body);
      else stream.on('continue', () => stream.end(body));
    });

  const ask = (target: string, asked: Asked = {}): Promise<Heard> =>
    spoken === 'h1' ? overH1(target, asked) : overH2(target, asked);

  it('HEAD has a length and no body', async () => {
    const { status, headers, body } = await ask('/head', { method: 'HEAD' });
    expect([status, headers['content-length'], headers['x-method'], body]).toEqual([200, '1234', 'HEAD', '']);
    expect((await ask('/after')).body).toBe('GET 0');
  });

  it('a range', async () => {
    const { status, headers, body } = await ask('/range', { headers: { range: 'bytes=4-8' } });
    expect([status, headers['content-range'], body]).toEqual([206, 'bytes 4-8/15', 'whole']);
  });

  it('answers without a body', async () => {
    for (const [target, status] of [
      ['/nothing', 204],
      ['/unchanged', 304],
    ] as const) {
      const heard = await ask(target);
      expect([heard.status, heard.headers.etag, heard.body]).toEqual([status, '"e"', '']);
    }
  });

  it('hints come before the answer, without what only a sidecar says', async () => {
    const { information, body } = await ask('/hints');
    expect(body).toBe('late');
    expect(information).toMatchObject([[103, { link: '</style.css>; rel=preload' }]]);
    expect(information[0]?.[1]).not.toHaveProperty('hopgate-principal');
  });

  it('who waits to be told to send is told, once the request is permitted', async () => {
    const { body } = await ask('/expect', {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': '5' },
      body: 'hello',
    });
    expect(body).toBe('POST 5');
  });

  it('trailers of both ways, without what only a sidecar says', async () => {
    const { body, trailers } = await ask('/trailers', {
      method: 'POST',
      headers: spoken === 'h1' ? { 'transfer-encoding': 'chunked' } : {},
      body: 'hello',
      trailers: { 'x-check': 'sum', 'hopgate-principal': 'mailto:eve@company.com', 'delegation-chain': 'x' },
    });
    expect(body).toBe('hello {"x-check":"sum"}');
    expect(trailers).toMatchObject({ 'x-sum': '5' });
    expect(Object.keys(trailers).filter((name) => /^(?:hopgate|delegation)-/.test(name))).toEqual([]);
  });

  it('an answer that comes before the request has ended', async () => {
    const { status, body } = await ask('/early', { method: 'POST', body: 'x'.repeat(200_000) });
    expect([status, body]).toEqual([200, 'early']);
    expect((await ask('/after')).body).toBe('GET 0');
  });

  it('cookies are one header, however they came', async () => {
    const { body } = await ask('/cookies', {
      headers: { cookie: spoken === 'h2' ? ['a=1', 'b=2'] : 'a=1; b=2' },
    });
    expect(body).toBe('a=1; b=2');
  });
});
