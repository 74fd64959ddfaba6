/** `hopgate delegate` and `inspect`: what a principal may grant, refused with the reason that a sidecar would give. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../testkit/cli-process.ts';
import { MAIN } from '../testkit/main-file.ts';

let parent = '';
let mesh = '';
beforeAll(async () => {
  parent = mkdtempSync(path.join(tmpdir(), 'hopgate-delegate-'));
  mesh = path.join(parent, 'mesh');
  await runCli('init', mesh);
});
afterAll(() => rmSync(parent, { recursive: true, force: true }));

const delegate = (...args: readonly string[]) =>
  runCli('delegate', '--dir', mesh, '--to', 'planning/1', '--as', 'alice', ...args);

describe('delegate', () => {
  it('writes a chain that inspect finds valid', async () => {
    const out = path.join(parent, 'task.chain');
    const made = await delegate('--scope', 'infrastructure:review', '--out', out);
    expect(made).toMatchObject({ code: 0, stdout: '' });
    expect(made.stderr).toContain('cloud:read ec2:Describe* s3:List*');
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const { code, stdout } = await runCli('inspect', out, '--dir', mesh);
    expect(code).toBe(0);
    expect(stdout).toContain('mailto:alice@company.com → planning/1');
    expect(stdout).toContain('“infrastructure:review”');
    expect(stdout).toContain('valid: the link holds under bundle 1.1 of company.com');
    expect(stdout).not.toContain(readFileSync(out, 'utf8').split('.')[2]?.trim());
  });

  it('puts the chain alone on stdout, to be piped', async () => {
    const { stdout } = await delegate('--scope', 'cloud:read');
    expect(stdout).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}\n$/);
    const inspect = spawn(process.execPath, [MAIN, 'inspect', '-', '--dir', mesh, '--json']);
    inspect.stdin.end(stdout);
    let told = '';
    inspect.stdout.on('data', (chunk) => {
      told += chunk;
    });
    await once(inspect, 'close');
    expect(JSON.parse(told)).toMatchObject({ ok: true, verified: true, links: [{ scope: ['cloud:read'] }] });
  });

  it.each([
    [['--scope', 'iam:CreateUser'], 'anchor_scope', 'ceiling.scope'],
    [['--scope', 'cloud:read', '--ttl', '3h'], 'link_ttl', 'take a shorter --ttl'],
    [['--scope', 'cloud:read', '--depth', '6'], 'anchor_depth', 'take a smaller --depth'],
    [['--scope', 'cloud*'], 'scope_invalid', 'Scope sets of the policy: infrastructure:review'],
    [['--scope', 'cloud:read', '--aud', 'other.test'], 'chain_aud', 'company.com'],
    [
      ['--scope', 'cloud:read', '--aud', 'company.com', '--aud', 'other.test'],
      'anchor_domain',
      'company.com',
    ],
    [
      ['--scope', 'cloud:read', '--aud', 'company.com', '--principal', 'mailto:bob@company.com'],
      'anchor_principal',
      'speaks for mailto:alice@company.com',
    ],
    [['--scope', 'cloud:read', '--caveat', '{"type":"moon"}'], 'caveat_unknown', 'Caveats:'],
    [['--scope', 'cloud:read', '--caveat', '{"type":"before","time":1}'], 'caveat_before', ''],
  ])('refuses %j with %s and a hint', async (args, reason, hint) => {
    const out = path.join(parent, 'refused.chain');
    const { code, stdout, stderr } = await delegate(...args, '--out', out);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`hopgate: ${reason}: `);
    expect(stderr).toContain(hint);
    expect(() => statSync(out)).toThrow('ENOENT');
  });

  it.each([
    [['delegate', '--to', 'planning/1', '--scope', 'cloud:read'], '--as NAME with --dir'],
    [['delegate', '--as', 'alice', '--to', 'planning/1', '--scope', 'cloud:read'], '--as needs --dir'],
    [['delegate', '--to', 'planning/1'], 'Missing required argument: scope'],
    [['inspect'], 'Not enough non-option arguments'],
  ])('asks for what is missing in %j', async (args, message) => {
    const { code, stderr } = await runCli(...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it('names who is there when someone is not', async () => {
    const bob = await runCli(
      'delegate',
      '--dir',
      mesh,
      '--as',
      'bob',
      '--to',
      'planning/1',
      '--scope',
      'cloud:read',
    );
    expect([bob.code, bob.stderr]).toEqual([1, expect.stringContaining('alice')]);
    const nine = await runCli(
      'delegate',
      '--dir',
      mesh,
      '--as',
      'alice',
      '--to',
      'planning/9',
      '--scope',
      'cloud:read',
    );
    expect([nine.code, nine.stderr]).toEqual([1, expect.stringContaining('planning/1, inventory/1')]);
  });

  it('works from single files, and tells programs what it did', async () => {
    const root = JSON.parse(readFileSync(path.join(mesh, 'domain.json'), 'utf8')).root;
    const agent = path.join(mesh, 'agents', 'planning-1');
    const args = [
      '--key',
      path.join(mesh, 'principals', 'alice.key'),
      '--bundle',
      path.join(mesh, 'bundle.jws'),
      `--root=${root}`,
    ];
    const to = [
      '--to',
      'spiffe://company.com/agent/planning/1',
      '--to-key',
      path.join(agent, 'agent.pub.json'),
    ];
    const { code, stdout } = await runCli('delegate', ...args, ...to, '--scope', 'cloud:read', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      principal: 'mailto:alice@company.com',
      maxDepth: 3,
    });
  });

  it('a key that the bundle does not know grants nothing', async () => {
    const key = path.join(mesh, 'agents', 'planning-1', 'agent.key');
    const { code, stdout } = await runCli(
      ...['delegate', '--dir', mesh, '--key', key, '--principal', 'mailto:alice@company.com'],
      ...['--to', 'inventory/1', '--scope', 'cloud:read', '--json'],
    );
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { ok: false, reason: 'anchor_unknown' }]);
  });
});

describe('inspect', () => {
  const agentFile = (name: string) => path.join(mesh, 'agents', 'planning-1', name);

  it.each(['svid.pem', 'wit.jwt', 'key-binding.json', 'agent.pub.json'])('finds %s valid', async (name) => {
    const { code, stdout } = await runCli('inspect', agentFile(name), '--dir', mesh);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^valid: /m)]);
  });

  it('finds a forged chain not valid, says why, and exits 1', async () => {
    const { stdout: chain } = await delegate('--scope', 'cloud:read');
    const [header, payload = '', signature] = chain.trim().split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const changed = Buffer.from(JSON.stringify({ ...claims, scope: ['cloud:*'] })).toString('base64url');
    const file = path.join(parent, 'forged.chain');
    writeFileSync(file, `${header}.${changed}.${signature}\n`);
    const forged = await runCli('inspect', file, '--dir', mesh);
    expect(forged.code).toBe(1);
    expect(forged.stdout).toContain('not valid: link_signature: ');
  });

  it('shows nothing of a private key', async () => {
    const { code, stdout, stderr } = await runCli('inspect', path.join(mesh, 'root', 'root.key'));
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('is a private key; nothing of it is shown');
  });

  it('lets nothing in a file move the cursor', async () => {
    const file = path.join(parent, 'escape.json');
    writeFileSync(file, '{"\u001b[2J":"x"}');
    const { code, stdout } = await runCli('inspect', file);
    expect(code).toBe(1);
    expect(stdout).not.toContain('\u001b');
  });

  it('says so in one line when there is no such file', async () => {
    const { code, stderr } = await runCli('inspect', path.join(parent, 'none'));
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^hopgate: ENOENT: .*\n$/)]);
  });
});
