/** A reviewer's key files: what is made is read, and what could be mistaken for one is refused. */
import { describe, expect, test } from 'vitest';
import {
  isReviewerName,
  makeReviewerFiles,
  parseReviewer,
  parseReviewerKey,
} from '../../../../src/edge/store/quarantine-keys.ts';

const bob = makeReviewerFiles('bob');
const mallory = makeReviewerFiles('mallory');
type Set = { name: unknown; keys: Record<string, unknown>[] };
const setOf = (text: string): Set => JSON.parse(text) as Set;
const changed = (text: string, change: (set: Set) => void): Buffer => {
  const set = setOf(text);
  change(set);
  return Buffer.from(JSON.stringify(set));
};

test('both halves of one reviewer belong together, and the public one holds no secret', () => {
  const { name, key } = parseReviewer(Buffer.from(bob.pub));
  const own = parseReviewerKey(Buffer.from(bob.key));
  expect([name, key.thumbprint]).toEqual([own.name, own.signing.thumbprint]);
  expect(bob.pub).not.toContain('"d"');
  expect(parseReviewer(Buffer.from(mallory.pub)).key.thumbprint).not.toBe(key.thumbprint);
});

describe('no public key', () => {
  const zeros = Buffer.alloc(32).toString('base64url');
  const identity = Buffer.from([1, ...Buffer.alloc(31)]).toString('base64url');
  test.each<[string, Buffer, string]>([
    ['is a private one', Buffer.from(bob.key), 'name the .pub file'],
    ['is text', Buffer.from('ssh-ed25519 AAAA'), 'public key'],
    ['has one key', changed(bob.pub, ({ keys }) => keys.pop()), 'exactly one'],
    ['has three', changed(bob.pub, ({ keys }) => keys.push({ kty: 'RSA' })), 'exactly one'],
    [
      'has two of a kind',
      changed(bob.pub, (set) => (set.keys = [set.keys[0] ?? {}, set.keys[0] ?? {}])),
      'exactly one',
    ],
    [
      'has keys that are none',
      changed(bob.pub, (set) => (set.keys = [null as never, 7 as never])),
      'exactly one',
    ],
    ['has no name', changed(bob.pub, (set) => delete set.name), 'name'],
    ['has a name for a terminal', changed(bob.pub, (set) => (set.name = 'bob\u001b[2J')), 'name'],
    ['has a member more', changed(bob.pub, (set) => ((set as unknown as { x: number }).x = 1)), 'not listed'],
    ['has a use for the other', changed(bob.pub, ({ keys }) => ((keys[0] ?? {}).use = 'enc')), 'use'],
    [
      'signs with the identity point',
      changed(bob.pub, ({ keys }) => ((keys[0] ?? {}).x = identity)),
      'small order',
    ],
    ['seals to zero', changed(bob.pub, ({ keys }) => ((keys[1] ?? {}).x = zeros)), 'small order'],
    ['seals to one', changed(bob.pub, ({ keys }) => ((keys[1] ?? {}).x = identity)), 'small order'],
  ])('%s', (_what, octets, message) => {
    expect(() => parseReviewer(octets)).toThrow(message);
  });
});

describe('no private key', () => {
  test.each<[string, Buffer, string]>([
    ['is a public one', Buffer.from(bob.pub), 'lacks d'],
    [
      'signs under another’s name',
      changed(bob.key, ({ keys }) => ((keys[0] ?? {}).x = setOf(mallory.pub).keys[0]?.x)),
      'not that of its public one',
    ],
    [
      'opens under another’s name',
      changed(bob.key, ({ keys }) => ((keys[1] ?? {}).x = setOf(mallory.pub).keys[1]?.x)),
      'not that of its public one',
    ],
    ['is cut short', Buffer.from(bob.key.slice(0, 90)), 'private key'],
  ])('%s', (_what, octets, message) => {
    expect(() => parseReviewerKey(octets)).toThrow(message);
  });
});

test.each(['', 'Bob', 'a b', '../bob', '-bob', 'x'.repeat(65), 'bob\n'])('%j names no reviewer', (name) => {
  expect(isReviewerName(name)).toBe(false);
});
