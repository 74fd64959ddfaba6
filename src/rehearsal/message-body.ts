/** Messages of MCP and A2A as their clients send them, of the little that a test says. */
import type { RequestConfig } from '../config/policy-test-schema.ts';

type Mcp = NonNullable<RequestConfig['mcp']>;
type A2a = NonNullable<RequestConfig['a2a']>;

const rpc = (method: string, params: object, isNotification = false): string =>
  JSON.stringify({ jsonrpc: '2.0', ...(!isNotification && { id: 1 }), method, params });

export const mcpBody = ({ method, tool, prompt, resource, arguments: given }: Mcp): string => {
  const name = tool ?? prompt;
  const params = {
    ...(name !== undefined && { name, arguments: given }),
    ...(resource !== undefined && { uri: resource }),
  };
  return rpc(method, params, method.startsWith('notifications/'));
};

export const a2aBody = ({ method, skill, text, task, context }: A2a): string => {
  const metadata = skill === undefined ? {} : { metadata: { skillId: skill } };
  if (method !== 'SendMessage' && method !== 'SendStreamingMessage')
    return rpc(method, {
      ...(task !== undefined && { id: task }),
      ...(context !== undefined && { contextId: context }),
      ...metadata,
    });
  return rpc(method, {
    message: {
      messageId: 'm-1',
      role: 'ROLE_USER',
      parts: [{ text }],
      ...(task !== undefined && { taskId: task }),
      ...(context !== undefined && { contextId: context }),
      ...metadata,
    },
  });
};
