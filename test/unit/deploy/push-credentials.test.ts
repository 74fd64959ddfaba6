/** deploy/kubernetes/push-credentials.sh makes Secrets of exactly the files that a sidecar reads. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLocalDomain } from '../../../src/verifier/local/domain.ts';
import { ROOT } from '../../testkit/manifests.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'hopgate-push-'));
const mesh = path.join(folder, 'mesh');
const calls = path.join(folder, 'calls');

beforeAll(async () => {
  await createLocalDomain(
    mesh,
    {
      trustDomain: 'company.com',
      agents: ['planning/1', 'security/2'],
      principals: {},
      svidTtlSeconds: 3600,
      bundleTtlSeconds: 3600,
    },
    1_800_000_000,
  );
  // Stands in for kubectl: writes down how it was called.
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(path.join(bin, 'kubectl'), `#!/bin/sh\necho "$@" >> '${calls}'\n`);
  chmodSync(path.join(bin, 'kubectl'), 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

const push = (...args: string[]): string =>
  execFileSync('bash', [path.join(ROOT, 'deploy/kubernetes/push-credentials.sh'), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${path.join(folder, 'bin')}:${process.env.PATH}` },
  });

test('makes a Secret for each agent and the ConfigMap of the bundle', () => {
  push(mesh, 'planning/1', 'security/2');
  const lines = readFileSync(calls, 'utf8').trim().split('\n');
  const created = lines.filter((line) => line.includes(' create ')).sort();
  expect(lines.filter((line) => line === 'apply --server-side --filename -')).toHaveLength(created.length);
  const secret = (type: string, instance: string): string =>
    `--namespace agents create secret generic ${type}-identity ${[
      'svid.pem',
      'svid.key',
      'agent.key',
      'audit.key',
      'wit.jwt',
      'key-binding.json',
    ]
      .map((file) => `--from-file=${file}=${mesh}/agents/${type}-${instance}/${file}`)
      .join(' ')} --dry-run=client --output yaml`;
  expect(created).toEqual([
    `--namespace agents create configmap hopgate-bundle --from-file=bundle.jws=${mesh}/bundle.jws --dry-run=client --output yaml`,
    secret('planning', '1'),
    secret('security', '2'),
  ]);
});

test('stops at an agent that isn’t there, and without arguments says how it is used', () => {
  expect(() => push(mesh, 'nobody/1')).toThrow(/nobody-1\/svid\.pem: can't be read/);
  expect(() => push(mesh)).toThrow(/usage: /);
});
