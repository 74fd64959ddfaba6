/** How hops are counted, and that what counts them keeps nothing of them. */
import { expect, it } from 'vitest';
import type { Outcome } from '../../../../src/core/audit/record.ts';
import { REASONS, type ReasonCode } from '../../../../src/core/reasons.ts';
import { HopMeter } from '../../../../src/edge/telemetry/hop-meter.ts';
import { textOf } from '../../../../src/edge/telemetry/series.ts';
import { readMetrics } from '../../../testkit/metrics-text.ts';

const figuresOf = (meter: HopMeter) => Object.fromEntries(readMetrics(textOf(meter.families)));
const end = (meter: HopMeter, result: Outcome, status: number): void =>
  meter.ended('inbound', { result, status, received: 10, sent: 20 }, 1000, 2000);

it('each way to end is one of few outcomes, under the class of its status', () => {
  const meter = new HopMeter();
  for (const [result, status] of [
    ['ok', 204],
    ['ok', 404],
    ['upstream_failed', 502],
    ['upstream_timeout', 504],
    ['client_aborted', 200],
    ['revoked_task', 200],
    ['draining', 0],
  ] as const)
    end(meter, result, status);
  meter.refused('inbound', 'scope_missing');
  const figures = figuresOf(meter);
  const of = (outcome: string, code: string) =>
    figures[`hopgate_requests_total{direction="inbound",outcome="${outcome}",code="${code}"}`];
  expect([of('ok', '2xx'), of('ok', '4xx'), of('failed', '5xx'), of('aborted', '2xx')]).toEqual([1, 1, 2, 1]);
  expect([of('cut', '2xx'), of('cut', 'none'), of('denied', '4xx')]).toEqual([1, 1, 1]);
  expect(figures).toMatchObject({
    'hopgate_interrupted_requests_total{direction="inbound",reason="revoked_task"}': 1,
    'hopgate_denials_total{direction="inbound",reason="scope_missing"}': 1,
    'hopgate_request_body_bytes_total{direction="inbound"}': 70,
    'hopgate_response_body_bytes_total{direction="inbound"}': 140,
    // Seconds: what was denied was never sent on.
    'hopgate_request_duration_seconds_sum{direction="inbound"}': 14,
    'hopgate_request_duration_seconds_count{direction="outbound"}': 0,
  });
});

it('every reason there is can be counted, in a bounded number of series', () => {
  const meter = new HopMeter();
  const reasons = Object.keys(REASONS) as ReasonCode[];
  for (let times = 0; times < 3; times++)
    for (const reason of reasons) {
      meter.refused('outbound', reason);
      meter.observed('outbound', reason);
      end(meter, reason, 599);
    }
  const figures = figuresOf(meter);
  expect(figures[`hopgate_denials_total{direction="outbound",reason="${reasons[0]}"}`]).toBe(3);
  expect(Object.keys(figures).length).toBeLessThan(3 * reasons.length + 400);
});

it('a status that is none falls into a class all the same', () => {
  const meter = new HopMeter();
  for (const status of [-1, 99, 700, 12_345, Number.NaN]) end(meter, 'ok', status);
  const counted = Object.entries(figuresOf(meter)).filter(([series]) =>
    series.startsWith('hopgate_requests_total'),
  );
  expect(counted.map(([, count]) => count).reduce((total, count) => total + count, 0)).toBe(5);
});
