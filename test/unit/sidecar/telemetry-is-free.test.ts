/** Whoever wants no traces pays for none: what tells them is not even loaded. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** Packages of OpenTelemetry and Prometheus that a process has loaded behind these files. */
const loadedBy = (...files: string[]): string[] => {
  const urls = files.map((file) => new URL(`../../../src/${file}`, import.meta.url).href);
  const program = `
    for (const url of ${JSON.stringify(urls)}) await import(url);
    const { Module } = process.getBuiltinModule('node:module');
    const found = Object.keys(Module._cache).map((file) => /node_modules\\/(@opentelemetry\\/[^/]+|prom-client)\\//.exec(file)?.[1]);
    process.stdout.write(JSON.stringify([...new Set(found.filter(Boolean))]));`;
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    }),
  ) as string[];
};

it('a sidecar, and its command, load nothing of OpenTelemetry or prom-client', () => {
  expect(loadedBy('sidecar/sidecar.ts', 'cli/sidecar.ts', 'sidecar/telemetry.ts')).toEqual([]);
});

it('and what is loaded would be seen', () => {
  expect(loadedBy('edge/telemetry/otlp/open.ts')).toContain('@opentelemetry/sdk-logs');
});
