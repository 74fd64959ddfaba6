/**
 * Where a sidecar's microseconds go: it is loaded under `--cpu-prof`, and self times are summed up by function, by file and by kind.
 * `node test/bench/dataplane/profile.ts [--seconds 5] [--top 40] [--read FILE.cpuprofile]`.
 */
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { table } from '../../../src/cli/terminal.ts';
import { BenchWorld, pinProcess } from '../world.ts';
import { LoadProcess } from './load-process.ts';
import { compileNative } from './native.ts';
import { round } from './report.ts';
import { writeRequests } from './requests.ts';
import { startSidecar } from './systems.ts';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    top: { type: 'string', default: '40' },
    read: { type: 'string' },
  },
});

/** Profiles a sidecar under load; the profile and how many requests it covers. */
const record = async (seconds: number): Promise<{ readonly profile: Profile; readonly requests: number }> => {
  const world = await BenchWorld.make();
  try {
    pinProcess(process.pid, 1);
    const native = compileNative(world.directory);
    const agent = world.run(1, [native.upstream], ['ignore', 'pipe', 'inherit']);
    const [printed] = (await once(agent.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    const load = new LoadProcess(world, native.load, 1);
    process.env.BENCH_NODE_ARGS = `--cpu-prof --cpu-prof-interval 200 --cpu-prof-dir ${world.directory}`;
    const sidecar = await startSidecar(world, Number(printed.toString()), 0);
    const group = await load.open(sidecar.port, 32, sidecar.mode);
    const { responses, odd } = await load.load(group, seconds * 1000, 0, writeRequests(world).withChain);
    if (odd > 0) throw new Error(`${odd} requests were refused`);
    await load.close(group);
    await sidecar.stop();
    const [file] = readdirSync(world.directory).filter((name) => name.endsWith('.cpuprofile'));
    const text = readFileSync(path.join(world.directory, file ?? ''), 'utf8');
    return { profile: JSON.parse(text) as Profile, requests: responses };
  } finally {
    await world.stop();
  }
};

const places = new Map<string, readonly string[]>();

/** For each line of a bundled file the module that it is from, which stands in a comment before the first of them. */
const modulesIn = (file: string): readonly string[] => {
  let module = '';
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => {
      module = /^\/\/ ((?:src|node_modules)\/\S+)$/.exec(line)?.[1] ?? module;
      return module;
    });
};

const fileOf = ({ url, lineNumber }: { readonly url: string; readonly lineNumber: number }): string => {
  if (!url.startsWith('file:')) return url || '(native)';
  const modules = places.get(url) ?? (existsSync(new URL(url)) ? modulesIn(fileURLToPath(url)) : []);
  places.set(url, modules);
  return (modules[lineNumber] || path.basename(url))
    .replace(/^(?:.*\/)?src\//, '')
    .replace(/^.*\/node_modules\/|^node_modules\//, 'npm:');
};

const kindOf = (name: string, file: string): string => {
  if (name === '(garbage collector)') return 'collector';
  if (name === '(program)') return 'program: native code and system calls outside of calls from JavaScript';
  if (file === '(native)') return 'native calls';
  if (file.startsWith('npm:')) return file.split('/').slice(0, 1).join('/');
  return file.startsWith('node:') ? file : `hopgate ${file.split('/').slice(0, 2).join('/')}`;
};

const { profile, requests } =
  options.read === undefined
    ? await record(Number(options.seconds))
    : { profile: JSON.parse(readFileSync(options.read, 'utf8')) as Profile, requests: 0 };

const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
const sums = { function: new Map<string, number>(), kind: new Map<string, number>() };
let busy = 0;
for (const [at, id] of profile.samples.entries()) {
  const frame = frames.get(id);
  const micros = profile.timeDeltas[at] ?? 0;
  if (frame === undefined || frame.functionName === '(idle)') continue;
  busy += micros;
  const file = fileOf(frame);
  const place = `${frame.functionName || '(anonymous)'}  ${file}:${frame.lineNumber + 1}`;
  sums.function.set(place, (sums.function.get(place) ?? 0) + micros);
  const kind = kindOf(frame.functionName, file);
  sums.kind.set(kind, (sums.kind.get(kind) ?? 0) + micros);
}
const rowsOf = (times: ReadonlyMap<string, number>, top: number): string[][] =>
  [...times]
    .sort((a, b) => b[1] - a[1])
    .slice(0, top)
    .map(([name, micros]) => [
      requests === 0 ? '' : String(round(micros / requests, 2)),
      `${round((micros / busy) * 100, 1)} %`,
      name,
    ]);
const top = Number(options.top);
process.stdout.write(`${table(['µs each', 'share', 'kind'], rowsOf(sums.kind, top))}\n\n`);
process.stdout.write(`${table(['µs each', 'share', 'function (self time)'], rowsOf(sums.function, top))}\n`);
process.exit(0);
