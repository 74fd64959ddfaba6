/** What HTTP has besides plain requests, through two sidecars, with every version on either end. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createH2, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { Server } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';
import { type Asked, askUnix, type Heard, openUnixDoor, type UnixDoor } from '../testkit/unix-client.ts';

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

describe.each([
  ['h1', 'h1'],
  ['h1', 'h2c'],
  ['h2', 'h1'],
  ['h2', 'h2c'],
])('a client of %s, an agent of %s', (spoken, agentHttp) => {
  let mesh: Mesh;
  let agent: Server;
  let door: UnixDoor;

  beforeAll(async () => {
    mesh = await makeMesh({});
    // A unix socket behind one of them: the other is on a port.
    const listen = agentHttp === 'h1' ? path.join(mesh.directory, 'agent.sock') : 0;
    agent = agentHttp === 'h1' ? createServer(handle) : createH2(handle);
    await new Promise<void>((ready) => agent.listen(listen, () => ready()));
    const address = agent.address();
    const at = typeof address === 'string' ? `unix:${address}` : `127.0.0.1:${address?.port}`;
    await mesh.start('inventory/def456', { agentPort: 1, config: { inbound: { agent: at, agentHttp } } });
    door = await openUnixDoor(mesh, ['cloud:read', 'cloud:write']);
  });
  afterAll(() => {
    mesh.stop();
    agent.close();
  });

  const ask = async (target: string, asked?: Asked): Promise<Heard> => {
    const heard = await askUnix(spoken, door, target, asked);
    expect(heard.whole).toBe(true);
    return heard;
  };

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
