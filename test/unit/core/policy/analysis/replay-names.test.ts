/** A record has one name for an operation, and not what it is the name of: where that matters, replay claims nothing. */
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../../../../src/config/policy.ts';
import type { DecisionRecord } from '../../../../../src/core/audit/record.ts';
import { Replay } from '../../../../../src/core/policy/analysis/replay.ts';
import { decision, sidecar } from '../../../../testkit/core-log.ts';

const policyOf = (protocol: string, operations: string) =>
  parsePolicy(
    `apiVersion: hopgate.dev/v1
kind: Policy
revision: r2
routes:
  - {name: tasks, path: /rpc, protocol: ${protocol}, operations: ${operations}}
rules:
  - {name: all, effect: allow}
`,
    'policy.yaml',
  );

const replayed = (protocol: string, operations: string, changes: Partial<DecisionRecord>) => {
  const record = decision({ method: 'POST', target: '/rpc', granted: ['use:*'], rule: 'all', ...changes });
  const { change, missing } = new Replay(policyOf(protocol, operations), new Set()).judge({
    ...record,
    log: 'L',
    prev: '',
    seq: 1,
    sidecar: sidecar.id,
    time: 1,
    v: 1,
  });
  return { change, missing };
};
const said = (method: string, name: string) => ({ operations: [{ method, name }] });

describe('of A2A', () => {
  const PAY =
    '[{methods: [SendMessage], names: ["pay*"], scopes: ["pay:it"]}, {methods: [SendMessage, GetTask], scopes: ["use:it"]}]';

  test('a name that may be a skill or a task, where one is denied', () => {
    expect(replayed('a2a', PAY, said('SendMessage', 'pay-7'))).toEqual({
      change: 'unknown',
      missing: ['what a name stands for'],
    });
  });
  test('or both are permitted', () => {
    expect(replayed('a2a', PAY, said('SendMessage', 'ask-7')).change).toBe('same');
  });
  test('a task is no skill', () => {
    const bySkill = '[{methods: [GetTask], names: ["t*"], scopes: ["pay:it"]}, {scopes: ["use:it"]}]';
    expect(replayed('a2a', bySkill, said('GetTask', 't1')).change).toBe('same');
  });
});

describe('of MCP', () => {
  test('a task is no resource', () => {
    const operations = '[{names: ["t*"], scopes: ["pay:it"]}, {scopes: ["use:it"]}]';
    expect(replayed('mcp', operations, said('tasks/get', 't1')).change).toBe('same');
    expect(replayed('mcp', operations, said('resources/read', 't1')).change).toBe('denied');
  });

  test('what is completed may be a prompt or a resource', () => {
    const operations = '[{scopes: ["use:{prompt}"]}]';
    expect(replayed('mcp', operations, said('completion/complete', 'review')).change).toBe('unknown');
  });

  test('a name as long as records have them may have gone on', () => {
    const operations = '[{scopes: ["use:{tool}"]}]';
    expect(replayed('mcp', operations, said('tools/call', 'a'.repeat(127))).change).toBe('same');
    expect(replayed('mcp', operations, said('tools/call', 'a'.repeat(128)))).toEqual({
      change: 'unknown',
      missing: ['body'],
    });
  });
});
