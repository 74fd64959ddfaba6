/** `max_uses` in a race, over several connections and callers, and across a restart. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';
import { SidecarProcess } from '../testkit/service-process.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const SECURITY = 'security/eee777';
const USES = 7;

describe('max_uses', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let chain: string;

  beforeEach(async () => {
    mesh = await makeMesh({
      domain: { agents: [PLANNING, INVENTORY, SECURITY], anchor: { scope: TEST_SCOPE } },
    });
    inventory = await mesh.start(INVENTORY);
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    chain = mesh.domain.mintChain([PLANNING], {
      scope: TEST_SCOPE,
      caveats: [{ type: 'max_uses', uses: USES, at: inventory.agent.id }],
    });
  });
  afterEach(() => mesh.stop());

  const codes = (answers: readonly { readonly code: string | undefined }[]): Record<string, number> => {
    const counted: Record<string, number> = {};
    for (const { code = 'ok' } of answers) counted[code] = (counted[code] ?? 0) + 1;
    return counted;
  };
  const race = async (context: string, count: number): Promise<Record<string, number>> =>
    codes(
      await Promise.all(
        Array.from({ length: count }, () => sendThrough(planning, 'http://inventory.mesh/once', { context })),
      ),
    );

  it('allows exactly so many of the requests that come at once', async () => {
    const context = await mesh.startTask(PLANNING, chain);
    expect(await race(context, 60)).toEqual({ ok: USES, caveat_max_uses: 60 - USES });
    expect(inventory.seen).toHaveLength(USES);
    const decisions = inventory.log().filter(({ kind, target }) => kind === 'decision' && target === '/once');
    expect(decisions.filter(({ verdict }) => verdict === 'permit')).toHaveLength(USES);
    expect(decisions.filter(({ reason }) => reason === 'caveat_max_uses')).toHaveLength(60 - USES);
  });

  it('counts for the chain, not for the task’s handle or the connection', async () => {
    const handles = await Promise.all([1, 2, 3].map(() => mesh.startTask(PLANNING, chain)));
    const results = await Promise.all(handles.map((context) => race(context, 10)));
    expect(results.reduce((sum, { ok = 0 }) => sum + ok, 0)).toBe(USES);
    expect(inventory.seen).toHaveLength(USES);
  });

  it('is shared by those to whom it was delegated on', async () => {
    const grant = mesh.domain.mintGrant(chain, planning.agent, mesh.domain.agent(SECURITY));
    const peer = await openSession(inventory, mesh.domain.agent(SECURITY));
    const seen: (string | undefined)[] = [];
    for (let round = 0; round < 4; round++)
      seen.push((await peer.ask(requestText({ chain: `${chain}~${grant}` }))).code);
    expect(seen).toEqual([undefined, undefined, undefined, undefined]);
    const context = await mesh.startTask(PLANNING, chain);
    expect(await race(context, 10)).toEqual({ ok: USES - 4, caveat_max_uses: 10 - USES + 4 });
    expect((await peer.ask(requestText({ chain: `${chain}~${grant}` }))).code).toBe('caveat_max_uses');
    peer.close();
  });

  it('remembers across a restart, a torn last line included', async () => {
    const context = await mesh.startTask(PLANNING, chain);
    expect(await race(context, 5)).toEqual({ ok: 5 });
    inventory.sidecar.stop('restart');
    const file = path.join(inventory.directory, 'state', 'uses.log');
    // A write that a crash cut short: its request was never sent on.
    writeFileSync(file, `${readFileSync(file, 'utf8')}\n${'A'.repeat(20)}`);
    inventory = await mesh.start(INVENTORY);
    const peer = await openSession(inventory, planning.agent);
    const answers: { readonly code: string | undefined }[] = [];
    for (let round = 0; round < 6; round++) answers.push(await peer.ask(requestText({ chain })));
    peer.close();
    expect(codes(answers)).toEqual({ ok: USES - 5, caveat_max_uses: 6 - USES + 5 });
    expect(inventory.seen).toHaveLength(USES - 5);
    inventory.sidecar.stop('again');
    inventory = await mesh.start(INVENTORY);
    const last = await openSession(inventory, planning.agent);
    expect((await last.ask(requestText({ chain }))).code).toBe('caveat_max_uses');
    last.close();
  });

  it('is not used twice by who races against kill -9', async () => {
    const { port = 0 } = inventory.addresses.inbound ?? {};
    const configFile = path.join(inventory.directory, 'sidecar.yaml');
    inventory.sidecar.stop('to run as a process');
    writeFileSync(
      configFile,
      readFileSync(configFile, 'utf8').replace('listen: 127.0.0.1:0', `listen: 127.0.0.1:${port}`),
    );
    const context = await mesh.startTask(PLANNING, chain);
    let running = await new SidecarProcess(configFile).started();
    onTestFinished(async () => {
      await running.kill('SIGKILL');
    });
    for (let round = 0; round < 2; round++) {
      const seen = inventory.seen.length;
      let isOver = false;
      const all = race(context, 12).finally(() => {
        isOver = true;
      });
      // Some are with the agent, some are counted and on their way, some are not. Or none is left: a use that was counted
      // when the process was killed is gone, whether the agent saw it or not.
      await vi.waitFor(() => expect(isOver || inventory.seen.length > seen).toBe(true), {
        timeout: 10_000,
        interval: 1,
      });
      await running.kill('SIGKILL');
      await all;
      expect(inventory.seen.length).toBeLessThanOrEqual(USES);
      running = await new SidecarProcess(configFile).started();
    }
    await race(context, 12);
    expect(inventory.seen.length).toBeLessThanOrEqual(USES);
    expect(inventory.seen.length).toBeGreaterThan(0);
    expect((await sendThrough(planning, 'http://inventory.mesh/once', { context })).code).toBe(
      'caveat_max_uses',
    );
  });

  it('does not hold anywhere but where it is counted', async () => {
    await mesh.start(SECURITY);
    const peer = await openSession(mesh.agent(SECURITY), planning.agent);
    expect((await peer.ask(requestText({ chain }))).code).toBe('caveat_max_uses');
    expect(mesh.agent(SECURITY).seen).toEqual([]);
    peer.close();
  });
});
