/** `hopgate join` as a process: one line makes an agent, and agents that join beside each other at once find each other. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../testkit/cli-process.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';

const NAMES = ['planning/1', 'inventory/1', 'security/1'];

let verifier: RunningVerifier;
let folder: string;
const at = (name: string): string => path.join(folder, 'agents', name.replace('/', '-'));
const joinStringOf = async (name: string): Promise<string> => {
  const added = await runCli('agents', 'add', name, '--verifier', verifier.directory);
  expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^hopgate-join:\S+\n$/) });
  return added.stdout.trim();
};

interface Joined {
  readonly id: string;
  readonly config: string;
  readonly ports: { readonly inbound: number };
  readonly routes: readonly { readonly host: string }[];
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-join-'));
  verifier = await RunningVerifier.start();
});
afterAll(async () => {
  await verifier?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('three at once have ports of their own, routes to each other, and configurations that a sidecar takes', async () => {
  const strings = await Promise.all(NAMES.map(joinStringOf));
  const answers = await Promise.all(
    NAMES.map((name, index) => runCli('join', strings[index] ?? '', '--dir', at(name), '--json')),
  );
  const joined = answers.map(({ code, stdout }) => {
    expect(code).toBe(0);
    return JSON.parse(stdout) as Joined;
  });
  expect(new Set(joined.map(({ ports }) => ports.inbound)).size).toBe(3);
  // Whoever came later has routes to who was there; these got theirs in turn.
  expect(joined.map(({ routes }) => routes.length).toSorted()).toEqual([0, 1, 2]);
  for (const [index, name] of NAMES.entries()) {
    expect(statSync(at(name)).mode & 0o777).toBe(0o700);
    const config = path.join(at(name), 'sidecar.yaml');
    expect(await runCli('sidecar', '--config', config, '--check')).toMatchObject({ code: 0 });
    const other = NAMES[(index + 1) % NAMES.length] ?? '';
    const again = await runCli('join', strings[index] ?? '', '--dir', at(other));
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('is there already') });
  }
  for (const name of NAMES) {
    const text = readFileSync(path.join(at(name), 'sidecar.yaml'), 'utf8');
    const hosts = [...text.matchAll(/^ {4}- host: (.*)$/gm)].map(([, host]) => host);
    expect(hosts.toSorted()).toEqual(
      NAMES.filter((other) => other !== name)
        .map((other) => `${other.split('/')[0]}.mesh`)
        .toSorted(),
    );
  }
  expect(readdirSync(path.join(folder, 'agents')).toSorted()).toEqual(
    NAMES.map((name) => name.replace('/', '-')).toSorted(),
  );
}, 120_000);

test('a join string is good once, and leaves no folder the second time', async () => {
  const string = await joinStringOf('cost/1');
  expect((await runCli('join', string, '--dir', at('cost/1'))).code).toBe(0);
  const again = await runCli('join', string, '--dir', at('cost/2'));
  expect(again.code).toBe(1);
  expect(again.stderr).not.toContain(string);
  expect(readdirSync(path.join(folder, 'agents'))).not.toContain('cost-2');
}, 60_000);
