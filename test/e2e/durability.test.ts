/** The decision is on record before the agent sees the request; with durability "disk" it is on the disk by then. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { permittedHops, verifyLogFile } from '../testkit/verified-log.ts';

type Done = (error: NodeJS.ErrnoException | null) => void;
/** What the test does with a sync of the log; by default it happens at once. */
const disk = vi.hoisted(() => ({
  syncs: 0,
  hold: undefined as undefined | ((sync: () => void, done: Done) => void),
}));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const fdatasync = (fd: number, done: Done): void => {
    disk.syncs++;
    const sync = (): void => fs.fdatasync(fd, done);
    if (disk.hold === undefined) sync();
    else disk.hold(sync, done);
  };
  return { ...fs, fdatasync, default: { ...fs, fdatasync } };
});

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe('a decision with durability "disk"', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let context: string;
  /** What the log held when the agent saw each request. */
  const known: { hop: unknown; wasLogged: boolean }[] = [];

  beforeEach(async () => {
    disk.hold = undefined;
    known.length = 0;
    mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
    inventory = await mesh.start(INVENTORY, {
      config: { audit: { durability: 'disk' } },
      handler: (request, response) => {
        const hop = request.headers['hopgate-hop'];
        known.push({
          hop,
          wasLogged: readFileSync(inventory.logFile, 'utf8').includes(`"hop":"${hop}","kind":"decision"`),
        });
        response.end('ok');
      },
    });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
  });
  afterEach(() => mesh.stop());

  const ask = () => sendThrough(planning, 'http://inventory.mesh/vpcs', { context });

  it('is in the file before the agent sees the request', async () => {
    await Promise.all(Array.from({ length: 50 }, ask));
    expect(known).toHaveLength(50);
    expect(known.filter(({ wasLogged }) => !wasLogged)).toEqual([]);
  });

  it('waits for the disk: nothing reaches the agent while the sync is under way', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      disk.hold = (sync) => {
        release = sync;
        resolve();
      };
    });
    const answer = ask();
    await held;
    expect(readFileSync(inventory.logFile, 'utf8')).toContain('"target":"/vpcs"');
    expect(inventory.seen).toEqual([]);
    disk.hold = undefined;
    release();
    expect((await answer).status).toBe(200);
    expect(inventory.seen).toHaveLength(1);
  });

  it('shares one sync with all that came while the last one was under way', async () => {
    expect((await ask()).status).toBe(200);
    let release = (): void => undefined;
    let held: () => void;
    const first = new Promise<void>((resolve) => {
      held = resolve;
    });
    disk.hold = (sync) => {
      disk.hold = undefined;
      release = sync;
      held();
    };
    const before = disk.syncs;
    const answers = Array.from({ length: 20 }, ask);
    await first;
    // All of them have arrived and wait.
    await expect
      .poll(
        () =>
          planning.log().filter(({ kind, verdict }) => kind === 'decision' && verdict === 'permit').length,
      )
      .toBe(21);
    release();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(answers.map(() => 200));
    // Not one each: those that waited went together, and outcomes follow in groups.
    expect(disk.syncs - before).toBeLessThan(20);
  });

  it('is a denial when the disk fails, and the next one works', async () => {
    disk.hold = (_sync, done) => {
      disk.hold = undefined;
      done(Object.assign(new Error('i/o error'), { code: 'EIO' }));
    };
    expect(await ask()).toMatchObject({ status: 503, code: 'audit_unavailable' });
    expect(inventory.seen).toEqual([]);
    expect((await ask()).status).toBe(200);
    inventory.sidecar.stop('end');
    const log = verifyLogFile(inventory.logFile, mesh.domain.verifiedBundle().issuers);
    expect(log).toMatchObject({ fault: undefined, unsigned: 0 });
    expect(permittedHops(log).has(known[0]?.hop)).toBe(true);
  });

  it('that waits for the disk when the sidecar stops is answered, not forgotten', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      disk.hold = (sync) => {
        release = sync;
        resolve();
      };
    });
    const answer = ask().catch((error: NodeJS.ErrnoException) => ({ status: 0, code: error.code }));
    await held;
    inventory.sidecar.stop('now');
    disk.hold = undefined;
    release();
    expect((await answer).status).not.toBe(200);
    expect(inventory.seen).toEqual([]);
    const log = verifyLogFile(inventory.logFile, mesh.domain.verifiedBundle().issuers);
    expect(log).toMatchObject({ fault: undefined, unsigned: 0, state: { closed: true } });
  });
});
