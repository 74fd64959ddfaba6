/** Signed requests of which something is taken away behind the signature, or whose nonces are made to be forgotten. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectProblem, recordsOf } from '../testkit/attack.ts';
import type { TestAgent } from '../testkit/domain.ts';
import { type Mesh, type MeshAgent, makeMesh, TEST_SCOPE } from '../testkit/mesh.ts';
import {
  openPlainTo,
  plusLine,
  proofHeaders,
  type SignedPlan,
  signedText,
  withLine,
} from '../testkit/plain-client.ts';
import { H2Peer, requestFields } from '../testkit/raw-h2.ts';
import type { RawPeer } from '../testkit/raw-peer.ts';
import { TestClock } from '../testkit/test-clock.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

/** One that can be set while time goes on as before. */
class SetClock extends TestClock {
  aheadSeconds = 0;
  override now(): number {
    return super.now() + this.aheadSeconds * 1000;
  }
}

const clock = new SetClock();
let mesh: Mesh;
let inventory: MeshAgent;
let planning: TestAgent;
let chain: string;
const peers: RawPeer[] = [];

beforeAll(async () => {
  mesh = await makeMesh({
    clock,
    domain: { agents: [PLANNING, INVENTORY], anchor: { scope: TEST_SCOPE } },
    policy: { withoutSidecar: [{ name: 'planners', callerTypes: ['planning'] }] },
  });
  inventory = await mesh.start(INVENTORY);
  planning = mesh.domain.agent(PLANNING);
  chain = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
});
afterAll(() => {
  for (const peer of peers) peer.close();
  mesh.stop();
});

const open = async (): Promise<RawPeer> => {
  const peer = await openPlainTo(inventory, planning);
  peers.push(peer);
  return peer;
};
const signed = (peer: RawPeer, plan: SignedPlan = {}): string =>
  signedText(peer, inventory, planning, { chain, now: clock.seconds, ...plan });

const post = {
  method: 'POST',
  body: '{"a":1}',
  headers: { 'content-type': 'application/json', 'txn-token': 'a.b.c' },
};

it('Connection, which nobody signs, takes nothing away that was signed', async () => {
  const peer = await open();
  const names =
    'close-not, txn-token, content-digest, content-type, authorization, delegation-chain, signature';
  const answer = await peer.ask(
    signed(peer, {
      ...post,
      headers: { ...post.headers, authorization: 'Bearer own' },
      tamper: plusLine(`Connection: ${names}`),
    }),
  );
  expect([answer.status, answer.code]).toEqual([200, undefined]);
  expect(inventory.seen.at(-1)?.headers).toMatchObject({
    'txn-token': 'a.b.c',
    'content-digest': expect.stringMatching(/^sha-256=:/),
    'content-type': 'application/json',
    authorization: 'Bearer own',
  });
});

it('a body that was signed and is left out is not a request without one', async () => {
  const peer = await open();
  const before = inventory.seen.length;
  const answer = await peer.ask(
    signed(peer, { ...post, tamper: (sent) => ({ ...withLine('content-length', '0')(sent), body: '' }) }),
  );
  expectProblem(answer, 'request_proof_digest');
  expect(inventory.seen).toHaveLength(before);
});

it('trailers behind a signed body, which nobody signs, do not go on', async () => {
  const peer = await open();
  const before = inventory.seen.length;
  const answer = await peer.ask(
    signed(peer, {
      ...post,
      tamper: (sent) => ({
        ...sent,
        lines: sent.lines.map((line) =>
          /^content-length:/i.test(line) ? 'Transfer-Encoding: chunked' : line,
        ),
        body: `7\r\n${post.body}\r\n0\r\nX-More: 1\r\n\r\n`,
      }),
    }),
  );
  expect(answer.status).toBe(200);
  expect(inventory.seen).toHaveLength(before + 1);
  expect(JSON.stringify(inventory.seen.at(-1))).not.toMatch(/x-more/i);
});

it('a proof is good once though the clock was set ahead, so that its nonce was forgotten, and back again', async () => {
  const peer = await open();
  const text = signed(peer, { ttl: 30 });
  expect((await peer.ask(text)).status).toBe(200);
  clock.aheadSeconds = 100;
  expect((await peer.ask(signed(peer))).status).toBe(200);
  clock.aheadSeconds = 0;
  const before = inventory.seen.length;
  expectProblem(await peer.ask(text), 'request_proof_replayed');
  expect(recordsOf(inventory, peer.hop)).toMatchObject([
    { verdict: 'deny', reason: 'request_proof_replayed' },
  ]);
  expect(inventory.seen).toHaveLength(before);
});

it('who has no agent key and goes on over HTTP/2 after a refused proof, whatever GOAWAY says, is heard no more', async () => {
  const plain = await openPlainTo(inventory, planning, { alpn: ['h2'] });
  peers.push(plain);
  const peer = new H2Peer(plain);
  await peer.start();
  const ask = (): ReturnType<H2Peer['ask']> => {
    const headers = proofHeaders(plain.exporter, inventory.agent.id, planning, {
      chain,
      now: clock.seconds,
      by: mesh.domain.agent(INVENTORY),
    });
    return peer.ask(requestFields({ fields: Object.entries(headers) }));
  };
  expect((await ask()).code).toBe('request_proof_signature');
  expect((await ask()).status).toBe(0);
  await plain.ended();
  const refused = inventory.log().filter(({ hop }) => String(hop).startsWith(plain.session));
  expect(refused).toHaveLength(1);
});
