/** A task that began at a sidecar ends there, for idleness or by command, and with it what it granted to other sidecars. */
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { taskEndpoints } from '../../src/api/tasks.ts';
import { runCli } from '../testkit/cli-process.ts';
import { sendThrough } from '../testkit/mesh.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';
const SECURITY = 'security/1';

let mesh: VerifiedMesh;
let planning: VerifiedMember;
let inventory: VerifiedMember;
let chain: string;
let handle: string;
let streaming: ServerResponse | undefined;

beforeEach(async () => {
  streaming = undefined;
  mesh = await makeVerifiedMesh();
  await mesh.start(SECURITY);
  inventory = await mesh.start(INVENTORY, {
    routes: { 'security.mesh': SECURITY },
    handler: (request, response) => {
      if (request.url === '/stream') {
        streaming = response;
        response.write('begun');
      } else response.end('done');
    },
  });
  planning = await mesh.start(PLANNING, {
    routes: { 'inventory.mesh': INVENTORY },
    config: { limits: { contextIdle: '5m' } },
  });
  chain = mesh.mintRoot(planning);
  handle = await mesh.startTask(PLANNING, chain);
}, 60_000);
afterEach(() => mesh?.stop());

const ask = (path = '/vpcs', context = handle) =>
  sendThrough(planning, `http://inventory.mesh${path}`, { context });
/** What planning granted to inventory, in inventory's hands. */
const granted = async (): Promise<string> => {
  expect((await ask()).status).toBe(200);
  return String(inventory.seen.at(-1)?.headers['hopgate-context']);
};
const onward = (context: string) => sendThrough(inventory, 'http://security.mesh/x', { context });
const tasks = async () => (await mesh.operator.call(taskEndpoints.listTasks, { query: {} })).tasks;
const end = (...more: readonly string[]) =>
  runCli('task', 'end', `--handle=${handle}`, '--admin', planning.addresses.admin, ...more);

it('by command: its grants are denied at another sidecar, and the command says so when it is so', async () => {
  const grant = await granted();
  expect((await onward(grant)).status).toBe(200);
  const second = await mesh.startTask(PLANNING, chain);
  const ended = await end();
  expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining('at any sidecar') });
  await vi.waitFor(async () => expect((await onward(grant)).code).toBe('revoked_task'));
  // Under whatever handle.
  for (const one of [handle, second]) expect((await ask('/vpcs', one)).code).toBe('context_unknown');
  await expect(mesh.startTask(PLANNING, chain)).rejects.toThrow('revoked_task');
  expect(await tasks()).toMatchObject([{ ended: { by: planning.id, outcome: 'ended' } }]);
});

it('while the verifier is away, and told when it is back', async () => {
  const grant = await granted();
  await mesh.stopVerifier();
  const ended = await end('--json');
  expect(ended.code, ended.stderr).toBe(0);
  expect(JSON.parse(ended.stdout)).toEqual({ ok: true, everywhere: false, pending: true });
  expect((await onward(grant)).status).toBe(200);
  await mesh.restartVerifier();
  await vi.waitFor(async () => expect((await onward(grant)).code).toBe('revoked_task'), { timeout: 20_000 });
}, 40_000);

it('for idleness, but not while something of it streams, or goes on under another handle', async () => {
  const pass = (seconds: number): void => {
    mesh.clock.advanceSeconds(seconds);
    planning.sidecar.sweep();
  };
  const streamed = ask('/stream');
  await vi.waitFor(() => expect(streaming).toBeDefined());
  pass(200);
  pass(200);
  streaming?.end();
  expect((await streamed).status).toBe(200);
  expect((await ask()).status).toBe(200);

  const next = await mesh.startTask(PLANNING, chain);
  pass(200);
  expect((await ask('/vpcs', next)).status).toBe(200);
  pass(200);
  expect((await ask()).code).toBe('context_unknown');
  expect((await ask('/vpcs', next)).status).toBe(200);
  expect(await tasks()).toEqual([]);
  // The last one of the task; and what is asked for too late is idle too.
  mesh.clock.advanceSeconds(301);
  expect((await ask('/vpcs', next)).code).toBe('context_unknown');
  planning.sidecar.sweep();
  await vi.waitFor(async () => expect(await tasks()).toMatchObject([{ ended: { outcome: 'idle' } }]));
});

it('that was idle is denied at another sidecar', async () => {
  const grant = await granted();
  mesh.clock.advanceSeconds(299);
  planning.sidecar.sweep();
  expect((await onward(grant)).status).toBe(200);
  mesh.clock.advanceSeconds(1);
  planning.sidecar.sweep();
  await vi.waitFor(async () => expect((await onward(grant)).code).toBe('revoked_task'));
  expect(await tasks()).toMatchObject([{ ended: { by: planning.id, outcome: 'idle' } }]);
});
