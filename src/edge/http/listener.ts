/** An HTTP/1.1 server with the bounds that both doors share. */
import type { Server } from 'node:http';
import { createServer } from './node-http.ts';

/** Octets of headers in one request (SPEC.md section 15). */
const MAX_HEADER_BYTES = 32_768;

export interface ListenerLimits {
  /** Seconds. */
  readonly headersTimeout: number;
  readonly idleTimeout: number;
}

/** Other bounds under a listener that runs; a connection that is idle already keeps its time. */
export const boundListener = (server: Server, { headersTimeout, idleTimeout }: ListenerLimits): void => {
  server.headersTimeout = headersTimeout * 1000;
  server.keepAliveTimeout = idleTimeout * 1000;
};

/** Strict parsing, bounded headers and idleness; bodies are bounded by the exchange, since long uploads are fine. */
export const makeListener = (
  { headersTimeout, idleTimeout }: ListenerLimits,
  options: { readonly requireHostHeader: boolean },
): Server =>
  createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headersTimeout * 1000,
    requestTimeout: 0,
    keepAliveTimeout: idleTimeout * 1000,
    connectionsCheckingInterval: 1000,
    insecureHTTPParser: false,
    ...options,
    noDelay: true,
  });
