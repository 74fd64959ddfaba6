/** kill -9 under load: the log holds every request that the agent saw, verifies, and goes on. */
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../testkit/free-port.ts';
import { type Mesh, type MeshAgent, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { SidecarProcess } from '../testkit/service-process.ts';
import { permittedHops, type VerifiedLog, verifyLogFile } from '../testkit/verified-log.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const WORKERS = 8;

describe.each(['process', 'disk'])('a sidecar that is killed (durability: %s)', (durability) => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let configFile: string;
  let running: SidecarProcess;
  let context: string;
  let onSeen = (): void => undefined;
  const seen = new Set<unknown>();

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
    inventory = await mesh.start(INVENTORY, {
      config: {
        inbound: { listen: `127.0.0.1:${await freePort()}` },
        audit: { durability, checkpointRecords: 40 },
      },
      handler: (request, response) => {
        seen.add(request.headers['hopgate-hop']);
        onSeen();
        response.end('ok');
      },
    });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
    configFile = path.join(inventory.directory, 'sidecar.yaml');
    // From here on the sidecar is a process of its own; the agent behind it stays here.
    inventory.sidecar.stop('to run as a process');
    running = await new SidecarProcess(configFile).started();
  });
  afterAll(async () => {
    await running.kill('SIGKILL');
    mesh.stop();
  });

  const readLog = (): VerifiedLog => verifyLogFile(inventory.logFile, mesh.domain.verifiedBundle().issuers);
  const expectWhole = (): VerifiedLog => {
    const log = readLog();
    expect(log.fault).toBeUndefined();
    const permitted = permittedHops(log);
    expect([...seen].filter((hop) => !permitted.has(hop))).toEqual([]);
    return log;
  };

  /** Requests without end from many workers, until `count` more have reached the agent; then what `then` does. */
  const underLoad = async (count: number, then: () => Promise<unknown>): Promise<(string | undefined)[]> => {
    let stop = false;
    const target = seen.size + count;
    const reached = new Promise<void>((resolve) => {
      onSeen = () => seen.size >= target && resolve();
    });
    const codes: (string | undefined)[] = [];
    const workers = Array.from({ length: WORKERS }, async () => {
      while (!stop) {
        const answer = await sendThrough(planning, 'http://inventory.mesh/load', {
          context,
          method: 'POST',
          body: 'x',
        });
        codes.push(answer.code);
      }
    });
    await reached;
    await then();
    stop = true;
    await Promise.all(workers);
    return codes;
  };

  it('leaves a log that verifies to its last record, says what is unsigned, and lacks nothing that the agent saw', async () => {
    for (let round = 0; round < 3; round++) {
      const codes = await underLoad(150, () => running.kill('SIGKILL'));
      expect(codes).toContain(undefined);
      expect(
        codes.filter((code) => code !== undefined && code !== 'peer_failed' && code !== 'peer_unreachable'),
      ).toEqual([]);
      const log = expectWhole();
      expect(log.state.closed).toBe(false);
      expect(log.state.signedThrough).toBeGreaterThan(0);
      expect(log.unsigned).toBeLessThan(log.state.head.seq);
      running = await new SidecarProcess(configFile).started();
      const answer = await sendThrough(planning, 'http://inventory.mesh/after', { context });
      expect(answer.status).toBe(200);
    }
    const kinds = expectWhole().records.map(({ kind }) => kind);
    // In-process, as a process, and after each kill; ended in order once.
    expect(kinds.filter((kind) => kind === 'start')).toHaveLength(5);
    expect(kinds.filter((kind) => kind === 'stop')).toHaveLength(1);
  });

  it('takes back a last line that was not finished', async () => {
    await running.kill('SIGKILL');
    const whole = readLog();
    appendFileSync(inventory.logFile, '{"agents":[],"bundle":"1.1","cached":fal');
    expect(readLog()).toMatchObject({
      fault: undefined,
      unfinished: expect.stringContaining('"cached":fal'),
    });
    running = await new SidecarProcess(configFile).started();
    const log = expectWhole();
    expect(log.unfinished).toBe('');
    expect(log.state.head.seq).toBeGreaterThan(whole.state.head.seq);
  });

  it('is closed by SIGTERM with a stop record under a checkpoint', async () => {
    const { code, stderr } = await running.kill('SIGTERM');
    expect([code, stderr.match(/unhandled|Error:/i)]).toEqual([0, null]);
    expect(expectWhole()).toMatchObject({ unsigned: 0, state: { closed: true } });
    expect(readLog().records.at(-2)).toMatchObject({ kind: 'stop', reason: 'SIGTERM' });
    running = await new SidecarProcess(configFile).started();
  });

  describe('does not start on a log that was cut', () => {
    let whole: Buffer;
    beforeAll(async () => {
      await running.kill('SIGTERM');
      whole = readFileSync(inventory.logFile);
    });
    afterAll(() => writeFileSync(inventory.logFile, whole));

    const expectRefused = async (): Promise<void> => {
      const left = ((): Buffer | undefined => {
        try {
          return readFileSync(inventory.logFile);
        } catch {
          return undefined;
        }
      })();
      const { code, stderr } = await new SidecarProcess(configFile).ended;
      expect(code).toBe(1);
      expect(stderr).toContain('audit_cut');
      // Evidence stays as it was found.
      if (left !== undefined) expect(readFileSync(inventory.logFile).equals(left)).toBe(true);
    };
    const lines = (): string[] => whole.toString().split('\n');

    it('by its last checkpoint', async () => {
      const all = lines();
      writeFileSync(inventory.logFile, `${all.slice(0, -2).join('\n')}\n`);
      await expectRefused();
    });
    it('in the middle', async () => {
      writeFileSync(inventory.logFile, whole);
      truncateSync(inventory.logFile, Math.floor(whole.length / 2));
      await expectRefused();
    });
    it('within its first line', async () => {
      writeFileSync(inventory.logFile, whole.subarray(0, 40));
      await expectRefused();
    });
    it('to nothing, or away', async () => {
      writeFileSync(inventory.logFile, '');
      await expectRefused();
      rmSync(inventory.logFile);
      await expectRefused();
    });
    it('and starts when it is whole again', async () => {
      writeFileSync(inventory.logFile, whole);
      running = await new SidecarProcess(configFile).started();
      expectWhole();
    });
  });
});
