/**
 * `dist/`, what is published and what the image carries: src/ and what it takes from other people's packages, as some dozens of files in
 * place of a thousand. A third of what a sidecar's start cost was looking for modules. Nothing is minified, so that a stack trace
 * can be read. `node build/bundle.ts [DIRECTORY]`.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import {
  type ChunkingContext,
  type CodeSplittingGroup,
  type OutputChunk,
  type PreRenderedChunk,
  type RolldownOptions,
  rolldown,
} from 'rolldown';
import { billOfMaterials, noticesOf, packagesOf } from './third-party.ts';
import { WORDS_DIRECTORY, wordsOfYargs, yargsWords } from './yargs-words.ts';

const ROOT = path.join(import.meta.dirname, '..');
const SRC = path.join(ROOT, 'src');

/** What is run as a process of its own. */
const PROGRAMS = {
  main: 'main.ts',
  'agent-process': 'cli/demo/agent-process.ts',
  'api-process': 'cli/demo/api-process.ts',
  'end-with-parent': 'cli/demo/end-with-parent.ts',
};

/** The demo's agents alone need them, and an installation may leave them out (package.json, optionalDependencies). */
const LEFT_OUT = ['@a2a-js/sdk', 'express'];

/**
 * What is loaded together, in this order: a file has all that its modules need and the files before it haven't. So a sidecar starts
 * from a handful of files, and a command that reads logs doesn't load a sidecar.
 */
const TOGETHER: readonly (readonly [string, readonly string[]])[] = [
  ['command', ['cli/command.ts', 'version.ts']],
  ['records', ['cli/logs.ts', 'cli/trace.ts']],
  ['evidence', ['cli/audit.ts']],
  ['administration', ['cli/agents.ts', 'cli/lists.ts', 'cli/principals.ts']],
  ['start', ['cli/sidecar.ts', 'sidecar/file-source.ts']],
];

const inSrc = (file: string): string => path.join(SRC, file);

/** These modules and all that they import, except lazily. */
const reachedFrom = (files: readonly string[], graph: ChunkingContext): ReadonlySet<string> => {
  const reached = new Set(files.map(inSrc));
  for (const id of reached)
    for (const imported of graph.getModuleInfo(id)?.importedIds ?? []) reached.add(imported);
  return reached;
};

/** Where a sidecar's start goes; the rest is rolldown's choice: by who needs it. */
const groups = (): CodeSplittingGroup[] => {
  let sets: readonly ReadonlySet<string>[] | undefined;
  return TOGETHER.map(([name], at) => ({
    name: (id, graph) => {
      sets ??= TOGETHER.map(([, files]) => reachedFrom(files, graph));
      return sets[at]?.has(id) && sets.at(-1)?.has(id) ? name : null;
    },
    debugName: name,
    priority: TOGETHER.length - at,
  }));
};

/**
 * `cli/sidecar.ts` is `cli-sidecar-0f1e2d3c.js`, so that it can be told from `sidecar/sidecar.ts`. Whoever replaces an installation under
 * a running process takes away what it would still load, instead of giving it another version's.
 */
const nameOf = ({ facadeModuleId }: PreRenderedChunk): string => {
  const file = path.relative(SRC, facadeModuleId ?? ROOT);
  const name = file.startsWith('..') ? '[name]' : file.replace(/\.ts$/, '').replaceAll(path.sep, '-');
  return `${name}-[hash].js`;
};

const options = (): RolldownOptions => ({
  cwd: ROOT,
  input: Object.fromEntries(Object.entries(PROGRAMS).map(([name, file]) => [name, inSrc(file)])),
  platform: 'node',
  // Types are checked by tsc, which says the same of the syntax that is let through.
  tsconfig: false,
  transform: { target: 'es2023' },
  external: (id) => LEFT_OUT.some((name) => id === name || id.startsWith(`${name}/`)),
  plugins: [yargsWords()],
  onLog: (level, { code, message }) => {
    if (level === 'warn') throw new Error(`${code ?? 'warning'}: ${message}`);
  },
});

export interface Bundle {
  readonly chunks: readonly OutputChunk[];
  /** Names of packages that are left to be found at run time. */
  readonly leftOut: readonly string[];
}

const isOfNode = (name: string): boolean => name.startsWith('node:') || builtinModules.includes(name);

/** Whatever was in the directory goes. */
export const bundleInto = async (directory: string): Promise<Bundle> => {
  rmSync(directory, { recursive: true, force: true });
  const bundle = await rolldown(options());
  const { output } = await bundle.write({
    dir: directory,
    format: 'es',
    entryFileNames: '[name].js',
    chunkFileNames: nameOf,
    hashCharacters: 'hex',
    minify: false,
    minifyInternalExports: false,
    comments: { legal: true, annotation: false, jsdoc: false },
    // V8 keeps a source that has one letter beyond Latin-1 in two octets for each of its letters.
    charset: 'ascii',
    codeSplitting: { groups: groups() },
  });
  await bundle.close();
  const chunks = output.filter((one) => one.type === 'chunk');
  const files = new Set(chunks.map(({ fileName }) => fileName));
  const leftOut = chunks
    .flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
    .filter((name) => !files.has(name) && !isOfNode(name));
  const packages = packagesOf(chunks.flatMap(({ moduleIds }) => moduleIds));
  writeFileSync(path.join(directory, 'THIRD-PARTY-NOTICES.txt'), noticesOf(packages));
  writeFileSync(path.join(directory, 'third-party.cdx.json'), billOfMaterials(packages));
  mkdirSync(path.join(directory, WORDS_DIRECTORY));
  for (const [name, text] of wordsOfYargs()) writeFileSync(path.join(directory, WORDS_DIRECTORY, name), text);
  return { chunks, leftOut: [...new Set(leftOut)].sort() };
};

if (import.meta.main) await bundleInto(path.resolve(process.argv[2] ?? path.join(ROOT, 'dist')));
