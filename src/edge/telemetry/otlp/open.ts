/** Traces and logs over OTLP, put together. Whoever wants none never loads this. */

import { JsonLogsSerializer, JsonTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import {
  BasicTracerProvider,
  ParentBasedSampler,
  type ReadableSpan,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { OtlpConfig } from '../../../config/telemetry-schema.ts';
import { type AgentId, agentTypeOf, trustDomainOf } from '../../../core/spiffe-id.ts';
import type { TracePort } from '../../../ports.ts';
import type { Logger } from '../log.ts';
import { DecisionLogs } from './decision-logs.ts';
import { Delivery, type DeliveryFigures } from './delivery.ts';
import { HopSpans, LoggedHops } from './hop-spans.ts';
import { Receiver } from './receiver.ts';

export interface OtlpOptions {
  readonly config: OtlpConfig;
  /** A file as the configuration names it. */
  readonly fileAt: (name: string) => string;
  /** Whose these are. */
  readonly id: AgentId;
  readonly version: string;
  readonly log: Logger;
}

export interface OpenOtlp {
  readonly tracer: TracePort | undefined;
  /** Takes a line of diagnostics; undefined where logs are not told. */
  readonly line: ((text: string) => void) | undefined;
  /** By signal. */
  readonly figures: () => Readonly<Record<string, DeliveryFigures>>;
  /** Delivers what waits, for so many milliseconds at most. */
  close(withinMs: number): Promise<void>;
}

/** Octets or members of one span or record. */
const LIMITS = { attributeValueLengthLimit: 1024, attributeCountLimit: 64 } as const;
const SPAN_LIMITS = {
  ...LIMITS,
  linkCountLimit: 0,
  eventCountLimit: 8,
  attributePerEventCountLimit: 8,
  attributePerLinkCountLimit: 0,
} as const;

type LogRecord = Parameters<typeof JsonLogsSerializer.serializeRequest>[0][number];

/** Connects to nobody. Throws on files that can't be read. */
export const openOtlp = ({ config, fileAt, id, version, log }: OtlpOptions): OpenOtlp => {
  const { endpoint, sampleRatio, principals, timeout, interval, queue } = config;
  const receiver = new Receiver({
    endpoint,
    caFile: config.caFile && fileAt(config.caFile),
    headersFile: config.headersFile && fileAt(config.headersFile),
    timeoutMs: timeout,
    log,
  });
  const resource = resourceFromAttributes({
    'service.name': agentTypeOf(id),
    'service.namespace': trustDomainOf(id),
    'service.instance.id': id,
    'service.version': version,
  });
  const delivery = <T>(signal: string, serialize: (items: T[]) => Uint8Array | undefined): Delivery<T> =>
    new Delivery<T>({
      send: async (items) => {
        let body: Uint8Array | undefined;
        try {
          body = serialize([...items]);
        } catch (error) {
          log.error({ err: error, signal }, 'what OTLP is to be told could not be written');
        }
        return body === undefined ? 'refused' : receiver.send(signal, body);
      },
      most: queue,
      intervalMs: interval,
      onChange: (works) => {
        if (works) log.info({ signal }, 'the OTLP receiver takes what it is told again');
        else log.warn({ signal, endpoint }, 'the OTLP receiver does not take what it is told');
      },
    });
  const spans = delivery<ReadableSpan>('traces', (items) => JsonTraceSerializer.serializeRequest(items));
  const records = delivery<LogRecord>('logs', (items) => JsonLogsSerializer.serializeRequest(items));
  const nothingToDo = { forceFlush: () => Promise.resolve(), shutdown: () => Promise.resolve() };
  const logs = config.logs
    ? new DecisionLogs({
        withPrincipal: principals,
        logger: new LoggerProvider({
          resource,
          logRecordLimits: LIMITS,
          processors: [{ onEmit: (record) => records.push(record), ...nothingToDo }],
        }).getLogger('hopgate', version),
      })
    : undefined;
  const spansOf = (): TracePort =>
    new HopSpans({
      withPrincipal: principals,
      logs,
      tracer: new BasicTracerProvider({
        resource,
        sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
        spanLimits: SPAN_LIMITS,
        spanProcessors: [{ onStart: () => undefined, onEnd: (span) => spans.push(span), ...nothingToDo }],
      }).getTracer('hopgate', version),
    });
  return {
    tracer: config.traces ? spansOf() : logs && new LoggedHops(logs),
    line: logs && ((text) => logs.line(text)),
    figures: () => ({
      ...(config.traces && { traces: spans.figures }),
      ...(config.logs && { logs: records.figures }),
    }),
    close: async (withinMs) => {
      await Promise.all([spans.close(withinMs), records.close(withinMs)]);
      receiver.close();
    },
  };
};
