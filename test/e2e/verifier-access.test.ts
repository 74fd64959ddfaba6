/** `hopgate verifier access`: a role is given, used over HTTPS, and taken away again. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCli } from '../testkit/cli-process.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';
import { TestClock } from '../testkit/test-clock.ts';

let running: RunningVerifier;
let bob: string;
beforeEach(async () => {
  running = await RunningVerifier.start({ clock: new TestClock(Date.now()) });
  bob = mkdtempSync(path.join(tmpdir(), 'hopgate-bob-'));
  const { cert, key } = await running.identity('client/bob');
  const { rooms } = running.verifier;
  writeFileSync(path.join(bob, 'svid.pem'), cert);
  writeFileSync(path.join(bob, 'svid.key'), key);
  writeFileSync(path.join(bob, 'bundle.jws'), rooms.publication.current.text);
  writeFileSync(path.join(bob, 'root'), rooms.authority.rootThumbprint);
});
afterEach(async () => {
  await running.stop();
  rmSync(bob, { recursive: true });
});

const access = (...args: readonly string[]) =>
  runCli('verifier', 'access', ...args, '--verifier', running.directory);
const asBob = () => runCli('agents', 'list', '--verifier', running.url, '--as', bob, '--json');

it('a role is given by name, counts at once, and is taken again', async () => {
  expect((await asBob()).stdout).toContain('api_forbidden');
  expect(await access('give', 'client/bob', 'auditor', '--why', 'he audits')).toMatchObject({ code: 0 });
  expect((await access('list')).stdout).toMatch(/auditor +spiffe:\/\/company\.com\/client\/bob/);
  expect((await asBob()).code).toBe(0);
  expect(await access('take', 'client/bob', 'auditor', '--why', 'no more')).toMatchObject({ code: 0 });
  expect((await asBob()).stdout).toContain('api_forbidden');
  expect(await access('take', 'client/bob', 'auditor', '--why', 'no more')).toMatchObject({ code: 1 });
});

it('a group of an identity provider has roles too; a role that nobody can be given is a slip', async () => {
  const group = 'group:https://login.company.com#sre';
  expect((await access('give', group, 'operator', '--why', 'on call')).code).toBe(0);
  const listed = await access('list', '--json');
  expect(JSON.parse(listed.stdout).bindings).toMatchObject([{ subject: group, role: 'operator' }]);
  expect((await access('give', 'client/bob', 'agent', '--why', 'x')).code).toBe(2);
});
