/** The tree keeps its promises: pure parts are pure, layers import downward, nothing goes round in circles. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { architectureFaults, circles, MAX_LINES, type Sources } from '../testkit/architecture-rules.ts';
import { codeOf, importsOf } from '../testkit/source-text.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const sources: Sources = new Map(
  globSync('src/**/*.ts', { cwd: ROOT })
    .map((file) => file.split(path.sep).join('/'))
    .sort()
    .map((file) => [file, readFileSync(path.join(ROOT, file), 'utf8')]),
);

describe('the source tree', () => {
  test('is read at all', () => {
    expect(sources.size).toBeGreaterThan(30);
    expect(sources.has('src/main.ts')).toBe(true);
    const imports = [...sources.values()].flatMap(importsOf);
    expect(imports.length).toBeGreaterThan(100);
  });

  test('every import that a reader sees is seen here', () => {
    for (const [file, text] of sources) {
      const lines = text
        .split('\n')
        .filter((line) => /^(?:import\b|(?:export )?(?:\*|.*\}) from )/.test(line));
      const heads = lines.filter((line) => / from ['"]|^import ['"]/.test(line));
      expect(importsOf(text).length, file).toBeGreaterThanOrEqual(heads.length);
    }
  });

  test('keeps its layers, its purity, its sizes and its one exit', () => {
    expect(architectureFaults(sources)).toEqual([]);
  });

  test('has no circle of imports at run time', async ({ annotate }) => {
    const ofTypes = circles(sources, true);
    if (ofTypes.length > 0) await annotate(`circles of types only: ${ofTypes.join('; ')}`);
    expect(circles(sources, false)).toEqual([]);
  });
});

const faultsOf = (files: Readonly<Record<string, string>>) =>
  architectureFaults(new Map(Object.entries(files)));
const oneFile = (file: string, text: string) => faultsOf({ [file]: text });

describe('the rules find what they are for', () => {
  const files = {
    'src/core/a.ts': '',
    'src/ports/a.ts': '',
    'src/config/a.ts': '',
    'src/api/a.ts': '',
    'src/hop/a.ts': '',
    'src/edge/a.ts': '',
    'src/sidecar/a.ts': '',
    'src/verifier/a.ts': '',
    'src/cli/a.ts': '',
    'src/main.ts': '',
  };
  const forbidden: readonly (readonly [string, string])[] = [
    ['core', 'hop'],
    ['core', 'ports'],
    ['ports', 'hop'],
    ['ports', 'edge'],
    ['core', 'config'],
    ['core', 'edge'],
    ['config', 'edge'],
    ['config', 'api'],
    ['api', 'edge'],
    ['api', 'ports'],
    ['api', 'verifier'],
    ['core', 'api'],
    ['hop', 'api'],
    ['config', 'hop'],
    ['hop', 'edge'],
    ['hop', 'config'],
    ['hop', 'sidecar'],
    ['edge', 'hop'],
    ['edge', 'sidecar'],
    ['edge', 'verifier'],
    ['edge', 'cli'],
    ['sidecar', 'cli'],
    ['verifier', 'cli'],
  ];
  test.each(forbidden)('%s that imports %s, by value, by type, lazily or by re-export', (from, to) => {
    for (const text of [
      `import { x } from '../${to}/a.ts';`,
      `import type { x } from '../${to}/a.ts';`,
      `import {\n  type x,\n} from "../${to}/a.ts";`,
      `import '../${to}/a.ts';`,
      `import * as x from '../${to}/a.ts';`,
      `export { x } from '../${to}/a.ts';`,
      `export * from '../${to}/a.ts';`,
      `const x = await import('../${to}/a.ts');`,
    ])
      expect(faultsOf({ ...files, [`src/${from}/b.ts`]: text }), text).toHaveLength(1);
  });

  test.each([
    ['core', 'core'],
    ['config', 'core'],
    ['hop', 'core'],
    ['hop', 'ports'],
    ['edge', 'ports'],
    ['edge', 'core'],
    ['edge', 'api'],
    ['api', 'config'],
    ['api', 'core'],
    ['sidecar', 'edge'],
    ['sidecar', 'hop'],
    ['cli', 'sidecar'],
    ['cli', 'verifier'],
  ])('and leave %s importing %s alone', (from, to) => {
    expect(faultsOf({ ...files, [`src/${from}/b.ts`]: `import { x } from '../${to}/a.ts';` })).toEqual([]);
  });

  const rooms = {
    'src/verifier/service/a.ts': '',
    'src/verifier/store/a.ts': '',
    'src/verifier/policy/a.ts': '',
    'src/verifier/authority/a.ts': '',
    'src/verifier/scores/a.ts': '',
    'src/verifier/records.ts': '',
    'src/verifier/rooms.ts': '',
  };
  test.each([
    ['policy', "import { x } from '../service/a.ts';"],
    ['policy', "import type { X } from '../service/a.ts';"],
    ['policy', "import { SqliteStore } from '../store/a.ts';"],
    ['policy', "import type { Store } from '../store/a.ts';"],
    ['policy', "import type { Rooms } from '../rooms.ts';"],
    ['store', "import { x } from '../policy/a.ts';"],
    ['authority', "import { x } from '../scores/a.ts';"],
    ['local', "import { x } from '../scores/a.ts';"],
  ])('a room of the verifier that knows what is above it: %s, %s', (room, text) => {
    expect(faultsOf({ ...rooms, [`src/verifier/${room}/b.ts`]: text })).toHaveLength(1);
  });

  test.each([
    ['policy', "import { Records } from '../records.ts';"],
    ['policy', "import { ConflictError } from '../store/a.ts';"],
    ['policy', "import { x } from '../scores/a.ts';"],
    ['service', "import type { Store } from '../store/a.ts';"],
    ['service', "import type { Rooms } from '../rooms.ts';"],
  ])('and one that knows what is beside or below: %s, %s', (room, text) => {
    expect(faultsOf({ ...rooms, [`src/verifier/${room}/b.ts`]: text })).toEqual([]);
  });

  test('main is imported by nobody, and imports cli', () => {
    expect(faultsOf({ ...files, 'src/cli/b.ts': "import '../main.ts';" })).toHaveLength(1);
    expect(faultsOf({ ...files, 'src/main.ts': "await import('./cli/a.ts');" })).toEqual([]);
  });

  test('a file that is not there, a computed name, a path out of src', () => {
    expect(oneFile('src/edge/b.ts', "import { x } from './gone.ts';")).toHaveLength(1);
    expect(oneFile('src/edge/b.ts', 'await import(name);')).toHaveLength(1);
    expect(oneFile('src/edge/b.ts', "import x from '../../package.json';")).toHaveLength(1);
  });

  test.each([
    "import { createSign } from 'node:crypto';",
    "import { createHash, randomBytes } from 'node:crypto';",
    "import * as crypto from 'node:crypto';",
    "import crypto from 'node:crypto';",
    "import { KeyObject } from 'node:crypto';",
    "import type { Socket } from 'node:net';",
    "import { readFileSync } from 'node:fs';",
    "import { readFileSync } from 'fs';",
    "import { jwtVerify } from 'jose';",
    "import 'reflect-metadata';",
  ])('core that takes more from packages than it may: %s', (text) => {
    expect(oneFile('src/core/b.ts', text).length).toBeGreaterThan(0);
  });

  test('core may hash, verify and name a key', () => {
    const text = `import { createHash, createPublicKey, type KeyObject, verify as cryptoVerify } from 'node:crypto';
import type { KeyObject as Key } from 'node:crypto';
import { Point } from '@noble/ed25519';
import { LRUCache } from 'lru-cache';`;
    expect(oneFile('src/core/b.ts', text)).toEqual([]);
  });

  test('hop takes types from anywhere and values from almost nowhere', () => {
    expect(oneFile('src/hop/b.ts', "import type { Readable } from 'node:stream';")).toEqual([]);
    expect(oneFile('src/hop/b.ts', "import { Readable } from 'node:stream';")).toHaveLength(1);
    expect(oneFile('src/hop/b.ts', "import { Agent } from 'undici';")).toHaveLength(1);
  });

  test.each([
    'const t = Date.now();',
    'const t = new Date();',
    'const t = new Date;',
    'const t = Date();',
    'const r = Math.random();',
    'const e = process.env.HOME;',
    'await fetch(url);',
    'setTimeout(f, 1);',
    'const later = setInterval;',
    'const s = AbortSignal.timeout(5);',
    'const n = crypto.getRandomValues(b);',
    'const t = performance.now();',
    'console.log(1);',
    `const text = \`\${Date.now()}\`;`,
    'const half = a / b; const t = Date.now(); // c / d',
    'const fits = /["`]/.test(s); const t = Date.now();',
  ])('impure in core and in hop, free elsewhere: %s', (text) => {
    expect(oneFile('src/core/b.ts', text).length).toBeGreaterThan(0);
    expect(oneFile('src/hop/b.ts', text).length).toBeGreaterThan(0);
    expect(oneFile('src/edge/b.ts', text)).toEqual([]);
  });

  test.each([
    '// Date.now() is for callers',
    '/** @see process.env */',
    "const name = 'Date.now()';",
    'const b = a / Number(c) / 2;',
    `const text = \`process.env \${name} setTimeout\`;`,
    'const form = /process\\.env|"Date.now/;',
    'const when = new Date(seconds * 1000);',
    'const stop = this.clock.setTimeout(f, 1);',
    'const n = ports.fetch(target);',
    'const processed = subprocess.done;',
  ])('pure: %s', (text) => expect(oneFile('src/core/b.ts', text)).toEqual([]));

  test.each(['process.exit(1);', 'process.exitCode = 1;', "process['exit'](1);"])(
    'an exit outside main: %s',
    (text) => {
      expect(oneFile('src/cli/b.ts', text)).toHaveLength(1);
      expect(oneFile('src/main.ts', text)).toEqual([]);
    },
  );

  test('a file that is too long', () => {
    expect(oneFile('src/edge/b.ts', '\n'.repeat(MAX_LINES))).toEqual([]);
    expect(oneFile('src/edge/b.ts', '\n'.repeat(MAX_LINES + 1))).toHaveLength(1);
  });

  test('a circle of three files, unless types alone close it', () => {
    const around = (last: string): Sources =>
      new Map([
        ['src/edge/a.ts', "import { b } from './b.ts';"],
        ['src/edge/b.ts', "export { c } from './c.ts';"],
        ['src/edge/c.ts', last],
      ]);
    const circle = 'src/edge/a.ts → src/edge/b.ts → src/edge/c.ts → src/edge/a.ts';
    const byValue = around("import { a } from './a.ts';");
    expect(circles(byValue, false)).toEqual([circle]);
    // `{ type A }` alone keeps the import at run time under verbatimModuleSyntax.
    expect(circles(around("import { type A } from './a.ts';"), false)).toEqual([circle]);
    const byType = around("import type { A } from './a.ts';");
    expect(circles(byType, false)).toEqual([]);
    expect(circles(byType, true)).toEqual([circle]);
  });
});

describe('reading source', () => {
  test('an import inside a string, a template or a comment is none', () => {
    const text = `const a = "import { x } from './a.ts'";
// import { x } from './b.ts';
/* import './c.ts'; */
const b = \`import { x } from './d.ts'; \${"import('./e.ts')"}\`;`;
    expect(importsOf(text)).toEqual([]);
  });

  test('blanked text keeps its lines and its length', () => {
    for (const text of sources.values()) {
      expect(codeOf(text)).toHaveLength(text.length);
      expect(codeOf(text).split('\n')).toHaveLength(text.split('\n').length);
    }
  });

  test('names, aliases and types of a clause', () => {
    expect(importsOf("import d, { type A, b as c } from 'p';")).toEqual([
      {
        specifier: 'p',
        names: [
          { name: 'A', type: true },
          { name: 'b', type: false },
          { name: 'default', type: false },
        ],
        typeOnly: false,
      },
    ]);
  });
});
