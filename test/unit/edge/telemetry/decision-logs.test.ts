/** Diagnostics on their way to a receiver: a line of the log is a record, whatever it says. */
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { expect, it } from 'vitest';
import { type LogTap, makeLogger } from '../../../../src/edge/telemetry/log.ts';
import { DecisionLogs } from '../../../../src/edge/telemetry/otlp/decision-logs.ts';

const start = () => {
  const exporter = new InMemoryLogRecordExporter();
  const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] });
  const logs = new DecisionLogs({ logger: provider.getLogger('test'), withPrincipal: false });
  return { logs, told: () => exporter.getFinishedLogRecords() };
};

it('a line has its message, severity, time and fields', () => {
  const { logs, told } = start();
  logs.line(
    '{"level":"warn","time":"2026-01-02T03:04:05.000Z","peer":"a","list":[1],"count":2,"msg":"gone"}\n',
  );
  const [record] = told();
  expect(record).toMatchObject({
    body: 'gone',
    severityText: 'warn',
    severityNumber: 13,
    eventName: 'hopgate.diagnostic',
    attributes: { peer: 'a', list: '[1]', count: 2 },
  });
  expect(record?.hrTime[0]).toBe(Date.UTC(2026, 0, 2, 3, 4, 5) / 1000);
});

it('a line that is none says nothing, and a long one is cut', () => {
  const { logs, told } = start();
  for (const text of ['', 'no JSON', '[]', 'null']) logs.line(text);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`f${at}`, 'x'.repeat(5000)]));
  logs.line(JSON.stringify({ level: 'info', time: 'never', msg: 'm', ...many }));
  expect(told()).toHaveLength(1);
  const record = told().at(-1);
  expect(Object.keys(record?.attributes ?? {}).length).toBeLessThanOrEqual(32);
  expect(String(record?.attributes.f0)).toHaveLength(1024);
});

it('whoever taps the log hears what is written from then on, and nothing below its level', () => {
  const tap: LogTap = {};
  const log = makeLogger('error', undefined, tap);
  const heard: string[] = [];
  tap.line = (text) => heard.push(text);
  log.info('not written');
  log.error({ of: 'a test' }, 'written');
  tap.line = undefined;
  expect(heard.map((text) => JSON.parse(text))).toMatchObject([
    { level: 'error', of: 'a test', msg: 'written' },
  ]);
});
