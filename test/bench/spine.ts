/** What Hopgate costs, as ratios against the barest thing that does less. */
import { setTimeout as wait } from 'node:timers/promises';
import { table } from '../../src/cli/terminal.ts';
import { measureColdChain, measureConnect, measureThroughput } from './measure.ts';
import { BenchWorld, pinProcess, residentMiB } from './world.ts';

const AIMS = {
  throughput_vs_bare_proxy: '≥ 0.85',
  cold_chain_vs_bare_verify: '≥ 0.85',
  connect_vs_tls: '≥ 0.6',
  idle_rss_mb: '≤ 90',
} as const;

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

const quick = process.argv.includes('--quick');
const asJson = process.argv.includes('--json');
const rounds = quick ? 3 : 7;
const milliseconds = quick ? 1000 : 3000;

const world = await BenchWorld.make();
try {
  // The proxies have core 0 to themselves in turns; load and upstream share core 1.
  pinProcess(process.pid, 1);
  const upstream = await world.fork('upstream.ts', [], 1);
  const sidecar = await world.sidecar(upstream.port, 0);
  const bare = await world.fork('bare-proxy.ts', [`${world.directory}/cloud`, String(upstream.port)], 0);
  say('resting before memory is read …');
  await wait(quick ? 1000 : 5000);
  const idle = residentMiB(sidecar.child.pid ?? 0);
  say('verifying chains …');
  const cold = measureColdChain(world, rounds * 3);
  say('connecting …');
  const connect = await measureConnect(world, sidecar.port, bare.port, rounds);
  say(`forwarding, ${rounds} × 2 × ${milliseconds / 1000} s …`);
  const throughput = await measureThroughput(
    world,
    { pid: sidecar.child.pid ?? 0, port: sidecar.port },
    { pid: bare.child.pid ?? 0, port: bare.port },
    rounds,
    milliseconds,
  );
  const round = (value: number, digits = 2): number => Number(value.toFixed(digits));
  const ratios = {
    throughput_vs_bare_proxy: round(throughput.ratio),
    cold_chain_vs_bare_verify: round(cold.ratio),
    connect_vs_tls: round(connect.ratio),
    idle_rss_mb: round(idle, 1),
  };
  if (asJson) process.stdout.write(`${JSON.stringify({ ratios, details: { throughput, cold, connect } })}\n`);
  else {
    const perRequest = (perSecond: number, cpu: number): string =>
      `${round((cpu * 1e6) / perSecond, 0)} µs CPU a request, ${round(perSecond, 0)}/s at ${round(cpu * 100, 0)} % of its core`;
    const rows = [
      [
        'throughput_vs_bare_proxy',
        String(ratios.throughput_vs_bare_proxy),
        AIMS.throughput_vs_bare_proxy,
        `sidecar ${perRequest(throughput.sidecarPerSecond, throughput.sidecarCpu)}; bare ${perRequest(throughput.barePerSecond, throughput.bareCpu)}`,
      ],
      [
        'cold_chain_vs_bare_verify',
        String(ratios.cold_chain_vs_bare_verify),
        AIMS.cold_chain_vs_bare_verify,
        `chain ${round(cold.chainMicros, 0)} µs, its 5 signatures alone ${round(cold.bareMicros, 0)} µs`,
      ],
      [
        'connect_vs_tls',
        String(ratios.connect_vs_tls),
        AIMS.connect_vs_tls,
        `TLS and handshake ${round(connect.handshakeMillis)} ms, TLS alone ${round(connect.tlsMillis)} ms, both ends`,
      ],
      [
        'idle_rss_mb',
        String(ratios.idle_rss_mb),
        AIMS.idle_rss_mb,
        'resident memory of a sidecar that nobody calls',
      ],
    ];
    process.stdout.write(`${table(['figure', 'value', 'aim', 'how'], rows)}\n`);
  }
} finally {
  await world.stop();
}
process.exit(0);
