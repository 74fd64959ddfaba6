/** `hopgate quarantine` against a running sidecar: operators see all but bodies, reviewers read and release with keys of their own. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { readRecordLine } from '../../src/core/audit/read-record.ts';
import type { QuarantinedRequest } from '../../src/core/quarantine/item.ts';
import { parseReviewer, parseReviewerKey } from '../../src/edge/store/quarantine-keys.ts';
import { runCli } from '../testkit/cli-process.ts';
import { permitted } from '../testkit/core-world.ts';
import { type Mesh, type MeshAgent, makeMesh, send } from '../testkit/mesh.ts';
import { keep, type Person, passes, QuarantineWorld, REQUEST } from '../testkit/quarantine-world.ts';
import { verifyLogFile } from '../testkit/verified-log.ts';

const INVENTORY = 'inventory/def456';
const PLANNING = 'planning/abc123';
const BODY = Buffer.from('{"text":"ignore\u001b[2J all\u202e previous"}\n  rule      harmless\n');

let world: QuarantineWorld;
let mesh: Mesh;
let inventory: MeshAgent;
let bob: Person;
let request: QuarantinedRequest;
let id: string;
let keys: string;
let state: string;

const open = () => world.open({}, [bob], mesh.domain.agent(INVENTORY).id, state);
const atSidecar = (...args: readonly string[]) =>
  runCli('quarantine', ...args, '--admin', inventory.addresses.admin);
/** Ids may begin with a dash. */
const named = () => `--id=${id}`;
const keyOf = (name: string): string => path.join(keys, `${name}.reviewer.key`);
const readPerson = (name: string): Person => ({
  key: parseReviewerKey(readFileSync(keyOf(name))),
  reviewer: parseReviewer(readFileSync(path.join(keys, `${name}.reviewer.pub`))),
});
const records = () =>
  readFileSync(inventory.logFile, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => permitted(readRecordLine(line)))
    .filter((record) => record.kind === 'quarantine');

beforeAll(async () => {
  keys = mkdtempSync(path.join(tmpdir(), 'hopgate-reviewers-'));
  for (const name of ['bob', 'mallory'])
    expect(await runCli('quarantine', 'keygen', name, '--dir', keys)).toMatchObject({ code: 0 });
  bob = readPerson('bob');
});
afterAll(() => rmSync(keys, { recursive: true }));

beforeEach(async () => {
  world = new QuarantineWorld();
  mesh = await makeMesh({ domain: { agents: [INVENTORY, PLANNING] } });
  onTestFinished(() => mesh.stop());
  state = path.join(mesh.directory, INVENTORY.replace('/', '-'), 'state');
  mkdirSync(state, { recursive: true });
  // As the sidecar did before it was started anew.
  const callee = mesh.domain.agent(INVENTORY).id;
  request = { ...REQUEST, callee };
  ({ id } = await keep(open(), BODY, request));
  const reviewers = [path.join(keys, 'bob.reviewer.pub')];
  inventory = await mesh.start(INVENTORY, { config: { quarantine: { reviewers } } });
});

it('lists what is kept, without bodies', async () => {
  const { code, stdout, stderr } = await atSidecar('list');
  expect([code, stderr]).toEqual([0, expect.stringContaining('1 of 1000')]);
  for (const part of [id, 'kept', 'POST /reports', 'injection', `${BODY.length} B application/json`])
    expect(stdout).toContain(part);
  expect(stdout).toMatch(/in [67] d/);
  const json = await atSidecar('list', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, items: [{ id, state: 'kept' }] });
  for (const text of [stdout, json.stdout]) expect(text).not.toContain('secret');
});

it('shows a reviewer all of it, and lets it neither forge a line nor move a cursor', async () => {
  const { code, stdout } = await atSidecar('inspect', named(), '--key', keyOf('bob'), '--why', 'on duty');
  expect(code).toBe(0);
  expect(stdout).toContain('/reports?for=secret-query');
  expect(stdout).toContain('│ {"text":"ignore<U+001B>[2J all<U+202E> previous"}\n│   rule      harmless\n');
  expect(records()).toMatchObject([{ action: 'inspected', by: 'bob', reason: 'on duty', id }]);
  const json = JSON.parse((await atSidecar('inspect', named(), '--key', keyOf('bob'), '--json')).stdout);
  expect(Buffer.from(json.body, 'base64').equals(BODY)).toBe(true);
  const out = path.join(world.directory, 'body.bin');
  const args = ['inspect', named(), '--key', keyOf('bob'), '--out', out];
  expect(await atSidecar(...args)).toMatchObject({ code: 0, stdout: '' });
  expect(readFileSync(out).equals(BODY)).toBe(true);
  expect(statSync(out).mode & 0o777).toBe(0o600);
  // What is there is not written over.
  expect(await atSidecar(...args)).toMatchObject({ code: 1, stderr: expect.stringContaining('EEXIST') });
});

it('releases for a reviewer, and the same request passes once', async () => {
  const asked = await atSidecar('release', named(), '--key', keyOf('bob'));
  expect(asked).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
  expect(records().map(({ action }) => action)).toEqual(['inspected']);
  const args = ['release', named(), '--key', keyOf('bob'), '--ttl', '1h', '--why', 'false alarm', '--yes'];
  const { code, stdout } = await atSidecar(...args);
  expect([code, stdout]).toEqual([
    0,
    expect.stringContaining('released by bob: the same request passes once'),
  ]);
  expect(stdout).toContain('│ {"text"');
  expect((await atSidecar('list')).stdout).toMatch(/released by bob, ends in (59|60) min/);
  expect(records().at(-1)).toMatchObject({ action: 'released', by: 'bob', reason: 'false alarm' });
  inventory.sidecar.stop('restart');
  const later = open();
  expect(await passes(later, Buffer.from('other'), request)).toBe(false);
  expect([await passes(later, BODY, request), await passes(later, BODY, request)]).toEqual([true, false]);
  expect(verifyLogFile(inventory.logFile, mesh.domain.verifiedBundle().issuers).fault).toBeUndefined();
});

it('drops for an operator, and says so', async () => {
  expect((await atSidecar('drop', named(), '--why', 'reported — done', '--yes')).code).toBe(0);
  expect((await atSidecar('list')).stderr).toContain('Nothing is in quarantine');
  expect(records()).toMatchObject([{ action: 'dropped', by: 'operator', reason: 'reported — done', id }]);
  const { stdout } = await runCli('logs', inventory.logFile, '--wide');
  expect(stdout).toContain('POST /reports');
  expect(stdout).toContain('dropped by operator');
  expect(stdout).toContain(`id=${id} rule=injection`);
  expect(await atSidecar('drop', named(), '--yes')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('api_not_found'),
  });
});

describe('nobody else', () => {
  it.each(['inspect', 'release'])('may %s', async (action) => {
    const told = await atSidecar(
      action,
      named(),
      '--key',
      keyOf('mallory'),
      '--json',
      ...(action === 'release' ? ['--yes'] : []),
    );
    expect(told).toMatchObject({ code: 1, stderr: expect.stringContaining('by a key of no reviewer') });
    expect(records()).toEqual([]);
    const pub = path.join(keys, 'bob.reviewer.pub');
    expect(await atSidecar(action, named(), '--key', pub)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not a reviewer’s private key'),
    });
  });

  it('may release at the socket itself', async () => {
    const ask = (action: string, body: string) =>
      send(
        { socketPath: inventory.addresses.admin, method: 'POST', path: `/quarantine/${id}/${action}` },
        body,
      );
    const forged = world.word(id, 'quarantine-release+jwt', { aud: request.callee }, readPerson('mallory'));
    expect((await ask('release', forged)).code).toBe('approval_invalid');
    expect((await ask('release', 'yes')).status).toBe(400);
    expect((await ask('drop', 'two\nlines')).code).toBe('api_malformed');
    expect((await ask('read', '')).code).toBe('api_not_found');
    expect(records()).toEqual([]);
  });

  it('is shown something else than will be released', async () => {
    const folder = path.join(state, 'quarantine');
    const other = await keep(open(), Buffer.from('harmless'), request);
    writeFileSync(path.join(folder, `${id}.jwe`), readFileSync(path.join(folder, `${other.id}.jwe`)));
    expect(await atSidecar('release', named(), '--key', keyOf('bob'), '--yes')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('another request than its id stands for'),
    });
    expect(records().map(({ action }) => action)).toEqual(['inspected']);
  });
});

it('a sidecar without one says so', async () => {
  const { addresses } = await mesh.start(PLANNING);
  const told = await runCli('quarantine', 'list', '--admin', addresses.admin);
  expect(told).toMatchObject({ code: 1, stderr: expect.stringContaining('quarantine_unavailable') });
});

it.each([
  [['list'], 2, '--config FILE, or --admin SOCKET'],
  [['inspect', 'abc', '--key', 'x', '--admin', 'x'], 2, '43 characters'],
  [['inspect', '--admin', 'x'], 2, 'key'],
  [['release', 'A'.repeat(43), '--key', 'x', '--admin', 'x', '--ttl', '2h'], 2, 'at most 60m'],
  [['drop', 'A'.repeat(43), '--admin', 'x', '--why', 'a\nb'], 2, 'one line'],
  [['drop', 'A'.repeat(43), '--admin', 'x', '--json'], 2, '--yes'],
  [['keygen', '../bob'], 2, 'name'],
  [['read'], 2, 'Unknown argument'],
  [[], 2, 'quarantine: list'],
])('%j is refused', async (args, expected, message) => {
  const { code, stderr } = await runCli('quarantine', ...args);
  expect([code, stderr]).toEqual([expected, expect.stringContaining(message)]);
});

it('keygen makes two files, once', async () => {
  const mode = (file: string): number => statSync(file).mode & 0o777;
  expect([mode(keyOf('bob')), mode(path.join(keys, 'bob.reviewer.pub'))]).toEqual([0o600, 0o644]);
  const before = readFileSync(keyOf('bob'));
  expect(await runCli('quarantine', 'keygen', 'bob', '--dir', keys)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is there already'),
  });
  expect(readFileSync(keyOf('bob')).equals(before)).toBe(true);
});
