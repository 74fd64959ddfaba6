/** Decisions, how hops ended, and diagnostics as log records, each under the trace that it belongs to. */
import { ROOT_CONTEXT, type SpanContext, trace } from '@opentelemetry/api';
import { type AnyValue, type Logger, SeverityNumber } from '@opentelemetry/api-logs';
import type { DecisionRecord, Outcome } from '../../../core/audit/record.ts';

/** Of a line of diagnostics, that are kept. */
const MAX_FIELDS = 32;
const MAX_VALUE = 1024;

const SEVERITIES: Readonly<Record<string, SeverityNumber>> = {
  trace: SeverityNumber.TRACE,
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
  fatal: SeverityNumber.FATAL,
};

const under = (context: SpanContext | undefined) =>
  context === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context);

const textOf = (value: unknown): string | number | boolean =>
  typeof value === 'number' || typeof value === 'boolean'
    ? value
    : (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, MAX_VALUE);

/** Undefined for what is no JSON object. */
const fieldsOf = (line: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
};

export interface DecisionLogsOptions {
  readonly logger: Logger;
  readonly withPrincipal: boolean;
}

export class DecisionLogs {
  private readonly options: DecisionLogsOptions;

  constructor(options: DecisionLogsOptions) {
    this.options = options;
  }

  /** The record, as it is in the decision log; less the principal unless that is wanted. */
  decided(record: DecisionRecord, context: SpanContext | undefined): void {
    const { logger, withPrincipal } = this.options;
    const permitted = record.verdict === 'permit';
    const { principal, ...rest } = record;
    logger.emit({
      eventName: 'hopgate.decision',
      severityNumber: permitted ? SeverityNumber.INFO : SeverityNumber.WARN,
      severityText: permitted ? 'info' : 'warn',
      body: (withPrincipal ? { ...rest, principal } : rest) as unknown as AnyValue,
      attributes: {
        'hopgate.verdict': record.verdict,
        'hopgate.reason': record.reason,
        'hopgate.hop': record.hop,
      },
      context: under(context),
    });
  }

  ended(result: Outcome, status: number, context: SpanContext | undefined): void {
    const isGood = result === 'ok';
    this.options.logger.emit({
      eventName: 'hopgate.outcome',
      severityNumber: isGood ? SeverityNumber.INFO : SeverityNumber.WARN,
      severityText: isGood ? 'info' : 'warn',
      body: { result, status },
      attributes: { 'hopgate.reason': result, 'http.response.status_code': status },
      context: under(context),
    });
  }

  /** A line as it went to stderr. */
  line(text: string): void {
    const fields = fieldsOf(text);
    if (fields === undefined) return;
    const { level, time, msg, ...rest } = fields;
    const severityText = String(level);
    const attributes = Object.entries(rest)
      .slice(0, MAX_FIELDS)
      .map(([name, value]) => [name, textOf(value)] as const);
    this.options.logger.emit({
      eventName: 'hopgate.diagnostic',
      severityNumber: SEVERITIES[severityText] ?? SeverityNumber.UNSPECIFIED,
      severityText,
      body: textOf(msg ?? ''),
      attributes: Object.fromEntries(attributes),
      ...(typeof time === 'string' && !Number.isNaN(Date.parse(time)) && { timestamp: new Date(time) }),
      context: ROOT_CONTEXT,
    });
  }
}
