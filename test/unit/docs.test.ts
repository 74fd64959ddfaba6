/** The documentation for users names only what is there: reason codes, commands, files and headings. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { policySchema } from '../../src/config/policy-schema.ts';
import { sidecarSchema } from '../../src/config/sidecar-schema.ts';
import { verifierSchema } from '../../src/config/verifier-schema.ts';
import { REASONS } from '../../src/core/reasons.ts';
import { runCli } from '../testkit/cli-process.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const pages = ['README.md', 'deploy/README.md', ...globSync('docs/*.md', { cwd: ROOT })].sort();
const read = (page: string): string => readFileSync(path.join(ROOT, page), 'utf8');
const stages = new Set(Object.keys(REASONS).map((code) => code.split('_')[0]));

/** As GitHub names a heading. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

describe.each(pages)('%s', (page) => {
  const text = read(page);

  test('links to files and headings that are there', () => {
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [file = '', anchor] = target.split('#');
      const to = file === '' ? page : path.join(path.dirname(page), file);
      expect(existsSync(path.join(ROOT, to)), target).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(read(to)), target).toContain(anchor);
    }
  });

  test('names only reason codes of the table', () => {
    for (const [, code = ''] of text.matchAll(/[`*→] ?([a-z]+_[a-z_]+)[`*\s]/g))
      if (stages.has(code.split('_')[0]) && !code.endsWith('_'))
        expect(Object.keys(REASONS), code).toContain(code);
  });
});

test('troubleshooting names each code once', () => {
  const codes = [...read('docs/troubleshooting.md').matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
    cell.split(', '),
  );
  expect(codes.length).toBeGreaterThan(40);
  expect(new Set(codes).size).toBe(codes.length);
  for (const code of codes) expect(Object.keys(REASONS), code).toContain(code.replaceAll('`', ''));
});

test('snippets of configuration have the form of their kind', () => {
  const schemas = { Verifier: verifierSchema, Sidecar: sidecarSchema, Policy: policySchema };
  const snippets = globSync('docs/*.md', { cwd: ROOT }).flatMap((page) => [
    ...read(page).matchAll(/^```yaml\n(.*?# kind: (\w+)\n.*?)^```$/gms),
  ]);
  expect(snippets.length).toBeGreaterThan(6);
  for (const [, yaml = '', kind = ''] of snippets)
    for (const [field, value] of Object.entries(parse(yaml) as Record<string, unknown>)) {
      const shape = schemas[kind as keyof typeof schemas].shape as Record<
        string,
        { parse: (v: unknown) => unknown }
      >;
      expect(() => shape[field]?.parse(value), `${kind} ${yaml}`).not.toThrow();
      expect(Object.keys(shape), yaml).toContain(field);
    }
});

test('commands that are shown are there', async () => {
  const shown = new Set<string>();
  for (const page of pages)
    for (const [, line = ''] of read(page).matchAll(/^(?:.*\$\()?(hopgate [a-z].*)$/gm))
      shown.add(
        line
          .split(/ (?=[^a-z]|--|[A-Z])/)[0]
          ?.split(' ')
          .slice(1, 4)
          .join(' ') ?? '',
      );
  const top = new Set([...shown].map((line) => line.split(' ')[0] ?? ''));
  const { stdout } = await runCli('--help');
  for (const name of top) expect(stdout, name).toMatch(new RegExp(`hopgate ${name}\\b`));
});
