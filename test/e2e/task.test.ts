/** `hopgate task`: a chain goes to the admin socket, a handle comes back; every way in which that fails is said in one line. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { runCli } from '../testkit/cli-process.ts';

let folder = '';
let socket = '';
let chain = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-task-'));
  socket = path.join(folder, 'admin.sock');
  chain = path.join(folder, 'task.chain');
  writeFileSync(chain, 'a.b.c\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A sidecar's admin socket, in as far as `task` sees it. */
const serve = async (answer: (request: IncomingMessage, response: ServerResponse, body: string) => void) => {
  const seen: { method: string; url: string; type: string; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url = '', headers } = request;
    seen.push({ method, url, type: headers['content-type'] ?? '', body });
    answer(request, response, body);
  });
  server.listen(socket);
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return seen;
};

const STARTED = {
  handle: 'abcDEF_-123',
  task: 'T'.repeat(43),
  principal: 'mailto:alice@company.com',
  expires: 4_000_000_000,
};

it('start sends the chain and prints the handle alone on stdout', async () => {
  const seen = await serve((_request, response) => response.writeHead(201).end(JSON.stringify(STARTED)));
  const { code, stdout, stderr } = await runCli('task', 'start', '--chain', chain, '--admin', socket);
  expect([code, stdout]).toEqual([0, 'abcDEF_-123\n']);
  expect(stderr).toContain('Hopgate-Context: abcDEF_-123');
  expect(seen).toEqual([{ method: 'POST', url: '/tasks', type: 'text/plain', body: 'a.b.c' }]);
});

it('start finds socket and proxy in the sidecar’s configuration', async () => {
  const mesh = path.join(folder, 'm');
  await runCli('init', mesh);
  const config = path.join(mesh, 'agents', 'planning-1', 'sidecar.yaml');
  const { code, stderr } = await runCli('task', 'start', '--chain', chain, '--config', config);
  expect(code).toBe(1);
  expect(stderr).toContain(
    `${mesh}/agents/planning-1/state/admin.sock: there is no such socket: is the sidecar running?`,
  );
});

it('end names the handle, also one that begins with a dash', async () => {
  const seen = await serve((_request, response) => response.writeHead(204).end());
  expect(await runCli('task', 'end', 'abc', '--admin', socket)).toMatchObject({ code: 0, stdout: '' });
  expect(await runCli('task', 'end', '--handle=-a/../b', '--admin', socket, '--json')).toMatchObject({
    code: 0,
    stdout: '{"ok":true,"everywhere":false}\n',
  });
  expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'DELETE /tasks/abc',
    'DELETE /tasks/-a%2F..%2Fb',
  ]);
});

it.each([
  [{ where: 'everywhere' }, 0, 'at any sidecar', { ok: true, everywhere: true }],
  [{ where: 'here', isPending: true }, 0, 'goes on trying', { ok: true, everywhere: false, pending: true }],
  [
    { where: 'here', isPending: false, reason: 'api_forbidden', detail: 'not yours' },
    1,
    'api_forbidden: not yours',
    { ok: false, everywhere: false, reason: 'api_forbidden', detail: 'not yours' },
  ],
])('end says where the task has ended: %j', async (answer, code, words, json) => {
  await serve((_request, response) => response.writeHead(200).end(JSON.stringify(answer)));
  const told = await runCli('task', 'end', 'abc', '--admin', socket);
  expect(told).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(words) });
  const asJson = await runCli('task', 'end', 'abc', '--admin', socket, '--json');
  expect([asJson.code, JSON.parse(asJson.stdout)]).toEqual([code, json]);
});

it('a refusal is told with its code, and can’t write to the terminal', async () => {
  const problem = { code: 'link_expired', detail: 'link 0: expired\u001b[2J\nhopgate: fine' };
  await serve((_request, response) => response.writeHead(403).end(JSON.stringify(problem)));
  const { code, stdout, stderr } = await runCli('task', 'start', '--chain', chain, '--admin', socket);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^hopgate: the sidecar refused: link_expired: link 0: expired.*\n$/);
  expect(stderr).not.toContain('\u001b');
  const json = await runCli('task', 'end', 'abc', '--admin', socket, '--json');
  expect([json.code, JSON.parse(json.stdout)]).toMatchObject([1, { ok: false, reason: 'link_expired' }]);
});

it.each([['{"handle":7}'], ['not JSON'], ['[]'], ['']])(
  'an answer of another version is none: %s',
  async (body) => {
    await serve((_request, response) => response.writeHead(201).end(body));
    const { code, stdout, stderr } = await runCli('task', 'start', '--chain', chain, '--admin', socket);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('none of this version');
  },
);

it('a sidecar that hangs up is said in one line', async () => {
  await serve((request) => request.socket.destroy());
  const { code, stderr } = await runCli('task', 'start', '--chain', chain, '--admin', socket);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^hopgate: [^\n]+\n$/);
});

it.each([
  [['start', '--admin', 'x'], 2, '--chain'],
  [['start', '--chain', 'x'], 2, '--config FILE, or --admin SOCKET'],
  [['end', '--admin', 'x'], 2, 'needs the handle'],
  [['stop', '--admin', 'x'], 2, 'Choices'],
  [['end', 'abc', '--admin', 'x', '--config', 'y'], 2, 'mutually exclusive'],
  [['end', 'abc', '--admin', `/${'x'.repeat(107)}`], 1, '107 octets'],
  [['start', '--chain', '/dev/null', '--admin', 'x'], 1, 'holds no chain'],
])('%j is refused', async (args, expected, message) => {
  const { code, stderr } = await runCli('task', ...args);
  expect([code, stderr]).toEqual([expected, expect.stringContaining(message)]);
});
