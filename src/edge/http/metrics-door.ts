/** `GET /metrics` in the Prometheus text format, and nothing else; whoever reaches the address may read it. */
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../telemetry/log.ts';
import { createServer } from './node-http.ts';

const REQUEST_MS = 5000;
const IDLE_MS = 5000;
const MAX_HEADER_BYTES = 8192;
/** A few collectors scrape it. */
const MAX_CONNECTIONS = 32;

export interface MetricsDoorOptions {
  /** The figures as of now. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
  readonly log: Logger;
}

export class MetricsDoor {
  private readonly options: MetricsDoorOptions;
  private readonly server: Server;
  /** Scrapes at one time share one reading. */
  private reading: Promise<string> | undefined;

  constructor(options: MetricsDoorOptions) {
    this.options = options;
    this.server = createServer(
      {
        requestTimeout: REQUEST_MS,
        headersTimeout: REQUEST_MS,
        keepAliveTimeout: IDLE_MS,
        connectionsCheckingInterval: 1000,
        maxHeaderSize: MAX_HEADER_BYTES,
        insecureHTTPParser: false,
        requireHostHeader: true,
      },
      (request, response) => {
        if (request.url !== '/metrics') response.writeHead(404).end();
        else if (request.method !== 'GET') response.writeHead(405, { allow: 'GET' }).end();
        else void this.answer(response);
      },
    );
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  /** The address, with the port that the system chose for 0. */
  async listen({ host, port }: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    return this.server.address() as AddressInfo;
  }

  async close(): Promise<void> {
    if (this.server.listening) {
      const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
      this.server.closeAllConnections();
      await closed;
    }
    await this.reading?.catch(() => undefined);
  }

  private async answer(response: ServerResponse): Promise<void> {
    const { text, contentType, log } = this.options;
    this.reading ??= text().finally(() => {
      this.reading = undefined;
    });
    try {
      const body = await this.reading;
      response.writeHead(200, {
        'content-type': contentType,
        'content-length': Buffer.byteLength(body),
        'cache-control': 'no-store',
      });
      response.end(body);
    } catch (error) {
      log.error({ err: error }, 'the metrics could not be read');
      response.writeHead(500).end();
    }
  }
}
