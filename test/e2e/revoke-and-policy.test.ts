/** Policies, lists and revocations through the command line, at a running verifier. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { privateKeyPem } from '../../src/edge/keys/signing-key.ts';
import { runCli } from '../testkit/cli-process.ts';
import { ALICE, linkAt, policyYaml, RevocationWorld } from '../testkit/revocation-world.ts';

let world: RevocationWorld;
let directory: string;
beforeAll(async () => {
  world = await RevocationWorld.start();
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-revoke-'));
});
afterAll(async () => {
  await world.stop();
  rmSync(directory, { recursive: true, force: true });
});

const file = (name: string, text: string): string => {
  const where = path.join(directory, name);
  writeFileSync(where, text, { mode: 0o600 });
  return where;
};
/** The command line goes by the wall clock, and what a principal signs there is fresh for a minute. */
const catchUp = (): void => {
  const { clock } = world.running;
  clock.advanceSeconds(Math.max(0, Math.ceil((Date.now() - clock.now()) / 1000)));
};
const run = (...args: readonly string[]) => {
  catchUp();
  return runCli(...args, '--verifier', world.running.verifier.layout.socket);
};
const ok = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await run(...args);
  expect(code, stderr).toBe(0);
  return stdout;
};

describe('hopgate policy', () => {
  test('shows a fault as every configuration fault is shown, and publishes nothing', async () => {
    const where = file('bad.yaml', policyYaml('r2').replace('effect: allow', 'effect: maybe'));
    const fault = `${where}:10:5: rules[0].effect: must be "allow", "deny", "approve", "quarantine" or "flag"`;
    for (const args of [
      ['check', where],
      ['publish', where, '--why', 'a test'],
    ]) {
      const { code, stderr } =
        args[0] === 'check' ? await runCli('policy', ...args) : await run('policy', ...args);
      expect([code, stderr.trim()]).toEqual([1, `hopgate: ${fault}`]);
    }
    expect(JSON.parse(await ok('policy', 'history', '--json')).revisions).toHaveLength(1);
  });

  test('shows what would change, publishes it, says who enforces it, and rolls back', async () => {
    const demand = policyYaml('r2', 'demands:\n  - scopes: [cloud:read]\n    minScore: 300\n');
    const where = file('next.yaml', demand);
    const diff = await ok('policy', 'diff', where);
    expect(diff).toContain('+ demand for cloud:read added');
    expect(diff).toContain('+    minScore: 300');
    const published = await ok('policy', 'publish', where, '--why', 'trusted agents only', '--tests', '3/3');
    expect(published).toContain('r2 (revision 2) is in force');
    expect(published).toContain('No sidecar has reported lately');
    expect(await ok('policy', 'publish', where, '--why', 'again')).toContain('Nothing to publish');
    expect(await ok('policy', 'show')).toBe(demand);
    await ok('policy', 'rollback', '1', '--why', 'too strict', '--yes');
    const history = await ok('policy', 'history');
    expect(history).toMatch(/^3\s+r1\s+in force.*back to 1: too strict$/m);
    expect(history).toMatch(/^2\s+r2\s+superseded.*trusted agents only$/m);
    expect(world.bundle().policy?.revision).toBe('r1');
  });
});

describe('hopgate lists', () => {
  test('blocks and unblocks', async () => {
    const rogue = 'spiffe://company.com/agent/rogue/*';
    expect(await ok('lists', 'block', rogue, 'mailto:eve@company.com', '--why', 'a test')).toContain(rogue);
    expect(world.bundle().lists).toMatchObject({
      blockAgents: [rogue],
      blockPrincipals: ['mailto:eve@company.com'],
    });
    await ok('lists', 'unblock', rogue, 'mailto:eve@company.com', '--why', 'a test');
    expect(await ok('lists', 'show')).toContain('Both lists are empty.');
  });

  test('asks before an allowlist begins', async () => {
    const { code, stderr } = await run(
      'lists',
      'allow',
      'spiffe://company.com/agent/planner/*',
      '--why',
      'a test',
    );
    expect([code, stderr.includes('--yes')]).toEqual([2, true]);
    expect(world.bundle().lists?.allowAgents).toEqual([]);
  });
});

describe('hopgate revoke', () => {
  test('a chain’s last link: shown, then revoked, with the bundle that has it', async () => {
    const chain = world.chain(world.agent('planner/1'), [world.agent('inventory/1')]);
    const where = file('task.chain', chain);
    const out = await ok('revoke', 'link', where, '--why', 'a test', '--yes');
    expect(out).toContain(`link ${linkAt(chain, 1).id} to spiffe://company.com/agent/inventory/1`);
    expect(out).toContain('Not known:');
    expect(out).toMatch(/Revoked: .* in bundle 1\.\d+/);
    expect(await ok('revoke', 'link', where, '--why', 'a test', '--yes')).toContain('It was revoked already');
    expect(await ok('revoke', 'list')).toContain(linkAt(chain, 1).id);
  });

  test('needs a why, and a yes', async () => {
    const where = file('other.chain', world.chain(world.agent('planner/1')));
    expect((await run('revoke', 'link', where, '--yes')).code).toBe(2);
    expect((await run('revoke', 'link', where, '--why', 'a test')).code).toBe(2);
  });

  test('as the principal, with its key: its own task, and nobody else’s', async () => {
    const key = file('alice.key', privateKeyPem(world.alice.key));
    const chain = world.chain(world.agent('planner/1'), [world.agent('inventory/1')]);
    const where = file('alices.chain', chain);
    const out = await ok('revoke', 'task', where, '--as', key, '--why', 'done', '--yes', '--json');
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      by: ALICE,
      revoked: { task: linkAt(chain, 0).id, principal: ALICE },
    });
    const mallory = file('mallory.key', privateKeyPem(world.mallory.key));
    const { code, stderr } = await run('revoke', 'link', where, '--as', mallory, '--why', 'spite', '--yes');
    expect(code).toBe(1);
    expect(stderr).toContain('api_forbidden: the chain starts from mailto:alice@company.com');
  });

  test('a principal by its short name', async () => {
    expect(await ok('revoke', 'principal', 'alice', '--why', 'left', '--yes')).toMatch(
      /Revoked: all that mailto:alice@company\.com granted before/,
    );
  });
});
