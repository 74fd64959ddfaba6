/** Trust scores: their form in a bundle, and what they say at a time. */
import { type Case, NOW } from './case.ts';
import { BILLING, INVENTORY } from './world.ts';

const DAY = 86_400;
const scores = (entry: unknown, edit: Readonly<Record<string, unknown>> = {}) => ({
  baseline: 500,
  half_life: DAY,
  agents: { [INVENTORY.id]: entry },
  ...edit,
});

const read = (
  comment: string,
  entry: unknown,
  expect: Case['expect'],
  edit: Readonly<Record<string, unknown>> = {},
  agent = INVENTORY.id,
): Case => ({ comment, source: '9', now: NOW, input: { scores: scores(entry, edit), agent }, expect });
const ok = (
  comment: string,
  entry: readonly [number, number, number],
  score: number,
  uncertainty: number,
  edit: Readonly<Record<string, unknown>> = {},
): Case => read(comment, entry, { reason: 'ok', score, uncertainty }, edit);
const bad = (
  comment: string,
  entry: unknown,
  reason: string,
  edit: Readonly<Record<string, unknown>> = {},
): Case => read(comment, entry, { reason }, edit);

const values = (): Case[] => [
  ok('just seen', [900, NOW, 99], 900, 50),
  ok('after one half-life', [900, NOW - DAY, 99], 700, 70),
  ok('after two half-lives', [900, NOW - 2 * DAY, 99], 600, 99),
  ok('a low score rises to the baseline', [100, NOW - DAY, 99], 300, 70),
  ok('after ten half-lives', [1000, NOW - 10 * DAY, 1000], 500, 356),
  ok('after a thousand half-lives nothing is left', [1000, NOW - 1000 * DAY, 1_000_000], 500, 500),
  ok('after an hour of a day’s half-life', [900, NOW - 3600, 99], 889, 51),
  ok('half a point is rounded up', [901, NOW - DAY, 0], 701, 500),
  ok('half a point is rounded up below the baseline as well', [99, NOW - DAY, 0], 300, 500),
  ok('no evidence', [700, NOW, 0], 700, 500),
  ok('the most evidence that there is', [700, NOW, 1_000_000], 700, 0),
  ok('evidence from the future has not aged', [900, NOW + 600, 99], 900, 50),
  ok('a short half-life', [1000, NOW - 60, 3], 500, 316, { baseline: 0, half_life: 60 }),
  ok('a half-life of a year', [0, NOW - 31_536_000, 3], 500, 316, { baseline: 1000, half_life: 31_536_000 }),
  read(
    'an agent of which nothing is known',
    [900, NOW, 99],
    { reason: 'ok', score: 500, uncertainty: 500 },
    {},
    BILLING.id,
  ),
  read('no agents', undefined, { reason: 'ok', score: 500, uncertainty: 500 }, { agents: {} }),
];

const form = (): Case[] => [
  bad('no baseline', [900, NOW, 9], 'claim_missing', { baseline: undefined }),
  bad('no half-life', [900, NOW, 9], 'claim_missing', { half_life: undefined }),
  bad('no agents at all', [900, NOW, 9], 'claim_missing', { agents: undefined }),
  bad('a member too many', [900, NOW, 9], 'claim_unknown', { at: NOW }),
  bad('a baseline over 1000', [900, NOW, 9], 'claim_invalid', { baseline: 1001 }),
  bad('a negative baseline', [900, NOW, 9], 'claim_invalid', { baseline: -1 }),
  bad('a half-life under a minute', [900, NOW, 9], 'claim_invalid', { half_life: 59 }),
  bad('a half-life over a year', [900, NOW, 9], 'claim_invalid', { half_life: 31_536_001 }),
  bad('agents as list', [900, NOW, 9], 'claim_invalid', { agents: [] }),
  bad('an agent that is none', [900, NOW, 9], 'claim_invalid', { agents: { inventory: [900, NOW, 9] } }),
  bad('a type of agents', [900, NOW, 9], 'claim_invalid', {
    agents: { 'spiffe://company.com/agent/inventory/*': [900, NOW, 9] },
  }),
  bad('a score over 1000', [1001, NOW, 9], 'claim_invalid'),
  bad('a negative score', [-1, NOW, 9], 'claim_invalid'),
  bad('a score as text', ['900', NOW, 9], 'claim_invalid'),
  bad('a time that is none', [900, 0, 9], 'claim_invalid'),
  bad('a time past the year 9999', [900, 253_402_300_800, 9], 'claim_invalid'),
  bad('negative evidence', [900, NOW, -1], 'claim_invalid'),
  bad('more evidence than is counted', [900, NOW, 1_000_001], 'claim_invalid'),
  bad('an entry of two', [900, NOW], 'claim_invalid'),
  bad('an entry of four', [900, NOW, 9, 9], 'claim_invalid'),
  bad('an entry of null', null, 'claim_invalid'),
  bad('an entry as number', 900, 'claim_invalid'),
  bad('an entry as object', { score: 900, at: NOW, weight: 9 }, 'claim_invalid'),
];

export const scoreCases = (): Case[] => [...values(), ...form()];
