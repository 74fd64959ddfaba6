/** The verifier killed with -9 between any two writes: what was acknowledged is there, what was not is there wholly or not at all. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { verifyLedger } from '../../../../src/verifier/ledger.ts';
import { Records } from '../../../../src/verifier/records.ts';
import { SqliteStore } from '../../../../src/verifier/store/sqlite-store.ts';
import { AT_ONCE, COUNTED, commitNumber } from '../../../testkit/store-writer.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const WRITER = fileURLToPath(new URL('../../../testkit/store-writer.ts', import.meta.url));
const ROUNDS = 12;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-crash-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a writer until it has acknowledged `commits` more, kills it `microseconds` later; the last commit that it acknowledged. */
const writeAndKill = async (from: number, commits: number, microseconds: number): Promise<number> => {
  const child = spawn(process.execPath, [WRITER, directory, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    said += text;
    if (said.split('\n').length - 1 < commits) return;
    const end = performance.now() + microseconds / 1000;
    while (performance.now() < end);
    child.kill('SIGKILL');
  });
  await once(child, 'close');
  const lines = said.split('\n').slice(0, -1);
  return Number(lines.at(-1) ?? from - 1);
};

it('keeps every acknowledged commit, whole, and the ledger’s chain', async () => {
  let next = 1;
  for (let round = 0; round < ROUNDS; round++) {
    // Each round ends at another point: after few or many commits, on the way into the file or into the log.
    const acknowledged = await writeAndKill(next, 1 + ((round * 37) % 150), (round * 173) % 1500);
    const store = SqliteStore.open(directory, { onWatcherFault: () => undefined });
    const records = new Records(store, new TestClock());
    const verified = await verifyLedger((page) => store.events(page));
    expect(verified.ok).toBe(true);
    const last = (await store.lastEvent())?.seq ?? 0;
    // One commit may have been on disk when the process ended before it could say so; none was lost.
    expect(last).toBeGreaterThanOrEqual(acknowledged);
    expect(await records.count(COUNTED)).toBe(last * AT_ONCE);
    expect(await records.count(COUNTED, `${last}/`)).toBe(AT_ONCE);
    // And it goes on.
    await commitNumber(records, last + 1);
    await store.close();
    next = last + 2;
  }
  expect(next).toBeGreaterThan(ROUNDS * 10);
}, 60_000);
