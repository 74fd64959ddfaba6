/** What a span says of a hop that did not go well. */
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { expect, it } from 'vitest';
import type { DecisionRecord, Direction, Outcome } from '../../../../src/core/audit/record.ts';
import { HopSpans } from '../../../../src/edge/telemetry/otlp/hop-spans.ts';
import { decision } from '../../../testkit/core-log.ts';

const RECORD = decision();
const DENIED = decision({ verdict: 'deny', reason: 'rule_denied' });
const ERROR = 2;

/** A span of one hop, as it is exported. */
const spanOf = (
  direction: Direction,
  record: DecisionRecord,
  result: Outcome,
  status: number,
  { method = 'GET', withPrincipal = false } = {},
) => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const spans = new HopSpans({ tracer: provider.getTracer('test'), withPrincipal, logs: undefined });
  const span = spans.begin(direction, method, []);
  span.decided(record);
  span.ended(result, status);
  const [told] = exporter.getFinishedSpans();
  if (told === undefined) throw new Error('no span');
  return told;
};

it('a stream that is cut has an event with its reason, and is an error on both sides', () => {
  for (const direction of ['inbound', 'outbound'] as const) {
    const { events, status, attributes } = spanOf(direction, RECORD, 'revoked_task', 200);
    expect(events.map(({ name, attributes: of }) => [name, of?.['hopgate.reason']])).toEqual([
      ['hopgate.cut', 'revoked_task'],
    ]);
    expect(status).toEqual({ code: ERROR, message: 'revoked_task' });
    expect(attributes).toMatchObject({ 'error.type': 'revoked_task', 'http.response.status_code': 200 });
  }
});

it('a denial is the error of who asked; of who answered only from 500 on', () => {
  expect(spanOf('outbound', DENIED, 'rule_denied', 403).status.code).toBe(ERROR);
  const answered = spanOf('inbound', DENIED, 'rule_denied', 403);
  expect([answered.status.code, answered.events]).toEqual([0, []]);
  expect(answered.attributes).toMatchObject({ 'hopgate.verdict': 'deny', 'error.type': 'rule_denied' });
  expect(spanOf('inbound', DENIED, 'audit_unavailable', 503).status.code).toBe(ERROR);
});

it('an answer of the agent that is an error is none of its sidecar’s, below 500', () => {
  expect(spanOf('inbound', RECORD, 'ok', 404).status.code).toBe(0);
  expect(spanOf('inbound', RECORD, 'ok', 500)).toMatchObject({ status: { code: ERROR } });
  expect(spanOf('outbound', RECORD, 'ok', 404).status.code).toBe(ERROR);
});

it('a method that nobody knows is no name, and a principal is named where that is wanted alone', () => {
  const { name, attributes } = spanOf('inbound', RECORD, 'ok', 200, { method: 'ALICE-SECRET' });
  expect([name, attributes['http.request.method']]).toEqual(['HTTP', '_OTHER']);
  expect(JSON.stringify(attributes)).not.toContain('alice');
  expect(spanOf('inbound', RECORD, 'ok', 200, { withPrincipal: true }).attributes['hopgate.principal']).toBe(
    'mailto:alice@company.com',
  );
});
