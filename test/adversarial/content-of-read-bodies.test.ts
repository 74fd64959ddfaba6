/** A body that was read for another reason (an operation, a human's word) is no less looked at than one that goes by. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';

const SERVER = 'inventory/def456';
const PLANNING = 'planning/abc123';

describe('content rules of mode stream on a route of MCP', () => {
  let mesh: Mesh;
  let context: string;
  const received: string[] = [];

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { anchor: { scope: ['mcp:*'] } },
      policy: {
        routes: [{ name: 'mcp', path: '/mcp', protocol: 'mcp', scopes: ['mcp:use'], operations: [{}] }],
        content: [
          {
            name: 'no',
            directions: ['request'],
            patterns: { word: 'forbidden' },
            action: 'deny',
            mode: 'stream',
          },
          { name: 'odd', directions: ['request'], patterns: { word: 'strange' }, action: 'flag' },
        ],
      },
    });
    await mesh.start(SERVER, {
      handler: (request, response) => {
        request.on('data', (chunk: Buffer) => received.push(chunk.toString()));
        request.on('end', () => {
          response.setHeader('content-type', 'application/json');
          response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
        });
      },
    });
    await mesh.start(PLANNING, { routes: { 'mcp.mesh': SERVER }, delegate: null });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: ['mcp:use'] }));
  });
  afterAll(() => mesh.stop());

  const call = (text: string) =>
    sendThrough(mesh.agent(PLANNING), 'http://mcp.mesh/mcp', {
      method: 'POST',
      context,
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'a', arguments: { text } },
      }),
      headers: { 'content-type': 'application/json' },
    });
  const outcome = (name: string) =>
    mesh
      .agent(name)
      .log()
      .findLast(({ kind }) => kind === 'outcome');

  it('one that denies denies, before the agent has seen an octet', async () => {
    expect(await call('this is forbidden')).toMatchObject({ status: 403, code: 'content_denied' });
    expect(received).toEqual([]);
    await vi.waitFor(() =>
      expect(outcome(PLANNING)).toMatchObject({
        result: 'content_denied',
        content: [{ action: 'deny', rule: 'no' }],
      }),
    );
  });

  it('one that flags flags', async () => {
    expect(await call('this is strange')).toMatchObject({ status: 200 });
    for (const name of [PLANNING, SERVER])
      await vi.waitFor(() =>
        expect(outcome(name)).toMatchObject({ result: 'ok', content: [{ action: 'flag', rule: 'odd' }] }),
      );
  });
});
