/** The bundle: whole, with what others wrote in it named, and a sidecar's start without what only others need. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bundle, bundleInto } from '../../../build/bundle.ts';
import { ROOT } from '../../testkit/manifests.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-bundle-'));
const dist = path.join(directory, 'dist');
let bundle: Bundle;

beforeAll(async () => {
  bundle = await bundleInto(dist);
  copyFileSync(path.join(ROOT, 'package.json'), path.join(directory, 'package.json'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const read = (name: string): string => readFileSync(path.join(dist, name), 'utf8');

/** A file by its name without its hash. */
const fileOf = (name: string): string => {
  const found = bundle.chunks.filter(
    ({ fileName }) => fileName.replace(/-[0-9a-f]{8}(?=\.js$)/, '') === name,
  );
  expect(found, name).toHaveLength(1);
  return found[0]?.fileName ?? '';
};

/** What is loaded when these are, except lazily. */
const loadedWith = (...names: readonly string[]) => {
  const byName = new Map(bundle.chunks.map((chunk) => [chunk.fileName, chunk]));
  const files = new Set(names);
  for (const name of files)
    for (const imported of byName.get(name)?.imports ?? []) if (byName.has(imported)) files.add(imported);
  const modules = [...files].flatMap((name) => byName.get(name)?.moduleIds ?? []);
  const packages = modules.map((id) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? '');
  return { files, modules, packages: new Set(packages) };
};

describe('what is loaded', () => {
  test('a sidecar starts from a handful of files', () => {
    const { files, modules, packages } = loadedWith(
      ...['main.js', 'cli-sidecar.js', 'sidecar-file-source.js'].map(fileOf),
    );
    expect([...files].length).toBeLessThan(12);
    expect(modules.some((id) => id.endsWith('src/sidecar/sidecar.ts'))).toBe(true);
    for (const name of [
      '@open-policy-agent/opa-wasm',
      '@opentelemetry/otlp-transformer',
      '@opentelemetry/sdk-logs',
      '@opentelemetry/sdk-trace-base',
      '@peculiar/x509',
      'cli-table3',
      'diff',
      'fastify',
      'jose',
      'openid-client',
      'prom-client',
      'reflect-metadata',
      'tar-stream',
      'undici',
      'yargs',
    ])
      expect(packages, name).not.toContain(name);
    for (const room of [
      'src/api/',
      'src/verifier/',
      'src/rehearsal/',
      'src/edge/telemetry/otlp/',
      'src/cli/demo',
    ])
      expect(modules.find((id) => id.includes(room))).toBeUndefined();
  });

  test('a command that reads logs loads no sidecar', () => {
    const { modules, packages } = loadedWith(...['main.js', 'cli-logs.js'].map(fileOf));
    expect(modules.find((id) => id.includes('src/sidecar/'))).toBeUndefined();
    expect(packages).not.toContain('zod');
  });

  test('undici’s index is for the command line alone', () => {
    const names = ['cli-sidecar.js', 'sidecar-verifier-source.js', 'edge-opa-decision-points.js'];
    const { modules } = loadedWith(...names.map(fileOf));
    expect(modules.find((id) => id.endsWith('undici/lib/dispatcher/client.js'))).toBeDefined();
    expect(modules.find((id) => id.endsWith('undici/index.js'))).toBeUndefined();
  });

  test('the image’s compile cache is made of files that are there', () => {
    const dockerfile = readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8');
    const [, names = ''] = /\/\^\((.*?)\)-\//.exec(dockerfile) ?? [];
    for (const name of names.split('|')) fileOf(`${name}.js`);
  });
});

test('every file can be loaded, with nothing beside it', () => {
  const programs = new Set(bundle.chunks.flatMap(({ isEntry, fileName }) => (isEntry ? fileName : [])));
  expect(programs).toEqual(new Set(['agent-process.js', 'api-process.js', 'end-with-parent.js', 'main.js']));
  const files = bundle.chunks.map(({ fileName }) => fileName).filter((name) => !programs.has(name));
  expect(files.length).toBeGreaterThan(30);
  const script = `for (const one of ${JSON.stringify(files)}) await import('./' + one);`;
  execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: dist });
});

test('needs Node alone, and for the demo what an installation may leave out', () => {
  const { dependencies, optionalDependencies } = JSON.parse(
    readFileSync(path.join(ROOT, 'package.json'), 'utf8'),
  ) as { dependencies?: object; optionalDependencies: object };
  expect(dependencies).toBeUndefined();
  const names = bundle.leftOut.map((name) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0]);
  expect(new Set(names)).toEqual(new Set(Object.keys(optionalDependencies)));
  const { packages } = loadedWith(...bundle.chunks.map(({ fileName }) => fileName));
  for (const name of Object.keys(optionalDependencies)) expect(packages).not.toContain(name);
});

test('what it looks for at run time is there: its version, yargs’ words', () => {
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, [path.join(dist, 'main.js'), ...args], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'de_DE.UTF-8' },
    });
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(run('--version').trim()).toBe(version);
  expect(run('policy', '--help')).toContain('Kommandos:');
});

test('names the packages that are in it, with their licences', () => {
  const { components } = JSON.parse(read('third-party.cdx.json')) as {
    readonly components: readonly {
      readonly name: string;
      readonly version: string;
      readonly purl: string;
      readonly licenses: readonly { readonly expression: string }[];
    }[];
  };
  const { packages } = loadedWith(...bundle.chunks.map(({ fileName }) => fileName));
  packages.delete('');
  expect(new Set(components.map(({ name }) => name))).toEqual(packages);
  expect(components.map(({ purl }) => purl)).toContain(
    `pkg:npm/%40noble/ed25519@${components.find(({ name }) => name === '@noble/ed25519')?.version}`,
  );
  // Another licence than these is for somebody to read first.
  expect(new Set(components.flatMap(({ licenses }) => licenses.map(({ expression }) => expression)))).toEqual(
    new Set(['0BSD', 'Apache-2.0', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT']),
  );
  const notices = read('THIRD-PARTY-NOTICES.txt');
  for (const { name, version } of components) expect(notices).toContain(`\n${name} ${version} (`);
  expect(notices.match(/^The package has no licence file\.$/gm)).toHaveLength(1);
});

test('can be read where it broke: one-octet text, names as in the sources', () => {
  for (const { code, fileName } of bundle.chunks) expect(/[^\0-\xff]/.test(code), fileName).toBe(false);
  expect(read(fileOf('start.js')).includes('\n// src/sidecar/sidecar.ts\n')).toBe(true);
  expect(/^var Sidecar = class Sidecar \{$/m.test(read(fileOf('start.js')))).toBe(true);
});
