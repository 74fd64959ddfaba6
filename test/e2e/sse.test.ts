/** Streams through two sidecars: nothing is held back, nothing piles up, and what ends them is on record. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { type Mesh, type MeshAgent, type MeshOptions, makeMesh, TEST_SCOPE } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const MIB = 1024 * 1024;

/** A request of the agent that has its response still before it. */
const openStream = (agent: MeshAgent, context: string, url: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const proxy = new URL(agent.proxyUrl);
    const request = httpRequest(
      {
        host: proxy.hostname,
        port: Number(proxy.port),
        path: url,
        agent: false,
        headers: {
          host: new URL(url).host,
          'hopgate-context': context,
          'proxy-authorization': `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`,
        },
      },
      resolve,
    );
    request.on('error', reject);
    request.end();
  });

describe('a stream', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let agentSide: Promise<ServerResponse>;

  const start = async (options: MeshOptions = {}): Promise<void> => {
    mesh = await makeMesh({
      domain: { anchor: { scope: TEST_SCOPE }, ...options.domain },
      ...(options.clock && { clock: options.clock }),
      bundle: { seq: 1 },
    });
    let take: (response: ServerResponse) => void;
    agentSide = new Promise((resolve) => {
      take = resolve;
    });
    inventory = await mesh.start(INVENTORY, {
      handler: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
        response.flushHeaders();
        take(response);
      },
    });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
  };
  afterEach(() => mesh.stop());

  const open = async (
    chain = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }),
  ): Promise<{ reader: IncomingMessage; writer: ServerResponse }> => {
    const context = await mesh.startTask(PLANNING, chain);
    const reader = await openStream(planning, context, 'http://inventory.mesh/events');
    reader.on('error', () => undefined);
    return { reader, writer: await agentSide };
  };
  const outcome = (agent: MeshAgent) => agent.log().findLast(({ kind }) => kind === 'outcome');
  const outcomes = async (): Promise<void> => {
    await expect
      .poll(() => [outcome(planning), outcome(inventory)].every((record) => record !== undefined))
      .toBe(true);
  };

  it('of 1,000 events brings each before the next is made', async () => {
    await start();
    const { reader, writer } = await open();
    expect(reader.headers['content-type']).toBe('text/event-stream');
    for (let event = 0; event < 1000; event++) {
      const text = `id: ${event}\ndata: ${'x'.repeat(event % 50)}\n\n`;
      writer.write(text);
      // The next event is written only when this one has come: a proxy that collects would stand still here.
      let got = '';
      while (got.length < text.length) got += String(((await once(reader, 'data')) as [Buffer])[0]);
      expect(got).toBe(text);
    }
    writer.end();
    await once(reader, 'end');
    await outcomes();
    expect(outcome(inventory)).toMatchObject({ result: 'ok', status: 200 });
    expect(outcome(planning)).toMatchObject({ result: 'ok', status: 200, hop: outcome(inventory)?.hop });
  });

  it('that nobody reads holds the agent back instead of filling memory', async () => {
    await start();
    const { reader, writer } = await open();
    reader.pause();
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let written = 0;
    const most = 64 * MIB;
    const before = process.memoryUsage().arrayBuffers;
    let blocked = false;
    // Until the agent is told to wait and the wait doesn't end: every buffer on the way is full.
    while (written < most && !blocked) {
      written += chunk.length;
      if (writer.write(chunk)) continue;
      const drained = once(writer, 'drain').then(() => false);
      blocked = await Promise.race([drained, settled(() => writer.writableNeedDrain)]);
    }
    expect(blocked).toBe(true);
    // Sockets of the kernel and a high-water mark each; no more than that, and far from all of it.
    expect(written).toBeLessThan(32 * MIB);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB);
    // Read on, and all that was written comes.
    let read = 0;
    reader.on('data', (data: Buffer) => {
      read += data.length;
    });
    reader.resume();
    writer.end();
    await once(reader, 'end');
    expect(read).toBe(written);
  });

  it('whose reader goes away ends at the agent, and both sides say so', async () => {
    await start();
    const { reader, writer } = await open();
    writer.write('data: 1\n\n');
    await once(reader, 'data');
    const gone = closed(writer);
    reader.destroy();
    await gone;
    expect(writer.writableFinished).toBe(false);
    await outcomes();
    expect(outcome(planning)).toMatchObject({ direction: 'outbound', result: 'client_aborted', sent: 9 });
    expect(outcome(inventory)).toMatchObject({ direction: 'inbound', result: 'client_aborted', sent: 9 });
  });

  it('whose agent dies is not made to look whole', async () => {
    await start();
    const { reader, writer } = await open();
    writer.write('data: 1\n\n');
    await once(reader, 'data');
    const broken = once(reader, 'error');
    writer.destroy();
    await broken;
    expect(reader.complete).toBe(false);
    await outcomes();
    expect(outcome(inventory)).toMatchObject({ result: 'upstream_failed' });
    expect(outcome(planning)).toMatchObject({ result: 'peer_failed' });
  });

  describe('is cut', () => {
    /** Sweeps both sides, as each does every second by itself. */
    const expectCut = async (
      reader: IncomingMessage,
      writer: ServerResponse,
      reason: string,
      ...order: readonly MeshAgent[]
    ): Promise<void> => {
      const [readerEnd, writerEnd] = [closed(reader), closed(writer)];
      for (const { sidecar } of order) sidecar.sweep();
      await Promise.all([readerEnd, writerEnd]);
      expect(reader.complete).toBe(false);
      await outcomes();
      expect([outcome(inventory)?.result, outcome(planning)?.result]).toEqual([reason, reason]);
      expect([outcome(inventory)?.status, outcome(planning)?.status]).toEqual([200, 200]);
    };
    const lively = async (reader: IncomingMessage, writer: ServerResponse): Promise<void> => {
      writer.write('data: 1\n\n');
      await once(reader, 'data');
    };
    const clocked = async (): Promise<TestClock> => {
      const clock = new TestClock();
      await start({ clock, domain: { now: clock.seconds } });
      return clock;
    };

    it('when a link expires under it', async () => {
      const clock = await clocked();
      const { reader, writer } = await open(
        mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE, ttlSeconds: 120 }),
      );
      await lively(reader, writer);
      clock.advanceSeconds(120 + 29);
      for (const { sidecar } of [inventory, planning]) sidecar.sweep();
      await lively(reader, writer);
      clock.advanceSeconds(1);
      await expectCut(reader, writer, 'link_expired', inventory, planning);
    });

    it('when a caveat’s time comes', async () => {
      const clock = await clocked();
      const { reader, writer } = await open(
        mesh.domain.mintChain([PLANNING], {
          scope: TEST_SCOPE,
          caveats: [{ type: 'before', time: clock.seconds + 60 }],
        }),
      );
      await lively(reader, writer);
      clock.advanceSeconds(60);
      await expectCut(reader, writer, 'caveat_before', inventory, planning);
    });

    it('when an ancestor is revoked', async () => {
      await clocked();
      const chain = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
      const { reader, writer } = await open(chain);
      await lively(reader, writer);
      const link = mesh.domain.verify(chain, mesh.domain.agent(PLANNING)).leaf.id;
      mesh.writeBundle({ seq: 2, revoked: [{ link }] });
      const [readerEnd, writerEnd] = [closed(reader), closed(writer)];
      // Loading it is enough; nobody has to ask.
      inventory.sidecar.reload();
      planning.sidecar.reload();
      await Promise.all([readerEnd, writerEnd]);
      await outcomes();
      expect([outcome(inventory)?.result, outcome(planning)?.result]).toEqual([
        'revoked_link',
        'revoked_link',
      ]);
    });

    it('when policy no longer allows it, and goes on under a policy that does', async () => {
      await clocked();
      const { reader, writer } = await open();
      await lively(reader, writer);
      mesh.writePolicy({ revision: 'test-2' });
      inventory.sidecar.reload();
      await lively(reader, writer);
      mesh.writePolicy({ revision: 'test-3', rules: [{ name: 'nobody', effect: 'deny' }] });
      const [readerEnd, writerEnd] = [closed(reader), closed(writer)];
      inventory.sidecar.reload();
      planning.sidecar.reload();
      await Promise.all([readerEnd, writerEnd]);
      await outcomes();
      expect([outcome(inventory)?.result, outcome(planning)?.result]).toEqual(['rule_denied', 'rule_denied']);
    });

    it('when the bundle gets stale, and not when a fresh one took its place', async () => {
      const clock = await clocked();
      mesh.writeBundle({ seq: 2, ttlSeconds: 300 });
      inventory.sidecar.reload();
      planning.sidecar.reload();
      const { reader, writer } = await open();
      await lively(reader, writer);
      clock.advanceSeconds(200);
      mesh.writeBundle({ seq: 3, now: clock.seconds, ttlSeconds: 300 });
      inventory.sidecar.reload();
      planning.sidecar.reload();
      clock.advanceSeconds(200);
      for (const { sidecar } of [inventory, planning]) sidecar.sweep();
      await lively(reader, writer);
      clock.advanceSeconds(130);
      await expectCut(reader, writer, 'bundle_expired', inventory, planning);
    });

    it('when its session ends', async () => {
      const clock = await clocked();
      mesh.writePolicy({ revision: 'short', limits: { session: '5m' } });
      inventory.sidecar.reload();
      planning.sidecar.reload();
      const { reader, writer } = await open();
      await lively(reader, writer);
      clock.advanceSeconds(300);
      await expectCut(reader, writer, 'session_expired', inventory, planning);
    });
  });
});

const closed = (stream: NodeJS.EventEmitter): Promise<void> =>
  new Promise((resolve) => stream.once('close', () => resolve()));

/** Whether something stays so while the event loop goes round and round. */
const settled = async (holds: () => boolean, rounds = 2000): Promise<boolean> => {
  for (let round = 0; round < rounds; round++) {
    await new Promise((next) => setImmediate(next));
    if (!holds()) return new Promise(() => undefined);
  }
  return true;
};
