import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { CliProcess, runCli } from '../testkit/cli-process.ts';
import { ALICE } from '../testkit/core-world.ts';
import {
  decision,
  digest,
  INVENTORY,
  PLANNING,
  SealedLog,
  sessionOf,
  started,
  TASK,
  twoSides,
  writeFiles,
} from '../testkit/sealed-log.ts';

const running: CliProcess[] = [];
afterEach(async () => {
  for (const cli of running.splice(0)) await cli.stop();
});
const follow = (...args: readonly string[]): CliProcess => {
  const cli = new CliProcess('logs', '-f', ...args);
  running.push(cli);
  return cli;
};

describe('hopgate logs', () => {
  test('merges several logs by time', async () => {
    const { caller, callee } = twoSides(2);
    const at = writeFiles({ 'a.log': caller.text, 'b.log': callee.text });
    const { code, stdout } = await runCli('logs', at('b.log'), at('a.log'));
    const rows = stdout.split('\n').filter((line) => line.includes('permit'));
    expect(code).toBe(0);
    expect(rows.map((row) => row.slice(0, 26).split(/ +/))).toEqual([
      ['08:01:00.000', 'permit', 'out', ''],
      ['08:01:00.005', 'permit', 'in', ''],
      ['08:02:00.000', 'permit', 'out', ''],
      ['08:02:00.005', 'permit', 'in', ''],
    ]);
  });

  test('--json passes lines on octet for octet', async () => {
    const log = new SealedLog(PLANNING)
      .add(started)
      .add(decision({ target: '/é/\u2028/\ud83d\ude00' }))
      .checkpoint();
    const at = writeFiles({ 'a.log': log.text });
    const { stdout } = await runCli('logs', '--json', at('a.log'));
    expect(stdout).toBe(`${log.lines[1]}\n`);
  });

  test('a line that is no record is named on stderr, and the rest is shown', async () => {
    const [first = ''] = new SealedLog(PLANNING).add(decision()).lines;
    const at = writeFiles({
      'a.log': `not a record\n${first}\n{"kind":"decision"}\n${first}\n${first.slice(0, 40)}`,
    });
    const { code, stdout, stderr } = await runCli('logs', at('a.log'));
    expect(code).toBe(0);
    expect(stdout.match(/permit/g)).toHaveLength(2);
    expect(stderr.split('\n').map((line) => line.replace(at('a.log'), 'a.log').split(' (')[0])).toEqual([
      'a.log:1: not a record',
      'a.log:3: not a record',
      'a.log:5: an unfinished write',
      '',
    ]);
  });

  test('a target can’t write to the terminal', async () => {
    const target = '/\u001b]0;owned\u0007\u001b[2J\r\npermit';
    const log = new SealedLog(PLANNING).add(decision({ target, verdict: 'deny', reason: 'scope_missing' }));
    const at = writeFiles({ 'a.log': log.text });
    const { stdout } = await runCli('logs', '--wide', at('a.log'));
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('\r');
    expect(stdout.trim().split('\n')).toHaveLength(2);
  });

  test('filters', async () => {
    const log = new SealedLog(PLANNING)
      .add(decision())
      .add(decision({ verdict: 'deny', reason: 'scope_missing', task: digest(2) }));
    const at = writeFiles({ 'a.log': log.text });
    const { stdout } = await runCli('logs', '--verdict', 'deny', '--json', at('a.log'));
    expect(stdout).toBe(`${log.lines[1]}\n`);
    expect((await runCli('logs', '--task', TASK, '--json', at('a.log'))).stdout).toBe(`${log.lines[0]}\n`);
  });

  test.each([
    ['no file', []],
    ['an unknown reason', ['--reason', 'nonsense', 'a.log']],
    ['a time that is none', ['--since', 'yesterday', 'a.log']],
    ['an unknown verdict', ['--verdict', 'maybe', 'a.log']],
  ])('%s is wrong usage', async (_what, args) => {
    const { code, stderr } = await runCli('logs', ...args);
    expect(code).toBe(2);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('a file that isn’t there is told in one line', async () => {
    const at = writeFiles({});
    const { code, stderr } = await runCli('logs', at('none.log'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^hopgate: .*none\.log can't be read \(ENOENT\)\n$/);
  });

  test('a reader that goes away ends it without noise', async () => {
    const [line = ''] = new SealedLog(PLANNING).add(decision()).lines;
    const at = writeFiles({ 'a.log': `${line}\n`.repeat(5000) });
    const cli = new CliProcess('logs', at('a.log'));
    running.push(cli);
    await cli.stdout.until('permit');
    cli.closeStdout();
    expect(await cli.ended()).toBe(0);
    expect(cli.stderr.text).toBe('');
  });
});

describe('hopgate logs -f', () => {
  test('follows a log through its rotation', async () => {
    const log = new SealedLog(PLANNING).add(decision({ target: '/one' }));
    const at = writeFiles({ 'a.log': log.text });
    const cli = follow(at('a.log'));
    await cli.stdout.until('/one');
    appendFileSync(at('a.log'), `${log.add(decision({ target: '/two' })).lines[1]}\n`);
    await cli.stdout.until('/two');
    renameSync(at('a.log'), at('a.log.1'));
    writeFileSync(at('a.log'), `${log.add(decision({ target: '/three' })).lines[2]}\n`);
    await cli.stdout.until('/three');
    await cli.stderr.until('was replaced; reading the new file');
    expect(cli.stdout.text.match(/permit/g)).toHaveLength(3);
  });

  test('waits for a log that is not there yet', async () => {
    const at = writeFiles({});
    const cli = follow('--json', at('late.log'));
    await cli.stderr.until('does not exist yet');
    const log = new SealedLog(PLANNING).add(decision());
    writeFileSync(at('late.log'), log.text);
    await cli.stdout.until(log.text);
  });

  test('shows a record when it is whole', async () => {
    const log = new SealedLog(PLANNING).add(decision({ target: '/one' })).add(decision({ target: '/two' }));
    const [one = '', two = ''] = log.lines;
    const at = writeFiles({ 'a.log': `${one}\n${two.slice(0, 100)}` });
    const cli = follow(at('a.log'));
    await cli.stdout.until('/one');
    appendFileSync(at('a.log'), `${two.slice(100)}\n`);
    await cli.stdout.until('/two');
    expect(cli.stderr.text).toBe('');
  });
});

describe('hopgate trace', () => {
  const byInventory = {
    caller: INVENTORY.id,
    callee: 'spiffe://company.com/agent/security/s1',
    agents: [
      { id: PLANNING.id, link: digest(1) },
      { id: INVENTORY.id, link: digest(2) },
    ],
  } as const;
  const caller = new SealedLog(PLANNING).add(decision());
  const callee = new SealedLog(INVENTORY)
    .add(decision({ direction: 'inbound' }))
    .add(decision({ ...byInventory, hop: `${sessionOf('two')}.1` }))
    .add(decision({ ...byInventory, hop: '', verdict: 'deny', reason: 'egress_host_unknown' }));
  const files = () => {
    const at = writeFiles({ 'a.log': caller.text, 'b.log': callee.text });
    return [at('a.log'), at('b.log')];
  };

  test('shows the tree of a task, each hop once', async () => {
    const { code, stdout } = await runCli('trace', TASK.slice(0, 8), ...files());
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(1, 6)).toEqual([
      ALICE,
      '└─ planning/abc123       1 action   ec2:Describe*',
      '   └─ inventory/def456   1 action   ec2:Describe*   1 denied: egress_host_unknown',
      '',
      '2 actions by 2 agents, all traceable to alice@company.com; 1 request denied',
    ]);
  });

  test('--json is one object', async () => {
    const { stdout } = await runCli('trace', '--json', TASK, ...files());
    expect(JSON.parse(stdout)).toMatchObject({
      task: TASK,
      principal: ALICE,
      actions: 2,
      denials: 1,
      untraced: 0,
    });
  });

  test('an unknown task is an error, and several that begin alike are wrong usage', async () => {
    const bob = 'mailto:bob@company.com';
    const log = new SealedLog(PLANNING)
      .add(decision())
      .add(decision({ principal: bob, hop: `${sessionOf('bob')}.1` }));
    const at = writeFiles({ 'a.log': log.text });
    expect((await runCli('trace', 'nothing', at('a.log'))).code).toBe(1);
    const several = await runCli('trace', TASK, at('a.log'));
    expect(several.code).toBe(2);
    expect(several.stderr).toContain(bob);
    const { code, stdout } = await runCli('trace', TASK, '--principal', bob, at('a.log'));
    expect(code).toBe(0);
    expect(stdout).toContain('all traceable to bob@company.com');
  });

  test('a task id that begins with a hyphen goes behind "--"', async () => {
    const task = `-${TASK.slice(1)}`;
    const at = writeFiles({ 'a.log': new SealedLog(PLANNING).add(decision({ task })).text });
    const { code, stdout } = await runCli('trace', '--', task, at('a.log'));
    expect(code).toBe(0);
    expect(stdout).toContain(`task ${task}`);
  });
});

test.each(['logs', 'audit', 'trace'])('%s --help has examples', async (name) => {
  const { code, stdout } = await runCli(name, '--help');
  expect(code).toBe(0);
  expect(stdout).toContain('Examples:');
});
