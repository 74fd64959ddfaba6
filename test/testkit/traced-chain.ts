/** Three agents, each of which asks the next one under the context and the trace that its own request came with. */
import type { RequestListener } from 'node:http';
import { type Answer, type Mesh, makeMesh, sendThrough, TEST_SCOPE } from './mesh.ts';

export const FIRST = 'planning/abc123';
export const SECOND = 'inventory/def456';
export const THIRD = 'security/ghi789';

export interface TracedChain {
  readonly mesh: Mesh;
  /** A request of the first agent to the second. */
  readonly ask: (
    path: string,
    headers?: Readonly<Record<string, string>>,
    method?: string,
  ) => Promise<Answer>;
}

/** `config` is merged into that of each sidecar. */
export const startTracedChain = async (config: Record<string, unknown>): Promise<TracedChain> => {
  const mesh = await makeMesh({
    domain: { agents: [FIRST, SECOND, THIRD], anchor: { scope: TEST_SCOPE } },
    config,
  });
  const onward: RequestListener = (request, response) => {
    const { 'hopgate-context': context, traceparent, tracestate } = request.headers;
    void sendThrough(mesh.agent(SECOND), `http://security.mesh${request.url}`, {
      context: String(context),
      headers: {
        ...(traceparent !== undefined && { traceparent: String(traceparent) }),
        ...(tracestate !== undefined && { tracestate: String(tracestate) }),
      },
    }).then(({ status, body }) => response.writeHead(status).end(body));
  };
  await mesh.start(THIRD);
  await mesh.start(SECOND, { routes: { 'security.mesh': THIRD }, handler: onward });
  await mesh.start(FIRST, { routes: { 'inventory.mesh': SECOND } });
  const context = await mesh.startTask(FIRST, mesh.domain.mintChain([FIRST], { scope: TEST_SCOPE }));
  return {
    mesh,
    ask: (path, headers = {}, method = 'GET') =>
      sendThrough(mesh.agent(FIRST), `http://inventory.mesh${path}`, { context, headers, method }),
  };
};
