/** A stream of HTTP/2 that is reset without an error is not whole: half a request must not reach the agent as one, nor half an answer its caller. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { H2Connection } from '../../src/edge/http/h2-connection.ts';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { END_STREAM, h2Frame, openH2, requestFields, TYPE, uint32 } from '../testkit/raw-h2.ts';
import { headersFrame, RawH2Agent } from '../testkit/raw-h2-agent.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';
import { connectTo, Heard, type RawUpstream, rawUpstream, requestOf } from '../testkit/raw-upstream.ts';

const NO_ERROR = uint32(0);
const head = (stream: number): Buffer => headersFrame(stream, [[':status', '200']]);
const announced = (stream: number, length: number): Buffer =>
  headersFrame(stream, [
    [':status', '200'],
    ['content-length', `${length}`],
  ]);
const half = (stream: number): Buffer => h2Frame(TYPE.data, 0, stream, 'half');
const reset = (stream: number): Buffer => h2Frame(TYPE.reset, 0, stream, NO_ERROR);

let mesh: Mesh;
let target: MeshAgent;
let overH2: MeshAgent;
let upstream: RawUpstream;
let seen = '';
let wake: () => void = () => undefined;
/** Answers half, and resets once its caller has that much. */
const h2Agent = new RawH2Agent(({ type, stream }, socket) => {
  if (type !== TYPE.headers) return;
  socket.write(Buffer.concat([head(stream), half(stream)]));
  resetAnswer = () => socket.write(reset(stream));
});
let resetAnswer: () => void = () => undefined;

beforeAll(async () => {
  mesh = await makeMesh({ domain: { agents: ['planning/abc123', 'inventory/def456', 'security/s1'] } });
  upstream = await rawUpstream((socket) =>
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1');
      wake();
    }),
  );
  target = await mesh.start('inventory/def456', { agentPort: upstream.port });
  overH2 = await mesh.start('security/s1', {
    agentPort: await h2Agent.listen(),
    config: { inbound: { agentHttp: 'h2c' } },
  });
});
afterAll(async () => {
  mesh.stop();
  h2Agent.close();
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
  it.each<[string, (stream: number) => Buffer[]]>([
    ['before its head', (stream) => [reset(stream)]],
    ['behind its head', (stream) => [head(stream), reset(stream)]],
    ['in its body', (stream) => [head(stream), half(stream), reset(stream)]],
    ['behind an empty frame', (stream) => [head(stream), h2Frame(TYPE.data, 0, stream), reset(stream)]],
    ['behind all it announced', (stream) => [announced(stream, 4), half(stream), reset(stream)]],
    ['where nothing would follow', (stream) => [headersFrame(stream, [[':status', '204']]), reset(stream)]],
  ])('where the stream is reset without an error %s', async (_, answer) => {
    const [heard, connection, close] = await answered(answer);
    expect(await heard.done).toMatchObject({ failure: { kind: 'broken' }, trailers: undefined, ends: 1 });
    connection.destroy();
    close();
  });

  it('where it is reset while its reader takes a rest', async () => {
    let cut = (): void => undefined;
    const agent = new RawH2Agent(({ type, stream }, socket) => {
      if (type === TYPE.headers) socket.write(head(stream));
      cut = () => socket.write(Buffer.concat([half(stream), reset(stream)]));
    });
    const connection = new H2Connection(await connectTo(await agent.listen()));
    const heard = new Heard();
    const exchange = connection.send(requestOf(), heard);
    await heard.head;
    exchange.pause();
    cut();
    expect(await heard.done).toMatchObject({ failure: { kind: 'broken' }, trailers: undefined, ends: 1 });
    exchange.resume();
    connection.destroy();
    agent.close();
    expect(heard.ends).toBe(1);
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

  it.each<[string, (stream: number) => Buffer[]]>([
    ['by its last data', (stream) => [head(stream), h2Frame(TYPE.data, END_STREAM, stream, 'half')]],
    ['by its trailers', (stream) => [head(stream), half(stream), headersFrame(stream, [['a', 'b']], true)]],
  ])('and not where it was whole %s before the reset', async (_, whole) => {
    const [heard, connection, close] = await answered((stream) => [...whole(stream), reset(stream)]);
    expect(await heard.done).toMatchObject({ failure: undefined, status: 200, body: 'half' });
    connection.destroy();
    close();
  });
});

describe('an agent that resets its answer without an error is not heard as if it had ended it', () => {
  const outcome = { kind: 'outcome', result: 'upstream_failed', status: 200, sent: 4 };
  const caller = () => mesh.domain.agent('planning/abc123');
  const chain = (): string => forgeChain(mesh.domain, [caller()], { scope: ['cloud:read'] });
  const onRecord = (): Promise<void> => expect.poll(() => overH2.log().at(-1)).toMatchObject(outcome);

  it('over HTTP/2: the stream is reset, and with an error', async () => {
    const peer = await openH2(overH2, caller());
    const stream = peer.newStream();
    peer.write(headersFrame(stream, requestFields({ chain: chain() }), true));
    await peer.until(() => peer.frames.some(({ type }) => type === TYPE.data));
    resetAnswer();
    expect(await peer.answerOn(stream)).toMatchObject({ status: 200, body: 'half', whole: false, reset: 2 });
    await onRecord();
    peer.close();
  });

  it('over HTTP/1.1: the last chunk never comes', async () => {
    const peer = await openSession(overH2, caller());
    peer.write(requestText({ chain: chain() }));
    await peer.until(() => peer.pending.includes('half'));
    resetAnswer();
    await peer.ended();
    expect(peer.pending.toString('latin1')).toMatch(
      /transfer-encoding: chunked[\s\S]*\r\n\r\n4\r\nhalf\r\n$/i,
    );
    await onRecord();
  });
});
