/** `fetch` of an agent: through its sidecar as a proxy or by its unix socket, with the context of what it works for. This is all that an SDK needs. */
import { Agent, type Dispatcher, ProxyAgent, fetch as undiciFetch } from 'undici';
import type { MeshMember } from './mesh.ts';

export interface AgentFetch {
  readonly fetch: typeof fetch;
  /** The handle that goes along from now on. */
  context: string | undefined;
  /** Reason codes of all refusals, in order: some SDKs keep them to themselves. */
  readonly refusals: string[];
  close(): Promise<void>;
}

const doorOf = ({ proxyUrl, addresses: { outbound = '' } }: MeshMember): Dispatcher =>
  outbound.startsWith('unix:')
    ? new Agent({ connect: { socketPath: outbound.slice('unix:'.length) } })
    : new ProxyAgent(proxyUrl);

export const agentFetch = (member: MeshMember, context: string | undefined): AgentFetch => {
  const dispatcher = doorOf(member);
  const refusals: string[] = [];
  const through: AgentFetch = {
    context,
    refusals,
    close: () => dispatcher.destroy(),
    fetch: (async (input: string | URL, init?: RequestInit) => {
      const headers = Object.fromEntries(new Headers(init?.headers));
      if (through.context !== undefined) headers['hopgate-context'] = through.context;
      const response = await undiciFetch(input, { ...(init as object), headers, dispatcher });
      if (response.headers.get('content-type') === 'application/problem+json')
        refusals.push(((await response.clone().json()) as { code: string }).code);
      return response;
    }) as unknown as typeof fetch,
  };
  return through;
};

/** The reason code within the message or the data of an SDK's error: it has the problem's text in it. */
export const codeIn = (error: unknown): string => {
  const { message = '', data } = error as { message?: string; data?: unknown };
  const text = `${message} ${JSON.stringify(data ?? '')}`;
  return /\\?"code\\?":\\?"([a-z_]+)\\?"/.exec(text)?.[1] ?? text;
};

/** What a call is refused with; what it returned, where it was not. */
export const refusal = (call: Promise<unknown>): Promise<unknown> =>
  call.then((value) => ({ allowed: value }), codeIn);
