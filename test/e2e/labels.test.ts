/** Labels of data travel with the task, across hops and back, and policy decides by them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';

const POLICY = {
  routes: [
    {
      name: 'transactions',
      path: '/transactions',
      scopes: ['cloud:read'],
      labels: { response: ['finance'] },
    },
    {
      name: 'payslips',
      path: '/payslips',
      methods: ['POST'],
      scopes: ['cloud:write'],
      labels: { request: ['pii'] },
    },
    { name: 'rest', path: '/*', scopes: ['cloud:read'] },
  ],
  rules: [
    { name: 'agents', effect: 'allow', callerTypes: ['planning', 'inventory', 'security', 'cost'] },
    {
      name: 'finance-to-compliance-only',
      effect: 'deny',
      when: '"finance" in data.labels && !(callee.type in ["inventory", "security"])',
    },
  ],
};

describe('labels of data', () => {
  let mesh: Mesh;
  const start = () =>
    mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: ['cloud:read', 'cloud:write'] }),
    );
  const ask = (path: string, context: string, options: object = {}) =>
    sendThrough(mesh.agent('planning/abc123'), `http://${path}`, { context, ...options });
  const decision = (name: string) =>
    mesh
      .agent(name)
      .log()
      .filter(({ kind }) => kind === 'decision')
      .at(-1);
  const outcome = (name: string) =>
    mesh
      .agent(name)
      .log()
      .filter(({ kind }) => kind === 'outcome')
      .at(-1);

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: {
        agents: ['planning/abc123', 'inventory/def456', 'security/ghi789', 'cost/jkl012'],
        anchor: { scope: ['cloud:*'] },
      },
      policy: POLICY,
    });
    await mesh.start('inventory/def456');
    await mesh.start('security/ghi789');
    await mesh.start('cost/jkl012');
    await mesh.start('planning/abc123', {
      routes: {
        'inventory.mesh': 'inventory/def456',
        'security.mesh': 'security/ghi789',
        'cost.mesh': 'cost/jkl012',
      },
      delegate: null,
    });
  });
  afterAll(() => mesh.stop());

  it('that come back with a response stay with the task: what it has read goes to nobody else', async () => {
    const context = await start();
    expect(await ask('cost.mesh/prices', context)).toMatchObject({ status: 200 });
    expect(await ask('inventory.mesh/transactions', context)).toMatchObject({ status: 200 });
    expect(outcome('planning/abc123')).toMatchObject({ labels: ['finance'] });
    expect(await ask('cost.mesh/prices', context)).toMatchObject({ code: 'rule_denied' });
    expect(decision('planning/abc123')).toMatchObject({
      reason: 'rule_denied',
      rule: 'finance-to-compliance-only',
      labels: ['finance'],
    });
    expect(await ask('security.mesh/check', context)).toMatchObject({ status: 200 });
  });

  it('are told to the callee, and to the agent behind it', async () => {
    const context = await start();
    await ask('inventory.mesh/transactions', context);
    await ask('security.mesh/check', context);
    expect(decision('security/ghi789')).toMatchObject({ labels: ['finance'] });
    const seen = mesh.agent('security/ghi789').seen.at(-1);
    expect(seen?.headers).toMatchObject({ 'hopgate-labels': 'finance' });
    expect(seen?.headers).not.toHaveProperty('delegation-labels');
  });

  it('are another task’s own', async () => {
    const context = await start();
    await ask('inventory.mesh/transactions', context);
    expect(await ask('cost.mesh/prices', await start())).toMatchObject({ status: 200 });
  });

  it('of what is sent count too, and add up', async () => {
    const context = await start();
    await ask('inventory.mesh/transactions', context);
    await ask('security.mesh/payslips', context, { method: 'POST', body: '{}' });
    expect(decision('security/ghi789')).toMatchObject({ labels: ['finance', 'pii'] });
  });

  it('are not the agent’s to say', async () => {
    const context = await start();
    await ask('security.mesh/check', context, {
      headers: { 'delegation-labels': 'public', 'Hopgate-Labels': 'x', delegation_labels: 'y' },
    });
    expect(decision('security/ghi789')).not.toHaveProperty('labels');
    expect(mesh.agent('security/ghi789').seen.at(-1)?.headers).not.toHaveProperty('hopgate-labels');
  });
});
