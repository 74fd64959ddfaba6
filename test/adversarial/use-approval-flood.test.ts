/** A caller that asks for approvals without end: what it makes the callee file must not be what the callee lives on. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendThrough } from '../testkit/mesh.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';
const SECURITY = 'security/1';
const FLOOD = 340;

describe('a flood of requests that somebody would have to approve', () => {
  let mesh: VerifiedMesh;
  let inventory: VerifiedMember;
  let write: (name: string, body: string) => Promise<string | undefined>;
  beforeEach(async () => {
    mesh = await makeVerifiedMesh({
      policy: { demands: [{ scopes: ['cloud:write'], approval: 'required' }] },
    });
    inventory = await mesh.start(INVENTORY);
    const routes = { 'inventory.mesh': INVENTORY };
    const contexts = new Map<string, string>();
    for (const name of [PLANNING, SECURITY]) {
      const member = await mesh.start(name, { delegate: null, routes });
      contexts.set(name, await mesh.startTask(name, mesh.mintRoot(member)));
    }
    write = async (name, body) => {
      const context = contexts.get(name) ?? '';
      const answer = await sendThrough(mesh.member(name), 'http://inventory.mesh/vpcs', {
        method: 'POST',
        context,
        body,
      });
      return answer.code;
    };
    for (let sent = 0; sent < FLOOD; sent += 10)
      await Promise.all(Array.from({ length: 10 }, (_, index) => write(PLANNING, `junk ${sent + index}`)));
  });
  afterEach(() => mesh.stop());

  it('leaves the callee its SVID', async () => {
    expect(await inventory.source.renew()).toBe(true);
  });

  it('leaves another caller its approvals', async () => {
    expect(await write(SECURITY, 'an honest wish')).toBe('approval_required');
  });
});
