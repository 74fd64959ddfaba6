/** Ways to lose the labels of what a task has read: to ask first and read meanwhile, or to have its caller forget. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const COST = 'cost/jkl012';
const SCOPE = ['cloud:read', 'cloud:write'];

describe('labels', () => {
  let mesh: Mesh;
  const received: string[] = [];
  const startPlanning = () =>
    mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY, 'cost.mesh': COST }, delegate: null });
  const ask = (path: string, context: string) =>
    sendThrough(mesh.agent(PLANNING), `http://${path}`, { context });
  const begin = (method: string, path: string, context: string) => {
    const proxy = new URL(mesh.agent(PLANNING).proxyUrl);
    const basic = Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64');
    return httpRequest({
      host: proxy.hostname,
      port: Number(proxy.port),
      method,
      path: `http://cost.mesh${path}`,
      headers: {
        host: 'cost.mesh',
        'proxy-authorization': `Basic ${basic}`,
        'hopgate-context': context,
        expect: '100-continue',
      },
    });
  };
  const decision = (name: string) =>
    mesh
      .agent(name)
      .log()
      .findLast(({ kind }) => kind === 'decision');

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { agents: [PLANNING, INVENTORY, COST], anchor: { scope: ['cloud:*'] } },
      policy: {
        routes: [
          {
            name: 'transactions',
            path: '/transactions',
            scopes: ['cloud:read'],
            labels: { response: ['finance'] },
          },
          { name: 'notes', methods: ['POST'], path: '/notes', scopes: ['cloud:write'] },
          { name: 'stream', methods: ['PUT'], path: '/stream', scopes: ['cloud:write'] },
          { name: 'rest', path: '/*', scopes: ['cloud:read'] },
        ],
        rules: [
          { name: 'agents', effect: 'allow', callerTypes: ['planning'] },
          {
            name: 'no-finance',
            effect: 'deny',
            routes: ['notes', 'stream', 'rest'],
            when: '"finance" in data.labels',
          },
        ],
        content: [
          {
            name: 'held',
            routes: ['notes'],
            directions: ['request'],
            patterns: { word: 'forbidden' },
            action: 'deny',
          },
        ],
      },
    });
    await mesh.start(INVENTORY);
    await mesh.start(COST, {
      handler: (request, response) => {
        request
          .on('data', (chunk: Buffer) => received.push(chunk.toString()))
          .on('end', () => response.end());
      },
    });
    await startPlanning();
  });
  afterAll(() => mesh.stop());

  it('that a task got while a request of it waited for its body count for that request', async () => {
    const context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: SCOPE }));
    // There is a connection, so that the headers are decided on as soon as they come.
    expect(await ask('cost.mesh/prices', context)).toMatchObject({ status: 200 });
    const late = begin('POST', '/notes', context);
    const answered = once(late, 'response') as Promise<[IncomingMessage]>;
    late.write('read: ');
    await once(late, 'continue');
    expect(await ask('inventory.mesh/transactions', context)).toMatchObject({ status: 200 });
    late.end('what was in the transactions');
    const [response] = await answered;
    response.resume();
    expect(response.statusCode).toBe(403);
    expect(decision(PLANNING)).toMatchObject({ reason: 'rule_denied', labels: ['finance'] });
    expect(received).toEqual([]);
  });

  it('that a task gets while a body of it is on its way cut that body off', async () => {
    const context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: SCOPE }));
    const upload = begin('PUT', '/stream', context);
    const answered = once(upload, 'response') as Promise<[IncomingMessage]>;
    upload.on('error', () => undefined);
    upload.write('begun');
    await vi.waitFor(() => expect(received).toEqual(['begun']));
    expect(await ask('inventory.mesh/transactions', context)).toMatchObject({ status: 200 });
    const [response] = await answered;
    expect(response.resume().statusCode).toBe(403);
    upload.end('what was in the transactions');
    const outcome = mesh
      .agent(PLANNING)
      .log()
      .find(({ kind, result }) => kind === 'outcome' && result === 'rule_denied');
    expect(outcome).toBeDefined();
    expect(received).toEqual(['begun']);
  });

  it('that a callee knows of count, whatever its caller says', async () => {
    const chain = mesh.domain.mintChain([PLANNING], { scope: SCOPE });
    const before = await mesh.startTask(PLANNING, chain);
    expect(await ask('inventory.mesh/prices', before)).toMatchObject({ status: 200 });
    expect(await ask('inventory.mesh/transactions', before)).toMatchObject({ status: 200 });
    mesh.agent(PLANNING).sidecar.stop('to forget');
    await startPlanning();
    const after = await mesh.startTask(PLANNING, chain);
    expect(await ask('inventory.mesh/prices', after)).toMatchObject({ status: 403 });
    expect(decision(PLANNING)).toMatchObject({ verdict: 'permit' });
    expect(decision(INVENTORY)).toMatchObject({ reason: 'rule_denied', labels: ['finance'] });
  });
});
