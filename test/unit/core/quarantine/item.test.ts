/** Names and labels of what is kept aside: every fact counts, and none says what a body says. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  joinSealed,
  mediaTypeOf,
  parseLabel,
  type QuarantinedFacts,
  type QuarantineLabel,
  quarantineId,
  splitSealed,
  writeLabel,
} from '../../../../src/core/quarantine/item.ts';
import { ALICE, permitted, reasonOf, testAgent } from '../../../testkit/core-world.ts';

const facts: QuarantinedFacts = {
  body: 'B'.repeat(42).concat('A'),
  callee: testAgent('inventory').id,
  caller: testAgent('planner').id,
  encoding: '',
  method: 'POST',
  principal: ALICE,
  salt: 'S'.repeat(42).concat('A'),
  sidecar: testAgent('inventory').id,
  target: '/reports?x=1',
  task: 'A'.repeat(43),
  type: 'application/json',
};
const label: QuarantineLabel = {
  callee: facts.callee,
  caller: facts.caller,
  findings: ['injection/override'],
  hop: '',
  id: quarantineId(facts),
  method: 'POST',
  octets: 12,
  path: '/reports',
  principal: ALICE,
  readers: ['A'.repeat(43)],
  rule: 'r',
  sidecar: facts.sidecar,
  task: facts.task,
  time: 1,
  type: 'application/json',
};

describe('an id', () => {
  test.each(Object.keys(facts))('is another with another %s', (name) => {
    expect(quarantineId({ ...facts, [name]: `${facts[name as keyof QuarantinedFacts]}x` })).not.toBe(
      quarantineId(facts),
    );
  });

  test('is of its facts alone, in whatever order, with whatever else', () => {
    const reversed = Object.fromEntries(Object.entries({ ...facts, more: 'x' }).reverse());
    expect(quarantineId(reversed as unknown as QuarantinedFacts)).toBe(quarantineId(facts));
    expect(quarantineId(facts)).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});

describe('a label', () => {
  test('is read as it was written', () => {
    expect(parseLabel(permitted(writeLabel(label)))).toEqual({ ok: true, value: label });
  });

  test.each<[Partial<Record<keyof QuarantineLabel | 'body', unknown>>, string]>([
    [{ findings: ['what the body says'] }, 'claim_invalid'],
    [{ findings: Array.from({ length: 65 }, (_, n) => `p${n}`) }, 'claim_invalid'],
    [{ path: '/a?query=1' }, 'claim_invalid'],
    [{ path: '/a/../b' }, 'claim_invalid'],
    [{ type: 'application/json; x=secret' }, 'claim_invalid'],
    [{ method: 'PO ST' }, 'claim_invalid'],
    [{ id: 'short' }, 'claim_invalid'],
    [{ task: '' }, 'claim_invalid'],
    [{ readers: [] }, 'claim_invalid'],
    [{ octets: -1 }, 'claim_invalid'],
    [{ caller: 'planner' }, 'claim_invalid'],
    [{ body: 'x' }, 'claim_unknown'],
    [{ rule: undefined }, 'claim_missing'],
  ])('with %j is none', (change, reason) => {
    const changed = Object.fromEntries(
      Object.entries({ ...label, ...change }).filter(([, value]) => value !== undefined),
    );
    expect(reasonOf(writeLabel(changed as unknown as QuarantineLabel))).toBe(reason);
  });
});

test.each([
  ['application/json', 'application/json'],
  ['Application/JSON ; charset=utf-8', 'application/json'],
  ['text/html;note="a, b"', 'text/html'],
  ['', ''],
  ['secret text', ''],
  ['a/b/c', ''],
  ['text/\u001b[2J', ''],
  [`text/${'x'.repeat(128)}`, ''],
])('the media type of %j is %j', (given, expected) => {
  expect(mediaTypeOf(given)).toBe(expected);
});

test('what was joined is split as it was, whatever stands in it', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.string({ unit: 'grapheme' }), fc.string(), (octets, type, encoding) => {
      const head = { encoding, salt: facts.salt, target: facts.target, type };
      const split = permitted(splitSealed(joinSealed(head, Buffer.from(octets))));
      expect(split.head).toEqual(head);
      expect(split.body.equals(octets)).toBe(true);
    }),
  );
});

test.each(['', '{}', '{}\nbody', 'no json\nbody', '{"encoding":"","salt":"x","target":"/","type":""}\n'])(
  'what has no head is nothing: %j',
  (text) => {
    expect(splitSealed(Buffer.from(text)).ok).toBe(false);
  },
);
