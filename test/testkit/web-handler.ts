/** A handler of web requests behind a Node server, as the adapters of SDKs make it: streamed both ways, ended when the client leaves. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';

const requestOf = (request: IncomingMessage, response: ServerResponse): Request => {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const hasBody = request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'DELETE';
  const headers = new Headers();
  for (let at = 0; at < request.rawHeaders.length; at += 2)
    headers.append(request.rawHeaders[at] ?? '', request.rawHeaders[at + 1] ?? '');
  return new Request(`http://agent.internal${request.url ?? ''}`, {
    method: request.method ?? 'GET',
    headers,
    signal: gone.signal,
    ...(hasBody && { body: Readable.toWeb(request) as ReadableStream<Uint8Array>, duplex: 'half' }),
  });
};

export const webHandler =
  (handle: (request: Request) => Promise<Response>): RequestListener =>
  (request, response) => {
    void handle(requestOf(request, response)).then(async ({ status, headers, body }) => {
      response.writeHead(status, Object.fromEntries(headers));
      const reader = body?.getReader();
      response.once('close', () => void reader?.cancel().catch(() => undefined));
      for (;;) {
        const { done = true, value } = (await reader?.read()) ?? {};
        if (done) break;
        response.write(value);
      }
      response.end();
    });
  };
