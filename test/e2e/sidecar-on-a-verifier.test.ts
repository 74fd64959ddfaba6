/** Two sidecars and a verifier, all real: what the verifier says is in force on both within milliseconds, and stays so without it. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Answer, sendThrough } from '../testkit/mesh.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';
const SECURITY = 'security/1';

describe('a sidecar on a verifier', () => {
  let mesh: VerifiedMesh;
  let planning: VerifiedMember;
  let inventory: VerifiedMember;
  let context: string;
  let chain: string;

  beforeEach(async () => {
    mesh = await makeVerifiedMesh();
    inventory = await mesh.start(INVENTORY, {
      handler: (request, response) => {
        if (request.url !== '/events') {
          request.resume().on('end', () => response.end('hello'));
          return;
        }
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
      },
    });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    chain = mesh.mintRoot(planning);
    context = await mesh.startTask(PLANNING, chain);
  });
  afterEach(() => mesh.stop());

  const ask = (target = '/vpcs'): Promise<Answer> =>
    sendThrough(planning, `http://inventory.mesh${target}`, { context });

  it('joins, serves and enforces what is published and revoked', async () => {
    expect((await ask()).status).toBe(200);
    await mesh.publishPolicy({ revision: 'test-2', rules: [{ name: 'nobody', effect: 'deny' }] });
    await vi.waitFor(async () => expect((await ask()).code).toBe('rule_denied'));
    await mesh.publishPolicy({ revision: 'test-3' });
    await vi.waitFor(async () => expect((await ask()).status).toBe(200));
    await mesh.revoke({ chain });
    await vi.waitFor(async () => expect((await ask()).code).toBe('revoked_link'));
  });
});
