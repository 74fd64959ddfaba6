/** People who log in at a real OpenID provider through the command line, and what their chains are worth. */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loginEndpoints } from '../../src/api/logins.ts';
import { principalEndpoints } from '../../src/api/principals.ts';
import { registryEndpoints } from '../../src/api/registry.ts';
import { taskEndpoints } from '../../src/api/tasks.ts';
import { trustEndpoints } from '../../src/api/trust.ts';
import { parseLink } from '../../src/core/delegation/link.ts';
import { parseJoinString } from '../../src/core/trust/join-string.ts';
import { parsePeerCertificate } from '../../src/edge/tls/peer-certificate.ts';
import { joinVerifier } from '../../src/edge/verifier/join.ts';
import { CliProcess, runCli } from '../testkit/cli-process.ts';
import { must } from '../testkit/domain.ts';
import { logInWithBrowser, OpenIdProvider, PUBLIC_CLIENT } from '../testkit/openid-provider.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';
import { WallClock } from '../testkit/test-clock.ts';

const ALICE = 'mailto:alice@company.com';
const PLANNING = 'spiffe://company.com/agent/planning/1';
const why = 'a test';

let verifier: RunningVerifier;
let provider: OpenIdProvider;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-oidc-'));
  provider = await OpenIdProvider.start([
    { sub: 'alice-1', groups: ['sre'], email: 'alice@company.com' },
    { sub: 'mallory-1', groups: ['sre'], email: 'alice@company.com' },
  ]);
  verifier = await RunningVerifier.start({ clock: new WallClock() });
  const local = verifier.local();
  await local.call(registryEndpoints.addEntry, {
    body: { name: 'planning-1', id: PLANNING, selectors: [`join:id=${PLANNING}`], why },
  });
  const { joinString } = await local.call(registryEndpoints.addJoinToken, {
    params: { name: 'planning-1' },
    body: { why },
  });
  await joinVerifier(must(parseJoinString(joinString)), () => verifier.clock.seconds);
  await local.call(principalEndpoints.addPrincipal, {
    body: { uri: ALICE, ceiling: { scope: ['cloud:*'] }, why },
  });
  const at = ['--verifier', verifier.directory];
  for (const args of [
    [
      'add',
      provider.issuer,
      '--client',
      PUBLIC_CLIENT,
      '--group',
      'sre=cloud:*,ec2:Describe*',
      '--ttl',
      '2h',
      ...at,
    ],
    ['subject', provider.issuer, 'alice-1', 'alice', ...at],
  ]) {
    const done = await runCli('principals', 'issuer', ...args);
    expect(done.stderr + done.stdout).not.toContain('hopgate:');
    expect(done.code).toBe(0);
  }
}, 60_000);

afterAll(async () => {
  await verifier?.stop();
  await provider?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command that asks for a login, and logs in. */
const whileLoggingIn = async (sub: string, ...args: readonly string[]) => {
  const cli = new CliProcess(...args, '--verifier', verifier.directory);
  const end = cli.ended();
  // Whichever comes first: the address to open, or an end without one.
  await Promise.race([cli.stderr.until(provider.issuer), end]);
  const device = /(\S+\/device\?user_code=\S+)/.exec(cli.stderr.text)?.[1];
  const url = device ?? /(http:\S+\/auth\?\S+)/.exec(cli.stderr.text)?.[1];
  if (url === undefined) throw new Error(`no address to open: ${cli.stderr.text}`);
  const page = await logInWithBrowser(url, sub);
  return { code: await end, stdout: cli.stdout.text, stderr: cli.stderr.text, page };
};

const checkChain = (text: string): void => {
  const [first = '', second = ''] = text.trim().split('~');
  const l0 = must(parseLink(first, true));
  const l1 = must(parseLink(second, false));
  expect(l0.root && l0.principal).toBe(ALICE);
  expect(l0.delegatee).toMatch(/^spiffe:\/\/company\.com\/client\/alice-[0-9a-f]{16}$/);
  expect(l1.delegatee).toBe(PLANNING);
  expect(l1.scope).toEqual(['cloud:read']);
  const { orig } = JSON.parse(Buffer.from(first.split('.')[1] ?? '', 'base64url').toString());
  expect(orig).toMatchObject({ iss: provider.issuer, sub: 'alice-1' });
};

test('PKCE in a browser: the chain goes through a session, and a sidecar would take it', async () => {
  const out = path.join(folder, 'pkce.chain');
  const done = await whileLoggingIn(
    'alice-1',
    ...['delegate', '--oidc', '--to', 'planning/1', '--scope', 'cloud:read', '--out', out],
  );
  expect(done.stderr).toContain(`${ALICE} → ${PLANNING}: cloud:read`);
  expect(done.code).toBe(0);
  expect(done.page).toContain('You are logged in');
  checkChain(readFileSync(out, 'utf8'));
  expect(statSync(out).mode & 0o777).toBe(0o600);
}, 60_000);

test('the device flow, over ssh', async () => {
  const done = await whileLoggingIn(
    'alice-1',
    ...['delegate', '--oidc', '--device', '--to', 'planning/1', '--scope', 'cloud:read'],
  );
  expect(done.stderr).toContain(`${ALICE} → ${PLANNING}: cloud:read`);
  expect(done.code).toBe(0);
  checkChain(done.stdout);
}, 60_000);

test('a session in a folder delegates until it ends, with nothing in it that is not private', async () => {
  const session = path.join(folder, 'session');
  const done = await whileLoggingIn('alice-1', 'login', '--out', session);
  expect(done.code).toBe(0);
  expect(done.stderr).toContain(ALICE);
  for (const name of ['svid.key', 'agent.key', 'first.link'])
    expect(statSync(path.join(session, name)).mode & 0o777).toBe(0o600);
  const at = ['--verifier', verifier.directory, '--as', session, '--to', 'planning/1'];
  const delegated = await runCli('delegate', ...at, '--scope', 'cloud:read', '--depth', '2');
  expect(delegated.stderr).toContain('cloud:read');
  expect(delegated.code).toBe(0);
  checkChain(delegated.stdout);
  const wider = await runCli('delegate', ...at, '--scope', 's3:List*', '--depth', '2');
  expect(wider.code).toBe(1);
  expect(wider.stderr).toContain('link_scope_widened');
}, 60_000);

test('over HTTPS, with nothing but the root’s thumbprint', async () => {
  const root = verifier.verifier.rooms.authority.rootThumbprint;
  const cli = new CliProcess(
    ...['delegate', '--oidc', '--verifier', verifier.url, `--root=${root}`],
    ...['--to', 'planning/1', '--scope', 'cloud:read'],
  );
  const end = cli.ended();
  await Promise.race([cli.stderr.until('/auth?'), end]);
  await logInWithBrowser(/(http:\S+\/auth\?\S+)/.exec(cli.stderr.text)?.[1] ?? '', 'alice-1');
  expect(await end).toBe(0);
  checkChain(cli.stdout.text);
}, 60_000);

test('who has Alice’s email and another sub is nobody', async () => {
  const done = await whileLoggingIn(
    'mallory-1',
    ...['delegate', '--oidc', '--to', 'planning/1', '--scope', 'cloud:read'],
  );
  expect(done.code).toBe(1);
  expect(done.stderr).toContain('login_unknown');
  expect(done.stdout).toBe('');
}, 60_000);

test('more than the groups give', async () => {
  const done = await whileLoggingIn(
    'alice-1',
    ...['delegate', '--oidc', '--to', 'planning/1', '--scope', 's3:List*'],
  );
  expect(done.code).toBe(1);
  expect(done.stderr).toContain('anchor_scope');
}, 60_000);

/** A session in a folder, and a client that speaks as it. */
const sessionIn = async (name: string) => {
  const session = path.join(folder, name);
  expect((await whileLoggingIn('alice-1', 'login', '--out', session)).code).toBe(0);
  const read = (part: string): string => readFileSync(path.join(session, part), 'utf8');
  const client = verifier.client({ cert: read('svid.pem'), key: read('svid.key') });
  const asks = async (): Promise<string> => {
    try {
      await client.call(trustEndpoints.getTimestamp, {});
      return 'answered';
    } catch (error) {
      return (error as { reason?: string }).reason ?? String(error);
    }
  };
  return { session, asks };
};

test('who logs out is nobody from then on, whoever has a copy of its keys', async () => {
  const first = await sessionIn('over-https');
  expect(await first.asks()).toBe('answered');
  const out = await runCli('logout', '--as', first.session, '--verifier', verifier.url);
  expect(out.stderr).toContain('has ended');
  expect(out.code).toBe(0);
  expect(existsSync(first.session)).toBe(false);
  expect(await first.asks()).toBe('id_retired');

  const second = await sessionIn('over-the-socket');
  const other = await runCli('logout', '--as', second.session, '--verifier', verifier.directory);
  expect(other.code, other.stderr).toBe(0);
  expect(await second.asks()).toBe('id_retired');
  const again = await runCli('logout', '--as', second.session, '--verifier', verifier.directory);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('holds no session') });
}, 60_000);

test('nobody ends somebody else’s session', async () => {
  const { session, asks } = await sessionIn('mine');
  const id = parsePeerCertificate(new X509Certificate(readFileSync(path.join(session, 'svid.pem'))))
    .uriSans[0];
  const guest = verifier.client(await verifier.identity('client/guest'));
  await expect(guest.call(loginEndpoints.endSession, { query: { session: id ?? '' } })).rejects.toMatchObject(
    { reason: 'api_forbidden' },
  );
  expect(await asks()).toBe('answered');
}, 60_000);

test('a task that began with a login goes on with another one, until it is ended', async () => {
  const chain = path.join(folder, 'task.chain');
  const renewed = path.join(folder, 'renewed.chain');
  const began = await whileLoggingIn(
    'alice-1',
    ...['delegate', '--oidc', '--to', 'planning/1', '--scope', 'cloud:read', '--out', chain],
  );
  expect(began.code, began.stderr).toBe(0);
  verifier.clock.advanceSeconds(2);
  const renew = ['task', 'renew', '--chain', chain, '--oidc', '--out', renewed];
  const done = await whileLoggingIn('alice-1', ...renew);
  expect(done.stderr).toContain('the task goes on');
  expect(done.code).toBe(0);
  const rootOf = (file: string) => {
    const root = must(parseLink(readFileSync(file, 'utf8').trim().split('~')[0] ?? '', true));
    if (!root.root) throw new Error('no first link');
    return root;
  };
  checkChain(readFileSync(renewed, 'utf8'));
  const [first, next] = [rootOf(chain), rootOf(renewed)];
  expect(next).toMatchObject({ renews: first.id, taskStart: first.iat, scope: first.scope });
  expect(next.delegatee).not.toBe(first.delegatee);
  const tasks = await verifier.local().call(taskEndpoints.listTasks, { query: { principal: ALICE } });
  expect(tasks.tasks.find(({ task }) => task === first.id)).toMatchObject({ renewals: 1 });

  // By a key nobody goes on with what a login began, and nobody with what has ended.
  const ended = await runCli('task', 'end', '--chain', renewed, '--verifier', verifier.directory);
  expect(ended.code, ended.stderr).toBe(0);
  const late = await whileLoggingIn('alice-1', ...renew);
  expect(late.code).toBe(1);
  expect(late.stderr).toContain('revoked_task');
}, 60_000);
