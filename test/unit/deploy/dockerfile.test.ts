/** The Dockerfile: no root, no sources, no package manager at run time, and only what it needs sent to the builder. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { sidecarSchema } from '../../../src/config/sidecar-schema.ts';
import { ROOT } from '../../testkit/manifests.ts';

const read = (name: string): string => readFileSync(path.join(ROOT, name), 'utf8');
/** Instructions, comments out and continued lines joined. */
const instructions = read('Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter(Boolean);
const final = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));
const sent = read('.dockerignore')
  .split('\n')
  .filter((line) => line.startsWith('!'))
  .map((line) => line.slice(1));

test('runs as a number that isn’t root, by the entry point hopgate', () => {
  expect(final).toContain('USER 65532:65532');
  expect(final).toContain('ENTRYPOINT ["hopgate"]');
  const user = final.indexOf('USER 65532:65532');
  expect(final.slice(user).filter((line) => /^(RUN|COPY|ADD) /.test(line))).toEqual([]);
  expect(final.some((line) => line.includes('ln -s /app/bin/hopgate.js /usr/local/bin/hopgate'))).toBe(true);
});

test('carries built code alone, no packages, no sources and no package manager', () => {
  const copied = final.filter((line) => line.startsWith('COPY '));
  expect(copied).toEqual([
    'COPY --from=build /src/dist dist',
    'COPY package.json LICENSE ./',
    'COPY --chmod=0755 bin bin',
  ]);
  expect(instructions.filter((line) => line.startsWith('RUN npm '))).toEqual([
    'RUN npm ci --ignore-scripts',
    'RUN npm run build',
  ]);
  expect(final.some((line) => line.includes('rm -rf /usr/local/lib/node_modules'))).toBe(true);
});

test('brings what V8 made of the code that a sidecar starts with, and leaves it to root', () => {
  const made = final.findIndex((line) => line.startsWith('RUN NODE_COMPILE_CACHE=/app/compile-cache '));
  expect(made).toBeGreaterThan(final.indexOf('COPY --chmod=0755 bin bin'));
  expect(made).toBeLessThan(final.indexOf('USER 65532:65532'));
  const [, names = ''] = /\/\^\((.*?)\)-\//.exec(final[made] ?? '') ?? [];
  const modules = names.split('|');
  expect(modules).toContain('cli-sidecar');
  // In the bundle a file is called after its place among the sources.
  for (const name of modules)
    expect(existsSync(path.join(ROOT, 'src', `${name.replace('-', '/')}.ts`)), name).toBe(true);
  expect(final[made]).toContain('-65532"');
  expect(final).toContain('ENV NODE_COMPILE_CACHE=/app/compile-cache');
});

test('gives large buffers back', () => {
  expect(final).toContain('ENV MALLOC_MMAP_THRESHOLD_=131072');
});

test('asks for its health where a sidecar answers by default', () => {
  const { port } = sidecarSchema.shape.health.parse({}).listen;
  const check = final.find((line) => line.startsWith('HEALTHCHECK '));
  expect(check).toContain(`process.env.HOPGATE_HEALTH_PORT ?? ${port}`);
  expect(check).toContain('/healthz');
  expect(final).toContain(`EXPOSE 14443 ${port}`);
});

test('the builder is sent what is copied and nothing else', () => {
  expect(read('.dockerignore')).toMatch(/^\*$/m);
  const wanted = instructions
    .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    .flatMap((line) => line.split(' ').slice(1, -1))
    .filter((word) => !word.startsWith('--'));
  expect(new Set(sent)).toEqual(new Set(wanted));
  for (const name of sent) expect(existsSync(path.join(ROOT, name)), name).toBe(true);
});
