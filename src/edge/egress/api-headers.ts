/** Headers of requests that leave the mesh, and of what comes back: nothing of ours goes out, no credential comes in. */
import { type Destination, splitDestination } from '../../core/policy/destination.ts';

const HTTPS_PORT = 443;

/**
 * What an agent could authenticate itself with in our credential's place, at another account of the same API; and what names
 * our own traces, which are nobody's outside.
 */
const DROPPED = new Set([
  'host',
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-api-key',
  'api-key',
  'x-auth-token',
  'x-goog-api-key',
  'traceparent',
  'tracestate',
  'baggage',
]);

/** Some servers take `X_Api_Key` for `X-Api-Key`. */
const foldName = (name: string): string => name.toLowerCase().replaceAll('_', '-');

/** Whoever is out there has nothing to say of hops, and need not know of any. */
const isOfMesh = (folded: string): boolean =>
  folded.startsWith('hopgate-') || folded.startsWith('delegation-');

/** Headers as they go out: the agent's, less what is dropped, with the destination's name. `header`: that of our credential. */
export const apiHeaders = (
  headers: readonly string[],
  destination: Destination,
  header: string | undefined,
): string[] => {
  const { host, port } = splitDestination(destination);
  const out = ['host', port === HTTPS_PORT ? host : destination];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const folded = foldName(name);
    if (DROPPED.has(folded) || isOfMesh(folded) || folded === header) continue;
    out.push(name, headers[at + 1] as string);
  }
  return out;
};

/** Trailers as they go out: a server may join them to its headers (RFC 9110 §6.5.1), so nothing is in them that is not there. */
export const apiTrailers = (trailers: readonly string[], header: string | undefined): readonly string[] =>
  trailers.filter((_, at) => {
    const folded = foldName(trailers[at - (at % 2)] as string);
    return !DROPPED.has(folded) && !isOfMesh(folded) && folded !== header;
  });

/** Frames as they are: a compressed one could hold anything. */
export const withoutExtensions = (headers: readonly string[]): string[] =>
  headers.filter((_, at) => foldName(headers[at - (at % 2)] as string) !== 'sec-websocket-extensions');

/** Would let the agent go on in our session without us, or shows how we are known there. */
const NOT_RETURNED = new Set([
  'set-cookie',
  'set-cookie2',
  'authorization',
  'authentication-info',
  'proxy-authenticate',
  'proxy-authentication-info',
  'alt-svc',
  'strict-transport-security',
]);

/** Headers of the answer as the agent gets them: none in which the secret stands. */
export const returnedHeaders = (
  headers: readonly string[],
  secret: string | undefined,
): readonly string[] => {
  const out: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    const isShown = secret !== undefined && (value.includes(secret) || name.includes(secret));
    const folded = foldName(name);
    if (!isShown && !NOT_RETURNED.has(folded) && !isOfMesh(folded)) out.push(name, value);
  }
  return out;
};
