/** An agent's `fetch`: through its sidecar, as `HTTP_PROXY` says, with the context of the request that it works for. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici';
import { tellActed } from './messages.ts';

const CONTEXT = 'hopgate-context';
const contexts = new AsyncLocalStorage<string>();

/** Does work on the authority of a context: the handle that came with a request, or with the start of a task. */
export const withContext = <T>(handle: string | undefined, work: () => T): T =>
  handle === undefined ? work() : contexts.run(handle, work);

export const currentContext = (): string | undefined => contexts.getStore();

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
/** Node's own fetch follows `HTTP_PROXY` from 22.21 and 24 on. */
const nodeFollowsProxy = major >= 24 || (major === 22 && minor >= 21);

const proxiedFetch = (): typeof fetch => {
  if (nodeFollowsProxy) return fetch;
  const dispatcher = new EnvHttpProxyAgent();
  const send = (input: string, init: RequestInit) => undiciFetch(input, { ...(init as object), dispatcher });
  return send as unknown as typeof fetch;
};
const proxied = proxiedFetch();

/** A refusal by a sidecar, ours or the callee's. */
export const isRefusal = (response: Response): boolean =>
  response.headers.get('content-type') === 'application/problem+json';

/** `fetch` for the mesh. Each request that is not refused is an action. */
export const meshFetch: typeof fetch = async (input, init) => {
  const headers = new Headers(init?.headers);
  const handle = currentContext();
  if (handle !== undefined) headers.set(CONTEXT, handle);
  const response = await proxied(input instanceof URL ? input.href : input, { ...init, headers });
  if (!isRefusal(response)) tellActed(1);
  return response;
};

/** GET or POST of JSON. Throws on anything but success, with the code of a refusal. */
export const callApi = async (url: string, body?: unknown): Promise<Readonly<Record<string, unknown>>> => {
  const response = await meshFetch(
    url,
    body === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } },
  );
  const answer = (await response.json()) as Readonly<Record<string, unknown>>;
  if (!response.ok) throw new Error(`${url}: ${String(answer.code ?? response.status)}`);
  return answer;
};
