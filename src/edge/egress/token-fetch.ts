/** `fetch` to one token endpoint: its own CA, no redirects, a bounded answer. */
import { readFileSync } from 'node:fs';

export interface TokenFetch {
  readonly fetch: (url: string, options: TokenFetchOptions) => Promise<Response>;
  close(): void;
}

/** What openid-client passes on. */
export interface TokenFetchOptions {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

const CONNECT_MS = 3000;
const MAX_ANSWER_BYTES = 64 * 1024;

class TooLarge extends Error {}

/** Throws on a CA file that can't be read. */
export const tokenFetch = (endpoint: string, caFile: string | undefined): TokenFetch => {
  const { href, pathname, search } = new URL(endpoint);
  const ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  let isClosed = false;
  let opened: ReturnType<typeof open> | undefined;
  // Only who exchanges tokens pays for what speaks to the endpoint.
  const open = async () => {
    const [{ openService }, { request }] = await Promise.all([
      import('../opa/service-pool.ts'),
      import('../http/undici.ts'),
    ]);
    const { pool } = openService({ url: endpoint, ca, connections: 1, connectMs: CONNECT_MS });
    return { pool, request };
  };
  return {
    async fetch(url, { method, headers, body, signal }) {
      if (new URL(url).href !== href) throw new TypeError('another URL than the token endpoint');
      if (isClosed) throw new Error('closed');
      opened ??= open();
      const { pool, request } = await opened;
      const answer = await request(pool, {
        path: `${pathname}${search}`,
        method: method as 'POST',
        headers: { ...headers },
        body: body === undefined || body === null ? null : String(body),
        signal: signal ?? null,
      });
      const chunks: Buffer[] = [];
      let octets = 0;
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        octets += chunk.length;
        if (octets > MAX_ANSWER_BYTES) throw new TooLarge('the answer of the token endpoint is too large');
        chunks.push(chunk);
      }
      const type = answer.headers['content-type'];
      return new Response(Buffer.concat(chunks), {
        status: answer.statusCode,
        headers: { 'content-type': Array.isArray(type) ? type.join(', ') : (type ?? '') },
      });
    },
    // An exchange that is under way has its own time limit.
    close: () => {
      isClosed = true;
      void opened?.then(
        ({ pool }) => pool.close(),
        () => undefined,
      );
    },
  };
};
