/** A2A, HTTP+JSON binding: versions 1.0 and 0.3. What the path says, the query and the body may say again, and not otherwise. */
import type { Json, JsonObject } from '../encoding/json.ts';
import { isObject } from '../encoding/members.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { type A2aHttpCall, readA2aGet } from './a2a.ts';
import { readA2aSent, readA2aSkill, sentOperations } from './a2a-params.ts';
import { type RestCall, readRestPath } from './a2a-rest-path.ts';
import { readJsonBody } from './json-body.ts';
import { A2A_REST_TYPES, checkMedia } from './media.ts';
import type { Message, Operation } from './message.ts';
import { type Named, single } from './operation.ts';
import { foldName, misspelling, readNames, readOptionalName } from './spelling.ts';

export interface A2aRestCall extends A2aHttpCall {
  /** What follows `?`, as sent; '' where there is none. */
  readonly query: string;
}

interface Query {
  readonly contextId: string;
  readonly tenant: string;
}

/** Members of requests that a transcoder would also take from the query. */
const IN_QUERY = new Set(
  ['id', 'taskId', 'contextId', 'tenant', 'name', 'parent', 'message', 'request', 'metadata'].map(foldName),
);

/** Brackets are how some write members of members. */
const foldParameter = (name: string): string => foldName(name).replace(/[^\p{L}\p{N}]/gu, '');

const decode = (text: string): string | undefined => {
  // A plus is a space to some.
  if (text.includes('+')) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

const readQuery = (query: string, method: string): Verdict<Query> => {
  const found: Record<string, string> = {};
  for (const part of query.split('&')) {
    const at = part.indexOf('=');
    const name = decode(at === -1 ? part : part.slice(0, at));
    if (name === undefined) return deny('message_ambiguous', 'a query name that readers decode differently');
    if (!IN_QUERY.has(foldParameter(name))) continue;
    if (name !== 'tenant' && (name !== 'contextId' || method !== 'ListTasks'))
      return deny('message_ambiguous', 'the query says what path or body say');
    const value = decode(at === -1 ? '' : part.slice(at + 1));
    if (value === undefined || found[name] !== undefined)
      return deny('message_ambiguous', 'a query value that occurs twice, or that readers decode differently');
    found[name] = value;
  }
  const contextId = readOptionalName(found.contextId, 'the context');
  if (!contextId.ok) return contextId;
  return grant({ contextId: contextId.value, tenant: found.tenant ?? '' });
};

/** Undefined where there is none; `null` is what 0.3 clients in Go and Python send for none. */
const readBody = (call: A2aRestCall): Verdict<JsonObject | undefined> => {
  if (call.octets.length === 0) return grant(undefined);
  const media = checkMedia(call.headers, A2A_REST_TYPES);
  if (media !== undefined) return media;
  const body = readJsonBody(call.octets);
  if (!body.ok) return body;
  if (body.value === null) return grant(undefined);
  return isObject(body.value) ? grant(body.value) : deny('message_malformed', 'the body is no object');
};

const NO_BODY: JsonObject = Object.freeze(Object.create(null));
const SENT = readNames('tenant', 'request');
/** Of a body whose task stands in the path. `name` and `parent` are resource names of 0.3. */
const AGAIN = readNames('id', 'taskId', 'name', 'parent', 'tenant');

const isAgain = (value: Json | undefined, ...same: readonly string[]): boolean =>
  value === undefined || value === null || value === '' || same.includes(value as string);

const CONFIG_NAME = /^(tasks\/[^/]+)\/pushNotificationConfigs\/[^/]+$/;

/** Whether the body names the task of the path, or none. */
const checkAgain = (body: JsonObject, call: RestCall): Denial | undefined => {
  const fault = misspelling(body, AGAIN, 'the body');
  if (fault !== undefined) return fault;
  const { taskId, method } = call;
  const name = `tasks/${taskId}`;
  const isConfig = method === 'CreateTaskPushNotificationConfig';
  const [, ofConfig] = (typeof body.name === 'string' && CONFIG_NAME.exec(body.name)) || [];
  const same =
    // Of a configuration, `id` is its own.
    (isConfig || isAgain(body.id, taskId)) &&
    isAgain(body.taskId, taskId) &&
    isAgain(body.parent, name) &&
    (isAgain(body.name, name) || (isConfig && ofConfig === name));
  return same ? undefined : deny('message_ambiguous', 'the path and the body name two tasks');
};

const checkTenant = (call: RestCall, query: Query, body: JsonObject | undefined): Denial | undefined => {
  const named = [call.tenant ?? '', query.tenant, body?.tenant ?? ''].filter((one) => one !== '');
  return named.every((one) => one === named[0])
    ? undefined
    : deny('message_ambiguous', 'path, query and body name two tenants');
};

const readNamed = (call: RestCall, body: JsonObject | undefined, skillMember: string): Verdict<Named> => {
  if (call.method === 'SendMessage' || call.method === 'SendStreamingMessage') {
    if (body === undefined) return deny('message_malformed', 'no message');
    const fault = misspelling(body, SENT, 'the body');
    if (fault !== undefined) return fault;
    // 0.3 knows the message by both names.
    if (body.request !== undefined) return deny('message_ambiguous', 'the message under its other name');
    return readA2aSent(body, skillMember);
  }
  if (body === undefined) return grant({ taskId: call.taskId });
  const fault = checkAgain(body, call);
  if (fault !== undefined) return fault;
  const skill = readA2aSkill(body, skillMember);
  if (!skill.ok) return skill;
  // Some servers read the body of a request that has its task in the path, others don't.
  return skill.value === ''
    ? grant({ taskId: call.taskId })
    : deny('message_ambiguous', 'a skill that not every server reads');
};

const readCall = (call: A2aRestCall, skillMember: string): Verdict<readonly Operation[]> => {
  const path = readRestPath(call.method, call.path);
  if (!path.ok) return path;
  if (call.method !== 'POST' && call.octets.length > 0)
    return deny('message_malformed', `${call.method} with a body`);
  const query = readQuery(call.query, path.value.method);
  if (!query.ok) return query;
  const body = readBody(call);
  if (!body.ok) return body;
  const tenant = checkTenant(path.value, query.value, body.value);
  if (tenant !== undefined) return tenant;
  const named = readNamed(path.value, body.value, skillMember);
  if (!named.ok) return named;
  const { contextId } = query.value;
  const all = contextId === '' ? named.value : { ...named.value, contextId };
  return grant(sentOperations(path.value.method, all, body.value ?? NO_BODY));
};

/** Refuses with `message_type`, `message_encoding`, `message_malformed`, `message_ambiguous`. */
export const readA2aRest = (call: A2aRestCall, skillMember: string): Verdict<Message> => {
  const isCard = call.method === 'GET' && call.path.startsWith('/.well-known/');
  if (isCard) {
    const card = readA2aGet(call.octets, call.path);
    return card.ok ? grant(single('a2a-rest', card.value)) : card;
  }
  const read = readCall(call, skillMember);
  return read.ok ? grant(single('a2a-rest', ...read.value)) : read;
};
