/** An upstream beyond the mesh: no trailer takes a credential out, and its answers are looked at first, so that none comes in. */
import type { Upstream, UpstreamHandler, UpstreamRequest } from '../http/upstream.ts';
import { apiTrailers, returnedHeaders } from './api-headers.ts';
import { GuardedSocket } from './guarded-socket.ts';

export interface ReturnedOptions {
  /** What must not come back; undefined where none was sent. */
  readonly secret: string | undefined;
  /** Header of the credential that was sent. */
  readonly header: string | undefined;
  /** 401: the credential was not taken. */
  readonly onUnauthorized: () => void;
  /** It came back over a WebSocket, which has been ended. */
  readonly onShown: () => void;
}

const UNAUTHORIZED = 401;

export const withReturnedHeaders = (
  upstream: Upstream,
  { secret, header, onUnauthorized, onShown }: ReturnedOptions,
): Upstream => {
  const looked = (headers: readonly string[]): readonly string[] => returnedHeaders(headers, secret);
  const leaving = ({ body }: UpstreamRequest): UpstreamRequest['body'] =>
    body === null || Buffer.isBuffer(body)
      ? body
      : { stream: body.stream, trailers: () => apiTrailers(body.trailers(), header) };
  return {
    send: (request, handler: UpstreamHandler) =>
      upstream.send(
        { ...request, body: leaving(request) },
        {
          onInformation: (status, headers) => handler.onInformation(status, looked(headers)),
          onHead: (status, headers, isWhole) => {
            if (status === UNAUTHORIZED) onUnauthorized();
            handler.onHead(status, looked(headers), isWhole);
          },
          onData: (chunk) => handler.onData(chunk),
          onEnd: (trailers) => handler.onEnd(looked(trailers)),
          onUpgrade: (headers, socket, head) => {
            if (secret === undefined) handler.onUpgrade(looked(headers), socket, head);
            else
              handler.onUpgrade(
                looked(headers),
                new GuardedSocket({ socket, head, secret, onShown }),
                Buffer.alloc(0),
              );
          },
          onFailure: (failure) => handler.onFailure(failure),
        },
      ),
  };
};
