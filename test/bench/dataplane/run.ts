/**
 * `npm run bench -- dataplane`: a sidecar with every check on beside what users would pick instead, one core each, in one run.
 * `--quick` for a look, `--json` for programs, `--rounds N`, `--only NAME` (a figure, or the beginning of its name).
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { table } from '../../../src/cli/terminal.ts';
import { BenchWorld, pinProcess } from '../world.ts';
import { measureAdded } from './latency.ts';
import { LoadProcess, openFiles } from './load-process.ts';
import { measureIdle, measureSoak } from './memory.ts';
import { compileNative } from './native.ts';
import { measureStart } from './ready.ts';
import { writeRequests } from './requests.ts';
import { measureRevocation } from './revocation.ts';
import { isPresent, type System } from './system.ts';
import { startPeers, startSidecar } from './systems.ts';
import { compare, measureThroughput, type Row, summaryOf } from './throughput.ts';

const { values: options } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
  },
});
const { quick } = options;
const rounds = Number(options.rounds ?? (quick ? 3 : 7));
const milliseconds = quick ? 1000 : 3000;
const soakSeconds = quick ? 60 : 600;
const idleCount = quick ? 2000 : 10_000;

const AIMS: Readonly<Record<string, string>> = {
  throughput_vs_bare_proxy: '≥ 0.9',
  throughput_vs_nginx: '≥ 0.9',
  throughput_vs_haproxy: 'none',
  throughput_vs_nginx_auth_request: '≥ 3',
  hop_added_p50_ms: '≤ 0.25',
  idle_connection_kb: '≤ 40',
  soak_rss_growth: '≤ 1.10',
  start_to_ready_ms: '≤ 300',
  revocation_denies_next: 'true',
};

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

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};
const round = (value: number, digits = 2): number => Number(value.toFixed(digits));
const wants = (figure: string): boolean => options.only === undefined || figure.startsWith(options.only);

interface Figure {
  readonly value: number | boolean | null;
  readonly how: string;
}
const figures: Record<string, Figure> = {};
const skipped: Record<string, string> = {};

const world = await BenchWorld.make();
try {
  // Systems have core 0 to themselves in turns; load and agent share core 1.
  pinProcess(process.pid, 1);
  const native = compileNative(world.directory);
  const agent = world.run(1, [native.upstream], ['ignore', 'pipe', 'inherit']);
  const [printed] = (await once(agent.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const upstream = Number(printed.toString());
  const load = new LoadProcess(world, native.load, 1);
  const requests = writeRequests(world);
  const direct: System = {
    name: 'direct',
    note: 'the agent alone, without TLS; on the core of the load',
    port: upstream,
    mode: 'plain',
    pids: [agent.pid ?? 0],
    chain: 'ignored',
  };

  if (wants('start_to_ready_ms')) {
    say('starting …');
    const value = round(await measureStart(world, upstream, 0, quick ? 3 : 7), 0);
    figures.start_to_ready_ms = { value, how: 'process started to /readyz 200, compiled, median' };
  }
  const sidecar = await startSidecar(world, upstream, 0);
  const needed = (name: string): boolean =>
    Object.entries(AGAINST).some(([figure, system]) => system === name && wants(figure)) ||
    (['nginx', 'bare-proxy'].includes(name) && (wants('hop_added_p50_ms') || wants('idle_connection_kb')));
  const peers = await startPeers(world, upstream, 0, needed);
  for (const peer of peers) if (!isPresent(peer)) skipped[peer.name] = peer.absent;
  const present = peers.filter(isPresent);
  const named = (name: string): System | undefined => present.find((system) => system.name === name);

  let rows: readonly Row[] = [];
  if (Object.keys(AGAINST).some(wants)) {
    const systems = [sidecar, ...present, direct];
    rows = await measureThroughput(load, systems, requests, rounds, milliseconds, say);
    const [ours] = rows;
    for (const [figure, name] of Object.entries(AGAINST)) {
      if (!wants(figure)) continue;
      const theirs = rows.filter(({ system }) => system.name === name);
      if (ours === undefined || theirs.length === 0) {
        figures[figure] = { value: null, how: skipped[name] ?? 'not measured' };
        continue;
      }
      const [same, without] = theirs.map((row) => ({ ...compare(ours, row), request: row.request }));
      const how = `${rounds} paired rounds, by ${same?.by}, the same request for both${without === undefined ? '' : `; ${round(without.ratio)} when they get it without the chain`}`;
      figures[figure] = { value: round(same?.ratio ?? Number.NaN), how };
    }
  }

  if (wants('hop_added_p50_ms')) {
    say('latency …');
    const ways = [sidecar, ...['nginx', 'bare-proxy'].flatMap((name) => named(name) ?? [])];
    const { direct: straight, added } = await measureAdded(
      load,
      { ...direct, request: requests.withoutChain },
      ways.map((way) => ({ ...way, request: requests.withChain })),
      rounds,
      milliseconds,
    );
    const others = added.map(({ name, p50, p99 }) => `${name} ${round(p50, 3)} (p99 ${round(p99, 3)})`);
    figures.hop_added_p50_ms = {
      value: round(added[0]?.p50 ?? Number.NaN, 3),
      how: `16 connections, 2,000/s in all, mTLS hop less direct (${round(straight, 3)}): ${others.join(', ')}`,
    };
  }

  if (wants('revocation_denies_next')) {
    say('revoking …');
    // A bundle that is replaced: the sidecar that the rest is measured on stays as it was.
    const own = await startSidecar(world, upstream, 0);
    const { denied, reason, millis } = await measureRevocation(load, world, own, requests.withChain);
    figures.revocation_denies_next = {
      value: denied,
      how: `${reason}, ${round(millis, 0)} ms after the bundle was written; files are looked at once a second`,
    };
  }

  if (wants('idle_connection_kb')) {
    const fits = Math.min(idleCount, openFiles() - 1000);
    say(`opening ${fits} connections …`);
    const fresh = await startSidecar(world, upstream, 0);
    const kib = await measureIdle(load, fresh, requests.withChain, fits);
    const others: string[] = [];
    for (const name of ['nginx', 'bare-proxy']) {
      const peer = named(name);
      if (peer !== undefined)
        others.push(`${name} ${round(await measureIdle(load, peer, requests.withChain, fits / 5), 1)}`);
    }
    figures.idle_connection_kb = {
      value: round(kib * 1.024, 1),
      how: `${fits} handshaken connections at rest${others.length > 0 ? `; ${others.join(', ')} by ${fits / 5}, TLS alone` : ''}`,
    };
  }

  if (wants('soak_rss_growth')) {
    say(`soaking for ${soakSeconds} s …`);
    const fresh = await startSidecar(world, upstream, 0);
    const soak = await measureSoak(load, fresh, requests.withChain, world.directory, soakSeconds);
    figures.soak_rss_growth = {
      value: round(soak.growth, 3),
      how: `${soakSeconds} s, ${soak.requests} requests: ${round(soak.firstMiB, 1)} to ${round(soak.lastMiB, 1)} MiB`,
    };
  }

  const machine = execFileSync('uname', ['-srm'], { encoding: 'utf8' }).trim();
  if (options.json) {
    const values = Object.fromEntries(Object.entries(figures).map(([name, { value }]) => [name, value]));
    const how = Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, figure.how]));
    const systems = rows.map((row) => ({
      name: row.system.name,
      request: row.request,
      ...summaryOf(row),
      runs: row.runs,
    }));
    process.stdout.write(
      `${JSON.stringify({ figures: values, details: { how, aims: AIMS, systems, skipped, machine } })}\n`,
    );
  } else {
    const shares = rows.map((row) => {
      const { perSecond, micros, share, loadShare } = summaryOf(row);
      return [
        row.system.name,
        row.request,
        String(round(perSecond, 0)),
        String(round(micros, 1)),
        `${round(share * 100, 0)} %`,
        `${round(loadShare * 100, 0)} %`,
        row.system.note,
      ];
    });
    if (shares.length > 0)
      process.stdout.write(
        `${table(['system', 'request', 'requests/s', 'CPU µs each', 'its core', 'load', 'what it is'], shares)}\n\n`,
      );
    const lines = Object.entries(figures).map(([name, { value, how }]) => [
      name,
      String(value),
      AIMS[name] ?? 'none',
      how,
    ]);
    process.stdout.write(`${table(['figure', 'value', 'aim', 'how'], lines)}\n`);
    for (const [name, reason] of Object.entries(skipped))
      process.stdout.write(`skipped: ${name}, ${reason}\n`);
    process.stdout.write(`${machine}\n`);
  }
} finally {
  await world.stop();
}
process.exit(0);
