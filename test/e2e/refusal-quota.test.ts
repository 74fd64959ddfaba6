/** A flood of strangers: refused, counted by source, and the log stays small (a remote kill switch otherwise). */
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { verifyLogFile } from '../testkit/verified-log.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const FLOOD = 10_000;
const AT_ONCE = 48;

describe('10,000 connections without authentication', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
    inventory = await mesh.start(INVENTORY, {
      config: { audit: { refusalInterval: '1s', refusalSources: 8 } },
    });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
  });
  afterAll(() => mesh.stop());

  const port = (): number => inventory.addresses.inbound?.port ?? 0;
  const sources = 40;
  /** From many addresses of loopback, as from many machines. */
  const from = (index: number): string => `127.0.1.${1 + (index % sources)}`;

  const garbage = async (index: number): Promise<void> => {
    const socket = connect({ port: port(), host: '127.0.0.1', localAddress: from(index) });
    socket.on('error', () => undefined);
    socket.write(index % 3 === 0 ? 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' : Buffer.alloc(200, index));
    // The alert is read, so that it ends with a FIN and not with our reset.
    socket.resume();
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  };
  const withoutCertificate = async (index: number): Promise<void> => {
    const socket = connectTls({
      port: port(),
      host: '127.0.0.1',
      localAddress: from(index),
      rejectUnauthorized: false,
      ALPNProtocols: ['hopgate-h1/1'],
    } as never);
    socket.on('error', () => undefined);
    socket.resume();
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  };

  it('leave a few lines, which say how many there were; the agent saw none, and its callers are served meanwhile', {
    timeout: 120_000,
  }, async () => {
    const context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
    expect((await sendThrough(planning, 'http://inventory.mesh/before', { context })).status).toBe(200);
    const before = statSync(inventory.logFile).size;
    const started = performance.now();
    let next = 0;
    let served = 0;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < FLOOD) {
          const index = next++;
          await (index % 20 === 0 ? withoutCertificate(index) : garbage(index));
          if (index % 2000 === 0) {
            expect((await sendThrough(planning, 'http://inventory.mesh/meanwhile', { context })).status).toBe(
              200,
            );
            served++;
          }
        }
      }),
    );
    const seconds = (performance.now() - started) / 1000;
    expect(inventory.seen).toHaveLength(1 + served);
    inventory.sidecar.stop('to write what was counted');
    const log = verifyLogFile(inventory.logFile, mesh.domain.verifiedBundle().issuers);
    expect(log).toMatchObject({ fault: undefined, unsigned: 0 });
    const refusals = log.records.filter(({ kind }) => kind === 'refusals') as unknown as {
      from: number;
      to: number;
      sources: { source: string; reason: string; count: number }[];
    }[];
    // One line an interval, each of bounded width: rows that are told apart, and "other" once a reason.
    expect(refusals.length).toBeLessThanOrEqual(Math.ceil(seconds) + 2);
    for (const { sources: rows } of refusals) expect(rows.length).toBeLessThanOrEqual(8 + 4);
    expect(statSync(inventory.logFile).size - before).toBeLessThan(40_000 + refusals.length * 2000);
    // Nothing else was written about them, and none was forgotten.
    expect(log.records.filter(({ kind, verdict }) => kind === 'decision' && verdict === 'deny')).toEqual([]);
    const rows = refusals.flatMap(({ sources: list }) => list);
    expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(FLOOD);
    // Some of the garbage reads like the beginning of a TLS record: that one is waited for.
    expect(new Set(rows.map(({ reason }) => reason))).toEqual(
      new Set(['tls_failed', 'tls_no_certificate', 'hs_timeout']),
    );
    expect(rows.some(({ source }) => source === 'other')).toBe(true);
  });
});
