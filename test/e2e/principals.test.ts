/** A principal with a key, from nothing to a chain, and to its end: what a person types next to a verifier. */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { registryEndpoints } from '../../src/api/registry.ts';
import { parseLink } from '../../src/core/delegation/link.ts';
import { parseJoinString } from '../../src/core/trust/join-string.ts';
import { joinVerifier } from '../../src/edge/verifier/join.ts';
import { runCli } from '../testkit/cli-process.ts';
import { must } from '../testkit/domain.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';

const PLANNING = 'spiffe://company.com/agent/planning/1';

let verifier: RunningVerifier;
let folder: string;
const at = (name: string): string => path.join(folder, name);
const run = (...args: readonly string[]) => runCli(...args, '--verifier', verifier.directory);

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-principals-'));
  verifier = await RunningVerifier.start();
  const local = verifier.local();
  await local.call(registryEndpoints.addEntry, {
    body: { name: 'planning-1', id: PLANNING, selectors: [`join:id=${PLANNING}`], why: 'a test' },
  });
  const { joinString } = await local.call(registryEndpoints.addJoinToken, {
    params: { name: 'planning-1' },
    body: { why: 'a test' },
  });
  await joinVerifier(must(parseJoinString(joinString)), () => verifier.clock.seconds);
});

afterAll(async () => {
  await verifier?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('add, delegate, renew, end, remove', async () => {
  const key = at('alice.key');
  const added = await run('principals', 'add', 'alice', '--out', key, '--scope', 'cloud:*', '--json');
  expect(added.code).toBe(0);
  expect(JSON.parse(added.stdout)).toMatchObject({ uri: 'mailto:alice@company.com', privateKey: key });
  expect(statSync(key).mode & 0o777).toBe(0o600);
  expect(added.stdout).not.toContain('PRIVATE');

  // By name: alice, for alice.key.
  const chain = at('task.chain');
  const wish = ['--as', at('alice'), '--to', 'planning/1', '--ttl', '10m'];
  const delegated = await run('delegate', ...wish, '--scope', 'cloud:read', '--out', chain);
  expect(delegated.stderr).toContain(`mailto:alice@company.com → ${PLANNING}: cloud:read`);
  expect(delegated.code).toBe(0);
  const first = must(parseLink(readFileSync(chain, 'utf8').trim(), true));

  // Who inspects it at the verifier is told what a sidecar would say.
  expect(await run('inspect', chain)).toMatchObject({ code: 0, stdout: expect.stringContaining('valid') });

  const wider = await run('delegate', ...wish, '--scope', 's3:List*');
  expect(wider.code).toBe(1);
  expect(wider.stderr).toContain('anchor_scope');
  const nobody = await run('delegate', '--as', at('alice'), '--to', 'planning/2', '--scope', 'cloud:read');
  expect(nobody.stderr).toContain('api_not_found');

  const renewed = await run('task', 'renew', '--chain', chain, '--as', at('alice'));
  expect(renewed.code).toBe(0);
  const second = must(parseLink(renewed.stdout.trim(), true));
  expect(second.root && [second.renews, second.taskStart]).toEqual([first.id, first.iat]);

  const ended = await run('task', 'end', '--chain', chain, '--as', at('alice'), '--why', 'done', '--json');
  expect(ended.code).toBe(0);
  expect(JSON.parse(ended.stdout)).toMatchObject({
    task: first.id,
    ended: { by: `local:${process.getuid?.()}` },
  });
  const over = await run('inspect', chain);
  expect(over).toMatchObject({ code: 1, stdout: expect.stringContaining('revoked_task') });
  const again = await run('task', 'renew', '--chain', chain, '--as', at('alice'));
  expect(again.stderr).toContain('revoked_task');

  const shown = await run('principals', 'list');
  expect(shown.stdout).toContain('mailto:alice@company.com');
  expect((await run('principals', 'remove', 'alice', '--why', 'left')).code).toBe(0);
  const gone = await run('delegate', ...wish, '--scope', 'cloud:read');
  expect(gone.code).toBe(1);
  expect(gone.stderr).toContain('anchor_unknown');
}, 60_000);

test('a key file is never written over, and a private key is never sent', async () => {
  const key = at('bob.key');
  expect((await run('principals', 'add', 'bob', '--out', key, '--scope', 'cloud:read')).code).toBe(0);
  const octets = readFileSync(key, 'utf8');
  const again = await run('principals', 'add', 'carol', '--out', key, '--scope', 'cloud:read');
  expect(again.code).toBe(1);
  expect(readFileSync(key, 'utf8')).toBe(octets);
  const sent = await run('principals', 'key', 'bob', 'laptop', '--key', key);
  expect(sent.code).toBe(1);
  expect(sent.stderr).toContain('private key');
  expect((await run('principals', 'key', 'bob', 'laptop', '--out', at('laptop.key'))).code).toBe(0);
  expect(existsSync(at('laptop.key'))).toBe(true);
}, 60_000);

test('a key that exists already: its public half is registered; the private one is refused', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(at('dora.pub'), publicKey.export({ format: 'pem', type: 'spki' }));
  writeFileSync(at('dora.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  expect(await run('principals', 'add', 'dora', '--key', at('dora.pem'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is a private key'),
  });
  expect(
    (await run('principals', 'add', 'dora', '--scope', 'cloud:read', '--key', at('dora.pub'))).code,
  ).toBe(0);
  const both = await run('principals', 'add', 'eve', '--key', at('dora.pub'), '--no-key');
  expect(both.code).toBe(2);
});
