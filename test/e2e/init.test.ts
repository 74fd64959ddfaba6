/** `hopgate init`: a mesh from one command, never half of one, and kept fresh. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { CliProcess, runCli } from '../testkit/cli-process.ts';

let parent = '';
let mesh = '';
beforeEach(() => {
  parent = mkdtempSync(path.join(tmpdir(), 'hopgate-init-'));
  mesh = path.join(parent, 'mesh');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const state = () => JSON.parse(readFileSync(path.join(mesh, 'domain.json'), 'utf8'));

describe('init', () => {
  it('makes a domain, says what comes next, and does not do it twice', async () => {
    const made = await runCli('init', mesh);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout).toContain('127.0.0.1:14001');
    expect(made.stdout).toContain(`hopgate sidecar --config ${mesh}/agents/planning-1/sidecar.yaml`);
    expect(made.stdout).toContain('--to planning/1 --scope infrastructure:review');
    expect(made.stdout).not.toContain('PRIVATE');
    const before = readFileSync(path.join(mesh, 'root', 'root.key'), 'utf8');

    const again = await runCli('init', mesh);
    expect(again.code).toBe(1);
    expect(again.stdout).toBe('');
    expect(again.stderr).toContain('is a local trust domain already; --renew');
    expect(readFileSync(path.join(mesh, 'root', 'root.key'), 'utf8')).toBe(before);
  });

  it('takes names, and tells programs what it made', async () => {
    const args = ['--trust-domain', 'lab.test', '--agent', 'web/1', '--principal', 'bob=mailto:bob@lab.test'];
    const { code, stdout } = await runCli('init', mesh, ...args, '--svid-ttl', '15m', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      made: true,
      trustDomain: 'lab.test',
      epoch: 1,
      seq: 1,
      agents: [{ name: 'web/1', id: 'spiffe://lab.test/agent/web/1', inbound: '127.0.0.1:14443' }],
      principals: [{ name: 'bob', principal: 'mailto:bob@lab.test' }],
    });
    expect(state().svidTtlSeconds).toBe(900);
  });

  it.each([
    [['--agent', 'Planning/1'], 'TYPE/INSTANCE'],
    [['--agent', 'planning'], 'TYPE/INSTANCE'],
    [['--agent', '../1'], 'TYPE/INSTANCE'],
    [['--principal', 'alice'], 'NAME=URI'],
    [['--principal', '../alice=mailto:a@b.c'], 'NAME=URI'],
    [['--principal', 'a=mailto:a@b.c', '--principal', 'a=mailto:b@b.c'], 'given twice'],
    [['--trust-domain', 'Company.com'], '--trust-domain'],
    [['--svid-ttl', '25h'], 'at most 24h'],
    [['--svid-ttl', '1'], 'a duration'],
    [['--bundle-ttl', '31d'], 'at most 30d'],
    [['--watch'], '--watch goes with --renew'],
    [['--frobnicate'], 'Unknown argument'],
  ])('refuses %j and leaves nothing behind', async (args, message) => {
    const { code, stderr, stdout } = await runCli('init', mesh, ...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(readdirSync(parent)).toEqual([]);
  });

  it('leaves nothing behind where it can’t write, and says why in one line', async () => {
    const file = path.join(parent, 'file');
    writeFileSync(file, 'mine');
    const below = await runCli('init', path.join(file, 'mesh'));
    expect(below.code).toBe(1);
    expect(below.stderr).toMatch(/^hopgate: E[A-Z]+: .*\n$/);
    mkdirSync(mesh);
    writeFileSync(path.join(mesh, 'mine'), 'mine');
    const full = await runCli('init', mesh);
    expect([full.code, full.stderr]).toEqual([1, expect.stringContaining('is not empty')]);
    expect(readdirSync(parent).sort()).toEqual(['file', 'mesh']);
    expect(readdirSync(mesh)).toEqual(['mine']);
  });
});

describe('an existing domain', () => {
  it('is renewed under the same keys', async () => {
    await runCli('init', mesh);
    const read = (file: string) => readFileSync(path.join(mesh, 'agents', 'planning-1', file), 'utf8');
    const [key, wit] = [read('agent.key'), read('wit.jwt')];
    const { code, stdout } = await runCli('init', mesh, '--renew');
    expect(code).toBe(0);
    expect(stdout).toMatch(/planning\/1 +expires in \d+ min/);
    expect(stdout).toContain('bundle 1.2');
    expect(read('agent.key')).toBe(key);
    expect(read('wit.jwt')).not.toBe(wit);
  });

  it('is added to', async () => {
    await runCli('init', mesh);
    const { code, stdout } = await runCli('init', mesh, '--agent', 'security/1');
    expect(code).toBe(0);
    expect(stdout).toContain('security-1/sidecar.yaml');
    expect(state()).toMatchObject({ seq: 2, agents: ['planning/1', 'inventory/1', 'security/1'] });
    expect(readFileSync(path.join(mesh, 'agents', 'planning-1', 'sidecar.yaml'), 'utf8')).toContain(
      'security.mesh',
    );
  });

  it('keeps its name, and its principals theirs', async () => {
    await runCli('init', mesh);
    const renamed = await runCli('init', mesh, '--trust-domain', 'other.test', '--agent', 'x/1');
    expect([renamed.code, renamed.stderr]).toEqual([
      1,
      expect.stringContaining('is the trust domain company.com'),
    ]);
    const stolen = await runCli('init', mesh, '--principal', 'alice=mailto:mallory@company.com');
    expect([stolen.code, stolen.stderr]).toEqual([1, expect.stringContaining('take another name')]);
    expect(state().seq).toBe(1);
  });

  it('can’t be renewed where there is none', async () => {
    const { code, stderr } = await runCli('init', mesh, '--renew');
    expect([code, stderr]).toEqual([1, expect.stringContaining('hopgate init')]);
    expect(existsSync(mesh)).toBe(false);
  });

  it('is kept fresh in the foreground until a signal, and a fault does not end that', async () => {
    await runCli('init', mesh);
    const watching = new CliProcess('init', mesh, '--renew', '--watch', '--svid-ttl', '2s');
    onTestFinished(() => watching.stop());
    await watching.stdout.until('bundle 1.2', 'bundle 1.3');
    const key = path.join(mesh, 'root', 'ca.key');
    renameSync(key, `${key}.away`);
    await watching.stderr.until('not renewed, trying again in 1 s: ENOENT');
    renameSync(`${key}.away`, key);
    const { seq } = state();
    await watching.stdout.until(`bundle 1.${seq + 1}`);
    await watching.stop();
    expect(state().seq).toBeGreaterThanOrEqual(3);
    expect(watching.stdout.text).toContain('next in 1 s');
    expect(readdirSync(mesh)).not.toContain('.lock');
  });
});
