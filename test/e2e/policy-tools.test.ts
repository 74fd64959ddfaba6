/**
 * The tools that make a change of policy safe, on what really happened: replay names exactly the hops that a stricter policy
 * would deny, and the suggested policy lets the whole review pass and none of its attacks.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { POLICY } from '../../src/cli/demo/story.ts';
import type { DecisionRecord } from '../../src/core/audit/record.ts';
import { isReasonCode } from '../../src/core/reasons.ts';
import { runCli } from '../testkit/cli-process.ts';
import { MAIN } from '../testkit/main-file.ts';

/** Seventeen processes on a machine that runs other tests too. */
const TIMEOUT_MS = 240_000;

interface Told {
  readonly ok: boolean;
  readonly actions: number;
  readonly attacks: readonly { readonly name: string; readonly got: string }[];
  readonly faults?: readonly string[];
}

let folder: string;
let logs: readonly string[];
const at = (name: string): string => path.join(folder, name);

/** The demo until it has told how it went; `keep` copies its logs before it takes them away. */
const demo = async (keep: string | undefined, ...args: readonly string[]): Promise<Told> => {
  const child = spawn(
    process.execPath,
    [MAIN, 'demo', '--json', ...(keep === undefined ? [] : ['--keep']), ...args],
    {
      cwd: folder,
      env: { ...process.env, TMPDIR: folder, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const closed = once(child, 'close');
  let said = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    said += text;
  });
  while (!said.endsWith('\n') && child.exitCode === null) await delay(100);
  if (keep !== undefined) {
    const mesh = readdirSync(folder).find((name) => name.startsWith('hopgate-'));
    for (const log of globSync('agents/*/state/audit.log', { cwd: at(mesh ?? '') }))
      cpSync(at(path.join(mesh ?? '', log)), path.join(keep, log.split(path.sep)[1] ?? '', 'audit.log'));
    child.kill('SIGINT');
  }
  await closed;
  return JSON.parse(said) as Told;
};

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'tools-'));
  const told = await demo(at('logs'));
  expect(told).toMatchObject({ ok: true, actions: 353 });
  logs = globSync('logs/*/audit.log', { cwd: folder }).map(at);
  expect(logs.length).toBe(9);
  writeFileSync(at('policy.yaml'), stringify(POLICY));
}, TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const decisions = (): readonly DecisionRecord[] =>
  logs
    .flatMap((log) => readFileSync(log, 'utf8').trim().split('\n'))
    .map((line) => JSON.parse(line) as DecisionRecord)
    .filter(({ kind }) => kind === 'decision');

const json = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await runCli('policy', ...args, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
};

describe('replay of the logs of the demo', () => {
  test('under the policy that decided nothing changes, and everything can be told', async () => {
    const { hops, counts } = await json('replay', ...logs, '--policy', at('policy.yaml'));
    expect(hops).toBeGreaterThan(353);
    expect(counts).toEqual({ denied: 0, permitted: 0, reason: 0, unknown: 0 });
  });

  test('under a stricter one exactly those hops are denied that it denies', async () => {
    const strict = {
      ...POLICY,
      revision: 'stricter-1',
      limits: { ...POLICY.limits, maxDepth: 4 },
      rules: [
        // No buckets, no images, no reports.
        ...POLICY.rules.filter(({ name }) => name !== 'report-writes'),
        { name: 'no-buckets', effect: 'deny', scopes: ['s3:*', 'ec2:DescribeImages'] },
      ],
    };
    writeFileSync(at('strict.yaml'), stringify(strict));
    const expected = new Set(
      decisions()
        .filter(
          ({ verdict, required }) =>
            verdict === 'permit' &&
            required.some(
              (scope) => scope.startsWith('s3:') || ['ec2:DescribeImages', 'reports:write'].includes(scope),
            ),
        )
        .map(({ hop }) => hop),
    );
    expect(expected.size).toBe(12 + 18 + 3);
    const told = await json('replay', ...logs, '--policy', at('strict.yaml'));
    expect(new Set(told.denied)).toEqual(expected);
    expect(told.denied).toHaveLength(expected.size);
    expect([told.permitted, told.unknown]).toEqual([[], []]);
    expect(told.byRule['no-buckets']).toMatchObject({ denied: 30 });
    expect(told.byEdge['report → documents']).toMatchObject({ denied: 3 });
  });

  test('what was changed is not gone by', async () => {
    const [log = ''] = logs;
    writeFileSync(
      at('changed.log'),
      readFileSync(log, 'utf8').replace('"verdict":"permit"', '"verdict":"deny"'),
    );
    const { code, stderr } = await runCli(
      'policy',
      'replay',
      at('changed.log'),
      '--policy',
      at('policy.yaml'),
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/changed\.log:\d+: audit_hash/);
  });
});

describe('the policy that is suggested', () => {
  test.each([
    ['beside the one in force', ['--base', 'policy.yaml']],
    ['from the logs alone', []],
  ])('%s has nothing wrong, and denies nothing that was used', async (name, options) => {
    const out = at(`${name.replaceAll(' ', '-')}.yaml`);
    const base = options.map((one) => (one.startsWith('--') ? one : at(one)));
    await json('suggest', ...logs, ...base, '--out', out);
    expect((await runCli('policy', 'check', '--strict', out)).code).toBe(0);
    const { counts } = await json('replay', ...logs, '--policy', out);
    expect(counts).toMatchObject({ denied: 0, permitted: 0, unknown: 0 });
  });

  test('lets the whole demo pass, and none of its attacks', { timeout: TIMEOUT_MS }, async () => {
    await json('suggest', ...logs, '--base', at('policy.yaml'), '--out', at('least.yaml'));
    const told = await demo(undefined, '--policy', at('least.yaml'));
    expect(told).toMatchObject({ ok: true, actions: 353 });
    expect(told.attacks).toHaveLength(10);
    for (const { name, got } of told.attacks) expect(isReasonCode(got), `${name}: ${got}`).toBe(true);
  });
});
