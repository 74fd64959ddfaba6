/** A stream of HTTP/2 that is reset without an error is not whole: half a request must not reach the agent as one, nor half an answer its caller. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { H2Connection } from '../../src/edge/http/h2-connection.ts';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { h2Frame, openH2, requestFields, TYPE, uint32 } from '../testkit/raw-h2.ts';
import { headersFrame, RawH2Agent } from '../testkit/raw-h2-agent.ts';
import { connectTo, Heard, type RawUpstream, rawUpstream, requestOf } from '../testkit/raw-upstream.ts';

const NO_ERROR = uint32(0);
let mesh: Mesh;
let target: MeshAgent;
let upstream: RawUpstream;
let seen = '';
let wake: () => void = () => undefined;
beforeAll(async () => {
  mesh = await makeMesh({ domain: { agents: ['planning/abc123', 'inventory/def456'] } });
  upstream = await rawUpstream((socket) =>
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1');
      wake();
    }),
  );
  target = await mesh.start('inventory/def456', { agentPort: upstream.port });
});
afterAll(async () => {
  mesh.stop();
  await upstream.close();
});

describe('a request that its caller resets without an error', () => {
  it('is not finished toward the agent', async () => {
    const caller = mesh.domain.agent('planning/abc123');
    const chain = forgeChain(mesh.domain, [caller], { scope: ['cloud:write'] });
    const peer = await openH2(target, caller);
    const stream = peer.newStream();
    peer.write(
      headersFrame(stream, requestFields({ chain, method: 'POST' })),
      h2Frame(TYPE.data, 0, stream, 'half'),
    );
    while (!seen.endsWith('half\r\n'))
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    const ended = once(upstream.sockets[0] as never, 'close');
    peer.write(h2Frame(TYPE.reset, 0, stream, NO_ERROR));
    await ended;
    expect(seen).toMatch(/\r\n\r\n4\r\nhalf\r\n$/);
    expect(target.log().at(-1)).toMatchObject({ kind: 'outcome', result: 'client_aborted' });
    peer.close();
  });
});

describe('an answer is broken', () => {
  const answered = async (
    answer: (stream: number) => Buffer[],
  ): Promise<[Heard, H2Connection, () => void]> => {
    const agent = new RawH2Agent(({ type, stream }, socket) => {
      if (type === TYPE.headers) socket.write(Buffer.concat(answer(stream)));
    });
    const connection = new H2Connection(await connectTo(await agent.listen()));
    const heard = new Heard();
    connection.send(requestOf(), heard);
    return [heard, connection, () => agent.close()];
  };
  const head = (stream: number): Buffer => headersFrame(stream, [[':status', '200']]);
  const half = (stream: number): Buffer => h2Frame(TYPE.data, 0, stream, 'half');
  const reset = (stream: number): Buffer => h2Frame(TYPE.reset, 0, stream, NO_ERROR);

  it.each<[string, (stream: number) => Buffer[]]>([
    ['before its head', (stream) => [reset(stream)]],
    ['behind its head', (stream) => [head(stream), reset(stream)]],
    ['in its body', (stream) => [head(stream), half(stream), reset(stream)]],
  ])('where the stream is reset without an error %s', async (_, answer) => {
    const [heard, connection, close] = await answered(answer);
    expect(await heard.done).toMatchObject({ failure: { kind: 'broken' }, trailers: undefined, ends: 1 });
    connection.destroy();
    close();
  });

  it('where we end the connection, as a revocation does', async () => {
    const [heard, connection, close] = await answered((stream) => [head(stream), half(stream)]);
    await heard.head;
    connection.destroy();
    expect(await heard.done).toMatchObject({ failure: { kind: 'broken' }, trailers: undefined, ends: 1 });
    close();
  });

  it('where the connection had ended before it was ours', async () => {
    const agent = new RawH2Agent(() => undefined);
    const socket = await connectTo(await agent.listen());
    socket.destroy();
    await once(socket, 'close');
    const connection = new H2Connection(socket);
    const heard = new Heard();
    connection.send(requestOf(), heard);
    expect(await heard.done).toMatchObject({ failure: { kind: 'broken' }, ends: 1 });
    expect(connection.isAlive).toBe(false);
    agent.close();
  });

  it('and not where it was whole before the reset', async () => {
    const [heard, connection, close] = await answered((stream) => [
      head(stream),
      h2Frame(TYPE.data, 1, stream, 'all'),
      reset(stream),
    ]);
    expect(await heard.done).toMatchObject({ failure: undefined, status: 200, body: 'all' });
    connection.destroy();
    close();
  });
});
