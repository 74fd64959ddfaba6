/** `npm run bench -- telemetry`: what it costs one side of a hop to be counted, and to be told to a receiver of OTLP. */
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { table } from '../../../src/cli/terminal.ts';
import { HopMeter } from '../../../src/edge/telemetry/hop-meter.ts';
import { HopSpans } from '../../../src/edge/telemetry/otlp/hop-spans.ts';
import { textOf } from '../../../src/edge/telemetry/series.ts';
import type { MeterPort, TracePort } from '../../../src/ports.ts';
import { decision } from '../../testkit/core-log.ts';
import { median } from '../world.ts';

const asJson = process.argv.includes('--json');
const ROUNDS = process.argv.includes('--quick') ? 5 : 25;
const HOPS = 200_000;
const RESULT = { result: 'ok', status: 200, received: 100, sent: 2000 } as const;
const RECORD = decision();

/** Nanoseconds of CPU a hop: what others do on this machine meanwhile is not in it. */
const cpuOf = (hops: number, one: (at: number) => void): number => {
  const before = process.cpuUsage();
  for (let at = 0; at < hops; at++) one(at);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / hops;
};

const count =
  (meter: MeterPort | undefined) =>
  (at: number): void => {
    // As durations are: a few microseconds, some milliseconds for what the agent does.
    const ms = 0.002 + (at % 97) / 10_000;
    meter?.verified('inbound', ms);
    meter?.decided('inbound', ms, true);
    meter?.recorded('inbound', ms * 20);
    meter?.ended('inbound', RESULT, ms * 500, ms * 520);
  };

const tell = (tracer: TracePort) => (): void => {
  const headers = ['accept', 'a', 'traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'];
  const span = tracer.begin('inbound', 'GET', headers);
  span.decided(RECORD);
  span.ended('ok', 200);
};

const meter = new HopMeter();
const nothing = { forceFlush: () => Promise.resolve(), shutdown: () => Promise.resolve() };
const provider = new BasicTracerProvider({
  spanProcessors: [{ onStart: () => undefined, onEnd: () => undefined, ...nothing }],
});
const tracer = new HopSpans({ tracer: provider.getTracer('bench'), withPrincipal: false, logs: undefined });
const rounds = Array.from({ length: ROUNDS }, () => ({
  counted: cpuOf(HOPS, count(meter)),
  bare: cpuOf(HOPS, count(undefined)),
  told: cpuOf(HOPS / 10, tell(tracer)),
  text: cpuOf(20, () => textOf(meter.families)),
}));
const ofAll = (what: keyof (typeof rounds)[number]): number => median(rounds.map((one) => one[what]));
const figures = {
  counted_ns: Math.round(ofAll('counted') - ofAll('bare')),
  traced_us: Number((ofAll('told') / 1000).toFixed(2)),
  scrape_ms: Number((ofAll('text') / 1e6).toFixed(2)),
};

if (asJson) process.stdout.write(`${JSON.stringify({ figures })}\n`);
else
  process.stdout.write(
    `${table(
      ['WHAT', 'CPU'],
      [
        ['one side of a hop, counted', `${figures.counted_ns} ns`],
        ['the same in a trace, until its span waits for delivery', `${figures.traced_us} µs`],
        ['a scrape of what is counted there', `${figures.scrape_ms} ms`],
      ],
    )}\n`,
  );
