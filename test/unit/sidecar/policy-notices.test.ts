import { expect, test } from 'vitest';
import type { SidecarConfig } from '../../../src/config/sidecar-schema.ts';
import type { Policy } from '../../../src/core/policy/model.ts';
import { noticesOf } from '../../../src/sidecar/policy-notices.ts';

const NOW = 1_800_000_000;
const policy = (changes: Partial<Policy>): Policy => ({
  revision: 'r1',
  limits: { maxDepth: 5, linkTtlSeconds: 7200, callbacks: false, humanRoot: true, sessionSeconds: 600 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [],
  rules: [],
  demands: [],
  ...changes,
});
const route = (observeUntil: number | undefined) => ({
  name: 'all',
  callees: undefined,
  methods: undefined,
  path: '/*',
  scopes: ['a:b'],
  observeUntil,
});
const rule = {
  callers: undefined,
  callerTypes: undefined,
  callees: undefined,
  principals: undefined,
  scopes: undefined,
  routes: undefined,
};
const said = (changes: Partial<Policy>, config: Partial<SidecarConfig> = {}) =>
  noticesOf(policy(changes), config as SidecarConfig, NOW).map(
    ({ about, text }) => `${JSON.stringify(about)} ${text}`,
  );

test('a policy that is as it should be is nothing to hear of', () => {
  expect(said({ routes: [route(undefined)], rules: [{ ...rule, name: 'a', effect: 'allow' }] })).toEqual([]);
});

test('a route that is observed only, as long as it is', () => {
  expect(said({ routes: [route(NOW + 60)] })).toEqual([
    expect.stringContaining('"until":"2027-01-15T08:01:00.000Z"'),
  ]);
  expect(said({ routes: [route(NOW)] })).toEqual([]);
});

test('a decision point that is not configured, once', () => {
  const point = { point: 'opa', path: 'a/b', callees: undefined, routes: undefined };
  expect(said({ decisionPoints: [point, { ...point, path: 'a/c' }] })).toEqual([
    expect.stringContaining('"point":"opa"'),
  ]);
  expect(said({ decisionPoints: [point] }, { decisionPoints: { opa: {} } } as never)).toEqual([]);
});

test('a quarantine that is not there', () => {
  const rules = [{ ...rule, name: 'odd', effect: 'quarantine' as const }];
  expect(said({ rules })).toEqual([expect.stringContaining('no quarantine')]);
  expect(said({ rules: [{ ...rules[0], shadow: true } as never] })).toEqual([]);
  expect(said({ rules }, { quarantine: {} } as never)).toEqual([]);
});
