/** What a log does not hold is never made up: it is named, and nothing is claimed that hangs on it. */
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../../../../src/config/policy.ts';
import type { DecisionRecord } from '../../../../../src/core/audit/record.ts';
import type { RecordedDecision } from '../../../../../src/core/policy/analysis/recorded.ts';
import { Replay } from '../../../../../src/core/policy/analysis/replay.ts';
import { decision } from '../../../../testkit/core-log.ts';

const CALLER = 'spiffe://x.y/agent/a/1';
const CALLEE = 'spiffe://x.y/agent/b/1';
const TIME = Date.parse('2026-11-20T12:00:00Z');

const record = (changes: Partial<DecisionRecord> = {}): RecordedDecision => ({
  ...decision({
    agents: [{ id: CALLER, link: 'l' }],
    caller: CALLER,
    callee: CALLEE,
    granted: ['s:*'],
    required: ['s:a'],
    target: '/a',
    rule: 'all',
    ...changes,
  }),
  log: 'L',
  prev: '',
  seq: 1,
  sidecar: CALLEE,
  time: TIME,
  v: 1,
});

const ROUTE = 'routes:\n  - {name: a, path: /a, scopes: [s:a]}\n';
const ALL = 'rules:\n  - {name: all, effect: allow}\n';
const policy = (rest: string) =>
  parsePolicy(`apiVersion: hopgate.dev/v1\nkind: Policy\nrevision: r1\n${rest}`, 'p.yaml');
const judged = (
  rest: string,
  changes: Partial<DecisionRecord> = {},
  base?: string,
  labels: readonly string[] = [],
) => {
  const replay = new Replay(policy(rest), new Set(labels), base === undefined ? undefined : policy(base));
  const { change, now, missing } = replay.judge(record(changes));
  return `${change}${now === undefined || change === 'same' ? '' : ` ${now.reason}`}${missing.length > 0 ? ` needs ${missing.join(', ')}` : ''}`;
};
const rule = (effect: string, when: string): string =>
  `${ROUTE}${ALL}  - {name: one, effect: ${effect}, when: '${when}'}\n`;

describe('conditions over what no log holds', () => {
  test.each([
    ['a deny', rule('deny', 'caller.score < 300'), 'unknown needs caller.score'],
    ['a flag that has a value whatever it reads', rule('flag', 'caller.score < 300'), 'same'],
    [
      'a flag that may have none, and then denies',
      rule('flag', 'request.headers["x-a"] == "1"'),
      'unknown needs request.headers',
    ],
    ['an allow beside another', rule('allow', '"x-a" in request.headers'), 'same'],
    ['a rule in shadow', rule('deny', 'caller.score < 300').replace("'}", "', shadow: true}"), 'same'],
    [
      'a rule for others',
      rule('deny', 'caller.score < 300').replace(
        'effect: deny',
        'effect: deny, principals: ["mailto:x@x.y"]',
      ),
      'same',
    ],
    [
      'what is on record',
      rule('deny', 'chain.depth > 1 || now.getHours() > 12 || request.method == "POST"'),
      'same',
    ],
    [
      'what is on record, and denies',
      rule('deny', 'now.getHours() == 12 && chain.depth == 1'),
      'denied rule_denied',
    ],
    ['a variable read whole', rule('deny', 'size(caller.attributes) > 0'), 'unknown needs caller.attributes'],
  ])('%s', (_, rest, expected) => {
    expect(judged(rest)).toBe(expected);
  });

  test('of an allow that is the only one', () => {
    expect(
      judged(`${ROUTE}rules:\n  - {name: one, effect: allow, when: 'request.query["x"] == "1"'}\n`),
    ).toBe('unknown needs request.query');
  });
});

describe('what a permit hangs on besides', () => {
  const more = (part: string): string => `${ROUTE}${ALL}${part}`;
  const content = 'content:\n  - {name: pii, directions: [request], detectors: [pii], action: deny}\n';
  const points = 'decisionPoints:\n  - {point: opa, path: a/b}\n';
  const demands = (what: string): string => more(`demands:\n  - {scopes: [s:a], ${what}}\n`);
  test.each([
    ['a score', demands('minScore: 3'), 'unknown needs caller.score'],
    ['the life of links', demands('linkTtl: 1h'), 'unknown needs life of links'],
    ['the age of trust', demands('maxStaleness: 5m'), 'unknown needs age of trust'],
    ['a body', more(content), 'unknown needs body'],
    ['another decision point', more(points), 'unknown needs decision point'],
    [
      'a grant',
      more('delegation:\n  otherwise: deny\n  rules: [{name: no, effect: allow, fromTypes: [z]}]\n'),
      'unknown needs grant',
    ],
    ['a content rule that only flags', more(content.replace('deny', 'flag')), 'same'],
  ])('%s', (_, rest, expected) => {
    expect(judged(rest)).toBe(expected);
    // The policy under which it was permitted said the same.
    expect(judged(rest, {}, rest)).toBe('same');
  });

  test('a human, unless one had approved', () => {
    const rest = demands('approval: required');
    expect(judged(rest)).toBe('denied approval_required');
    expect(judged(rest, { approvals: [{ approver: 'carol', id: 'i' }] })).toBe('same');
    expect(
      judged(rest, { approvals: [{ approver: '', id: 'i' }], verdict: 'deny', reason: 'approval_required' }),
    ).toBe('same');
    expect(judged(rest, { direction: 'outbound' })).toBe('same');
  });

  test('the message, where the record has none', () => {
    const mcp = ROUTE.replace(
      'scopes: [s:a]',
      'protocol: mcp, operations: [{methods: [tools/call], names: [read], scopes: [s:a]}]',
    );
    expect(judged(`${mcp}${ALL}`)).toBe('unknown needs body');
    expect(judged(`${mcp}${ALL}`, { operations: [{ method: 'tools/call', name: 'read' }] })).toBe('same');
    expect(judged(`${mcp}${ALL}`, { operations: [{ method: 'tools/call', name: 'drop' }] })).toBe(
      'denied operation_unmatched',
    );
  });

  test('labels that only the new policy gives', () => {
    const rest = `${ROUTE.replace('scopes: [s:a]', 'scopes: [s:a], labels: {response: [pii]}')}${ALL}  - {name: one, effect: deny, when: '"pii" in data.labels'}\n`;
    expect(judged(rest)).toBe('unknown needs data.labels');
    expect(judged(rest, {}, undefined, ['pii'])).toBe('same');
    expect(judged(rest, { labels: ['pii'] }, undefined, ['pii'])).toBe('denied rule_denied');
  });
});

describe('denials', () => {
  const open = `${ROUTE}${ALL}`;
  test.each<[string, Partial<DecisionRecord>, string]>([
    ['of policy are asked again', { reason: 'rule_unmatched' }, 'permitted ok'],
    ['of a scope that is held', { reason: 'scope_missing', granted: ['s:a'] }, 'permitted ok'],
    ['of a scope that is not', { reason: 'scope_missing', granted: ['t:a'] }, 'same'],
    ['with another reason', { reason: 'rule_denied', granted: ['t:a'] }, 'reason scope_missing'],
    ['by proof stay, whatever policy says', { reason: 'link_expired' }, 'same'],
    ['by revocation stay', { reason: 'revoked_task' }, 'same'],
    ['of a chain that did not verify stay', { reason: 'kb_signature', agents: [] }, 'same'],
    ['by limits of chains can’t be told', { reason: 'chain_too_deep', agents: [] }, 'unknown needs chain'],
    ['by what a body held can’t be told', { reason: 'content_denied' }, 'unknown needs body'],
    ['by another decision point neither', { reason: 'opa_denied' }, 'unknown needs body'],
  ])('%s', (_, changes, expected) => {
    expect(judged(open, { verdict: 'deny', ...changes })).toBe(expected);
  });

  test('limits count agents, and not their keys', () => {
    const agents = ['a/1', 'a/1', 'b/2', 'c/3'].map((name, at) => ({
      id: `spiffe://x.y/agent/${name}`,
      link: `l${at}`,
    }));
    const two = `limits: {maxDepth: 2}\n${open}`;
    expect(judged(two, { agents })).toBe('denied chain_too_deep');
    expect(judged(two.replace('2', '3'), { agents })).toBe('same');
    const back = [...agents, { id: 'spiffe://x.y/agent/a/1', link: 'm' }];
    expect(judged(open, { agents: back })).toBe('denied chain_agent_twice');
  });

  test('an observed route lets through what policy denies, until its end', () => {
    const observed = (until: string): string =>
      `${ROUTE.replace('scopes: [s:a]', `scopes: [s:a], enforcement: observe, observeUntil: ${until}`)}rules: []\n`;
    expect(judged(observed('2026-12-01T00:00:00Z'))).toBe('same');
    expect(judged(observed('2026-11-01T00:00:00Z'))).toBe('denied rule_unmatched');
    expect(judged(observed('2026-11-01T00:00:00Z'), { observed: 'rule_unmatched' })).toBe(
      'denied rule_unmatched',
    );
  });
});

describe('hops of clients without a sidecar', () => {
  const way = (entry: string): string => `${ROUTE}${ALL}withoutSidecar:\n  - {name: way, ${entry}}\n`;
  test.each([
    ['as policy lets them', way('callerTypes: [a]'), 'same'],
    ['as policy does not let them any more', `${ROUTE}${ALL}`, 'denied request_proof_not_allowed'],
    ['as it lets others', way('callerTypes: [b]'), 'denied request_proof_not_allowed'],
    ['for other scopes', way('scopes: ["t:*"]'), 'denied request_proof_not_allowed'],
    [
      'which sign anyway, where that is demanded',
      `${way('callerTypes: [a]')}demands:\n  - {scopes: ["s:*"], requestProof: required}\n`,
      'same',
    ],
  ])('%s', (_, text, expected) => {
    expect(judged(text, { proof: 'request' })).toBe(expected);
  });

  test('that were refused, and may come now', () => {
    const refused = {
      proof: 'request',
      verdict: 'deny',
      reason: 'request_proof_not_allowed',
      rule: '',
    } as const;
    expect(judged(way('callerTypes: [a]'), refused)).toBe('permitted ok');
    expect(judged(`${ROUTE}${ALL}`, refused)).toBe('same');
  });

  test('a sidecar makes the proof that another policy demands', () => {
    expect(judged(`${ROUTE}${ALL}demands:\n  - {scopes: ["s:*"], requestProof: required}\n`)).toBe('same');
  });
});
