/** The root key at the command line: exported and taken away, asked, signing elsewhere, answered; keys replaced. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliProcess, runCli } from '../testkit/cli-process.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-root-'));
const at = (name: string): string => path.join(directory, name);
const verifierDirectory = at('verifier');
let verifier: CliProcess;

const start = async (): Promise<void> => {
  verifier = new CliProcess('verifier', '--config', at('verifier.yaml'));
  await verifier.stderr.until('verifier started');
};

const asked = (...args: readonly string[]) => runCli('verifier', ...args, '--verifier', verifierDirectory);

interface Shown {
  readonly epoch: number;
  readonly root: { readonly thumbprint: string; readonly here: boolean; readonly awaited: boolean };
  readonly keys: readonly { readonly role: string; readonly state: string; readonly thumbprint: string }[];
}

const shown = async (...args: readonly string[]): Promise<Shown> => {
  const { code, stdout, stderr } = await asked(...args, '--json');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Shown;
};

const keysOf = ({ keys }: Shown, role: string, state: string): readonly string[] =>
  keys.filter((key) => key.role === role && key.state === state).map(({ thumbprint }) => thumbprint);

beforeAll(async () => {
  writeFileSync(at('passphrase'), 'correct horse battery staple\n', { mode: 0o600 });
  writeFileSync(
    at('verifier.yaml'),
    'apiVersion: hopgate.dev/v1\nkind: Verifier\ndirectory: verifier\nlisten: 127.0.0.1:0\nmetrics: {listen: off}\n',
  );
  await start();
});
afterAll(async () => {
  await verifier.stop();
  rmSync(directory, { recursive: true, force: true });
});

it('shows the root and every role key', async () => {
  const answer = await shown('root', 'show');
  expect(answer.root).toMatchObject({ here: true, awaited: false });
  const { stdout } = await asked('root', 'show');
  for (const { thumbprint } of answer.keys) expect(stdout).toContain(thumbprint);
});

it('rotates while the root is here, and drops a key that somebody else has', async () => {
  const before = await shown('root', 'show');
  const next = await shown('rotate', 'policy', '--why', 'a drill');
  expect(next.epoch).toBe(before.epoch + 1);
  expect(keysOf(next, 'policy', 'next')).toHaveLength(1);
  const dropped = await shown('rotate', 'wit-issuer', '--compromised', '--why', 'a tape was lost');
  expect(keysOf(dropped, 'wit-issuer', 'gone')).toEqual(keysOf(before, 'wit-issuer', 'active'));
  const twice = await asked('rotate', 'policy', '--why', 'again');
  expect([twice.code, twice.stderr]).toEqual([1, expect.stringContaining('api_conflict')]);
  expect((await asked('rotate', 'policy')).code).toBe(2);
  expect((await asked('rotate', 'root', '--why', 'x')).code).toBe(2);
});

it('lets the root go offline, and asks it', { timeout: 60_000 }, async () => {
  const pem = at('root.pem');
  const exporting = [
    'root',
    'export',
    pem,
    '--dir',
    verifierDirectory,
    '--passphrase-file',
    at('passphrase'),
  ];
  const exported = await runCli('verifier', ...exporting, '--remove');
  expect([exported.code, exported.stdout]).toEqual([0, '']);
  expect(statSync(pem).mode & 0o777).toBe(0o600);
  expect(readFileSync(pem, 'utf8')).toContain('ENCRYPTED');
  expect(existsSync(path.join(verifierDirectory, 'keys', 'root.key'))).toBe(false);
  expect((await runCli('verifier', ...exporting)).code).toBe(1);

  const offline = await shown('rotate', 'timestamp', '--why', 'a drill');
  expect(offline.root).toMatchObject({ here: false, awaited: true });
  expect((await asked('root', 'epoch', '--why', 'restored')).stderr).toContain('root request --new-epoch');

  const request = at('request.json');
  expect((await asked('root', 'request', '--out', request)).code).toBe(0);
  const sign = (file: string, ...more: readonly string[]) =>
    runCli('verifier', 'root', 'sign', file, '--key', pem, '--passphrase-file', at('passphrase'), ...more);
  const unasked = await sign(request);
  expect([unasked.code, unasked.stdout]).toEqual([2, '']);
  for (const { thumbprint, state } of offline.keys)
    expect(unasked.stderr.includes(thumbprint), `${state} ${thumbprint}`).toBe(state !== 'gone');

  const roles = at('roles.jws');
  expect((await sign(request, '--yes', '--out', roles)).code).toBe(0);
  const installed = await shown('root', 'install', roles);
  expect(installed.root.awaited).toBe(false);
  expect(installed.epoch).toBe(offline.epoch + 1);

  // Signed once, that is what the next request is compared with.
  const again = await sign(request, '--last', roles, '--yes');
  expect([again.code, again.stdout]).toEqual([1, '']);
  expect(again.stderr).toContain(`epoch ${installed.epoch}`);

  const restored = at('restored.json');
  expect((await asked('root', 'request', '--new-epoch', '--out', restored)).code).toBe(0);
  const anew = await sign(restored, '--last', roles, '--yes', '--out', at('anew.jws'));
  expect(anew.stderr).toContain('as before');
  expect(anew.stderr).not.toContain('NEW');
  expect((await shown('root', 'install', at('anew.jws'))).epoch).toBeGreaterThan(1_000_000);
});

it('nothing that is no request is signed, nor with another key', async () => {
  writeFileSync(at('nonsense.json'), '{"v":1,"request":"roles"}');
  const signing = (file: string, passphrase: string) =>
    runCli(
      'verifier',
      'root',
      'sign',
      file,
      '--key',
      at('root.pem'),
      '--passphrase-file',
      passphrase,
      '--yes',
    );
  expect((await signing(at('nonsense.json'), at('passphrase'))).stderr).toContain('is no request');
  writeFileSync(at('wrong'), 'another passphrase, just as long');
  const wrong = await signing(at('request.json'), at('wrong'));
  expect([wrong.code, wrong.stdout]).toEqual([1, '']);
  expect(wrong.stderr).toContain('another passphrase');
  const request = JSON.parse(readFileSync(at('request.json'), 'utf8'));
  request.payload.root = request.payload.policy[0];
  writeFileSync(at('other.json'), JSON.stringify(request));
  expect((await signing(at('other.json'), at('passphrase'))).stderr).toContain('asks another root');
});

it('a verifier without its root starts again, and still asks', async () => {
  await verifier.stop();
  await start();
  expect((await shown('root', 'show')).root).toMatchObject({ here: false, awaited: false });
});
