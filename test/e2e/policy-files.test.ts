/** `hopgate policy check`, `test` and `explain` on files: how they end, and what they say to people and to programs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../testkit/cli-process.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const HEAD = 'apiVersion: hopgate.dev/v1\nkind: Policy\nrevision: r1\nroutes:\n';
const ROUTE = '  - {name: read, path: "/items/{id}", scopes: [cloud:read]}\n';
const WARNED = `${HEAD}${ROUTE}rules:\n  - {name: all, effect: allow}\n`;
const FAULTY = `${HEAD}${ROUTE}  - {name: one, path: /items/1, scopes: [cloud:read]}\nrules:\n  - {name: all, effect: allow, scopes: [cloud:read]}\n`;

const check = (text: string, ...options: readonly string[]) => {
  const file = path.join(folder, 'p.yaml');
  writeFileSync(file, text);
  return runCli('policy', 'check', file, ...options);
};

test('a warning is said with its place and what to do, and is no fault unless --strict', async () => {
  const { code, stdout } = await check(WARNED);
  expect(code).toBe(0);
  expect(stdout).toContain('p.yaml:7:5: rules[0]: all allows everybody');
  expect(stdout).toContain('[warning rule_unselective]');
  expect((await check(WARNED, '--strict')).code).toBe(1);
});

test('a fault ends it with 1, with its code for programs', async () => {
  const { code, stdout } = await check(FAULTY, '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    ok: false,
    routes: 2,
    findings: [{ code: 'route_unreachable', severity: 'fault', line: 6, column: 5, field: 'routes[1]' }],
  });
});

test('what is well ends with 0, and says nothing but that', async () => {
  const { code, stdout } = await check(WARNED.replace('allow}', 'allow, routes: [read]}'));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^r1: 1 routes, 1 rules, 0 demands; nothing wrong\. Digest \S{43}\n$/);
});

const TESTS = `apiVersion: hopgate.dev/v1
kind: PolicyTest
policy: p.yaml
given: {callee: spiffe://a.b/agent/c/1, caller: spiffe://a.b/agent/d/1, scope: [cloud:read]}
cases:
  - {name: read, request: {path: /items/1}, expect: {verdict: permit, rule: all}}
  - {name: write, request: {path: /items/1, method: POST}, expect: {verdict: VERDICT}}
`;

const inFolder = (name: string, text: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};

test('tests that pass end with 0, one that fails with 1 and its line, too little coverage with 1', async () => {
  inFolder('p.yaml', WARNED);
  const passing = inFolder('t.yaml', TESTS.replace('VERDICT', 'permit'));
  expect(await runCli('policy', 'test', passing)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('2/2 passed'),
  });
  const failing = await runCli('policy', 'test', inFolder('f.yaml', TESTS.replace('VERDICT', 'deny')));
  expect(failing.code).toBe(1);
  expect(failing.stdout).toContain('f.yaml:7');
  expect(failing.stdout).toContain('verdict: deny was expected, it is permit');
  const unused = WARNED.replace(
    'rules:\n',
    'rules:\n  - {name: never, effect: deny, principals: ["mailto:x@a.b"]}\n',
  );
  const covered = ['policy', 'test', passing, '--policy', inFolder('q.yaml', unused)];
  expect((await runCli(...covered)).code).toBe(0);
  const little = await runCli(...covered, '--min-coverage', '90', '--json');
  expect(little.code).toBe(1);
  expect(JSON.parse(little.stdout).coverage[0].uncovered).toMatchObject([{ kind: 'rule', name: 'never' }]);
});

test('an explanation names each stage and the rule, of options and of a case', async () => {
  const policy = inFolder('p.yaml', WARNED);
  const options = [
    '--caller',
    'spiffe://a.b/agent/d/1',
    '--callee',
    'spiffe://a.b/agent/c/1',
    '--scope',
    'cloud:write',
  ];
  const { code, stdout } = await runCli('policy', 'explain', policy, ...options, '--path', '/items/1');
  expect(code).toBe(0);
  expect(stdout).toMatch(/✓ +read +\/items\/\{id\} requires cloud:read/);
  expect(stdout).toMatch(/deny scope_missing\n/);
  const tests = inFolder('t.yaml', TESTS.replace('VERDICT', 'permit'));
  const ofCase = await runCli('policy', 'explain', policy, '--tests', tests, '--case', 'read', '--json');
  expect(JSON.parse(ofCase.stdout)).toMatchObject({ verdict: 'permit', rule: 'all' });
  expect((await runCli('policy', 'explain', policy, '--path', '/x')).code).toBe(2);
});
