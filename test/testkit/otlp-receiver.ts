/** A receiver of OTLP (HTTP, JSON) in this process: keeps what it was told, flat. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Value {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: number | string;
  readonly arrayValue?: { readonly values: readonly Value[] };
  readonly kvlistValue?: { readonly values: readonly KeyValue[] };
}

interface KeyValue {
  readonly key: string;
  readonly value: Value;
}

export interface ToldSpan {
  readonly service: string;
  readonly instance: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
  readonly status: { readonly code?: number; readonly message?: string };
}

export interface ToldLog {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly event: string;
  readonly body: unknown;
  readonly attributes: Readonly<Record<string, unknown>>;
}

const plain = (value: Value): unknown =>
  value.arrayValue !== undefined
    ? value.arrayValue.values.map(plain)
    : value.kvlistValue !== undefined
      ? flat(value.kvlistValue.values)
      : (value.stringValue ??
        value.boolValue ??
        (value.intValue === undefined ? undefined : Number(value.intValue)));

const flat = (list: readonly KeyValue[] | undefined): Record<string, unknown> =>
  Object.fromEntries((list ?? []).map(({ key, value }) => [key, plain(value)]));

// biome-ignore lint/suspicious/noExplicitAny: of another's making, and a fault in it fails the test that reads it
type Json = any;

/** The spans of one export request. */
export const spansIn = (request: Json): ToldSpan[] =>
  request.resourceSpans.flatMap(({ resource, scopeSpans }: Json) => {
    const { 'service.name': service, 'service.instance.id': instance } = flat(resource.attributes);
    return scopeSpans.flatMap(({ spans }: Json) =>
      spans.map((span: Json) => ({
        service,
        instance,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? '',
        name: span.name,
        kind: span.kind,
        attributes: flat(span.attributes),
        events: (span.events ?? []).map(({ name }: Json) => name),
        status: span.status ?? {},
      })),
    );
  });

/** The log records of one export request. */
export const logsIn = (request: Json): ToldLog[] =>
  request.resourceLogs.flatMap(({ resource, scopeLogs }: Json) =>
    scopeLogs.flatMap(({ logRecords }: Json) =>
      logRecords.map((record: Json) => ({
        service: flat(resource.attributes)['service.name'],
        traceId: record.traceId ?? '',
        spanId: record.spanId ?? '',
        event: record.eventName ?? '',
        body: plain(record.body ?? {}),
        attributes: flat(record.attributes),
      })),
    ),
  );

const readAll = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

export class OtlpReceiver {
  readonly spans: ToldSpan[] = [];
  readonly logs: ToldLog[] = [];
  /** As they came. */
  readonly requests: {
    readonly path: string;
    readonly headers: IncomingMessage['headers'];
    readonly body: string;
  }[] = [];
  private readonly server: Server;
  endpoint = '';

  /** `answer`: in place of taking it. */
  constructor(answer?: RequestListener) {
    this.server = createServer((request, response) => {
      void (async () => {
        const body = await readAll(request);
        this.requests.push({ path: request.url ?? '', headers: request.headers, body });
        if (answer !== undefined) {
          answer(request, response);
          return;
        }
        const told = JSON.parse(body) as Json;
        if (request.url === '/v1/traces') this.spans.push(...spansIn(told));
        else if (request.url === '/v1/logs') this.logs.push(...logsIn(told));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"partialSuccess":{}}');
      })().catch(() => response.destroy());
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', () => resolve()));
    this.endpoint = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
