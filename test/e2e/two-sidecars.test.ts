import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, makeMesh, send, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';

describe('a request from one agent to another, through both sidecars', () => {
  let mesh: Mesh;
  let context: string;

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
    await mesh.start('inventory/def456');
    await mesh.start('planning/abc123', { routes: { 'inventory.mesh': 'inventory/def456' } });
    context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: TEST_SCOPE }),
    );
  });
  afterAll(() => mesh.stop());

  it('is allowed with a context, and the agent sees who calls on whose authority', async () => {
    const answer = await sendThrough(mesh.agent('planning/abc123'), 'http://inventory.mesh/vpcs?x=1', {
      context,
    });
    expect(answer.body).toBe('hello from inventory/def456');
    const seen = mesh.agent('inventory/def456').seen.at(-1);
    expect(seen?.url).toBe('/vpcs?x=1');
    expect(seen?.headers).toMatchObject({
      host: 'inventory.mesh',
      'hopgate-principal': 'mailto:alice@company.com',
      'hopgate-caller': 'spiffe://company.com/agent/planning/abc123',
      'hopgate-scope': 'cloud:read',
    });
    expect(seen?.headers['hopgate-context']).toMatch(/^[\w-]{32}$/);
    expect(seen?.headers).not.toHaveProperty('delegation-chain');
    expect(seen?.headers).not.toHaveProperty('proxy-authorization');
  });

  it('is on record on both sides under one hop id, decision before outcome', async () => {
    await sendThrough(mesh.agent('planning/abc123'), 'http://inventory.mesh/subnets', { context });
    const out = mesh
      .agent('planning/abc123')
      .log()
      .filter(({ target }) => target === '/subnets');
    const into = mesh
      .agent('inventory/def456')
      .log()
      .filter(({ target }) => target === '/subnets');
    expect(out).toMatchObject([{ direction: 'outbound', verdict: 'permit' }]);
    expect(into).toMatchObject([{ direction: 'inbound', verdict: 'permit', hop: out[0]?.hop }]);
  });

  it('is refused without a context, without the secret, and for an unknown host', async () => {
    const planning = mesh.agent('planning/abc123');
    const before = mesh.agent('inventory/def456').seen.length;
    expect(await sendThrough(planning, 'http://inventory.mesh/')).toMatchObject({
      status: 401,
      code: 'context_missing',
    });
    expect(await sendThrough(planning, 'http://inventory.mesh/', { context, anonymous: true })).toMatchObject(
      { status: 407, code: 'agent_unauthenticated' },
    );
    expect(await sendThrough(planning, 'http://elsewhere.mesh/', { context })).toMatchObject({
      status: 403,
      code: 'egress_host_unknown',
    });
    expect(await sendThrough(planning, 'http://127.0.0.1/', { context })).toMatchObject({
      status: 403,
      code: 'egress_address_forbidden',
    });
    expect(mesh.agent('inventory/def456').seen).toHaveLength(before);
  });

  it('carries bodies both ways', async () => {
    const answer = await sendThrough(mesh.agent('planning/abc123'), 'http://inventory.mesh/items', {
      context,
      method: 'POST',
      body: 'x'.repeat(100_000),
    });
    expect(answer).toMatchObject({ status: 200, body: 'hello from inventory/def456' });
  });

  it('says when it is ready', async () => {
    const { health } = mesh.agent('inventory/def456').addresses;
    const answer = await send({ ...health, path: '/readyz' });
    expect(answer).toMatchObject({ status: 200, body: 'ok\n' });
  });
});
