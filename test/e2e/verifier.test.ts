/** `hopgate verifier` as a process: the first start makes a trust domain, later ones go on, and its ledger can be checked. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CliProcess, runCli } from '../testkit/cli-process.ts';

let directory: string;
let config: string;
const running: CliProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-verifier-'));
  config = path.join(directory, 'verifier.yaml');
  writeFileSync(
    config,
    'apiVersion: hopgate.dev/v1\nkind: Verifier\ntrustDomain: lab.test\ndirectory: state\nlisten: 127.0.0.1:0\nmetrics: {listen: off}\n',
  );
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
  rmSync(directory, { recursive: true, force: true });
});

const start = async (): Promise<CliProcess> => {
  const one = new CliProcess('verifier', '--config', config);
  running.push(one);
  await one.stderr.until('verifier started');
  return one;
};
const state = (): string => path.join(directory, 'state');
const events = (...more: readonly string[]) => runCli('verifier', 'events', '--verifier', state(), ...more);

it('makes a trust domain, says what to type next, goes on where it was, and one at a time', async () => {
  expect((await runCli('verifier', '--config', config, '--check')).code).toBe(0);
  expect(existsSync(state())).toBe(false);
  const first = await start();
  await first.stderr.until('hopgate join "$(hopgate agents add inventory/1');
  expect(first.stderr.text).toContain('A new trust domain: lab.test');
  const second = await runCli('verifier', '--config', config);
  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('another verifier is running') });
  expect(second.stderr.trim().split('\n')).toHaveLength(1);
  const whole = JSON.parse((await events('--verify', '--json')).stdout) as {
    readonly ok: boolean;
    readonly head: string;
  };
  expect(whole.ok).toBe(true);
  await first.stop();
  const again = await start();
  expect(again.stderr.text).not.toContain('A new trust domain');
  expect(JSON.parse((await events('--verify', '--head', whole.head, '--json')).stdout)).toMatchObject({
    ok: true,
  });
  const listed = await events();
  expect(listed.stdout).toMatch(/domain\.made +system/);
  expect(listed.stdout.match(/policy\.published +system/g)).toHaveLength(1);
  await again.stop();
  const other = await runCli('verifier', '--config', config, '--trust-domain', 'other.test');
  expect(other).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('holds the trust domain lab.test'),
  });
});

it('says what is wrong with its ledger, and where', async () => {
  const first = await start();
  const { head } = JSON.parse((await events('--verify', '--json')).stdout) as { readonly head: string };
  await first.stop();
  const db = new DatabaseSync(path.join(state(), 'verifier.db'));
  db.exec('DELETE FROM ledger WHERE seq > 3');
  db.close();
  await start();
  const cut = await events('--verify', '--head', head);
  expect(cut).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/Nothing from event \d+ on can be relied upon/),
  });
});

it('a command without a verifier is told where to look', async () => {
  expect(await events()).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/verifier_unreachable: .*no such socket/),
  });
  const https = await runCli('verifier', 'events', '--verifier', 'https://127.0.0.1:1');
  expect(https).toMatchObject({ code: 2, stderr: expect.stringContaining('--as DIR') });
});
