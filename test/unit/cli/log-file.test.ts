import { afterEach, expect, test, vi } from 'vitest';
import { CommandError } from '../../../src/cli/command.ts';
import { checkReadable, progressOf } from '../../../src/cli/log-file.ts';
import { writeFiles } from '../../testkit/sealed-log.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

test('a file over 50 MB reports how far it is read, in steps, and a smaller one doesn’t', () => {
  const written: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const terminal = process.stderr.isTTY;
  process.stderr.isTTY = false;
  try {
    const report = progressOf('a\u001b.log', 200_000_000);
    for (let read = 0; read <= 200_000_000; read += 1_000_000) report?.(read);
  } finally {
    process.stderr.isTTY = terminal;
  }
  expect(progressOf('a.log', 50_000_000)).toBeUndefined();
  expect(written).toHaveLength(10);
  expect(written[0]).toBe('a\ufffd.log: 10 % of 200 MB\n');
});

test('the size of a file, or what a person can do about it', async () => {
  const at = writeFiles({ 'a.log': '12345' });
  expect(await checkReadable(at('a.log'))).toBe(5);
  await expect(checkReadable(at('none.log'))).rejects.toThrow(CommandError);
  await expect(checkReadable(at(''))).rejects.toThrow(/is a folder/);
});
