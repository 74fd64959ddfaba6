/** MCP, what a server sends: an `application/json` answer, or the data of one event of a stream. */
import { canonicalJson, type Json, type JsonObject } from '../encoding/json.ts';
import { sha256Base64url } from '../encoding/jws.ts';
import { isObject } from '../encoding/members.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { readJsonResponse } from './json-body.ts';
import { type Envelope, type Envelopes, type RpcId, readEnvelopes } from './json-rpc.ts';
import { foldName, misspelling, readName, readNames } from './spelling.ts';

export type ServerMessage =
  | { readonly kind: 'response'; readonly id: RpcId | undefined; readonly result: Json | undefined }
  /** `embedded`: it stands in the answer to the request with this id, to be answered before that is tried again. */
  | {
      readonly kind: 'request';
      readonly method: string;
      readonly id: RpcId | undefined;
      readonly embedded: boolean;
    }
  | { readonly kind: 'notification'; readonly method: string };

/** Of a result, whatever its request was: what asks the client for something, and what may be filtered. */
const RESULT = readNames('inputRequests', 'tools');
const EMBEDDED = readNames('method');
const ERROR = readNames('code', 'data');
const ERROR_DATA = readNames('elicitations');
/** Of 2025-11-25: the client is to open URLs, which stand in the error’s data, and then to try again. */
const URL_ELICITATION_REQUIRED = -32042;
const TOOL = readNames('name');

const malformed = (what: string): Denial => deny('response_malformed', what);
/** A fault of a request's reader, found in an answer. */
const asResponse = (denial: Denial): Denial => malformed(denial.detail);

const embeddedRequests = (result: Json | undefined, id: RpcId | undefined): Verdict<ServerMessage[]> => {
  if (result === undefined || !isObject(result)) return grant([]);
  const fault = misspelling(result, RESULT, 'the result');
  if (fault !== undefined) return asResponse(fault);
  const { inputRequests } = result;
  if (inputRequests === undefined || inputRequests === null) return grant([]);
  if (!isObject(inputRequests)) return malformed('inputRequests is no object');
  const found: ServerMessage[] = [];
  for (const request of Object.values(inputRequests)) {
    if (!isObject(request)) return malformed('a request within a result is no object');
    const misspelt = misspelling(request, EMBEDDED, 'a request');
    if (misspelt !== undefined) return asResponse(misspelt);
    const method = readName(request.method, 'the method');
    if (!method.ok) return asResponse(method);
    found.push({ kind: 'request', method: method.value, id, embedded: true });
  }
  return grant(found);
};

/** An error that asks the user to open something is an elicitation, whichever way it comes. */
const errorRequests = (error: JsonObject, id: RpcId | undefined): Verdict<ServerMessage[]> => {
  const { code, data } = error;
  const fault =
    misspelling(error, ERROR, 'the error') ??
    (data !== undefined && isObject(data) ? misspelling(data, ERROR_DATA, 'its data') : undefined);
  if (fault !== undefined) return asResponse(fault);
  const asks =
    code === URL_ELICITATION_REQUIRED ||
    (data !== undefined && isObject(data) && data.elicitations !== undefined);
  return grant(asks ? [{ kind: 'request', method: 'elicitation/create', id, embedded: true }] : []);
};

const readMessagesOf = (envelope: Envelope): Verdict<readonly ServerMessage[]> => {
  switch (envelope.kind) {
    case 'request':
      return grant([{ kind: 'request', method: envelope.method, id: envelope.id, embedded: false }]);
    case 'notification':
      return grant([{ kind: 'notification', method: envelope.method }]);
    case 'response': {
      const { id, result, error } = envelope;
      const embedded = error === undefined ? embeddedRequests(result, id) : errorRequests(error, id);
      return embedded.ok ? grant([{ kind: 'response', id, result }, ...embedded.value]) : embedded;
    }
  }
};

const readSent = (text: string): Verdict<{ readonly value: Json; readonly envelopes: Envelopes }> => {
  const value = readJsonResponse(text);
  if (!value.ok) return value;
  const envelopes = readEnvelopes(value.value);
  return envelopes.ok ? grant({ value: value.value, envelopes: envelopes.value }) : asResponse(envelopes);
};

/** Whether some client could take a text for messages: JSON as any reader has it, with the member that says so. */
export const isMessageText = (text: string): boolean => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  return items.some(
    (item) =>
      typeof item === 'object' &&
      item !== null &&
      Object.keys(item).some((name) => foldName(name) === 'jsonrpc'),
  );
};

/**
 * What a server sends, one message or an array of them; requests that stand within an answer come behind it.
 * Refuses with `response_malformed`.
 */
export const readServerMessages = (text: string): Verdict<readonly ServerMessage[]> => {
  // Streams begin with an event without data, so that the client has an id to resume from.
  if (text === '') return grant([]);
  const sent = readSent(text);
  if (!sent.ok) return sent;
  const messages: ServerMessage[] = [];
  for (const item of sent.value.envelopes.items) {
    const read = readMessagesOf(item);
    if (!read.ok) return read;
    messages.push(...read.value);
  }
  return grant(messages);
};

/** Of one answer; a server that has more sends them page by page. */
const MOST_TOOLS = 1000;

export interface OfferedTool {
  readonly name: string;
  /** base64url SHA-256 over the canonical JSON (RFC 8785, so numbers are doubles) of the whole definition, 43 characters. */
  readonly digest: string;
}

/** The tools of a result of `tools/list`, in their order. Refuses with `response_malformed`, also a name that occurs twice. */
export const toolsOf = (result: Json | undefined): Verdict<readonly OfferedTool[]> => {
  if (result === undefined || !isObject(result) || !Array.isArray(result.tools))
    return malformed('the result lists no tools');
  if (result.tools.length > MOST_TOOLS) return malformed(`more than ${MOST_TOOLS} tools in one answer`);
  const fault = misspelling(result, RESULT, 'the result');
  if (fault !== undefined) return asResponse(fault);
  const tools = new Map<string, OfferedTool>();
  for (const tool of result.tools as readonly Json[]) {
    if (!isObject(tool)) return malformed('a tool is no object');
    const misspelt = misspelling(tool, TOOL, 'a tool');
    if (misspelt !== undefined) return asResponse(misspelt);
    const name = readName(tool.name, 'the name of a tool');
    if (!name.ok) return asResponse(name);
    if (tools.has(name.value)) return malformed('two tools have one name');
    tools.set(name.value, { name: name.value, digest: sha256Base64url(canonicalJson(tool)) });
  }
  return grant([...tools.values()]);
};

/** The same result with only those tools. For results that {@link toolsOf} has read. */
export const filterTools = (result: JsonObject, keep: (name: string) => boolean): JsonObject => {
  const { tools } = result;
  if (!Array.isArray(tools)) return result;
  const kept = (tools as readonly JsonObject[]).filter(({ name }) => typeof name === 'string' && keep(name));
  return Object.assign(Object.create(null), result, { tools: kept });
};

/**
 * The text of what a server sends with other results in place of its own. A result for which `rewrite` returns the very
 * value it was given stays; where all do, so does the text. Refuses with `response_malformed`.
 */
export const rewriteResults = (
  text: string,
  rewrite: (id: RpcId | undefined, result: Json) => Json,
): Verdict<string> => {
  if (text === '') return grant(text);
  const sent = readSent(text);
  if (!sent.ok) return sent;
  const { value, envelopes } = sent.value;
  const values = (envelopes.batch ? value : [value]) as readonly JsonObject[];
  let changed = false;
  const written = envelopes.items.map((item, at) => {
    if (item.kind !== 'response' || item.result === undefined) return values[at];
    const result = rewrite(item.id, item.result);
    changed ||= result !== item.result;
    return { ...values[at], result };
  });
  return grant(changed ? JSON.stringify(envelopes.batch ? written : written[0]) : text);
};
