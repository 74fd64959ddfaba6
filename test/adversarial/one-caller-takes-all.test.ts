import type { ServerResponse } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { type Mesh, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

const hanging = async (config: Record<string, unknown>) => {
  mesh = await makeMesh({
    domain: {
      anchor: { scope: TEST_SCOPE },
      agents: ['planning/abc123', 'planning/xyz789', 'inventory/def456'],
    },
  });
  const held: ServerResponse[] = [];
  let wake: (() => void) | undefined;
  await mesh.start('inventory/def456', {
    config,
    handler: (request, response) => {
      if (request.url === '/quick') response.end('quick');
      else held.push(response);
      wake?.();
    },
  });
  const contexts: string[] = [];
  for (const name of ['planning/abc123', 'planning/xyz789']) {
    await mesh.start(name, { routes: { 'inventory.mesh': 'inventory/def456' } });
    contexts.push(await mesh.startTask(name, mesh.domain.mintChain([name], { scope: TEST_SCOPE })));
  }
  const holds = async (count: number): Promise<void> => {
    while (held.length < count)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  return { held, holds, contexts };
};

it('refuses what one caller asks beyond its share, and serves the others', async () => {
  const { held, holds, contexts } = await hanging({ limits: { requestsPerCaller: 2 } });
  const ask = (name: string, context: string | undefined, path: string) =>
    sendThrough(mesh.agent(name), `http://inventory.mesh/${path}`, { context: context ?? '' });
  const slow = [ask('planning/abc123', contexts[0], 'slow-1'), ask('planning/abc123', contexts[0], 'slow-2')];
  await holds(2);
  expect(await ask('planning/abc123', contexts[0], 'quick')).toMatchObject({
    status: 429,
    code: 'caller_busy',
  });
  expect(await ask('planning/xyz789', contexts[1], 'quick')).toMatchObject({ status: 200 });
  expect(mesh.agent('inventory/def456').log()).toContainEqual(
    expect.objectContaining({ verdict: 'deny', reason: 'caller_busy' }),
  );
  for (const response of held) response.end('late');
  expect((await Promise.all(slow)).map(({ status }) => status)).toEqual([200, 200]);
  expect(await ask('planning/abc123', contexts[0], 'quick')).toMatchObject({ status: 200 });
});

it('ends a connection on which more than 16 requests wait behind an unanswered one, on record', async () => {
  const { held } = await hanging({});
  const { domain } = mesh;
  const inventory = mesh.agent('inventory/def456');
  const planning = domain.agent('planning/abc123');
  const peer = await openSession(inventory, planning);
  const slow = requestText({
    target: '/slow',
    chain: domain.mintChain(['planning/abc123'], { scope: TEST_SCOPE }),
  });
  peer.write(slow.repeat(40));
  await peer.ended();
  const decisions = inventory.log().filter(({ kind }) => kind === 'decision');
  // They take their turn: none of them is decided before the one in front is answered.
  expect(decisions.filter(({ verdict }) => verdict === 'permit')).toHaveLength(1);
  expect(decisions.filter(({ reason }) => reason === 'http_pipelined')).toHaveLength(1);
  expect(held.length).toBeLessThanOrEqual(1);
});
