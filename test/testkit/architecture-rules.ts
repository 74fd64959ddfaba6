/** The house rules of src/ as functions over its files: who may import whom, and what the pure parts may not touch. */
import path from 'node:path';
import { codeOf, type Import, importsOf } from './source-text.ts';

/** Path from the repository’s root (`src/core/keys.ts`) to text. */
export type Sources = ReadonlyMap<string, string>;

export const MAX_LINES = 500;

/** What a layer may take from others; a layer not named here may import any but cli and main. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: ['core'],
  config: ['config', 'core'],
  api: ['api', 'config', 'core'],
  // What the path needs from the world: named between hop, which asks, and edge, which answers.
  ports: ['core'],
  hop: ['hop', 'ports', 'core'],
  edge: ['edge', 'ports', 'config', 'api', 'core'],
};
/** Values that the pure layers may take from packages; `*` is any. Types are free in hop and in the ports. */
const PACKAGES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  core: {
    'node:crypto': ['createHash', 'createPublicKey', 'hash', 'verify'],
    '@noble/ed25519': ['*'],
    'lru-cache': ['*'],
    // Conditions of policy: an evaluator without I/O, and regular expressions in linear time.
    '@marcbachmann/cel-js': ['Environment'],
    re2js: ['*'],
  },
  api: { zod: ['*'] },
  hop: { 'lru-cache': ['*'] },
  ports: {},
};
const TYPES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  core: { 'node:crypto': ['KeyObject'], '@marcbachmann/cel-js': ['ASTNode'] },
};

/** Clocks, randomness, timers, the network, the environment: passed in, never taken. */
const IMPURE: readonly (readonly [string, RegExp])[] = [
  ['Date.now', /\bDate\s*\.\s*now\b/],
  ['new Date()', /\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())/],
  ['Date()', /(?<![\w$.]|new\s)Date\s*\(/],
  ['Math.random', /\bMath\s*\.\s*random\b/],
  ['performance', /(?<![\w$.])performance\s*\./],
  ['process', /(?<![\w$.])process\s*(?:\.|\?\.|\[)/],
  ['fetch', /(?<![\w$.])fetch\s*\(/],
  ['a timer', /(?<![\w$.])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/],
  ['AbortSignal.timeout', /\bAbortSignal\s*\.\s*timeout\b/],
  ['the global crypto', /(?<![\w$.])crypto\s*\./],
  ['random octets', /\b(?:randomBytes|randomUUID|randomInt|getRandomValues)\b/],
  ['console', /(?<![\w$.])console\s*\./],
  ['globalThis', /\bglobalThis\b/],
  ['require', /(?<![\w$.])require\s*\(/],
  ['eval', /(?<![\w$.])eval\s*\(|\bnew\s+Function\b/],
];
const EXIT = /(?<![\w$.])process\s*(?:\??\.\s*(?:exit|exitCode|abort|reallyExit)\b|(?:\?\.)?\s*\[)/;

const layerOf = (file: string): string => {
  const [, layer = ''] = file.split('/');
  return layer.endsWith('.ts') ? layer.slice(0, -3) : layer;
};

const isRelative = (specifier: string): boolean => specifier.startsWith('.');
const resolve = (from: string, specifier: string): string =>
  path.posix.join(path.posix.dirname(from), specifier);

const layerFault = (file: string, target: string): string | undefined => {
  const [from, to] = [layerOf(file), layerOf(target)];
  if (!target.startsWith('src/')) return `${file} imports ${target}, outside src`;
  if (to === 'main') return `${file} imports main`;
  if (to === 'cli' && from !== 'cli' && from !== 'main')
    return `${file} imports ${target}: cli is for main only`;
  const allowed = MAY_IMPORT[from];
  return allowed === undefined || allowed.includes(to)
    ? undefined
    : `${file} imports ${target}: ${from} may not import ${to}`;
};

const roomOf = (file: string): string | undefined => /^src\/verifier\/([^/]+)\//.exec(file)?.[1];

/** Rooms that know of these rooms alone; one that isn't named may know of any that is below `service`. */
const MAY_KNOW: Readonly<Record<string, readonly string[]>> = {
  store: [],
  authority: ['registry'],
  local: ['authority', 'policy', 'publication'],
};
/** What puts the rooms together. */
const WHOLE = ['rooms', 'judgement', 'status', 'verifier'].map((name) => `src/verifier/${name}.ts`);

/** The rooms of the verifier, as src/verifier/README.md draws them: what is below knows nothing of what is above. */
const roomFault = (file: string, target: string, { names }: Import): string | undefined => {
  const [from, to] = [roomOf(file), roomOf(target)];
  if (from === undefined || from === to) return undefined;
  if (to === 'service') return `${file} imports ${target}: the service is above its rooms`;
  if (WHOLE.includes(target) && from !== 'service')
    return `${file} imports ${target}, which puts the rooms together`;
  if (to === undefined) return undefined;
  // Data goes through the typed records, each change with its event; what a store refuses with may be named.
  const isRefusal = names.length > 0 && names.every(({ name }) => name.endsWith('Error'));
  if (to === 'store')
    return from === 'service' || isRefusal
      ? undefined
      : `${file} imports ${target}: rooms know records, not the store`;
  return MAY_KNOW[from]?.includes(to) === false
    ? `${file} imports ${target}: ${from} may not know ${to}`
    : undefined;
};

const packageFault = (file: string, { specifier = '', names, typeOnly }: Import): string | undefined => {
  const layer = layerOf(file);
  const values = PACKAGES[layer];
  if (values === undefined) return undefined;
  const types = TYPES[layer];
  const may = (name: string, isType: boolean): boolean => {
    const allowed = values[specifier] ?? [];
    if (allowed.includes('*') || (allowed.includes(name) && name !== '*')) return true;
    return isType && (types === undefined || (types[specifier] ?? []).includes(name));
  };
  const taken = names.length === 0 ? [{ name: 'it for its effects', type: false }] : names;
  const bad = taken.find(({ name, type }) => !may(name, type || typeOnly));
  return bad === undefined ? undefined : `${file} takes ${bad.name} from ${specifier}: ${layer} may not`;
};

/** What breaks a rule, a sentence each. */
export const architectureFaults = (sources: Sources): readonly string[] => {
  const faults: string[] = [];
  for (const [file, text] of sources) {
    for (const one of importsOf(text)) {
      const { specifier } = one;
      if (specifier === undefined) faults.push(`${file} imports a computed name`);
      else if (!isRelative(specifier))
        faults.push(...[packageFault(file, one)].filter((fault) => fault !== undefined));
      else {
        const target = resolve(file, specifier);
        if (target.endsWith('.ts') && !sources.has(target))
          faults.push(`${file} imports ${target}, which is not there`);
        faults.push(
          ...[layerFault(file, target), roomFault(file, target, one)].filter((fault) => fault !== undefined),
        );
      }
    }
    const code = codeOf(text);
    if (['core', 'ports', 'hop'].includes(layerOf(file)))
      for (const [what, form] of IMPURE)
        if (form.test(code)) faults.push(`${file} uses ${what}: it is passed in`);
    const ends = EXIT.test(code) || importsOf(text).some(({ specifier }) => specifier === 'node:process');
    if (layerOf(file) !== 'main' && ends) faults.push(`${file} ends the process: only main does`);
    const lines = text.split('\n').length - 1;
    if (lines > MAX_LINES) faults.push(`${file} has ${lines} lines, at most ${MAX_LINES}`);
  }
  return faults;
};

/** Files that import each other in a circle, each circle once, as `a → b → a`. */
export const circles = (sources: Sources, withTypes: boolean): readonly string[] => {
  const edges = new Map(
    [...sources].map(([file, text]) => [
      file,
      importsOf(text)
        .filter(
          ({ specifier, typeOnly }) =>
            specifier !== undefined && isRelative(specifier) && (withTypes || !typeOnly),
        )
        .map(({ specifier }) => resolve(file, specifier ?? '')),
    ]),
  );
  const found = new Map<string, string>();
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const from = trail.indexOf(file);
    if (from !== -1) {
      const circle = trail.slice(from);
      found.set([...circle].sort().join(), [...circle, file].join(' → '));
      return;
    }
    if (done.has(file)) return;
    for (const next of edges.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of edges.keys()) visit(file, []);
  return [...found.values()];
};
