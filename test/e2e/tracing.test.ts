/** Traces and logs of three sidecars at a receiver of OTLP, and what a receiver can't do to them. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { scrape } from '../testkit/metrics-text.ts';
import { OtlpReceiver } from '../testkit/otlp-receiver.ts';
import { FIRST, SECOND, startTracedChain, THIRD } from '../testkit/traced-chain.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const SECRET = 'not-for-everybody';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const startReceiver = async (...given: ConstructorParameters<typeof OtlpReceiver>): Promise<OtlpReceiver> => {
  const receiver = await new OtlpReceiver(...given).start();
  ends.push(() => receiver.stop());
  return receiver;
};
const start = async (receiver: OtlpReceiver, otlp: Record<string, unknown> = {}) => {
  const chain = await startTracedChain({
    metrics: { listen: '127.0.0.1:0' },
    telemetry: { otlp: { endpoint: receiver.endpoint, interval: '50ms', timeout: '500ms', ...otlp } },
  });
  ends.push(() => chain.mesh.stop());
  return chain;
};

describe('a request through three agents', () => {
  it('is one trace: each span the child of the one before, with what was decided and nothing secret', async () => {
    const receiver = await startReceiver();
    const { mesh, ask } = await start(receiver);
    const answer = await ask(`/vpcs?token=${SECRET}`, {
      traceparent: PARENT,
      tracestate: 'vendor=1',
      cookie: SECRET,
    });
    expect(answer).toMatchObject({ status: 200, body: `hello from ${THIRD}` });
    await vi.waitFor(() => expect(receiver.spans).toHaveLength(4));
    const order: string[] = [];
    let parent = 'b7ad6b7169203331';
    for (let hop = 0; hop < 4; hop++) {
      const span = receiver.spans.find(({ parentSpanId }) => parentSpanId === parent);
      expect(span).toMatchObject({
        traceId: TRACE,
        name: 'GET',
        attributes: {
          'http.request.method': 'GET',
          'http.response.status_code': 200,
          'url.path': '/vpcs',
          'hopgate.verdict': 'permit',
          'hopgate.reason': 'ok',
          'hopgate.rule': 'agents',
          'hopgate.policy.revision': 'test-1',
          'hopgate.cached': false,
          'hopgate.chain.depth': hop < 2 ? 1 : 2,
          'hopgate.scopes': ['cloud:read'],
        },
      });
      order.push(`${span?.service} ${span?.kind === 2 ? 'in' : 'out'}`);
      parent = span?.spanId ?? 'none';
    }
    expect(order).toEqual(['planning out', 'inventory in', 'inventory out', 'security in']);
    // The last agent stands below the last span, and is told the rest of the state as it came.
    const seen = mesh.agent(THIRD).seen.at(-1)?.headers;
    expect(seen?.traceparent).toBe(`00-${TRACE}-${parent}-01`);
    expect(seen?.tracestate).toContain('vendor=1');
    const [first] = receiver.spans;
    expect(first?.instance).toMatch(/^spiffe:\/\/company\.com\/agent\//);
    // One hop id names both sides of a hop.
    expect(new Set(receiver.spans.map(({ attributes }) => attributes['hopgate.hop'])).size).toBe(2);
    const told = receiver.requests.map(({ body }) => body).join('\n');
    expect(told).not.toContain(SECRET);
    expect(told).not.toContain('alice');
    expect(told).not.toMatch(/eyJ[\w-]+\./);
  });

  it('is a trace of its own where it comes with a trace that is none, and no state goes with it', async () => {
    const receiver = await startReceiver();
    const { mesh, ask } = await start(receiver);
    for (const bad of [
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `ff-${TRACE}-b7ad6b7169203331-01`,
      'x'.repeat(4000),
    ])
      expect((await ask('/', { traceparent: bad, tracestate: 'vendor=1' })).status).toBe(200);
    await vi.waitFor(() => expect(receiver.spans).toHaveLength(12));
    expect(new Set(receiver.spans.map(({ traceId }) => traceId)).size).toBe(3);
    expect(receiver.spans.map(({ traceId }) => traceId)).not.toContain(TRACE);
    for (const { headers } of mesh.agent(THIRD).seen) {
      expect(headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      expect(headers.tracestate ?? '').not.toContain('vendor');
    }
  });

  it('is no trace where its sender or the ratio says so, and the ids go on', async () => {
    const receiver = await startReceiver();
    const { mesh, ask } = await start(receiver, { sampleRatio: 0 });
    await ask('/', { traceparent: `00-${TRACE}-b7ad6b7169203331-00` });
    await ask('/');
    expect(mesh.agent(THIRD).seen[0]?.headers.traceparent).toMatch(
      new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`),
    );
    expect(mesh.agent(THIRD).seen[1]?.headers.traceparent).toMatch(/-00$/);
    // What is sampled comes, so nothing else was on its way before it.
    await ask('/', { traceparent: PARENT });
    await vi.waitFor(() => expect(receiver.spans).toHaveLength(4));
    expect(receiver.spans.every(({ traceId }) => traceId === TRACE)).toBe(true);
  });

  it('says why it was denied, on the side that denied it', async () => {
    const receiver = await startReceiver();
    const { ask } = await start(receiver);
    expect((await ask('/../secret', { traceparent: PARENT })).code).toBe('target_not_canonical');
    await vi.waitFor(() => expect(receiver.spans).toHaveLength(1));
    expect(receiver.spans[0]).toMatchObject({
      service: 'planning',
      status: { code: 2, message: 'target_not_canonical' },
      attributes: {
        'hopgate.verdict': 'deny',
        'error.type': 'target_not_canonical',
        'http.response.status_code': 400,
      },
    });
  });
});

describe('logs', () => {
  it('have decisions, outcomes and nothing of principals under the trace of their span', async () => {
    const receiver = await startReceiver();
    const { ask } = await start(receiver, { logs: true });
    await ask('/vpcs', { traceparent: PARENT });
    await vi.waitFor(() => expect(receiver.logs.filter(({ traceId }) => traceId === TRACE)).toHaveLength(8));
    await vi.waitFor(() => expect(receiver.spans).toHaveLength(4));
    const spans = new Set(receiver.spans.map(({ spanId }) => spanId));
    expect(receiver.logs.every(({ spanId }) => spans.has(spanId))).toBe(true);
    expect(receiver.logs.find(({ event }) => event === 'hopgate.decision')?.body).toMatchObject({
      kind: 'decision',
      verdict: 'permit',
      target: '/vpcs',
    });
    expect(JSON.stringify(receiver.logs)).not.toContain('alice');
  });

  it('name principals where that is wanted; and without traces the header goes on as it came', async () => {
    const receiver = await startReceiver();
    const { mesh, ask } = await start(receiver, { logs: true, traces: false, principals: true });
    await ask('/vpcs', { traceparent: PARENT });
    await vi.waitFor(() => expect(receiver.logs).toHaveLength(8));
    expect(
      receiver.logs.every(({ traceId, spanId }) => traceId === TRACE && spanId === 'b7ad6b7169203331'),
    ).toBe(true);
    expect(JSON.stringify(receiver.logs)).toContain('mailto:alice@company.com');
    expect(mesh.agent(THIRD).seen.at(-1)?.headers.traceparent).toBe(PARENT);
  });
});

describe('without a receiver in the configuration', () => {
  it('traceparent goes on as it came, whatever it says', async () => {
    const { mesh, ask } = await startTracedChain({});
    ends.push(() => mesh.stop());
    for (const traceparent of [PARENT, 'anything']) {
      await ask('/', { traceparent });
      expect(mesh.agent(THIRD).seen.at(-1)?.headers.traceparent).toBe(traceparent);
    }
  });
});

describe('a receiver that', () => {
  const figuresOf = async (address: string | undefined) => Object.fromEntries(await scrape(address));
  it.each([
    ['hangs', () => undefined],
    [
      'answers with an error',
      (_: unknown, response: { writeHead: (status: number) => { end: () => void } }) =>
        response.writeHead(400).end(),
    ],
  ] as const)('%s costs its spans and no request, and is counted', async (_, answer) => {
    const receiver = await startReceiver(answer as never);
    const { mesh, ask } = await start(receiver, { queue: 2 });
    for (let times = 0; times < 5; times++) expect((await ask('/')).status).toBe(200);
    await vi.waitFor(
      async () => {
        const { addresses } = mesh.agent(SECOND);
        const figures = await figuresOf(addresses.metrics);
        const of = (result: string): number =>
          figures[`hopgate_telemetry_items_total{signal="traces",result="${result}"}`] ?? 0;
        expect(of('delivered')).toBe(0);
        expect(of('dropped') + of('failed')).toBeGreaterThan(0);
      },
      { timeout: 10_000 },
    );
  });

  it('wants a header is told it, from a file', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-otlp-'));
    const headersFile = path.join(directory, 'headers');
    writeFileSync(headersFile, '# of the operator\nauthorization: Bearer abc\n');
    const receiver = await startReceiver();
    const { mesh, ask } = await start(receiver, { headersFile });
    await ask('/');
    await vi.waitFor(() => expect(receiver.spans).toHaveLength(4));
    expect(receiver.requests.every(({ headers }) => headers.authorization === 'Bearer abc')).toBe(true);
    expect(
      mesh
        .agent(FIRST)
        .seen.concat(mesh.agent(THIRD).seen)
        .some(({ headers }) => 'authorization' in headers),
    ).toBe(false);
  });

  it('is told what is left when the sidecar ends', async () => {
    const receiver = await startReceiver();
    const { mesh, ask } = await start(receiver, { interval: '60s' });
    await ask('/');
    expect(receiver.spans).toHaveLength(0);
    await Promise.all([FIRST, SECOND, THIRD].map((name) => mesh.agent(name).sidecar.drain('the test')));
    expect(receiver.spans).toHaveLength(4);
  });
});
