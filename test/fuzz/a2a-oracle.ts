/** The server of @a2a-js/sdk, both bindings and both versions, as it reads a request: real Express, real handlers. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import { jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';
import type { MessageInput } from '../../src/core/message/read-message.ts';
import { oneSkill, type Reading, skillsOf, withAddress } from './readings.ts';

const CARD = {
  capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true },
  supportedInterfaces: ['JSONRPC', 'HTTP+JSON'].flatMap((protocolBinding) =>
    ['1.0', '0.3'].map((protocolVersion) => ({ protocolBinding, protocolVersion })),
  ),
};

type Params = Readonly<Record<string, unknown>>;

/** Says what it was asked for, and does nothing. */
const recorder = (record: (reading: Reading) => void): A2ARequestHandler => {
  const asked = (method: string, params: Params, named: Reading): void =>
    record({ kind: 'request', method, skill: oneSkill(skillsOf(params)), ...named });
  const text = (value: unknown): string => (value ?? '') as string;
  const sent = (method: string) => (params: Params) => {
    const message = (params.message ?? {}) as Params;
    const taskId = text(message.taskId);
    asked(method, params, { taskId, contextId: text(message.contextId) });
    const [, address] = withAddress({ taskId }, params);
    if (address !== undefined) record(address);
  };
  const about = (method: string, member: string) => (params: Params) =>
    asked(method, params, { taskId: text(params[member]), contextId: '' });
  const stop = (): never => {
    throw new Error('recorded');
  };
  const answer = (note: (params: Params) => void) => async (params: object) => {
    note(params as Params);
    return stop();
  };
  const stream = (note: (params: Params) => void) =>
    async function* (params: object): AsyncGenerator<never, void, undefined> {
      note(params as Params);
      yield* [];
    };
  return {
    getAgentCard: async () => CARD as never,
    getAuthenticatedExtendedAgentCard: answer((params) => asked('GetExtendedAgentCard', params, {})),
    sendMessage: answer(sent('SendMessage')),
    sendMessageStream: stream(sent('SendStreamingMessage')),
    getTask: answer(about('GetTask', 'id')),
    cancelTask: answer(about('CancelTask', 'id')),
    resubscribe: stream(about('SubscribeToTask', 'id')),
    listTasks: answer((params) =>
      asked('ListTasks', params, { contextId: text(params.contextId), taskId: '' }),
    ),
    createTaskPushNotificationConfig: answer(about('CreateTaskPushNotificationConfig', 'taskId')),
    getTaskPushNotificationConfig: answer(about('GetTaskPushNotificationConfig', 'taskId')),
    listTaskPushNotificationConfigs: answer(about('ListTaskPushNotificationConfigs', 'taskId')),
    deleteTaskPushNotificationConfig: answer(about('DeleteTaskPushNotificationConfig', 'taskId')),
  };
};

/** Header names as Node gives them to a server: in lower case, the first of a content type that comes twice. */
const headersOf = ({ headers, octets }: MessageInput): Record<string, string> => {
  const found: Record<string, string> = {};
  for (let at = 0; at < headers.length; at += 2) {
    const name = (headers[at] ?? '').toLowerCase();
    found[name] ??= headers[at + 1] ?? '';
  }
  if (octets.length > 0) found['content-length'] = String(octets.length);
  return found;
};

/** It logs what it refuses. */
const unheard = async (act: () => Promise<void>): Promise<void> => {
  const { error, warn } = console;
  console.error = console.warn = () => {};
  try {
    await act();
  } finally {
    Object.assign(console, { error, warn });
  }
};

type Handle = (req: IncomingMessage, res: ServerResponse, next: () => void) => void;

/** What the server takes a request for; nothing where it refuses. */
export type AskA2a = (protocol: 'a2a' | 'a2a-rest', input: MessageInput) => Promise<readonly Reading[]>;

export const makeA2aOracle = (): AskA2a => {
  let readings: Reading[] = [];
  const options = {
    requestHandler: recorder((reading) => readings.push(reading)),
    userBuilder: UserBuilder.noAuthentication,
    legacyCompat: { enabled: true },
  };
  const apps = {
    a2a: express().use(jsonRpcHandler(options)),
    'a2a-rest': express().use(restHandler(options)),
  };
  return async (protocol, input) => {
    readings = [];
    const request = new IncomingMessage(new Socket());
    request.method = input.method;
    request.url = `${input.path || '/'}${input.query === '' ? '' : `?${input.query}`}`;
    request.headers = headersOf(input);
    request.push(input.octets);
    request.push(null);
    const response = new ServerResponse(request);
    const answered = new Promise<void>((resolve) => {
      const { end } = response;
      response.end = ((...given: Parameters<typeof end>) => {
        const result = end.apply(response, given);
        resolve();
        return result;
      }) as typeof end;
      (apps[protocol] as unknown as Handle)(request, response, () => resolve());
    });
    await unheard(() => answered);
    return readings;
  };
};
