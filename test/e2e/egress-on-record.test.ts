/** What left the mesh, as whoever reads the log sees it: one side alone, whole, and policy can be held against it. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { runCli } from '../testkit/cli-process.ts';
import { AGENT, EGRESS_POLICY, EgressWorld } from '../testkit/egress-world.ts';
import { sendThrough, TEST_POLICY } from '../testkit/mesh.ts';

describe('a log of what left the mesh', () => {
  let world: EgressWorld;
  let log: string;
  let task: string;
  beforeAll(async () => {
    world = await EgressWorld.start();
    // Another sidecar with a log of its own, which knows nothing of it.
    await world.mesh.start('inventory/def456');
    const ask = (url: string) => sendThrough(world.agent, url, { context: world.context });
    expect((await ask('http://api.llm.example/v1/models')).status).toBe(200);
    expect((await ask('http://unsigned.example/')).code).toBe('route_unmatched');
    const { socket } = await world.connect('raw.partner.example:7000');
    socket.end();
    await vi.waitFor(() => expect(world.records('outcome').length).toBe(2));
    for (const name of [AGENT, 'inventory/def456']) world.mesh.agent(name).sidecar.stop('test over');
    log = world.agent.logFile;
    task = String(world.records('decision')[0]?.task);
  });
  afterAll(() => world.stop());

  const other = (): string => world.mesh.agent('inventory/def456').logFile;

  test('is sound, and lacks no other side', async () => {
    const { code, stdout } = await runCli(
      ...['audit', 'verify', '--json', '--bundle', world.mesh.bundleFile],
      ...[`--root=${world.mesh.domain.root.thumbprint}`, log, other()],
    );
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, unmatched: [] });
    expect(code).toBe(0);
  });
  test('shows where it went, and is found by it', async () => {
    const { stdout } = await runCli('logs', '--wide', '--outcomes', log);
    expect(stdout).toContain('→ api.llm.example:443');
    expect(stdout).toContain('CONNECT /');
    const { stdout: found } = await runCli('logs', '--agent=raw.partner', log);
    expect(found).toContain('raw.partner.example:7000');
    expect(found).not.toContain('api.llm.example');
  });
  test('counts as what the agent did for the task', async () => {
    const { stdout } = await runCli('trace', task, '--json', log, other());
    expect(JSON.parse(stdout)).toMatchObject({ actions: 2, denials: 1, untraced: 0 });
  });
  test('can be replayed under a policy that lists less', async () => {
    const file = path.join(world.mesh.directory, 'less.yaml');
    writeFileSync(
      file,
      stringify({ ...TEST_POLICY, revision: 'less', egress: EGRESS_POLICY.egress.slice(2) }),
    );
    const { stdout } = await runCli('policy', 'replay', log, '--policy', file, '--json');
    const said = JSON.parse(stdout) as { denied: string[]; byEdge: Record<string, unknown> };
    expect(said.denied).toEqual([world.records('decision')[0]?.hop]);
    expect(Object.keys(said.byEdge)).toContain('planning → api.llm.example:443');
    expect(readFileSync(log, 'utf8')).toContain('"destination":"api.llm.example:443"');
  });
  test('is explained by the entry of its destination', async () => {
    const hop = String(world.records('decision')[0]?.hop);
    const { stdout } = await runCli(
      'policy',
      'explain',
      path.join(world.mesh.directory, 'policy.yaml'),
      '--log',
      log,
      '--hop',
      hop,
    );
    expect(stdout).toMatch(/✓.*models/);
    expect(stdout).toMatch(/·.*partner.*leads to db\.partner\.example:5432|permit/);
  });
});
