/** A trace through three agents arrives whole at a real OpenTelemetry Collector, with its logs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { logsIn, spansIn } from '../testkit/otlp-receiver.ts';
import { startTracedChain, type TracedChain } from '../testkit/traced-chain.ts';
import { Collector } from './tools.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const ROOT = 'b7ad6b7169203331';

describe('a real collector', () => {
  let directory: string;
  let collector: Collector;
  let chain: TracedChain;
  const spans = () => collector.told.filter((one) => 'resourceSpans' in one).flatMap(spansIn);
  const logs = () => collector.told.filter((one) => 'resourceLogs' in one).flatMap(logsIn);

  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'hopgate-collector-'));
    collector = await Collector.start(directory);
    chain = await startTracedChain({
      telemetry: { otlp: { endpoint: collector.endpoint, interval: '50ms', logs: true } },
    });
  });
  afterAll(async () => {
    chain?.mesh.stop();
    await collector?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('has four spans of one trace, each the child of the one before, and the logs under them', async () => {
    const answer = await chain.ask('/vpcs?secret=1', { traceparent: `00-${TRACE}-${ROOT}-01` });
    expect(answer.status).toBe(200);
    const ours = () => spans().filter(({ traceId }) => traceId === TRACE);
    await vi.waitFor(() => expect(ours()).toHaveLength(4), 20_000);
    const order: string[] = [];
    for (let parent = ROOT; order.length < 4; ) {
      const span = ours().find(({ parentSpanId }) => parentSpanId === parent);
      expect(span, `below ${parent}`).toBeDefined();
      order.push(`${span?.service} ${span?.kind}`);
      parent = span?.spanId ?? '';
    }
    expect(order).toEqual(['planning 3', 'inventory 2', 'inventory 3', 'security 2']);
    await vi.waitFor(() => expect(logs().filter(({ traceId }) => traceId === TRACE)).toHaveLength(8), 20_000);
    const known = new Set(ours().map(({ spanId }) => spanId));
    expect(
      logs()
        .filter(({ traceId }) => traceId === TRACE)
        .every(({ spanId }) => known.has(spanId)),
    ).toBe(true);
    expect(JSON.stringify(collector.told)).not.toContain('secret=1');
  });

  it('has a hundred traces whole, of requests that came at once', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => chain.ask('/many')));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const many = () => spans().filter(({ attributes }) => attributes['url.path'] === '/many');
    await vi.waitFor(() => expect(many()).toHaveLength(400), 20_000);
    const counts = new Map<string, number>();
    for (const { traceId } of many()) counts.set(traceId, (counts.get(traceId) ?? 0) + 1);
    expect([...counts.values()]).toEqual(Array(100).fill(4));
  });
});
