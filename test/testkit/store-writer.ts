/** A process that commits as fast as it can, says what was acknowledged, and is killed by whoever started it. */
import { z } from 'zod';
import { SYSTEM } from '../../src/verifier/actor.ts';
import { Edit, kind, Records } from '../../src/verifier/records.ts';
import { SqliteStore } from '../../src/verifier/store/sqlite-store.ts';
import { TestClock } from './test-clock.ts';

export const COUNTED = kind('counted', z.strictObject({ n: z.int(), filler: z.string() }));
/** Records that each commit writes: all of them, or none. */
export const AT_ONCE = 5;

/** Commit `n` writes these, and the event `count.made` with `n`. */
export const commitNumber = (records: Records, n: number): Promise<number> => {
  const edit = new Edit();
  for (let at = 0; at < AT_ONCE; at++) edit.set(COUNTED, `${n}/${at}`, { n, filler: 'x'.repeat(500) }, null);
  return records.commit({ event: 'count.made', actor: SYSTEM, why: '', data: { n } }, edit);
};

if (import.meta.main) {
  const [directory = '', from = '1'] = process.argv.slice(2);
  const store = SqliteStore.open(directory, { onWatcherFault: () => undefined });
  const records = new Records(store, new TestClock());
  for (let n = Number(from); ; n++) {
    await commitNumber(records, n);
    // Synchronously: what was acknowledged is known even of a process that is killed right behind it.
    process.stdout.write(`${n}\n`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
