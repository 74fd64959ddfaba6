/** The configuration of a running sidecar changes: what can change does, at once and whole; what can't is named, and nothing of it is taken. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { runCli } from '../testkit/cli-process.ts';
import {
  DEFAULT_DELEGATE,
  type Mesh,
  type MeshAgent,
  makeMesh,
  send,
  sendThrough,
  TEST_SCOPE,
} from '../testkit/mesh.ts';
import { merge } from '../testkit/mesh-member.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

interface State {
  readonly digest: string;
  readonly loadedAt: number;
  readonly refused?: { readonly at: number; readonly why: readonly string[] };
  readonly inForce: { readonly limits: Record<string, number>; readonly audit: Record<string, number> };
}

describe('a sidecar whose configuration changes', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let context: string;

  beforeEach(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
    inventory = await mesh.start(INVENTORY);
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
  });
  afterEach(() => mesh.stop());

  const fileOf = (agent: MeshAgent): string => path.join(agent.directory, 'sidecar.yaml');
  const textOf = (agent: MeshAgent): string => readFileSync(fileOf(agent), 'utf8');
  const change = (agent: MeshAgent, by: Record<string, unknown>): void =>
    writeFileSync(fileOf(agent), stringify(merge(parse(textOf(agent)) as Record<string, unknown>, by)));
  const stateOf = async (agent: MeshAgent): Promise<State> =>
    JSON.parse((await send({ socketPath: agent.addresses.admin, path: '/config' })).body) as State;
  const post = (body: string) =>
    sendThrough(planning, 'http://inventory.mesh/load', { context, method: 'POST', body });

  it('goes by other limits from the next request on', async () => {
    expect((await post('twelve bytes')).status).toBe(200);
    const before = await stateOf(inventory);
    change(inventory, { limits: { bodyBytes: 8 } });
    await inventory.sidecar.reload();
    expect(await post('twelve bytes')).toMatchObject({ status: 413, code: 'http_body_too_large' });
    const after = await stateOf(inventory);
    expect(after.inForce.limits.bodyBytes).toBe(8);
    expect(after.digest).not.toBe(before.digest);
    expect(after.refused).toBeUndefined();
  });

  it('sees a changed file by itself, one that was put in its place too', async () => {
    const text = stringify(
      merge(parse(textOf(inventory)) as Record<string, unknown>, { limits: { bodyBytes: 8 } }),
    );
    writeFileSync(`${fileOf(inventory)}.new`, text);
    renameSync(`${fileOf(inventory)}.new`, fileOf(inventory));
    await expect
      .poll(async () => (await stateOf(inventory)).inForce.limits.bodyBytes, { timeout: 10_000 })
      .toBe(8);
  });

  it.each([
    ['inbound.listen', { inbound: { listen: '127.0.0.1:1' } }],
    ['trust.root', { trust: { root: 'A'.repeat(43) } }],
    ['identity.svid', { identity: { svid: 'other.pem' } }],
    ['policy', { policy: 'other.yaml' }],
    ['stateDirectory', { stateDirectory: 'elsewhere' }],
    ['audit.file', { audit: { file: 'other.log' } }],
    ['admin.socket', { admin: { socket: 'other.sock' } }],
    ['quarantine', { quarantine: { reviewers: ['reviewer.pub'] } }],
  ])('names %s as what needs a restart, and takes nothing of the file', async (field, by) => {
    const before = await stateOf(inventory);
    const good = textOf(inventory);
    change(inventory, merge({ limits: { bodyBytes: 8 } }, by));
    await inventory.sidecar.reload();
    const { refused, ...kept } = await stateOf(inventory);
    expect(kept).toEqual(before);
    expect(refused?.why).toEqual([
      expect.stringMatching(`^${fileOf(inventory)}:\\d+:\\d+: ${field}: needs a restart to change$`),
    ]);
    expect((await post('twelve bytes')).status).toBe(200);
    // And when the file says again what is in force, nothing stands against it.
    writeFileSync(fileOf(inventory), good);
    await inventory.sidecar.reload();
    expect(await stateOf(inventory)).toEqual(before);
  });

  it.each([
    ['an unknown key', (text: string) => `${text}nonsense: true\n`, /^.*:\d+:1: nonsense: unknown key/],
    ['what is no YAML', (text: string) => `${text}\t{`, /^.*:\d+:\d+: /],
    [
      'a limit that is none',
      (text: string) => `${text.replace(/limits:/, 'limits:\n  bodyBytes: lots')}`,
      /bodyBytes/,
    ],
    ['nothing', () => '', /:1:1: /],
  ])('says what is wrong with %s, and where, and keeps what it had', async (_name, spoil, fault) => {
    const before = await stateOf(inventory);
    writeFileSync(fileOf(inventory), spoil(textOf(inventory)));
    await inventory.sidecar.reload();
    const { refused, ...kept } = await stateOf(inventory);
    expect(kept).toEqual(before);
    expect(refused?.why[0]).toMatch(fault);
    expect((await post('x')).status).toBe(200);
  });

  it('takes another decision point only when its files can be read', async () => {
    change(inventory, {
      limits: { bodyBytes: 8 },
      decisionPoints: { opa: { rest: { url: 'https://127.0.0.1:1', caFile: 'missing.pem' } } },
    });
    await inventory.sidecar.reload();
    const { refused, inForce } = await stateOf(inventory);
    expect(refused?.why[0]).toContain('missing.pem');
    expect(inForce.limits.bodyBytes).not.toBe(8);
    change(inventory, {
      decisionPoints: { opa: { rest: { url: 'http://127.0.0.1:1', caFile: undefined } } },
    });
    await inventory.sidecar.reload();
    expect((await stateOf(inventory)).inForce.limits.bodyBytes).toBe(8);
  });

  it('keeps the last good one when the file is gone', async () => {
    renameSync(fileOf(inventory), `${fileOf(inventory)}.away`);
    await inventory.sidecar.reload();
    expect((await stateOf(inventory)).refused?.why[0]).toMatch(/can’t be read \(ENOENT\)/);
    expect((await post('x')).status).toBe(200);
  });

  describe('in its routes', () => {
    const routeTo = (host: string, more: Record<string, unknown> = {}) => ({
      host,
      peer: inventory.agent.id,
      address: `127.0.0.1:${inventory.addresses.inbound?.port}`,
      delegate: DEFAULT_DELEGATE,
      ...more,
    });
    const get = (host: string) => sendThrough(planning, `http://${host}/x`, { context });
    const setRoutes = async (...routes: Record<string, unknown>[]): Promise<void> => {
      change(planning, { outbound: { routes } });
      await planning.sidecar.reload();
      expect((await stateOf(planning)).refused).toBeUndefined();
    };
    const sessions = async (): Promise<string[]> => {
      const { body } = await send({ socketPath: planning.addresses.admin, path: '/peers' });
      return (JSON.parse(body) as { outbound: { session: string }[] }).outbound.map(({ session }) => session);
    };

    it('takes a new one, keeps the connections of one that stayed, and lets go of one that went', async () => {
      expect((await get('inventory.mesh')).status).toBe(200);
      const [before] = await sessions();
      // By itself: a SIGHUP would look at identity and trust too, after which TLS begins anew.
      const { digest } = await stateOf(planning);
      change(planning, { outbound: { routes: [routeTo('inventory.mesh'), routeTo('second.mesh')] } });
      await expect.poll(async () => (await stateOf(planning)).digest, { timeout: 10_000 }).not.toBe(digest);
      expect((await get('second.mesh')).status).toBe(200);
      expect((await get('inventory.mesh')).status).toBe(200);
      expect(await sessions()).toContain(before);
      await setRoutes(routeTo('second.mesh'));
      expect(await get('inventory.mesh')).toMatchObject({ code: 'egress_host_unknown' });
      expect((await get('second.mesh')).status).toBe(200);
      planning.sidecar.sweep();
      expect(await sessions()).not.toContain(before);
    });

    it('pins another peer from the next request on', async () => {
      expect((await get('inventory.mesh')).status).toBe(200);
      await setRoutes(routeTo('inventory.mesh', { peer: planning.agent.id }));
      expect(await get('inventory.mesh')).toMatchObject({ code: 'peer_not_pinned' });
    });

    it('fails no request that flows meanwhile, however often they change', async () => {
      const codes = new Set<number>();
      let isOver = false;
      const load = Array.from({ length: 4 }, async () => {
        while (!isOver) codes.add((await get('inventory.mesh')).status);
      });
      for (let round = 0; round < 10; round++) {
        await setRoutes(
          routeTo('inventory.mesh', { delegate: { ...DEFAULT_DELEGATE, ttl: `${round + 5}m` } }),
        );
        expect((await get('inventory.mesh')).status).toBe(200);
      }
      isOver = true;
      await Promise.all(load);
      expect([...codes]).toEqual([200]);
    });
  });

  it('is told of by hopgate status, and why', async () => {
    change(inventory, { limits: { bodyBytes: 8 }, admin: { socket: 'other.sock' } });
    await inventory.sidecar.reload();
    const { stdout } = await runCli('status', '--admin', inventory.addresses.admin);
    expect(stdout).toMatch(/config {4}\S{8}…, read /);
    expect(stdout).toMatch(
      /attention.* is not in force: .*sidecar.yaml:\d+:\d+: admin.socket: needs a restart/,
    );
  });
});
