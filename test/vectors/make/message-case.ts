/** What every vector of a message has. */
import { type Case, NOW } from './case.ts';

export type Call = Readonly<Record<string, unknown>>;

const JSON_TYPE = ['Content-Type', 'application/json'];
export const read = (comment: string, input: Call, expect: Case['expect']): Case => ({
  comment,
  source: '13.1',
  now: NOW,
  input,
  expect,
});
export type Said = Readonly<Record<string, unknown>>;
export const said = (batch: boolean, ...operations: readonly Said[]) => ({ reason: 'ok', operations, batch });

/** What differs from a POST of JSON to the route's own path. */
export const posted = (protocol: string, body: unknown, edit: Call = {}): Call => ({
  protocol,
  method: 'POST',
  path: '',
  headers: JSON_TYPE,
  body: typeof body === 'string' ? body : JSON.stringify(body),
  ...edit,
});
export const headers = (...more: readonly string[]) => ({ headers: [...JSON_TYPE, ...more] });

export const rpc = (method: string, params?: unknown, id: unknown = 1) => ({
  jsonrpc: '2.0',
  ...(id === undefined ? {} : { id }),
  method,
  ...(params === undefined ? {} : { params }),
});
export const note = (method: string, params?: unknown) => ({
  jsonrpc: '2.0',
  method,
  ...(params === undefined ? {} : { params }),
});
export const CALL = rpc('tools/call', { name: 'query', arguments: { q: 'x' } });
export const CALLED = { kind: 'request', method: 'tools/call', tool: 'query', arguments: { q: 'x' }, id: 1 };

export const mcp = (comment: string, body: unknown, expect: string | Case['expect'], edit: Call = {}): Case =>
  read(comment, posted('mcp', body, edit), typeof expect === 'string' ? { reason: expect } : expect);
export const request = (method: string, more: Said = {}): Said => ({
  kind: 'request',
  method,
  ...more,
  id: 1,
});
