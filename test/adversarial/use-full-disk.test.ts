/** The log on a full disk: what can't be recorded doesn't happen, and nothing of the log is lost or torn. */
import type { ServerResponse } from 'node:http';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh, send, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';
import { type SmallDisk, smallDisks } from '../testkit/small-disk.ts';
import { permittedHops, verifyLogFile } from '../testkit/verified-log.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe.each(
  smallDisks().flatMap((disk) => [
    { disk, durability: 'process' },
    { disk, durability: 'disk' },
  ]),
)(
  'the log on $disk.name (durability: $durability)',
  ({ disk, durability }: { disk: SmallDisk; durability: string }) => {
    let mesh: Mesh;
    let planning: MeshAgent;
    let inventory: MeshAgent;
    let context: string;
    let held: ServerResponse | undefined;
    let arrived: () => void;

    const start = async (small: string): Promise<void> => {
      mesh = await makeMesh({
        domain: { agents: [PLANNING, INVENTORY, 'security/eee777'], anchor: { scope: TEST_SCOPE } },
      });
      disk.prepare(path.join(mesh.directory, small.replace('/', '-'), 'state'));
      inventory = await mesh.start(INVENTORY, {
        config: { audit: { durability, checkpointInterval: '1s' } },
        handler: (request, response) => {
          if (request.url === '/held') {
            held = response;
            arrived();
          } else response.end('ok');
        },
      });
      planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
      context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
    };
    afterEach(() => {
      disk.free();
      held?.destroy();
      for (const { sidecar } of [planning, inventory]) sidecar.stop('test over');
      disk.remove();
      mesh.stop();
    });

    const ask = (target: string) => sendThrough(planning, `http://inventory.mesh${target}`, { context });
    /** Fills the disk; what is left of its last block takes a few records more, of the shortest kind. */
    const fill = async (log: string): Promise<void> => {
      disk.fill(log);
      for (let status = 0; status !== 503; ) ({ status } = await ask('/f'));
    };
    const ready = () => send({ ...inventory.addresses.health, path: '/readyz' });

    it('denies, recovers by itself, and verifies', async () => {
      await start(INVENTORY);
      expect((await ask('/before')).status).toBe(200);
      expect((await ready()).status).toBe(200);
      // The limit on a file's size is the whole process's: inventory's log must be the longer one by far.
      const peer = await openSession(inventory, mesh.domain.agent('security/eee777'));
      for (let count = 0; count < 100; count++) await peer.ask(requestText({}));
      peer.close();
      // One that is under way when the disk fills up: its outcome has to wait for room.
      const here = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const underWay = ask('/held');
      await here;

      await fill(inventory.logFile);
      const seen = inventory.seen.length;
      const refused = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(`/full/${index}`)));
      expect(refused.map(({ status, code }) => `${status} ${code}`)).toEqual(
        refused.map(() => '503 audit_unavailable'),
      );
      expect(inventory.seen.length).toBe(seen);
      expect(await ready()).toMatchObject({ status: 503, body: expect.stringContaining('audit log') });
      held?.end('held');
      expect((await underWay).body).toBe('held');
      expect(verifyLogFile(inventory.logFile, mesh.domain.verifiedBundle().issuers)).toMatchObject({
        fault: undefined,
        unfinished: '',
      });

      disk.free();
      // Nobody sends requests to what isn't ready: it finds out by itself.
      await expect.poll(async () => (await ready()).status, { timeout: 5000 }).toBe(200);
      expect((await ask('/after')).status).toBe(200);
      inventory.sidecar.stop('end');
      const log = verifyLogFile(inventory.logFile, mesh.domain.verifiedBundle().issuers);
      expect(log).toMatchObject({ fault: undefined, unfinished: '', unsigned: 0, state: { closed: true } });
      expect(permittedHops(log)).toEqual(
        new Set(inventory.seen.map(({ headers }) => headers['hopgate-hop'])),
      );
      // What was refused for want of a record has none that says it was permitted; the outcome that waited is there.
      expect(
        log.records.filter(
          ({ target, verdict }) => String(target).startsWith('/full/') && verdict === 'permit',
        ),
      ).toEqual([]);
      const heldHop = log.records.find(({ target }) => target === '/held')?.hop;
      expect(log.records.find(({ kind, hop }) => kind === 'outcome' && hop === heldHop)).toMatchObject({
        result: 'ok',
        status: 200,
        sent: 4,
      });
    });

    it('denies on the caller’s side before anything is sent, and both sides go on counting alike', async () => {
      await start(PLANNING);
      expect((await ask('/before')).status).toBe(200);
      await fill(planning.logFile);
      const [seen, records] = [inventory.seen.length, inventory.log().length];
      for (let round = 0; round < 5; round++)
        expect(await ask(`/full/${round}`)).toMatchObject({ status: 503, code: 'audit_unavailable' });
      expect(inventory.seen.length).toBe(seen);
      expect(inventory.log().length).toBe(records);
      disk.free();
      expect((await ask('/after')).status).toBe(200);
      const hopOf = (agent: MeshAgent): unknown => agent.log().find(({ target }) => target === '/after')?.hop;
      expect(hopOf(planning)).toBe(hopOf(inventory));
      expect(verifyLogFile(planning.logFile, mesh.domain.verifiedBundle().issuers).fault).toBeUndefined();
    });
  },
);
