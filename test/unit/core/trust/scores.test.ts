/** Scores as a bundle carries them: read strictly, and silence is no score. */
import { describe, expect, test } from 'vitest';
import { parseStrictObjectText } from '../../../../src/core/encoding/json.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { Scores, scoreAt } from '../../../../src/core/trust/scores.ts';
import { NOW, permitted, reasonOf } from '../../../testkit/core-world.ts';

const INVENTORY = 'spiffe://company.com/agent/inventory/1' as AgentId;
const OTHER = 'spiffe://company.com/agent/other/1' as AgentId;
const parse = (agents: string, rest = '"baseline":400,"half_life":3600') =>
  Scores.parse(permitted(parseStrictObjectText(`{${rest},"agents":${agents}}`)));
const one = (entry: string) => reasonOf(parse(`{"${INVENTORY}":${entry}}`));

test('of an agent, and of one that is not listed', () => {
  const scores = permitted(parse(`{"${INVENTORY}":[900,${NOW},24]}`));
  expect(scores.of(INVENTORY, NOW)).toEqual({ score: 900, uncertainty: 100 });
  expect(scores.of(INVENTORY, NOW + 3600)).toEqual({ score: 650, uncertainty: 139 });
  expect(scores.of(OTHER, NOW)).toEqual({ score: 400, uncertainty: 500 });
});

test('without scores everybody has 0', () => {
  expect(Scores.none.of(INVENTORY, NOW)).toEqual({ score: 0, uncertainty: 500 });
});

describe('an entry of another form refuses all', () => {
  test.each([
    'null',
    'true',
    '900',
    '"900"',
    '{}',
    '[]',
    '[900]',
    `[900,${NOW}]`,
    `[900,${NOW},1,1]`,
    `[null,${NOW},1]`,
  ])('%s', (entry) => expect(one(entry)).toBe('claim_invalid'));
  test.each([
    `[1001,${NOW},1]`,
    `[-1,${NOW},1]`,
    '[900,0,1]',
    '[900,9007199254740991,1]',
    `[900,${NOW},1000001]`,
  ])('out of range: %s', (entry) => expect(one(entry)).toBe('claim_invalid'));
});

test('names that the language knows are no agents, and harm nothing', () => {
  for (const name of ['__proto__', 'constructor', 'toString'])
    expect(reasonOf(parse(`{"${name}":[1,${NOW},1]}`))).toBe('claim_invalid');
  const scores = permitted(parse('{}'));
  for (const name of ['__proto__', 'constructor']) expect(scores.of(name as AgentId, NOW).score).toBe(400);
});

test('a clock that goes back makes no evidence younger than it is', () => {
  const entry = { score: 900, at: NOW, weight: 10 };
  expect(scoreAt(entry, { baseline: 400, halfLife: 60 }, NOW - 600)).toEqual(
    scoreAt(entry, { baseline: 400, halfLife: 60 }, NOW),
  );
});
