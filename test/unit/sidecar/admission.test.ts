/** Who gets a place for a handshake. */
import { expect, test } from 'vitest';
import { Admission } from '../../../src/sidecar/admission.ts';

const LIMITS = { handshakes: 5, handshakesPerSource: 2, connections: 6 };

test('a source has its places, and gets them back when a handshake is through or its connection is gone', () => {
  const door = new Admission(
    () => LIMITS,
    () => true,
  );
  const first = door.enter('10.0.0.1');
  const second = door.enter('10.0.0.1');
  expect([door.enter('10.0.0.1'), door.enter('10.0.0.2')]).toEqual([undefined, expect.anything()]);
  first?.proven();
  expect(door.enter('10.0.0.1')).toBeDefined();
  second?.left();
  second?.left();
  expect([door.enter('10.0.0.1'), door.enter('10.0.0.1')]).toEqual([expect.anything(), undefined]);
  expect(door.connections).toBe(4);
});

test('whoever has one address of an IPv6 network has them all; IPv4 in the form of IPv6 is IPv4', () => {
  const door = new Admission(
    () => LIMITS,
    () => true,
  );
  const taken = ['2001:db8::1', '2001:db8::2', '2001:db8::ffff', '2001:db8:0:1::1', '::ffff:10.0.0.1'].map(
    (source) => door.enter(source) !== undefined,
  );
  expect(taken).toEqual([true, true, false, true, true]);
});

test('what is too fast gets no place, and what gets no place does not count for the pace', () => {
  const counted: string[] = [];
  const door = new Admission(
    () => LIMITS,
    (source) => counted.push(source) < 4,
  );
  for (let tried = 0; tried < 4; tried++) door.enter('10.0.0.1');
  expect(counted).toHaveLength(2);
  expect([door.enter('10.0.0.2'), door.enter('10.0.0.3')]).toEqual([expect.anything(), undefined]);
});
