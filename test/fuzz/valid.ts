/** Requests that the protocols allow, as clients send them: what mutations start from. */
import type { Message } from '../../src/core/message/message.ts';
import type { Random } from './random.ts';

/** A request before it is octets. */
export interface Sent {
  readonly protocol: Message['protocol'];
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: string[];
  /** Undefined: no body. */
  readonly body: unknown;
}

const WORDS = [
  'read',
  'ec2.stop',
  'report-7',
  'a',
  'été',
  'x/y',
  'Ω',
  '😀',
  'tools/call',
  'id',
  'K',
  'true',
  '0',
];
const word = (random: Random): string => (random.once(8) ? random.next().toString(36) : random.pick(WORDS));
const text = (random: Random): string => `${word(random)} "${word(random)}" \\ ${word(random)}\n`;

const value = (random: Random, depth = 0): unknown => {
  switch (random.below(depth > 3 ? 6 : 8)) {
    case 0:
      return null;
    case 1:
      return random.once(2);
    case 2:
      return random.below(2 ** 31) - 2 ** 30;
    case 3:
      return random.next() / 1e5;
    case 4:
      return text(random);
    case 5:
      return word(random);
    case 6:
      return Array.from({ length: random.below(4) }, () => value(random, depth + 1));
    default:
      return object(random, depth + 1);
  }
};

/** No two names that differ in case alone, which we refuse. */
const object = (random: Random, depth = 0): Record<string, unknown> =>
  Object.fromEntries(
    Array.from({ length: random.below(4) }, (_, at) => [`${word(random)}${at}`, value(random, depth)]),
  );

const maybe = (random: Random, name: string, make: () => unknown): Record<string, unknown> =>
  random.once(2) ? { [name]: make() } : {};

let ordinal = 0;
const id = (random: Random): string | number => {
  ordinal++;
  return random.once(3) ? `r-${ordinal}` : ordinal;
};

const REVISION = 'io.modelcontextprotocol/protocolVersion';
const metaOf = (random: Random): Record<string, unknown> =>
  maybe(random, '_meta', () => ({
    progressToken: random.below(99),
    ...maybe(random, 'x/y', () => word(random)),
  }));

const mcpCall = (random: Random): { method: string; params?: Record<string, unknown> } => {
  const named = { name: word(random), ...metaOf(random) };
  switch (random.below(15)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return {
        method: 'tools/call',
        params: { ...named, ...maybe(random, 'arguments', () => object(random)) },
      };
    case 4:
      return {
        method: 'tools/call',
        params: { ...named, inputResponses: { q: { action: 'accept' } }, requestState: word(random) },
      };
    case 5:
      return {
        method: 'prompts/get',
        params: { ...named, ...maybe(random, 'arguments', () => ({ code: text(random), b: word(random) })) },
      };
    case 6:
      return {
        method: random.pick(['resources/read', 'resources/subscribe', 'resources/unsubscribe']),
        params: { uri: `file:///${word(random)}`, ...metaOf(random) },
      };
    case 7:
      return {
        method: 'completion/complete',
        params: {
          ref: random.once(2)
            ? { type: 'ref/prompt', name: word(random) }
            : { type: 'ref/resource', uri: `a:{${word(random)}}` },
          argument: { name: 'x', value: word(random) },
        },
      };
    case 8:
      return {
        method: random.pick(['tasks/get', 'tasks/result', 'tasks/cancel']),
        params: { taskId: word(random) },
      };
    case 9:
      return {
        method: 'subscriptions/listen',
        params: {
          notifications: {
            toolsListChanged: true,
            ...maybe(random, 'resourceSubscriptions', () => [`a:${word(random)}`, `b:${word(random)}`]),
          },
        },
      };
    case 10:
      return {
        method: 'initialize',
        params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
      };
    case 11:
      return { method: 'logging/setLevel', params: { level: 'info' } };
    case 12:
      return { method: `vendor/${word(random)}`, params: object(random) };
    default:
      return {
        method: random.pick([
          'ping',
          'tools/list',
          'prompts/list',
          'resources/list',
          'resources/templates/list',
        ]),
        ...maybe(random, 'params', () => metaOf(random)),
      };
  }
};

const mcpItem = (random: Random): Record<string, unknown> => {
  switch (random.below(8)) {
    case 0:
      return {
        jsonrpc: '2.0',
        method: random.pick(['notifications/initialized', 'notifications/roots/list_changed']),
      };
    case 1:
      return random.once(2)
        ? { jsonrpc: '2.0', id: id(random), result: object(random) }
        : { jsonrpc: '2.0', id: id(random), error: { code: -32000, message: text(random) } };
    default:
      return { jsonrpc: '2.0', id: id(random), ...mcpCall(random) };
  }
};

const JSON_TYPES = ['application/json', 'application/json; charset=utf-8', 'application/json;charset=UTF-8'];

const mcp = (random: Random): Sent => {
  const accept = ['accept', 'application/json, text/event-stream', 'content-type', random.pick(JSON_TYPES)];
  const sent = { protocol: 'mcp', method: 'POST', path: '', query: '' } as const;
  if (random.once(10)) {
    const body = Array.from({ length: 1 + random.below(4) }, () => mcpItem(random));
    return {
      ...sent,
      headers: accept,
      body: body.filter(({ method }) => method !== 'initialize').concat(mcpPing()),
    };
  }
  const body = mcpItem(random);
  if (
    random.once(4) &&
    typeof body.method === 'string' &&
    body.id !== undefined &&
    body.method !== 'initialize'
  ) {
    // As clients of revision 2026-07-28 do.
    const params = (body.params ?? {}) as Record<string, unknown>;
    const _meta = {
      [REVISION]: '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'x', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const headers = [...accept, 'mcp-protocol-version', '2026-07-28', 'mcp-method', body.method];
    const name = params.name ?? params.uri ?? params.taskId;
    const isNamed = ['tools/call', 'prompts/get', 'resources/read', 'tasks/get', 'tasks/cancel'].includes(
      body.method,
    );
    if (isNamed && typeof name === 'string')
      headers.push(
        'mcp-name',
        /^[!-~]+$/.test(name) ? name : `=?base64?${Buffer.from(name).toString('base64')}?=`,
      );
    return { ...sent, headers, body: { ...body, params: { ...params, _meta } } };
  }
  return { ...sent, headers: accept, body };
};
const mcpPing = () => ({ jsonrpc: '2.0', id: `ping-${++ordinal}`, method: 'ping' });

const metadata = (random: Random, skill: string): Record<string, unknown> =>
  maybe(random, 'metadata', () => ({ ...object(random), ...maybe(random, 'skillId', () => skill) }));

const sentMessage = (random: Random, version: string): Record<string, unknown> => {
  const skill = word(random);
  const config = { url: 'https://example.com/hook', token: word(random) };
  const old = version === '0.3';
  return {
    message: {
      ...(old ? { kind: 'message', role: 'user' } : { role: 'ROLE_USER' }),
      messageId: word(random),
      parts: [old ? { kind: 'text', text: text(random) } : { text: text(random) }],
      ...maybe(random, 'taskId', () => word(random)),
      ...maybe(random, 'contextId', () => word(random)),
      ...metadata(random, skill),
    },
    ...maybe(random, 'configuration', () => ({
      acceptedOutputModes: ['text/plain'],
      ...maybe(random, old ? 'pushNotificationConfig' : 'taskPushNotificationConfig', () => config),
    })),
    ...metadata(random, skill),
  };
};

const A2A = {
  '1.0': [
    'SendMessage',
    'SendStreamingMessage',
    'GetTask',
    'CancelTask',
    'SubscribeToTask',
    'ListTasks',
    'CreateTaskPushNotificationConfig',
    'GetTaskPushNotificationConfig',
    'ListTaskPushNotificationConfigs',
    'DeleteTaskPushNotificationConfig',
    'GetExtendedAgentCard',
  ],
  '0.3': [
    'message/send',
    'message/stream',
    'tasks/get',
    'tasks/cancel',
    'tasks/resubscribe',
    'tasks/pushNotificationConfig/set',
    'tasks/pushNotificationConfig/get',
    'tasks/pushNotificationConfig/list',
    'tasks/pushNotificationConfig/delete',
    'agent/getAuthenticatedExtendedCard',
  ],
} as const;

const a2aParams = (
  random: Random,
  method: string,
  version: '1.0' | '0.3',
): Record<string, unknown> | undefined => {
  if (/send/i.test(method) || method === 'message/stream') return sentMessage(random, version);
  if (/Card$/.test(method)) return undefined;
  if (method === 'ListTasks') return { ...maybe(random, 'contextId', () => word(random)), pageSize: 5 };
  const task = word(random);
  if (method === 'tasks/pushNotificationConfig/set')
    return { taskId: task, pushNotificationConfig: { url: 'https://example.com' } };
  if (method.startsWith('tasks/push')) return { id: task, pushNotificationConfigId: word(random) };
  if (/Push/.test(method)) return { taskId: task, id: word(random), url: 'https://example.com' };
  const more = maybe(random, 'historyLength', () => random.below(9));
  return { id: task, ...more, ...(random.once(3) ? metadata(random, word(random)) : {}) };
};

const a2a = (random: Random): Sent => {
  const version = random.pick(['1.0', '0.3'] as const);
  const method = random.once(25)
    ? `vendor/${word(random)}`
    : random.pick<string>([...A2A[version], ...A2A[version].slice(0, 2)]);
  const params = a2aParams(random, method, version);
  return {
    protocol: 'a2a',
    method: 'POST',
    path: '',
    query: '',
    headers: ['content-type', random.pick(JSON_TYPES), 'a2a-version', version],
    body: { jsonrpc: '2.0', id: id(random), method, ...(params === undefined ? {} : { params }) },
  };
};

const rest = (random: Random): Sent => {
  const version = random.pick(['1.0', '0.3'] as const);
  const task = random.next().toString(36);
  const config = random.next().toString(36);
  const base = version === '0.3' ? '/v1' : random.pick(['', '', '/acme']);
  const type =
    version === '0.3' ? 'application/json' : random.pick(['application/json', 'application/a2a+json']);
  const make = (method: string, path: string, body?: unknown, query = ''): Sent => ({
    protocol: 'a2a-rest',
    method,
    path: base + path,
    query,
    headers: [...(body === undefined ? [] : ['content-type', type]), 'a2a-version', version],
    body,
  });
  const configs = `/tasks/${task}/pushNotificationConfigs`;
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      return make('POST', '/message:send', restBody(random, version));
    case 3:
      return make('POST', '/message:stream', restBody(random, version));
    case 4:
      return make('GET', `/tasks/${task}`, undefined, random.pick(['', 'historyLength=3']));
    case 5:
      return version === '1.0'
        ? make(
            'GET',
            '/tasks',
            undefined,
            random.pick(['', `contextId=${task}`, `contextId=%C3%A9&pageSize=2`]),
          )
        : make('GET', '/card');
    case 6:
      return make(
        'POST',
        `/tasks/${task}:cancel`,
        random.pick([undefined, {}, { id: task }, { metadata: object(random) }]),
      );
    case 7:
      return make(random.pick(['GET', 'POST']), `/tasks/${task}:subscribe`);
    case 8:
      return make(
        'POST',
        configs,
        version === '1.0'
          ? { id: config, url: 'https://example.com', ...maybe(random, 'taskId', () => task) }
          : {
              name: `tasks/${task}/pushNotificationConfigs/${config}`,
              pushNotificationConfig: { url: 'https://example.com' },
            },
      );
    case 9:
      return make('GET', configs);
    case 10:
      return make(random.pick(['GET', 'DELETE']), `${configs}/${config}`);
    default:
      return version === '1.0' ? make('GET', '/extendedAgentCard') : make('GET', '/card');
  }
};

/** 0.3 has another JSON over HTTP than over JSON-RPC: that of its protocol buffers. */
const restBody = (random: Random, version: string): Record<string, unknown> => {
  const body = sentMessage(random, '1.0');
  if (version === '1.0') return body;
  const message = body.message as Record<string, unknown>;
  const { parts, ...others } = message;
  const { configuration: _, ...rest } = body;
  return { ...rest, message: { ...others, content: parts } };
};

/** One request in ten is without a body; the rest are about as many of each protocol. */
export const validRequest = (random: Random): Sent => {
  switch (random.below(5)) {
    case 0:
    case 1:
      return mcp(random);
    case 2:
    case 3:
      return a2a(random);
    default:
      return rest(random);
  }
};
