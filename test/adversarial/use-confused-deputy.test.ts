/** A asks B, and B asks A back: A's own authority must not serve B's request. */
import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../testkit/free-port.ts';
import { DEFAULT_DELEGATE, type Mesh, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';

const A = 'planning/abc123';
const B = 'inventory/def456';
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('A → B → A', () => {
  let mesh: Mesh;
  afterEach(() => mesh.stop());

  /** Two agents that each have a route to the other. */
  const start = async (options: {
    readonly limits?: Record<string, unknown>;
    readonly delegate?: Record<string, unknown> | null;
    readonly handlers?: Readonly<Record<string, RequestListener>>;
  }): Promise<void> => {
    mesh = await makeMesh({
      domain: { anchor: { scope: TEST_SCOPE } },
      policy: { limits: options.limits ?? {} },
    });
    const port = await freePort();
    const back = {
      host: 'planning.mesh',
      peer: mesh.domain.agent(A).id,
      address: `127.0.0.1:${port}`,
      delegate: DEFAULT_DELEGATE,
    };
    await mesh.start(B, {
      config: { outbound: { routes: [back] } },
      ...(options.handlers?.[B] && { handler: options.handlers[B] }),
    });
    await mesh.start(A, {
      routes: { 'inventory.mesh': B },
      delegate: options.delegate === undefined ? DEFAULT_DELEGATE : options.delegate,
      config: { inbound: { listen: `127.0.0.1:${port}` } },
      ...(options.handlers?.[A] && { handler: options.handlers[A] }),
    });
  };

  it('B has nothing but its own grant: no context by task, by trace, by A’s handle or by none', async () => {
    const back: (string | undefined)[] = [];
    let stolen: string[] = [];
    await start({
      handlers: {
        [B]: (request, response) => {
          const { 'hopgate-context': own, 'hopgate-task': task, traceparent } = request.headers;
          const ask = async (context: string | undefined): Promise<void> => {
            const answer = await sendThrough(mesh.agent(B), 'http://planning.mesh/secrets', {
              ...(context === undefined ? {} : { context }),
              headers: { traceparent: String(traceparent), 'hopgate-task': String(task) },
            });
            back.push(answer.code);
          };
          void (async () => {
            for (const context of [undefined, String(task), ...stolen, String(own)]) await ask(context);
            response.end('done');
          })();
        },
      },
    });
    const context = await mesh.startTask(A, mesh.domain.mintChain([A], { scope: TEST_SCOPE }));
    stolen = [context];
    await sendThrough(mesh.agent(A), 'http://inventory.mesh/vpcs', {
      context,
      headers: { traceparent: TRACE },
    });
    expect(back).toEqual(['context_missing', 'context_unknown', 'context_unknown', 'chain_agent_twice']);
    expect(mesh.agent(A).seen).toEqual([]);
  });

  it('B has no handle at all when A’s route does not delegate', async () => {
    let handle: unknown = 'not asked';
    let trace: unknown;
    await start({
      delegate: null,
      handlers: {
        [B]: (request, response) => {
          handle = request.headers['hopgate-context'];
          trace = request.headers.tracestate;
          response.end();
        },
      },
    });
    const context = await mesh.startTask(A, mesh.domain.mintChain([A], { scope: TEST_SCOPE }));
    const answer = await sendThrough(mesh.agent(A), 'http://inventory.mesh/vpcs', {
      context,
      headers: { tracestate: `vendor=1,hopgate=${context}` },
    });
    expect(answer.status).toBe(200);
    expect([handle, trace]).toEqual([undefined, 'vendor=1']);
  });

  it('where policy allows callbacks, A works for B’s request with B’s authority alone', async () => {
    const outcomes: (string | undefined)[] = [];
    await start({
      limits: { callbacks: 'allowed' },
      delegate: { scope: ['cloud:read'], ttl: '15m', remainingDepth: 4 },
      handlers: {
        [B]: (request, response) => {
          const context = String(request.headers['hopgate-context']);
          if (request.url !== '/start') {
            response.end('b');
            return;
          }
          void (async () => {
            outcomes.push(
              (
                await sendThrough(mesh.agent(B), 'http://planning.mesh/write', {
                  context,
                  method: 'POST',
                  body: 'x',
                })
              ).code,
            );
            outcomes.push((await sendThrough(mesh.agent(B), 'http://planning.mesh/read', { context })).code);
            response.end('done');
          })();
        },
        [A]: (request, response) => {
          // Within B's request A's own handle of that request holds no more than B had.
          const context = String(request.headers['hopgate-context']);
          void sendThrough(mesh.agent(A), 'http://inventory.mesh/write', {
            context,
            method: 'POST',
            body: 'x',
          }).then(({ code }) => {
            outcomes.push(code);
            response.end('a');
          });
        },
      },
    });
    const context = await mesh.startTask(A, mesh.domain.mintChain([A], { scope: TEST_SCOPE }));
    const answer = await sendThrough(mesh.agent(A), 'http://inventory.mesh/start', { context });
    expect(answer.status).toBe(200);
    expect(outcomes).toEqual(['scope_missing', 'scope_missing', undefined]);
    expect(mesh.agent(A).seen.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /read']);
    expect(mesh.agent(B).seen.map(({ url }) => url)).toEqual(['/start']);
  });
});
