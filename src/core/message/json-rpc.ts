/** JSON-RPC 2.0 envelopes as closed objects: what is none of the three kinds is refused. */
import type { Json, JsonObject } from '../encoding/json.ts';
import { isObject } from '../encoding/members.ts';
import { MAX_BATCH } from '../limits.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import { readName } from './spelling.ts';

export type RpcId = string | number;

export interface RpcRequest {
  readonly kind: 'request';
  readonly id: RpcId;
  readonly method: string;
  readonly params: JsonObject | undefined;
}
export interface RpcNotification {
  readonly kind: 'notification';
  readonly method: string;
  readonly params: JsonObject | undefined;
}
export interface RpcResponse {
  readonly kind: 'response';
  /** Undefined in an error about a message whose id could not be read. */
  readonly id: RpcId | undefined;
  /** One of the two. */
  readonly result: Json | undefined;
  readonly error: JsonObject | undefined;
}
export type Envelope = RpcRequest | RpcNotification | RpcResponse;

export interface Envelopes {
  /** At least one. */
  readonly items: readonly Envelope[];
  readonly batch: boolean;
}

const isId = (value: Json | undefined): value is RpcId =>
  typeof value === 'string' || Number.isSafeInteger(value);

const hasOnly = (object: JsonObject, ...names: readonly string[]): boolean => {
  for (const name in object) if (!names.includes(name)) return false;
  return true;
};

const readCall = (value: JsonObject): Verdict<Envelope> => {
  if (!hasOnly(value, 'jsonrpc', 'id', 'method', 'params'))
    return deny('message_malformed', 'a call has a member that JSON-RPC does not know');
  const method = readName(value.method, 'the method');
  if (!method.ok) return method;
  // These are our words for what is no call; a message must not pass for it.
  if (method.value === 'response' || method.value.startsWith('http:'))
    return deny('message_malformed', 'the method is a reserved word');
  const { id, params } = value;
  if (params !== undefined && !isObject(params))
    return deny('message_malformed', 'the parameters are no object');
  if (id === undefined) return grant({ kind: 'notification', method: method.value, params });
  if (!isId(id)) return deny('message_malformed', 'the id is neither a string nor a safe integer');
  return grant({ kind: 'request', id, method: method.value, params });
};

const readAnswer = (value: JsonObject): Verdict<Envelope> => {
  const { id, result, error } = value;
  if (!hasOnly(value, 'jsonrpc', 'id', 'result', 'error') || (result === undefined) === (error === undefined))
    return deny('message_malformed', 'an answer is not one result or one error');
  if (error !== undefined && !isObject(error)) return deny('message_malformed', 'the error is no object');
  if (isId(id)) return grant({ kind: 'response', id, result, error });
  return error !== undefined && (id === undefined || id === null)
    ? grant({ kind: 'response', id: undefined, result: undefined, error })
    : deny('message_malformed', 'the id of an answer is neither a string nor a safe integer');
};

const readItem = (value: Json): Verdict<Envelope> => {
  if (!isObject(value)) return deny('message_malformed', 'a message is no object');
  if (value.jsonrpc !== '2.0') return deny('message_malformed', 'a message is not of JSON-RPC 2.0');
  return value.method === undefined ? readAnswer(value) : readCall(value);
};

/** Ids are told apart by kind: the answer to a request of the server may have the id of a request of the client. */
const repeatsId = (items: readonly Envelope[]): boolean => {
  const seen = new Set<string>();
  for (const item of items) {
    if (item.kind === 'notification' || item.id === undefined) continue;
    // Some readers take 1 and "1" for the same.
    const key = `${item.kind} ${item.id}`;
    if (seen.has(key)) return true;
    seen.add(key);
  }
  return false;
};

/** One envelope, or an array of 1–{@link MAX_BATCH} of them. Refuses with `message_malformed`, `message_ambiguous`. */
export const readEnvelopes = (value: Json): Verdict<Envelopes> => {
  const batch = Array.isArray(value);
  const values: readonly Json[] = batch ? value : [value];
  if (values.length === 0 || values.length > MAX_BATCH)
    return deny('message_malformed', `a batch of ${values.length} messages, 1–${MAX_BATCH} allowed`);
  const items: Envelope[] = [];
  for (const one of values) {
    const item = readItem(one);
    if (!item.ok) return item;
    items.push(item.value);
  }
  if (repeatsId(items)) return deny('message_ambiguous', 'two messages of a batch have the same id');
  return grant({ items, batch });
};
