/** Times as people say them, never promising more than is left. */
import { expect, it } from 'vitest';
import { shellWord } from '../../../src/cli/shell-word.ts';
import { describeDuration, describeExpiry, describeMoment, formatTime } from '../../../src/cli/time-words.ts';

it.each([
  [0, '0 s'],
  [119, '119 s'],
  [120, '2 min'],
  [7199, '119 min'],
  [7200, '2 h'],
  [172_799, '47 h'],
  [172_800, '2 d'],
])('%d seconds are %s', (seconds, text) => {
  expect(describeDuration(seconds)).toBe(text);
});

it('a moment lies ahead, behind or is now', () => {
  expect([describeMoment(300, 0), describeMoment(0, 300), describeMoment(5, 5)]).toEqual([
    'in 5 min',
    '5 min ago',
    'now',
  ]);
});

it('what ends now has expired', () => {
  expect(describeExpiry(1_800_000_000, 1_800_000_000)).toBe('expired now (2027-01-15T08:00:00Z)');
  expect(formatTime(1_800_000_000)).toBe('2027-01-15T08:00:00Z');
});

it('a word for a shell is quoted only where it must be', () => {
  expect(shellWord('mesh/agents/planning-1')).toBe('mesh/agents/planning-1');
  expect(shellWord("my mesh's")).toBe("'my mesh'\\''s'");
  expect(shellWord('')).toBe("''");
});
