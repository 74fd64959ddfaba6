/** gRPC through two sidecars with grpc-js on both ends: every kind of call, deadlines, cancellation, trailers, refusals. */
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

const octets = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value };
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: octets.serialize,
  requestDeserialize: octets.deserialize,
  responseSerialize: octets.serialize,
  responseDeserialize: octets.deserialize,
});
const ECHO = {
  unary: method('unary', false, false),
  client: method('client', true, false),
  server: method('server', false, true),
  bidi: method('bidi', true, true),
};
const EchoClient = grpc.makeGenericClientConstructor(ECHO, 'Echo');

type Call = grpc.ClientReadableStream<Buffer> & grpc.ClientWritableStream<Buffer>;
interface Echo extends grpc.Client {
  unary(
    request: Buffer,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    done: grpc.requestCallback<Buffer>,
  ): grpc.ClientUnaryCall;
  client(metadata: grpc.Metadata, done: grpc.requestCallback<Buffer>): grpc.ClientWritableStream<Buffer>;
  server(
    request: Buffer,
    metadata: grpc.Metadata,
    options?: grpc.CallOptions,
  ): grpc.ClientReadableStream<Buffer>;
  bidi(metadata: grpc.Metadata): grpc.ClientDuplexStream<Buffer, Buffer>;
}

describe.each(['as-received', 'h2c'])('gRPC to an agent that speaks %s', (agentHttp) => {
  let mesh: Mesh;
  let server: grpc.Server;
  let client: Echo;
  let context: string;
  /** What the agent's server saw of calls that were cut short. */
  const cancelled: string[] = [];

  const metadata = (more: Record<string, string> = {}): grpc.Metadata => {
    const sent = new grpc.Metadata();
    sent.set('hopgate-context', context);
    for (const [name, value] of Object.entries(more)) sent.set(name, value);
    return sent;
  };

  beforeAll(async () => {
    server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
    server.addService(ECHO, {
      unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
        const asked = call.request.toString();
        if (asked === 'fail')
          done({
            code: grpc.status.DATA_LOSS,
            details: 'no such luck',
            metadata: trailers('why', 'because'),
          });
        else if (asked === 'wait') call.on('cancelled', () => cancelled.push('unary'));
        else done(null, call.request, trailers('x-count', String(call.request.length)));
      },
      client: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
        let count = 0;
        call.on('data', (chunk: Buffer) => {
          count += chunk.length;
        });
        call.on('end', () => done(null, Buffer.from(String(count))));
        call.on('cancelled', () => cancelled.push('client'));
      },
      server: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
        call.on('cancelled', () => cancelled.push('server'));
        for (let at = 0; at < 100; at++) call.write(Buffer.from(`${at}`));
        if (call.request.toString() !== 'wait') call.end(trailers('x-last', '99'));
      },
      bidi: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', (chunk: Buffer) => call.write(chunk));
        call.on('end', () => call.end());
        call.on('cancelled', () => cancelled.push('bidi'));
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    mesh = await makeMesh({});
    await mesh.start('inventory/def456', { agentPort: port, config: { inbound: { agentHttp } } });
    await mesh.start('planning/abc123', {
      routes: { 'inventory.mesh': 'inventory/def456' },
      config: { outbound: { listen: `unix:${path.join(mesh.directory, 'out.sock')}` } },
    });
    context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: ['cloud:read', 'cloud:write'] }),
    );
    client = new EchoClient(
      `unix:${path.join(mesh.directory, 'out.sock')}`,
      grpc.credentials.createInsecure(),
      {
        'grpc.default_authority': 'inventory.mesh',
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
      },
    ) as unknown as Echo;
  });
  afterAll(() => {
    client?.close();
    mesh?.stop();
    server?.forceShutdown();
  });

  interface Said {
    readonly error: grpc.ServiceError | null;
    readonly value: string | undefined;
    readonly status: grpc.StatusObject;
  }
  const unary = (asked: string | Buffer, sent = metadata(), options: grpc.CallOptions = {}): Promise<Said> =>
    new Promise((resolve) => {
      let answer: [grpc.ServiceError | null, Buffer | undefined];
      const call = client.unary(Buffer.from(asked), sent, options, (error, value) => {
        answer = [error, value];
      });
      call.on('status', (status) =>
        setImmediate(() => resolve({ error: answer[0], value: answer[1]?.toString(), status })),
      );
    });
  const chunksOf = (call: Pick<Call, 'on'>): Promise<{ chunks: string[]; status: grpc.StatusObject }> =>
    new Promise((resolve) => {
      const chunks: string[] = [];
      call.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
      call.on('error', () => undefined);
      call.on('status', (status: grpc.StatusObject) => resolve({ chunks, status }));
    });

  it('unary, with trailers', async () => {
    const { value, status } = await unary('hello');
    expect(value).toBe('hello');
    expect(status).toMatchObject({ code: grpc.status.OK });
    expect(status.metadata.get('x-count')).toEqual(['5']);
  });

  it('many at once share one connection, and both logs count alike', async () => {
    const answers = await Promise.all(Array.from({ length: 300 }, (_, at) => unary(`n${at}`)));
    expect(answers.map(({ value }) => value)).toEqual(Array.from({ length: 300 }, (_, at) => `n${at}`));
    const hops = (name: string, direction: string) =>
      mesh
        .agent(name)
        .log()
        .filter((record) => record.kind === 'decision' && record.direction === direction && record.hop !== '')
        .map(({ hop }) => hop as string)
        .sort();
    await expect.poll(() => hops('inventory/def456', 'inbound')).toEqual(hops('planning/abc123', 'outbound'));
    const sessions = new Set(hops('inventory/def456', 'inbound').map((hop) => hop.split('.')[0]));
    expect(sessions.size).toBeLessThanOrEqual(4);
  });

  it('an error as trailers alone, with its details and metadata', async () => {
    const { error, status } = await unary('fail');
    expect(error).toMatchObject({ code: grpc.status.DATA_LOSS, details: 'no such luck' });
    expect(status.metadata.get('why')).toEqual(['because']);
  });

  it('a stream of the client', async () => {
    const value = await new Promise<string>((resolve, reject) => {
      const call = client.client(metadata(), (error, answer) =>
        error === null ? resolve(String(answer)) : reject(error),
      );
      for (let at = 0; at < 50; at++) call.write(Buffer.alloc(10_000));
      call.end();
    });
    expect(value).toBe('500000');
  });

  it('a stream of the server, with trailers', async () => {
    const { chunks, status } = await chunksOf(client.server(Buffer.from('go'), metadata()) as never);
    expect(chunks).toEqual(Array.from({ length: 100 }, (_, at) => String(at)));
    expect(status.code).toBe(grpc.status.OK);
    expect(status.metadata.get('x-last')).toEqual(['99']);
  });

  it('both ways at once: each message comes back before the next is sent', async () => {
    const call = client.bidi(metadata());
    for (let at = 0; at < 20; at++) {
      const back = new Promise<string>((resolve) => call.once('data', (chunk) => resolve(String(chunk))));
      call.write(Buffer.from(`m${at}`));
      expect(await back).toBe(`m${at}`);
    }
    const ended = chunksOf(call as never);
    call.end();
    expect((await ended).status.code).toBe(grpc.status.OK);
  });

  it('a message of 8 MiB each way', async () => {
    const big = Buffer.alloc(8 * 1024 * 1024, 'x');
    const call = client.bidi(metadata());
    const back = new Promise<number>((resolve) =>
      call.once('data', (chunk: Buffer) => resolve(chunk.length)),
    );
    call.write(big);
    expect(await back).toBe(big.length);
    const ended = chunksOf(call as never);
    call.cancel();
    await ended;
    await expect.poll(() => cancelled).toContain('bidi');
  });

  it('a deadline ends the call at its client and at its server', async () => {
    cancelled.length = 0;
    const { error } = await unary('wait', metadata(), { deadline: Date.now() + 300 });
    expect(error?.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await expect.poll(() => cancelled).toContain('unary');
  });

  it('a cancellation reaches the server, and the log says who left', async () => {
    cancelled.length = 0;
    const call = client.server(Buffer.from('wait'), metadata());
    await new Promise((resolve) => call.once('data', resolve));
    const ended = chunksOf(call as never);
    call.cancel();
    expect((await ended).status.code).toBe(grpc.status.CANCELLED);
    await expect.poll(() => cancelled).toContain('server');
    await expect
      .poll(() =>
        mesh
          .agent('inventory/def456')
          .log()
          .filter(({ kind }) => kind === 'outcome')
          .at(-1),
      )
      .toMatchObject({ result: 'client_aborted' });
  });

  it('a denial is told as gRPC tells it', async () => {
    const nobody = new grpc.Metadata();
    const { error } = await unary('hello', nobody);
    expect(error?.code).toBe(grpc.status.UNAUTHENTICATED);
    expect(error?.details).toContain('context_missing');
    const reader = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: ['cloud:read'] }),
    );
    const narrow = new grpc.Metadata();
    narrow.set('hopgate-context', reader);
    const { error: lacking } = await unary('hello', narrow);
    expect(lacking?.code).toBe(grpc.status.PERMISSION_DENIED);
    expect(lacking?.details).toContain('scope_missing');
  });

  it('a revocation cuts a stream that is open', async () => {
    const chain = mesh.domain.mintChain(['planning/abc123'], { scope: ['cloud:read', 'cloud:write'] });
    const own = await mesh.startTask('planning/abc123', chain);
    const sent = new grpc.Metadata();
    sent.set('hopgate-context', own);
    const call = client.bidi(sent);
    const back = new Promise((resolve) => call.once('data', resolve));
    call.write(Buffer.from('on'));
    await back;
    const ended = chunksOf(call as never);
    mesh.writeBundle({
      seq: 2,
      revoked: [{ link: mesh.domain.verify(chain, mesh.domain.agent('planning/abc123')).leaf.id }],
    });
    for (const name of ['inventory/def456', 'planning/abc123']) mesh.agent(name).sidecar.reload();
    expect((await ended).status.code).not.toBe(grpc.status.OK);
  });
});

const trailers = (name: string, value: string): grpc.Metadata => {
  const metadata = new grpc.Metadata();
  metadata.set(name, value);
  return metadata;
};
