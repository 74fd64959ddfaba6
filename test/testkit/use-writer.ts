/** A process that takes uses as fast as it can, says which it got, and is killed by whoever started it. */
import { writeSync } from 'node:fs';
import { FileUseCounter } from '../../src/edge/store/use-counter.ts';
import { TestClock } from './test-clock.ts';

export const LASTING = 'L'.repeat(43);

const [file = ''] = process.argv.slice(2);
const clock = new TestClock();
// So few lines that the file is written anew all the time.
const counter = new FileUseCounter(file, clock, 4);
for (let n = 0; ; n++) {
  const over = `${n}-${process.pid}-`.padEnd(43, 'x');
  await counter.take(over, 0, 1, clock.seconds - 2 * 86_400);
  if (!(await counter.take(LASTING, 3, 1_000_000, clock.seconds + 60))) break;
  // Synchronously: what was taken is known even of a process that is killed right behind it.
  writeSync(1, 'taken\n');
}
