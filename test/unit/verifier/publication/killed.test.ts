/** kill -9 at any moment: no number twice, nothing lost that was acknowledged, and it starts again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../../src/edge/clock.ts';
import { Authority } from '../../../../src/verifier/authority/authority.ts';
import { bundleNumber } from '../../../../src/verifier/publication/publication.ts';
import { Records } from '../../../../src/verifier/records.ts';
import { SqliteStore } from '../../../../src/verifier/store/sqlite-store.ts';
import { makeFolder } from '../../../testkit/authority.ts';

const PROGRAM = fileURLToPath(new URL('../../../testkit/publishing-process.ts', import.meta.url));

/** Lets it run until it has said so many lines, and kills it a little later. Returns all that it ever said. */
const runAndKill = async (directory: string, lines: number, turns: number): Promise<readonly string[]> => {
  const child = spawn(process.execPath, [PROGRAM, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said: string[] = [];
  let killing: Promise<void> | undefined;
  const kill = async (): Promise<void> => {
    // Another moment each time: between any two of its writes.
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    child.kill('SIGKILL');
  };
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (said.length >= lines) killing ??= kill();
  }
  await killing;
  const [, signal] = await exited;
  expect(signal).toBe('SIGKILL');
  return said;
};

it('no number is given twice, and what was acknowledged stays revoked', { timeout: 120_000 }, async () => {
  const directory = makeFolder(onTestFinished);
  const digests = new Map<string, string>();
  const revoked: string[] = [];
  const roots = new Set<string>();
  let last = { epoch: 0, seq: 0 };
  for (let round = 0; round < 8; round++) {
    for (const line of await runAndKill(directory, 4 + 3 * round, 37 * round)) {
      const [what, ...rest] = line.split(' ');
      if (what === 'root') roots.add(rest[0] ?? '');
      if (what === 'revoked') revoked.push(rest[0] ?? '');
      if (what !== 'bundle') continue;
      const [epoch, seq] = rest.map(Number);
      const number = { epoch: epoch ?? 0, seq: seq ?? 0 };
      expect(number.epoch > last.epoch || (number.epoch === last.epoch && number.seq > last.seq), line).toBe(
        true,
      );
      expect(digests.has(`${epoch}.${seq}`)).toBe(false);
      digests.set(`${epoch}.${seq}`, rest[2] ?? '');
      last = number;
    }
  }
  expect(roots.size).toBe(1);
  expect(digests.size).toBeGreaterThan(20);
  const store = SqliteStore.open(directory, { onWatcherFault: (error) => expect.fail(String(error)) });
  onTestFinished(() => store.close());
  const records = new Records(store, systemClock);
  const number = (await records.get(bundleNumber, 'number'))?.value ?? { epoch: 0, seq: 0 };
  expect(number.epoch > last.epoch || (number.epoch === last.epoch && number.seq >= last.seq)).toBe(true);
  const kept = new Set((await store.list('revocation/')).map(({ key }) => key.slice('revocation/'.length)));
  for (const key of revoked) expect(kept.has(key)).toBe(true);
  const authority = await Authority.open({
    trustDomain: 'company.com',
    directory,
    records,
    clock: systemClock,
  });
  expect(roots.has(authority.rootThumbprint)).toBe(true);
});
