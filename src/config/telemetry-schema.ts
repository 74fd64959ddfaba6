/** What a process tells others of how it does: figures for Prometheus, traces and logs over OTLP. */
import { z } from 'zod';
import { file, listenAddress, serviceUrl, shortDuration } from './forms.ts';

/** Where figures are had; `listen` is the address without one of the operator's. */
export const metricsSchema = (listen: string) =>
  z.strictObject({
    listen: z
      .union([z.literal('off'), listenAddress], 'an address, host:port or [ipv6]:port; or off')
      .meta({ title: 'TCP address or off' })
      .prefault(listen)
      .describe('Where GET /metrics is answered, by plain HTTP and to everybody who reaches it.'),
  });

const otlp = z
  .strictObject({
    endpoint: serviceUrl
      .refine((url) => !url.startsWith('unix:') && !url.includes('?'), {
        error: 'https://… or http:// to this machine, without a query; /v1/traces and /v1/logs go behind it',
        abort: true,
      })
      .describe('Of the receiver (OTLP over HTTP, JSON): /v1/traces and /v1/logs go behind it.'),
    traces: z.boolean().default(true).describe('A span for each hop.'),
    logs: z
      .boolean()
      .default(false)
      .describe('Decisions, how hops ended, and diagnostics, as log records under their trace.'),
    sampleRatio: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe('Share of the traces that begin here; for others it was decided where they began.'),
    principals: z
      .boolean()
      .default(false)
      .describe('Whether principals are named; else only tasks and agents are.'),
    headersFile: file
      .optional()
      .describe(
        'File with headers for the receiver, `name: value` a line, such as a token; read again when it changes.',
      ),
    caFile: file
      .optional()
      .describe('CA certificates for https, PEM, instead of the system’s; read at the start.'),
    timeout: shortDuration.prefault('10s').describe('For one delivery.'),
    interval: shortDuration.prefault('2s').describe('Between two deliveries, unless many wait.'),
    queue: z
      .int()
      .min(1)
      .max(65_536)
      .default(2048)
      .describe('Spans that wait for delivery, and as many log records; more are dropped and counted.'),
  })
  .describe('The receiver of traces and logs. Nothing of this is loaded without it.');

export const telemetrySchema = z
  .strictObject({ otlp: otlp.optional() })
  .prefault({})
  .describe('OpenTelemetry: off unless a receiver is named.');

export type MetricsConfig = z.output<ReturnType<typeof metricsSchema>>;
export type OtlpConfig = z.output<typeof otlp>;
export type TelemetryConfig = z.output<typeof telemetrySchema>;
