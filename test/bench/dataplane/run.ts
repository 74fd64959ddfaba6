/**
 * `npm run bench -- dataplane`: a sidecar with every check on beside what users would pick instead, one core each, in one run.
 * `--quick` for a look, `--json` for programs, `--rounds N`, `--only NAME` (a figure, or the beginning of its name).
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { BenchWorld, pinProcess } from '../world.ts';
import { measureAdded } from './latency.ts';
import { LoadProcess, openFiles } from './load-process.ts';
import { measureIdle, measureSoak } from './memory.ts';
import { compileNative } from './native.ts';
import { type Figure, printReport, printReportJson, round } from './report.ts';
import { writeRequests } from './requests.ts';
import { measureRevocation } from './revocation.ts';
import { measureStart } from './start.ts';
import { isPresent, type System } from './system.ts';
import { startPeers, startSidecar } from './systems.ts';
import { compare, measureThroughput, type Row } from './throughput.ts';

/** What is measured has core 0 to itself, in turns; load and agent share core 1. */
const MEASURED = 0;
const REST = 1;

const { values: options } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const { quick } = options;
const rounds = Number(options.rounds ?? (quick ? 3 : 7));
const milliseconds = quick ? 1000 : 3000;
const soakSeconds = quick ? 60 : 600;
const idleConnections = Math.min(quick ? 2000 : 10_000, openFiles() - 1000);

/** A figure of ours against the system of that name. */
const AGAINST: Readonly<Record<string, string>> = {
  throughput_vs_bare_proxy: 'bare-proxy',
  throughput_vs_nginx: 'nginx',
  throughput_vs_haproxy: 'haproxy',
  throughput_vs_envoy: 'envoy',
  throughput_vs_nginx_auth_request: 'nginx-auth-request',
  throughput_vs_nginx_auth_request_cached: 'nginx-auth-request-cached',
  throughput_vs_envoy_ext_authz: 'envoy-ext-authz',
};
/** Whose latency and idle connections are said beside ours. */
const BESIDE = ['nginx', 'bare-proxy'];

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};
/** By its whole name or, where that is none, by the beginning. */
const wants = (figure: string): boolean =>
  options.only in AGAINST ? figure === options.only : figure.startsWith(options.only);

const figures: Record<string, Figure> = {};
let rows: readonly Row[] = [];

const world = await BenchWorld.make();
try {
  pinProcess(process.pid, REST);
  const native = compileNative(world.directory);
  const agent = world.run(REST, [native.upstream], ['ignore', 'pipe', 'inherit']);
  const [printed] = (await once(agent.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const upstream = Number(printed.toString());
  const requests = writeRequests(world);
  const direct: System = {
    name: 'direct',
    note: 'the agent alone, without TLS; on the core of the load',
    port: upstream,
    mode: 'plain',
    pids: [agent.pid ?? 0],
    chain: 'ignored',
  };
  let load = new LoadProcess(world, native.load, REST);
  /** One figure; what fails leaves the others. */
  const measure = async (figure: string, doing: string, work: () => Promise<Figure>): Promise<void> => {
    if (!wants(figure)) return;
    say(`${doing} …`);
    try {
      figures[figure] = await work();
    } catch (error) {
      say(`${figure}: ${(error as Error).message}`);
      figures[figure] = { value: null, how: (error as Error).message };
      load.end();
      load = new LoadProcess(world, native.load, REST);
    }
  };
  const withSidecar = async <T>(work: (sidecar: Awaited<ReturnType<typeof startSidecar>>) => Promise<T>) => {
    const sidecar = await startSidecar(world, upstream, MEASURED);
    try {
      return await work(sidecar);
    } finally {
      await sidecar.stop();
    }
  };

  await measure('start_to_ready_ms', 'starting', async () => ({
    value: (await measureStart(rounds)).medianMs,
    how: `from exec to /readyz 200, as it ships, the median of ${rounds}`,
  }));

  const besideIsWanted = wants('hop_added_p50_ms') || wants('idle_connection_kb');
  const peers = await startPeers(
    world,
    upstream,
    MEASURED,
    (name) =>
      Object.entries(AGAINST).some(([figure, system]) => system === name && wants(figure)) ||
      (besideIsWanted && BESIDE.includes(name)),
  );
  const skipped = Object.fromEntries(
    peers.flatMap((peer) => (isPresent(peer) ? [] : [[peer.name, peer.absent]])),
  );
  const present = peers.filter(isPresent);
  const beside = present.filter(({ name }) => BESIDE.includes(name));

  if (Object.keys(AGAINST).some(wants))
    await withSidecar(async (sidecar) => {
      const systems = [sidecar, ...present, direct];
      rows = await measureThroughput(load, systems, requests, rounds, milliseconds, say);
    });
  for (const [figure, name] of Object.entries(AGAINST)) {
    if (!wants(figure)) continue;
    const [ours] = rows;
    const [same, without] = rows
      .filter(({ system }) => system.name === name)
      .map((row) => compare(ours as Row, row));
    const lighter = without === undefined ? '' : `; ${round(without.ratio)} if theirs has no chain`;
    figures[figure] =
      same === undefined
        ? { value: null, how: skipped[name] ?? 'not measured' }
        : { value: round(same.ratio), how: `${rounds} pairs by ${same.by}, one request for both${lighter}` };
  }

  await measure('hop_added_p50_ms', 'latency', () =>
    withSidecar(async (sidecar) => {
      const result = await measureAdded(
        load,
        { ...direct, request: requests.withoutChain },
        [sidecar, ...beside].map((way) => ({ ...way, request: requests.withChain })),
        rounds,
        milliseconds,
      );
      const ways = result.added.map(
        ({ name, p50, p99 }) => `${name} ${round(p50, 3)} (p99 ${round(p99, 3)})`,
      );
      return {
        value: round(result.added[0]?.p50 ?? Number.NaN, 3),
        how: `16 connections, 2,000/s in all, over direct (${round(result.direct, 3)}): ${ways.join(', ')}`,
      };
    }),
  );

  await measure('revocation_denies_next', 'revoking', () =>
    withSidecar(async (sidecar) => {
      const { denied, reason, millis } = await measureRevocation(load, world, sidecar, requests.withChain);
      return {
        value: denied,
        how: `under load, ${reason}, ${round(millis, 0)} ms after the bundle was written (files are looked at once a second)`,
      };
    }),
  );

  await measure('idle_connection_kb', `${idleConnections} idle connections`, async () => {
    const kibOf = (system: System): Promise<number> =>
      measureIdle(load, system, requests.withChain, idleConnections);
    const kib = await withSidecar(kibOf);
    const others: string[] = [];
    for (const peer of beside) others.push(`${peer.name} ${round(await kibOf(peer), 1)} KiB`);
    return {
      value: round(kib, 1),
      how: [`${idleConnections} after one request each, KiB of resident memory`, ...others].join(', '),
    };
  });

  await measure('soak_rss_growth', `a soak of ${soakSeconds} s`, () =>
    withSidecar(async (sidecar) => {
      const soak = await measureSoak(load, sidecar, requests.withChain, world.directory, soakSeconds);
      const memory = `${round(soak.firstMiB, 1)} to ${round(soak.lastMiB, 1)} MiB`;
      return {
        value: round(soak.growth, 3),
        how: `${soakSeconds} s, ${soak.requests} requests, from the end of the first minute on: ${memory}`,
      };
    }),
  );

  (options.json ? printReportJson : printReport)({ figures, rows, skipped });
} finally {
  await world.stop();
}
process.exit(0);
