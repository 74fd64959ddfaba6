/** A client of @a2a-js/sdk that speaks through a sidecar. */
import { SendMessageRequest } from '@a2a-js/sdk';
import {
  type Client,
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';
import type { A2aBinding } from './a2a-agent.ts';
import type { AgentFetch } from './agent-fetch.ts';

/** Reads the agent's card, and then speaks this binding and version of those that it names. */
export const connectA2a = async (
  through: AgentFetch,
  host: string,
  binding: A2aBinding = 'JSONRPC',
  version = '1.0',
): Promise<Client> => {
  const options = { fetchImpl: through.fetch, legacyCompat: { enabled: true } };
  const card = await new DefaultAgentCardResolver(options).resolve(`http://${host}`);
  const factory = new ClientFactory({
    transports: [new JsonRpcTransportFactory(options), new RestTransportFactory(options)],
  });
  return factory.createFromAgentCard({
    ...card,
    supportedInterfaces: card.supportedInterfaces.filter(
      (one) => one.protocolBinding === binding && one.protocolVersion === version,
    ),
  });
};

/** A message; the agent of `a2a-agent.ts` begins a longer task upon `wait`. */
export const message = (text: string, skill?: string): SendMessageRequest =>
  SendMessageRequest.fromJSON({
    message: {
      messageId: 'm-1',
      role: 'ROLE_USER',
      parts: [{ text }],
      ...(skill !== undefined && { metadata: { skillId: skill } }),
    },
    configuration: { returnImmediately: true },
  });
