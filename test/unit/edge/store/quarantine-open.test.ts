/** A quarantine that can't be opened as configured is said before the sidecar starts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeReviewerFiles } from '../../../../src/edge/store/quarantine-keys.ts';
import { openQuarantine } from '../../../../src/edge/store/quarantine-open.ts';
import { testAgent } from '../../../testkit/core-world.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const open = (...texts: readonly string[]) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'hopgate-quarantine-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const reviewers = texts.map((text, index) => {
    const file = path.join(folder, `${index}.pub`);
    writeFileSync(file, text);
    return file;
  });
  return openQuarantine({
    directory: path.join(folder, 'quarantine'),
    reviewers,
    limits: { retentionSeconds: 1, maxBytes: 1, maxItems: 1, maxBytesPerCaller: 1, maxItemsPerCaller: 1 },
    clock: new TestClock(),
    audit: { append: (_record, written) => written(true) },
    uses: { take: async () => true },
    sidecar: () => testAgent('inventory').id,
    onFailure: () => undefined,
  });
};
const { pub, key } = makeReviewerFiles('bob');
const other = makeReviewerFiles('carol');

test('reviewers are those of the files', () => {
  expect(
    open(pub, other.pub)
      .status()
      .reviewers.map(({ name }) => name),
  ).toEqual(['bob', 'carol']);
});

test.each<[string, readonly string[], RegExp]>([
  ['a private key', [key], /0\.pub is not a reviewer’s public key.*name the \.pub file/],
  ['no key', [pub, 'x'], /1\.pub is not a reviewer’s public key/],
  ['a name twice', [pub, makeReviewerFiles('bob').pub], /bob is named twice/],
  ['a key twice', [pub, pub.replace('"bob"', '"dave"')], /named twice/],
])('%s is refused', (_what, texts, message) => {
  expect(() => open(...texts)).toThrow(message);
});
