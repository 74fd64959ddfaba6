/** Renewal and reload while requests flow: nothing fails, nothing old stays, nothing bad gets in. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type TestAgent, writeIdentity } from '../testkit/domain.ts';
import { type Mesh, type MeshAgent, makeMesh, send, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { connectTlsTo, openSession } from '../testkit/raw-peer.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe('a sidecar whose files change', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let context: string;

  const start = async (): Promise<void> => {
    mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
    inventory = await mesh.start(INVENTORY);
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
  };
  afterEach(() => mesh.stop());

  const ask = (target = '/vpcs') => sendThrough(planning, `http://inventory.mesh${target}`, { context });
  const certificateOf = async (agent: MeshAgent, as: TestAgent): Promise<string | undefined> => {
    const peer = await connectTlsTo(agent, { cert: as.svidPem, key: as.svidKeyPem });
    const { fingerprint256 } = peer.socket.getPeerCertificate();
    peer.close();
    return fingerprint256;
  };
  const renew = async (agent: MeshAgent, name: string): Promise<TestAgent> => {
    const renewed = await mesh.domain.enrol(name, { key: agent.agent });
    // The audit key of a sidecar stays too; only what is short-lived is new.
    writeIdentity(agent.directory, renewed);
    return renewed;
  };
  /** Requests without end until `change` is through and as many again have gone. */
  const underLoad = async (change: () => Promise<void>): Promise<(string | undefined)[]> => {
    let stop = false;
    let count = 0;
    const wake: { at: number; resolve: () => void }[] = [];
    const reached = (more: number): Promise<void> =>
      new Promise((resolve) => wake.push({ at: count + more, resolve }));
    const failures: (string | undefined)[] = [];
    const workers = Array.from({ length: 6 }, async () => {
      while (!stop) {
        const { status, code } = await ask('/load');
        if (status !== 200) failures.push(code);
        count++;
        for (const { at, resolve } of wake) if (count >= at) resolve();
      }
    });
    await reached(50);
    await change();
    await reached(100);
    stop = true;
    await Promise.all(workers);
    return failures;
  };

  it('renews SVID and WIT of both sides under load without a failed request; new connections use the new SVID', async () => {
    await start();
    const before = await certificateOf(inventory, planning.agent);
    const failures = await underLoad(async () => {
      for (let round = 0; round < 3; round++) {
        await renew(inventory, INVENTORY);
        inventory.sidecar.reload();
        await renew(planning, PLANNING);
        planning.sidecar.reload();
        expect((await ask()).status).toBe(200);
      }
    });
    expect(failures).toEqual([]);
    const after = await certificateOf(inventory, planning.agent);
    expect(after).not.toBe(before);
    // Connections with the old SVID carry nothing any more.
    const sessions = JSON.parse(
      (await send({ socketPath: planning.addresses.admin, path: '/peers' })).body,
    ) as { outbound: { session: string; requests: number }[] };
    const old = new Map(sessions.outbound.map(({ session, requests }) => [session, requests]));
    await renew(planning, PLANNING);
    planning.sidecar.reload();
    expect((await ask()).status).toBe(200);
    const later = JSON.parse(
      (await send({ socketPath: planning.addresses.admin, path: '/peers' })).body,
    ) as typeof sessions;
    expect(later.outbound.some(({ session }) => old.has(session))).toBe(false);
  });

  it('sees changed files by itself', async () => {
    await start();
    const before = await certificateOf(inventory, planning.agent);
    await renew(inventory, INVENTORY);
    await expect.poll(() => certificateOf(inventory, planning.agent), { timeout: 10_000 }).not.toBe(before);
  });

  it.each([
    ['the key of another SVID', 'svid.key', (agent: TestAgent) => agent.svidKeyPem],
    ['the SVID of another agent', 'svid.pem', (agent: TestAgent) => agent.svidPem],
    ['garbage for an SVID', 'svid.pem', () => 'garbage'],
    [
      'an SVID with garbage behind it',
      'svid.pem',
      (_: TestAgent, own: TestAgent) =>
        `${own.svidPem}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    ],
    ['no SVID', 'svid.pem', () => ''],
    ['the WIT of another agent', 'wit.jwt', (agent: TestAgent) => agent.wit],
    ['half a WIT', 'wit.jwt', (_: TestAgent, own: TestAgent) => own.wit.slice(0, 100)],
    [
      'the key binding of another agent',
      'key-binding.json',
      (agent: TestAgent) => JSON.stringify(agent.keyBinding),
    ],
    ['garbage for an agent key', 'agent.key', () => 'garbage'],
  ] as const)('refuses %s and keeps what it had', async (_name, file, content) => {
    await start();
    expect((await ask()).status).toBe(200);
    const before = await certificateOf(inventory, planning.agent);
    writeFileSync(path.join(inventory.directory, file), content(planning.agent, inventory.agent));
    inventory.sidecar.reload();
    expect(await certificateOf(inventory, planning.agent)).toBe(before);
    const peer = await openSession(inventory, planning.agent);
    peer.close();
    expect((await ask()).status).toBe(200);
    // A bundle that comes at the same time is taken all the same.
    mesh.writeBundle({ seq: 2, revoked: [{ agent: planning.agent.id }] });
    inventory.sidecar.reload();
    expect((await ask()).status).not.toBe(200);
    // And when the file is whole again, the sidecar goes on with it.
    mesh.writeBundle({ seq: 3 });
    await renew(inventory, INVENTORY);
    inventory.sidecar.reload();
    expect((await ask()).status).toBe(200);
    expect(await certificateOf(inventory, planning.agent)).not.toBe(before);
  });

  it('of another agent key: chains to the old one are refused with a reason, new ones work', async () => {
    await start();
    expect((await ask()).status).toBe(200);
    const renewed = await mesh.domain.enrol(PLANNING);
    writeIdentity(planning.directory, renewed);
    planning.sidecar.reload();
    expect((await ask()).code).toBe('context_key');
    const fresh = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
    expect((await sendThrough(planning, 'http://inventory.mesh/vpcs', { context: fresh })).status).toBe(200);
  });

  it('does not start beside another one on its state directory', async () => {
    await start();
    await expect(mesh.start(INVENTORY)).rejects.toThrow(/another sidecar runs/);
    expect((await ask()).status).toBe(200);
  });
});
