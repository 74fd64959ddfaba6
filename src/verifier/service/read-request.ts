/** A request becomes what its endpoint's schemas say, once and strictly; and what no honest client sends is refused first. */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { AnyEndpoint } from '../../api/endpoint.ts';
import { parseStrictObject } from '../../core/encoding/json.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import { describeIssues, Malformed } from './problems.ts';

/** Node keeps the first of two; who reads the second sees another request. */
const ONCE = new Set([
  'host',
  'content-length',
  'content-type',
  'transfer-encoding',
  'authorization',
  'if-none-match',
]);

/** Refuses with `http_header_duplicate`, `http_upgrade`, `api_malformed` what stands in the headers, before any of the body is read. */
export const checkHeaders = ({ rawHeaders, headers, method }: IncomingMessage): Denial | undefined => {
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (ONCE.has(name) && seen.has(name)) return deny('http_header_duplicate', `${name} occurs twice`);
    seen.add(name);
  }
  if (headers.upgrade !== undefined) return deny('http_upgrade', 'there is nothing to upgrade to');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return deny('api_malformed', 'a transfer coding other than chunked');
  if (coding !== undefined && headers['content-length'] !== undefined)
    return deny('api_malformed', 'Content-Length beside Transfer-Encoding');
  if (headers['content-encoding'] !== undefined)
    return deny('api_malformed', 'compressed bodies are not taken');
  const hasBody = coding !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return method === 'GET' && hasBody ? deny('api_malformed', 'a GET has no body') : undefined;
};

/** JSON octets to a value. Throws {@link Malformed} with `json_*`. */
export const parseBody = (octets: Buffer): unknown => {
  // DELETE and POST without a body.
  if (octets.length === 0) return undefined;
  const parsed = parseStrictObject(octets);
  if (!parsed.ok) throw new Malformed(parsed);
  return parsed.value;
};

const read = <S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Malformed(deny('api_malformed', describeIssues(where, parsed.error)));
};

/** Throws {@link Malformed} with `api_malformed`, naming what is wrong by its path. */
export const readRequest = (
  { params, query, body }: AnyEndpoint,
  sent: { readonly params: unknown; readonly query: unknown; readonly body: unknown },
): { readonly params: unknown; readonly query: unknown; readonly body: unknown } => ({
  params: read(params, sent.params, 'path'),
  query: read(query, sent.query, 'query'),
  body: read(body, sent.body, 'body'),
});
