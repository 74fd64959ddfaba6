/** An upstream beyond the mesh whose answers are looked at first: headers that carry a credential don't come in. */
import type { Upstream, UpstreamHandler } from '../http/upstream.ts';
import { returnedHeaders } from './api-headers.ts';

export interface ReturnedOptions {
  /** What must not come back; undefined where none was sent. */
  readonly secret: string | undefined;
  /** 401: the credential was not taken. */
  readonly onUnauthorized: () => void;
}

const UNAUTHORIZED = 401;

export const withReturnedHeaders = (
  upstream: Upstream,
  { secret, onUnauthorized }: ReturnedOptions,
): Upstream => {
  const looked = (headers: readonly string[]): readonly string[] => returnedHeaders(headers, secret);
  return {
    send: (request, handler: UpstreamHandler) =>
      upstream.send(request, {
        onInformation: (status, headers) => handler.onInformation(status, looked(headers)),
        onHead: (status, headers, isWhole) => {
          if (status === UNAUTHORIZED) onUnauthorized();
          handler.onHead(status, looked(headers), isWhole);
        },
        onData: (chunk) => handler.onData(chunk),
        onEnd: (trailers) => handler.onEnd(looked(trailers)),
        onUpgrade: (headers, socket, head) => handler.onUpgrade(looked(headers), socket, head),
        onFailure: (failure) => handler.onFailure(failure),
      }),
  };
};
