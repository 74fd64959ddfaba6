/** People who log in at a real OpenID provider through the command line, and what their chains are worth. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { principalEndpoints } from '../../src/api/principals.ts';
import { registryEndpoints } from '../../src/api/registry.ts';
import { parseLink } from '../../src/core/delegation/link.ts';
import { parseJoinString } from '../../src/core/trust/join-string.ts';
import { joinVerifier } from '../../src/edge/verifier/join.ts';
import { CliProcess, runCli } from '../testkit/cli-process.ts';
import { must } from '../testkit/domain.ts';
import { logInWithBrowser, OpenIdProvider, PUBLIC_CLIENT } from '../testkit/openid-provider.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';

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
  verifier = await RunningVerifier.start();
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
