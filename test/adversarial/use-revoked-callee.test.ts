/** A callee that was revoked, on routes that delegate nothing to it: its name stands in no chain. */
import type { RequestListener } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sendThrough } from '../testkit/mesh.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';

const streaming: RequestListener = (request, response) => {
  if (request.url !== '/events') response.end('{}');
  else response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
};

describe('a revoked callee without a grant', () => {
  let mesh: VerifiedMesh;
  let planning: VerifiedMember;
  let inventory: VerifiedMember;
  let ask: (target: string) => ReturnType<typeof sendThrough>;
  beforeEach(async () => {
    mesh = await makeVerifiedMesh();
    inventory = await mesh.start(INVENTORY, { handler: streaming });
    planning = await mesh.start(PLANNING, { delegate: null, routes: { 'inventory.mesh': INVENTORY } });
    const context = await mesh.startTask(PLANNING, mesh.mintRoot(planning));
    ask = (target) => sendThrough(planning, `http://inventory.mesh${target}`, { context });
    expect((await ask('/vpcs')).status).toBe(200);
  });
  afterEach(() => mesh.stop());

  it.each<[string, () => Parameters<VerifiedMesh['revoke']>[0], string]>([
    ['agent', () => ({ agent: inventory.id }), 'revoked_agent'],
    ['key', () => ({ key: inventory.sidecar.identity.key.thumbprint }), 'revoked_key'],
  ])('by its %s: its streams are cut, and the caller’s log says why', async (_, target, reason) => {
    const stream = ask('/events').catch(() => undefined);
    await vi.waitFor(() => expect(inventory.seen.at(-1)?.url).toBe('/events'), 5000);
    await mesh.revoke(target());
    await stream;
    await vi.waitFor(
      () =>
        expect(planning.log().findLast(({ kind }) => kind === 'outcome')).toMatchObject({ result: reason }),
      3000,
    );
    const seen = inventory.seen.length;
    expect((await ask('/vpcs')).status).toBeGreaterThanOrEqual(400);
    expect(inventory.seen).toHaveLength(seen);
  });
});
