/** What is on its way through the log when a sidecar ends: no record is lost, and none is written into another file. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { OutcomeRecord } from '../../src/core/audit/record.ts';
import { systemClock } from '../../src/edge/clock.ts';
import { AuditLog } from '../../src/edge/store/audit-log.ts';
import { makeMesh, TEST_SCOPE } from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';

const OUTCOME: OutcomeRecord = {
  direction: 'inbound',
  hop: 'AAAAAAAAAAAAAAAAAAAAAA.1',
  kind: 'outcome',
  received: 0,
  result: 'draining',
  sent: 0,
  status: 503,
  us: 1,
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-log-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it.each(['process', 'disk'] as const)(
  'a request that is decided while the log closes has its outcome in this log and in no other file (%s)',
  async (durability) => {
    const file = path.join(directory, 'audit.log');
    const failures: Error[] = [];
    const log = new AuditLog({
      file,
      durability,
      checkpointRecords: 1000,
      checkpointIntervalMs: 60_000,
      refusalIntervalMs: 60_000,
      refusalSources: 8,
      denialsPerCaller: 100,
      signer: () => ({
        sidecar: 'spiffe://company.com/agent/inventory/def456',
        wit: 'wit',
        auditX: 'x',
        sign: () => Buffer.alloc(64),
      }),
      clock: systemClock,
      onFailure: (error) => failures.push(error),
    });
    log.open();
    const heard: boolean[] = [];
    log.append({ kind: 'start', version: 'test', policy: 'p', bundle: '1.1' }, (ok) => {
      heard.push(ok);
      log.note(OUTCOME);
    });
    log.close('test over');
    // The system gives the number of the closed file to the next ones.
    const others = ['one', 'two', 'three'].map((name) => path.join(directory, name));
    const open = others.map((name) => openSync(name, 'w'));
    await new Promise((next) => setImmediate(() => setImmediate(next)));
    for (const fd of open) closeSync(fd);

    expect(others.map((name) => readFileSync(name, 'utf8'))).toEqual(['', '', '']);
    expect(heard).toEqual([true]);
    const kinds = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(kinds).toEqual(['start', 'outcome', 'stop', 'checkpoint']);
    expect([failures, log.lostNotes]).toEqual([[], 0]);
  },
);

it('a stream that a sudden stop cuts has its outcome in the log', async () => {
  const mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
  const inventory = await mesh.start('inventory/def456', {
    handler: (_request, response) => {
      response.writeHead(200);
      response.write('first');
    },
  });
  const planning = mesh.domain.agent('planning/abc123');
  const peer = await openSession(inventory, planning);
  const chain = mesh.domain.mintChain(['planning/abc123'], { scope: TEST_SCOPE });
  const arrived = new Promise<void>((resolve) => peer.socket.once('data', () => resolve()));
  peer.socket.write(requestText({ chain }));
  await arrived;
  inventory.sidecar.stop('at once');
  const records = inventory.log().map(({ kind, result }) => result ?? kind);
  expect(records).toEqual(['start', 'decision', 'draining', 'stop', 'checkpoint']);
  peer.close();
  mesh.stop();
});
