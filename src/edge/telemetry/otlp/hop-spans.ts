/** A span for each hop: a server span at the door in, a client span at the door out, under the names of OpenTelemetry's HTTP conventions. */
import {
  type Attributes,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { DecisionRecord, Direction, Outcome } from '../../../core/audit/record.ts';
import type { HopSpan, TracePort } from '../../../ports.ts';
import type { DecisionLogs } from './decision-logs.ts';
import { formatTraceparent, readTraceparent, type TraceParent, takeTraceparent } from './trace-context.ts';

const METHODS = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'QUERY',
  'TRACE',
]);

const contextOf = ({ traceId, spanId, sampled }: TraceParent): SpanContext => ({
  traceId,
  spanId,
  traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
  isRemote: true,
});

/** What was decided, and about whom. No query, header, token or body: a record has none. */
const attributesOf = (record: DecisionRecord, withPrincipal: boolean): Attributes => ({
  'url.path': record.target,
  'hopgate.verdict': record.verdict,
  'hopgate.reason': record.reason,
  'hopgate.rule': record.rule,
  'hopgate.hop': record.hop,
  'hopgate.caller': record.caller,
  'hopgate.callee': record.callee,
  'hopgate.task': record.task,
  'hopgate.policy.revision': record.policy,
  'hopgate.bundle': record.bundle,
  'hopgate.chain.depth': record.agents.length,
  'hopgate.cached': record.cached,
  'hopgate.scopes': [...record.required],
  ...(record.destination !== undefined && { 'hopgate.destination': record.destination }),
  ...(record.observed !== undefined && { 'hopgate.observed': record.observed }),
  ...(record.proof !== undefined && { 'hopgate.proof': record.proof }),
  ...(withPrincipal && { 'hopgate.principal': record.principal }),
});

class RecordedSpan implements HopSpan {
  private readonly span: Span;
  private readonly isServer: boolean;
  private readonly withPrincipal: boolean;
  private readonly logs: DecisionLogs | undefined;
  private isPermitted = false;

  constructor(span: Span, direction: Direction, withPrincipal: boolean, logs: DecisionLogs | undefined) {
    this.span = span;
    this.isServer = direction === 'inbound';
    this.withPrincipal = withPrincipal;
    this.logs = logs;
  }

  decided(record: DecisionRecord): void {
    this.isPermitted = record.verdict === 'permit';
    if (this.span.isRecording()) this.span.setAttributes(attributesOf(record, this.withPrincipal));
    this.logs?.decided(record, this.span.spanContext());
  }

  ended(result: Outcome, status: number): void {
    const { span } = this;
    if (this.isPermitted) this.logs?.ended(result, status, span.spanContext());
    if (span.isRecording()) {
      if (status > 0) span.setAttribute('http.response.status_code', status);
      if (result !== 'ok') {
        span.setAttribute('error.type', result);
        if (this.isPermitted) span.addEvent('hopgate.cut', { 'hopgate.reason': result });
      } else if (status >= 500) span.setAttribute('error.type', String(status));
      // What a server refuses is its client's error, and none of its own.
      const isFault = this.isServer
        ? status >= 500 || (this.isPermitted && result !== 'ok')
        : status >= 400 || result !== 'ok';
      if (isFault)
        span.setStatus({ code: SpanStatusCode.ERROR, ...(result !== 'ok' && { message: result }) });
    }
    span.end();
  }
}

export interface HopSpansOptions {
  readonly tracer: Tracer;
  readonly withPrincipal: boolean;
  readonly logs: DecisionLogs | undefined;
}

export class HopSpans implements TracePort {
  private readonly options: HopSpansOptions;

  constructor(options: HopSpansOptions) {
    this.options = options;
  }

  begin(direction: Direction, method: string, headers: string[]): HopSpan {
    const { tracer, withPrincipal, logs } = this.options;
    const parent = takeTraceparent(headers);
    const known = METHODS.has(method);
    const span = tracer.startSpan(
      known ? method : 'HTTP',
      {
        kind: direction === 'inbound' ? SpanKind.SERVER : SpanKind.CLIENT,
        attributes: {
          'http.request.method': known ? method : '_OTHER',
          'hopgate.direction': direction,
        },
      },
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, contextOf(parent)),
    );
    const { traceId, spanId, traceFlags } = span.spanContext();
    headers.push(
      'traceparent',
      formatTraceparent({ traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 }),
    );
    return new RecordedSpan(span, direction, withPrincipal, logs);
  }
}

/** Logs without spans: what a request is a part of is read, and goes on as it came. */
export class LoggedHops implements TracePort {
  private readonly logs: DecisionLogs;

  constructor(logs: DecisionLogs) {
    this.logs = logs;
  }

  begin(_direction: Direction, _method: string, headers: string[]): HopSpan {
    const { logs } = this;
    const parent = readTraceparent(headers);
    const context = parent && contextOf(parent);
    let isPermitted = false;
    return {
      decided: (record) => {
        isPermitted = record.verdict === 'permit';
        logs.decided(record, context);
      },
      ended: (result, status) => {
        if (isPermitted) logs.ended(result, status, context);
      },
    };
  }
}
