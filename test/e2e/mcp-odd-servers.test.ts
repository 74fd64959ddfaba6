/** What an MCP server may answer besides what the SDKs do: nothing of it reaches a client unread. */
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';

const SERVER = 'inventory/def456';
const PLANNING = 'planning/abc123';
const ASKS = '{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{}}';
const PONG = '{"jsonrpc":"2.0","id":1,"result":{}}';
const MARKED = '{"jsonrpc":"2.0","id":1,"result":{"text":"TOP SECRET"}}';
const NOTE = '{"jsonrpc":"2.0","method":"notifications/message","params":{}}';
const FAILED = '{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}';
const JSON_TYPE = 'application/json';
const STREAM = 'text/event-stream';

describe('answers of an MCP server', () => {
  let mesh: Mesh;
  let context: string;
  let answer: (response: ServerResponse) => void;

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { anchor: { scope: ['mcp:*'] } },
      policy: {
        routes: [{ name: 'mcp', path: '/mcp', protocol: 'mcp', scopes: ['mcp:use'], operations: [{}] }],
        content: [
          {
            name: 'marked',
            directions: ['response'],
            patterns: { marker: 'TOP SECRET' },
            action: 'deny',
            mode: 'hold',
          },
        ],
      },
    });
    await mesh.start(SERVER, {
      handler: (request, response) => request.resume().on('end', () => answer(response)),
    });
    await mesh.start(PLANNING, { routes: { 'mcp.mesh': SERVER }, delegate: null });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: ['mcp:use'] }));
  });
  afterAll(() => mesh.stop());

  const ask = (method = 'POST'): Promise<Answer> =>
    sendThrough(mesh.agent(PLANNING), 'http://mcp.mesh/mcp', {
      method,
      context,
      ...(method === 'POST' && {
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
        headers: { 'content-type': JSON_TYPE },
      }),
    });
  const answering = (
    status: number,
    type: string | undefined,
    body: string | Buffer,
    headers: Record<string, string> = {},
  ): void => {
    answer = (response) => {
      response.writeHead(status, { ...(type !== undefined && { 'content-type': type }), ...headers });
      // In two pieces, so that nobody knows the length; most of it in one.
      response.write(body.slice(0, 5));
      response.end(body.slice(5));
    };
  };
  const result = () =>
    mesh
      .agent(SERVER)
      .log()
      .findLast(({ kind }) => kind === 'outcome')?.result;

  it.each([
    ['an answer in JSON', 200, JSON_TYPE, PONG],
    ['with a charset', 200, 'Application/JSON; charset=utf-8', PONG],
    ['a stream', 200, STREAM, `data: ${PONG}\n\n`],
    [
      'a stream with all that may stand in one',
      200,
      STREAM,
      `\ufeff: hello\n\nid: 1\nretry: 50\ndata: \n\nid: 2\nevent: message\ndata: {"jsonrpc":"2.0",\ndata: "method":"notifications/message"}\n\n: alive\n\nevent: other\nx: y\ndata:${PONG}\n\n`,
    ],
    ['a stream with other line ends', 200, STREAM, `id: 1\rdata: ${PONG}\r\rid: 2\r\ndata: ${PONG}\r\n\r\n`],
    ['a stream without its last blank line', 200, STREAM, `data: ${PONG}\n`],
    ['an error with an error status', 400, JSON_TYPE, FAILED],
    ['an error that is no message', 400, JSON_TYPE, '{"error":"invalid_request"}'],
    ['an error page', 500, 'text/html', '<h1>no</h1>'],
    ['no stream here', 405, JSON_TYPE, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}'],
  ])('%s goes on as it came', async (_, status, type, body) => {
    answering(status, type, body);
    expect(await ask()).toMatchObject({ status, body });
  });

  it.each([
    ['GET', 405, undefined, ''],
    ['DELETE', 405, undefined, ''],
    ['DELETE', 200, undefined, ''],
    ['POST', 202, undefined, ''],
    ['POST', 204, undefined, ''],
  ])('%s answered with %i and nothing goes on', async (method, status, type, body) => {
    answering(status, type, body);
    expect(await ask(method)).toMatchObject({ status, body });
  });

  it('an acceptance goes on without what is written beside it', async () => {
    answering(202, JSON_TYPE, ASKS);
    expect(await ask()).toMatchObject({ status: 202, body: '' });
    answering(202, 'text/plain', 'Accepted', { 'content-length': '8' });
    expect(await ask()).toMatchObject({ status: 202, body: '' });
  });

  it.each([
    ['a request in JSON', 200, JSON_TYPE, ASKS, 'mcp_server_request'],
    ['one within an error status', 400, JSON_TYPE, ASKS, 'mcp_server_request'],
    [
      'one that only some readers take for one',
      400,
      JSON_TYPE,
      ASKS.replace('method', 'Method'),
      'response_malformed',
    ],
    ['a stream with an error status', 404, STREAM, `data: ${ASKS}\n\n`, 'response_malformed'],
    ['text', 200, 'text/plain', PONG, 'response_malformed'],
    ['something without a type', 200, undefined, PONG, 'response_malformed'],
    ['half a message', 200, JSON_TYPE, PONG.slice(0, 20), 'response_malformed'],
    ['two messages in one body', 200, JSON_TYPE, PONG + PONG, 'response_malformed'],
    ['a member twice', 200, JSON_TYPE, '{"jsonrpc":"2.0","id":1,"result":{},"id":2}', 'response_malformed'],
  ])('%s is refused with a reason', async (_, status, type, body, code) => {
    answering(status, type, body);
    expect(await ask()).toMatchObject({ status: 502, code });
    expect(result()).toBe(code);
  });

  it('a coding that nobody asked for is refused', async () => {
    answering(200, JSON_TYPE, gzipSync(PONG), { 'content-encoding': 'gzip' });
    expect(await ask()).toMatchObject({ status: 502, code: 'response_malformed' });
    answering(400, JSON_TYPE, gzipSync(ASKS), { 'content-encoding': 'gzip' });
    expect(await ask()).toMatchObject({ status: 502, code: 'response_malformed' });
  });

  it.each([
    ['what is no message', 'data: hello\n\n', 'response_malformed'],
    ['a request of its own', `data: ${ASKS}\n\n`, 'mcp_server_request'],
    ['a request under another type', `event: endpoint\ndata: ${ASKS}\n\n`, 'mcp_server_request'],
    ['a request whose blank line never comes', `data: ${ASKS}`, 'mcp_server_request'],
    [
      'octets that are no text',
      Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0x0a, 0x0a]),
      'response_malformed',
    ],
  ])('in a stream %s ends it with an error to who waits', async (_, events, code) => {
    answering(200, STREAM, Buffer.concat([Buffer.from('id: 1\ndata: \n\n'), Buffer.from(events)]));
    const { status, body } = await ask();
    expect(status).toBe(200);
    const [first, last, ...none] = body.split('\n\n').filter((event) => event.trim() !== '');
    expect(none).toEqual([]);
    expect(first).toBe('id: 1\ndata: ');
    expect(JSON.parse(last?.split('data: ')[1] ?? '')).toMatchObject({ id: 1, error: { data: { code } } });
    expect(result()).toBe(code);
  });

  it.each([
    ['in its answer', `data: ${MARKED}\n\n`, 'content_denied'],
    ['ahead of what is no message', `data: ${MARKED}\n\ndata: hello\n\n`, 'content_denied'],
    ['ahead of a request of its own', `data: ${MARKED}\n\ndata: ${ASKS}\n\n`, 'content_denied'],
    ['behind a request of its own', `data: ${ASKS}\n\ndata: ${MARKED}\n\n`, 'mcp_server_request'],
  ])('what content rules hold back %s stays back, and who waits hears of it', async (_, events, code) => {
    answering(200, STREAM, `data: ${NOTE}\n\n${events}`);
    const { body } = await ask();
    expect(body).not.toContain('TOP SECRET');
    expect(body.startsWith(`data: ${NOTE}\n\n`)).toBe(true);
    expect(JSON.parse(body.split('data: ')[2] ?? '')).toMatchObject({
      id: 1,
      // What a content rule found is not for the other side.
      error: { data: { code: code === 'content_denied' ? 'denied' : code } },
    });
    expect(result()).toBe(code);
  });

  it('a stream whose request is answered is cut without another answer', async () => {
    answering(200, STREAM, `data: ${PONG}\n\ndata: ${ASKS}\n\n`);
    await expect(ask()).rejects.toThrow();
    expect(result()).toBe('mcp_server_request');
  });

  it.each([
    ['JSON', JSON_TYPE, (body: string) => body],
    ['a stream', STREAM, (body: string) => `data: ${body}\n\n`],
  ])('%s goes on up to what the route reads, and no further', async (_, type, framed) => {
    const large = (octets: number) =>
      framed(`{"jsonrpc":"2.0","id":1,"result":{"text":"${'x'.repeat(octets)}"}}`);
    answering(200, type, large(1_000_000));
    expect(await ask()).toMatchObject({ status: 200, body: large(1_000_000) });
    answering(200, type, large(1_048_576));
    const { body } = await ask();
    expect(body).toContain('"code":"response_malformed"');
    expect(body.length).toBeLessThan(1000);
    expect(result()).toBe('response_malformed');
  });

  it('a stream that breaks off breaks off', async () => {
    answer = (response) => {
      response.writeHead(200, { 'content-type': STREAM });
      response.write('id: 1\ndata: \n\n', () => response.destroy());
    };
    await expect(ask()).rejects.toThrow();
    expect(result()).toBe('upstream_failed');
  });

  it('hints before the answer stay between server and sidecar', async () => {
    answer = (response) => {
      response.writeEarlyHints({ link: '</x>; rel=preload' });
      response.writeProcessing();
      response.writeHead(200, { 'content-type': JSON_TYPE });
      response.end(PONG);
    };
    expect(await ask()).toMatchObject({ status: 200, body: PONG });
  });
});
