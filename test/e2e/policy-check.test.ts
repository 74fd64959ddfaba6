/** `hopgate policy check` on files: faults end it with 1, warnings only where that is asked for. */
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
