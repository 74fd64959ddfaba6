/** A client of @modelcontextprotocol/sdk that speaks through a sidecar. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { ClientCapabilities } from '@modelcontextprotocol/sdk/types.js';
import type { AgentFetch } from './agent-fetch.ts';

export interface ConnectedClient {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  /** What the transport complains of out of turn. */
  readonly faults: Error[];
}

/** Initializes and connects; `prepare` comes before, to say how it answers what the server asks. */
export const connectMcp = async (
  through: AgentFetch,
  url: string,
  {
    capabilities = {},
    sessionId,
    prepare,
  }: {
    readonly capabilities?: ClientCapabilities;
    /** Of a session that somebody has begun: nothing is initialized. */
    readonly sessionId?: string;
    readonly prepare?: (client: Client) => void;
  } = {},
): Promise<ConnectedClient> => {
  const client = new Client({ name: 'planning', version: '1.0.0' }, { capabilities });
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    fetch: through.fetch,
    ...(sessionId !== undefined && { sessionId }),
    reconnectionOptions: {
      initialReconnectionDelay: 1,
      maxReconnectionDelay: 1,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 2,
    },
  });
  const faults: Error[] = [];
  client.onerror = (error) => faults.push(error);
  prepare?.(client);
  await client.connect(transport as Transport);
  return { client, transport, faults };
};
