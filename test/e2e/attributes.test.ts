/** Attributes and groups, typed at the command line: in every sidecar's trust at once, and gone from it as soon. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { type CliResult, runCli } from '../testkit/cli-process.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const FINANCE = 'spiffe://company.com/agent/planning/2' as AgentId;
const ALICE = 'mailto:alice@company.com';

let mesh: VerifiedMesh;
let member: VerifiedMember;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-attributes-'));
  mesh = await makeVerifiedMesh();
  member = await mesh.start('inventory/1');
}, 30_000);
afterAll(async () => {
  await mesh?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const run = (...args: readonly string[]): Promise<CliResult> =>
  runCli(...args, '--verifier', mesh.running.directory);
const trust = () => member.source.trust.last;
const said = (id: AgentId = FINANCE): Record<string, string> => ({ ...trust().bundle.attributes.agent(id) });
const heard = (id: AgentId, attributes: Readonly<Record<string, string>>) =>
  vi.waitFor(() => expect(said(id)).toEqual(attributes), 10_000);

test('of an agent: when it is added, changed, and taken away', async () => {
  const added = await run(
    'agents',
    'add',
    'planning/2',
    '--attribute',
    'team=finance',
    '--attribute',
    'env=prod',
    '--json',
  );
  expect(added.stderr).toBe('');
  expect(JSON.parse(added.stdout).entry.attributes).toEqual({ team: 'finance', env: 'prod' });
  await heard(FINANCE, { team: 'finance', env: 'prod' });
  const { generation } = trust();

  const changed = await run('agents', 'attributes', 'planning/2', 'team=legal', 'env=');
  expect(changed).toMatchObject({ code: 0, stdout: 'team=legal\n' });
  await heard(FINANCE, { team: 'legal' });
  // Whatever was decided under the old ones is decided anew.
  expect(trust().generation).toBeGreaterThan(generation);

  expect((await run('agents', 'attributes', 'planning/2')).stdout).toBe('team=legal\n');
  expect((await run('agents', 'list')).stdout).toMatch(/planning\/2 .* team=legal/);
  expect((await run('agents', 'show', 'planning/2')).stdout).toContain('team=legal');
  expect((await run('verifier', 'events')).stdout).toContain('entry.attributes_changed');
  await run('agents', 'retire', 'planning-2');
  await heard(FINANCE, {});
}, 60_000);

test('of every pod of a template, and of an agent at its status', async () => {
  const added = await run(
    ...['agents', 'add', 'inventory/{pod}', '--selector', 'k8s:ns=prod', '--selector', 'k8s:sa=inventory'],
    ...['--attribute', 'env=prod'],
  );
  expect(added.code).toBe(0);
  await heard('spiffe://company.com/agent/inventory/pod-7' as AgentId, { env: 'prod' });
  // This one has an entry of its own, which says nothing.
  expect(said(member.id)).toEqual({});
  expect((await run('agents', 'attributes', 'inventory/1', 'env=test')).code).toBe(0);
  await heard(member.id, { env: 'test' });
  expect((await run('status', 'inventory/1')).stdout).toMatch(/attributes +env=test/);
}, 60_000);

test('of a person: when she is added, changed, and taken out of every group', async () => {
  const groups = () => trust().bundle.attributes.groups(ALICE);
  const changed = await run('principals', 'groups', 'alice', 'sre', 'oncall');
  expect(changed).toMatchObject({ code: 0, stdout: 'sre\noncall\n' });
  await vi.waitFor(() => expect(groups()).toEqual(['sre', 'oncall']), 10_000);
  expect((await run('principals', 'show', 'alice')).stdout).toMatch(/groups +sre oncall/);
  const none = await run('principals', 'groups', 'alice', '--none');
  expect(none).toMatchObject({ code: 0, stdout: '', stderr: `${ALICE} is in no group.\n` });
  await vi.waitFor(() => expect(groups()).toEqual([]), 10_000);

  const bob = await run(
    'principals',
    'add',
    'bob',
    '--group',
    'sre',
    '--out',
    path.join(folder, 'bob.key'),
    '--json',
  );
  expect(JSON.parse(bob.stdout).groups).toEqual(['sre']);
  await vi.waitFor(
    () => expect(trust().bundle.attributes.groups('mailto:bob@company.com')).toEqual(['sre']),
    10_000,
  );
}, 60_000);

test('what is not in form changes nothing, and says what is', async () => {
  for (const [pair, words] of [
    ['Env=prod', 'a name is a letter'],
    ['env=prød', 'printable ASCII'],
    ['env', 'name=value'],
  ] as const) {
    const refused = await run('agents', 'attributes', 'inventory/1', pair);
    expect(refused.code, pair).toBe(2);
    expect(refused.stderr).toContain(words);
  }
  const twice = await run('agents', 'attributes', 'inventory/1', 'env=a', 'env=b');
  expect(twice).toMatchObject({ code: 2, stderr: expect.stringContaining('given twice') });
  const spaced = await run('principals', 'groups', 'alice', 'a group');
  expect(spaced.code).toBe(1);
  expect(spaced.stderr).toContain('a group');
}, 60_000);
