/** Requests without a sidecar that are stripped, replayed, moved, altered or made up, against a running sidecar. */
import { once } from 'node:events';
import { connect as connectH2 } from 'node:http2';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { expectProblem, recordsOf } from '../testkit/attack.ts';
import type { TestAgent } from '../testkit/domain.ts';
import { type Mesh, type MeshAgent, makeMesh, TEST_POLICY, TEST_SCOPE } from '../testkit/mesh.ts';
import {
  openPlainTo,
  plusLine,
  proofHeaders,
  type Sent,
  type SignedPlan,
  signedText,
  withLine,
} from '../testkit/plain-client.ts';
import { connectTlsTo, frame, openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const SECURITY = 'security/eee777';
const COST = 'cost/fff888';

let mesh: Mesh;
let inventory: MeshAgent;
let planning: TestAgent;
let security: TestAgent;
let chain: string;
const bodies: string[] = [];
const peers: RawPeer[] = [];

const open = async (agent = planning, target = inventory): Promise<RawPeer> => {
  const peer = await openPlainTo(target, agent);
  peers.push(peer);
  return peer;
};

beforeAll(async () => {
  mesh = await makeMesh({
    domain: { agents: [PLANNING, INVENTORY, SECURITY, COST], anchor: { scope: TEST_SCOPE } },
    policy: {
      routes: [{ name: 'guarded', path: '/guarded', scopes: ['cloud:write'] }, ...TEST_POLICY.routes],
      withoutSidecar: [
        { name: 'planners', callerTypes: ['planning'], scopes: ['cloud:*'] },
        { name: 'some', callerTypes: ['security'], routes: ['ec2'] },
      ],
      demands: [{ scopes: ['ec2:*'], requestProof: 'required' }],
    },
    config: { limits: { signedBodyBytes: '64KiB' } },
  });
  inventory = await mesh.start(INVENTORY, {
    handler: (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(Buffer.concat(chunks).toString());
        response.end('seen');
      });
    },
  });
  planning = mesh.domain.agent(PLANNING);
  security = mesh.domain.agent(SECURITY);
  chain = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
});
afterAll(() => {
  for (const peer of peers) peer.close();
  mesh.stop();
});

const proofOf = (reason: ReasonCode): string =>
  /^(?:request_proof_(?:not_allowed)|chain_|grant_)/.test(reason) ? 'request' : 'none';

/** Refused with this code, on record under the name of the SVID, and the agent saw nothing. */
const expectRefused = async (
  peer: RawPeer,
  text: string,
  reason: ReasonCode,
  proof = proofOf(reason),
  target = inventory,
): Promise<void> => {
  const before = target.seen.length;
  const answer = await peer.ask(text);
  expectProblem(answer, reason);
  expect(answer.hop).toBe(peer.hop);
  expect(recordsOf(target, peer.hop)).toMatchObject([
    { kind: 'decision', direction: 'inbound', verdict: 'deny', reason, proof },
  ]);
  expect(target.seen).toHaveLength(before);
  if (proof === 'none') {
    expect(answer.headers.connection).toBe('close');
    await peer.ended();
  }
};

const signed = (peer: RawPeer, plan: SignedPlan = {}, agent = planning): string =>
  signedText(peer, inventory, agent, { chain, ...plan });

describe('what is proven', () => {
  it('goes on, without what was for the sidecar alone, and is on record for what it is', async () => {
    const peer = await open();
    for (const body of [undefined, '{"a":1}']) {
      const answer = await peer.ask(
        signed(peer, {
          method: body === undefined ? 'GET' : 'POST',
          body,
          headers: {
            authorization: 'Bearer of the agent’s own'.replace('’', "'"),
            ...(body && { 'content-type': 'application/json' }),
          },
        }),
      );
      expect([answer.status, answer.code]).toEqual([200, undefined]);
      const seen = inventory.seen.at(-1);
      expect(bodies.at(-1)).toBe(body ?? '');
      for (const name of ['signature', 'signature-input', 'workload-identity-token', 'hopgate-channel'])
        expect(seen?.headers[name]).toBeUndefined();
      expect(seen?.headers).toMatchObject({
        'hopgate-caller': planning.id,
        authorization: "Bearer of the agent's own",
      });
      expect(recordsOf(inventory, peer.hop)).toMatchObject([
        { kind: 'decision', verdict: 'permit', proof: 'request', caller: planning.id },
        { kind: 'outcome', result: 'ok' },
      ]);
    }
  });

  it('over HTTP/2 too', async () => {
    const socket = connect({
      host: '127.0.0.1',
      port: inventory.addresses.inbound?.port ?? 0,
      cert: planning.svidPem,
      key: planning.svidKeyPem,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    await once(socket, 'secureConnect');
    const exporter = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
    const session = connectH2('https://inventory.mesh', { createConnection: () => socket });
    const ask = async (plan: SignedPlan, change: Record<string, string> = {}): Promise<number> => {
      const { method = 'GET', target = '/vpcs', body } = plan;
      const headers = proofHeaders(exporter, inventory.agent.id, planning, { chain, ...plan });
      const stream = session.request({ ':method': method, ':path': target, ...headers, ...change });
      stream.end(body);
      const [response] = (await once(stream, 'response')) as [{ ':status': number }];
      stream.resume();
      return response[':status'];
    };
    expect(await ask({})).toBe(200);
    expect(await ask({ method: 'POST', body: '{"a":1}' })).toBe(200);
    expect(bodies.at(-1)).toBe('{"a":1}');
    const before = inventory.seen.length;
    expect(await ask({ method: 'POST', body: 'x' }, { 'content-digest': 'sha-256=:AAAA:' })).toBe(400);
    expect(inventory.seen).toHaveLength(before);
    session.destroy();
  });
});

describe('a request that was altered after it was signed', () => {
  const body = '{"a":1}';
  const post = { method: 'POST', body, headers: { 'content-type': 'application/json' } };
  const edit =
    (change: Partial<Sent>) =>
    (sent: Sent): Sent => ({ ...sent, ...change });
  it.each<readonly [string, SignedPlan, ReasonCode]>([
    ['another method', { tamper: edit({ method: 'DELETE' }) }, 'request_proof_signature'],
    ['another path', { tamper: edit({ target: '/keys' }) }, 'request_proof_signature'],
    ['a query added', { tamper: edit({ target: '/vpcs?all=1' }) }, 'request_proof_signature'],
    ['another host', { tamper: withLine('host', 'finance.mesh') }, 'request_proof_signature'],
    [
      'another media type',
      { ...post, tamper: withLine('content-type', 'text/plain') },
      'request_proof_signature',
    ],
    [
      'a digest of another body',
      {
        ...post,
        tamper: withLine('content-digest', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'),
      },
      'request_proof_signature',
    ],
    ['credentials added', { tamper: plusLine('Authorization: Bearer x') }, 'request_proof_components'],
    ['labels added', { tamper: plusLine('Delegation-Labels: pii') }, 'request_proof_components'],
    ['a digest taken away', { ...post, tamper: withLine('content-digest') }, 'request_proof_components'],
    ['the chain taken away', { tamper: withLine('delegation-chain') }, 'request_proof_components'],
    ['a grant added', { tamper: plusLine('Delegation-Grant: a.b.c') }, 'request_proof_components'],
    [
      'a grant taken away',
      { grant: 'a.b.c', tamper: withLine('delegation-grant') },
      'request_proof_components',
    ],
    ['another chain', { tamper: withLine('delegation-chain', 'a.b.c') }, 'request_proof_signature'],
    [
      'another grant',
      { grant: 'a.b.c', tamper: withLine('delegation-grant', 'a.b.d') },
      'request_proof_signature',
    ],
    ['the signature taken away', { tamper: withLine('signature') }, 'request_proof_missing'],
    ['its input taken away', { tamper: withLine('signature-input') }, 'request_proof_missing'],
    ['the WIT taken away', { tamper: withLine('workload-identity-token') }, 'request_proof_missing'],
    ['the exporter taken away', { tamper: withLine('hopgate-channel') }, 'request_proof_missing'],
    [
      'a second signature',
      { tamper: (sent) => plusLine(sent.lines.find((line) => line.startsWith('signature:')) ?? '')(sent) },
      'http_header_duplicate',
    ],
    [
      'a second Signature-Input',
      {
        tamper: (sent) =>
          plusLine(sent.lines.find((line) => line.startsWith('signature-input:')) ?? '')(sent),
      },
      'http_header_duplicate',
    ],
    ['a second chain', { tamper: plusLine('Delegation-Chain: a.b.c') }, 'http_header_duplicate'],
    ['a second WIT', { tamper: plusLine('Workload-Identity-Token: a.b.c') }, 'http_header_duplicate'],
    [
      'the chain in another spelling',
      { tamper: plusLine('Content_Digest: sha-256=:AAAA:') },
      'http_header_duplicate',
    ],
    [
      'a body',
      { tamper: (sent) => ({ ...sent, lines: [...sent.lines, 'Content-Length: 1'], body: 'x' }) },
      'request_proof_digest',
    ],
    [
      'a chunked body',
      {
        tamper: (sent) => ({
          ...sent,
          lines: [...sent.lines, 'Transfer-Encoding: chunked'],
          body: '0\r\n\r\n',
        }),
      },
      'request_proof_digest',
    ],
  ])('%s', async (_, plan, reason) => {
    const peer = await open();
    await expectRefused(peer, signed(peer, plan), reason);
  });

  it('another body under the signed digest is read, and goes nowhere', async () => {
    const peer = await open();
    const swapped = signed(peer, { ...post, tamper: (sent) => ({ ...sent, body: '{"a":2}' }) });
    await expectRefused(peer, swapped, 'request_proof_digest', 'request');
    const answer = await peer.ask(signed(peer, post));
    expect(answer.status).toBe(200);
  });

  it('a body that is larger than what is read', async () => {
    const peer = await open();
    await expectRefused(
      peer,
      signed(peer, { ...post, body: 'x'.repeat(65_537) }),
      'http_body_too_large',
      'request',
    );
  });
});

describe('a signature that says too much, too little or something else', () => {
  it.each<readonly [string, SignedPlan, ReasonCode]>([
    ['for another agent', { audience: 'spiffe://company.com/agent/cost/fff888' }, 'request_proof_audience'],
    ['for our whole type', { audience: 'spiffe://company.com/agent/inventory/*' }, 'request_proof_audience'],
    ['for a minute', { ttl: 60 }, 'request_proof_ttl'],
    ['that was over before', { now: Math.floor(Date.now() / 1000) - 120 }, 'request_proof_expired'],
    ['from the future', { now: Math.floor(Date.now() / 1000) + 60 }, 'request_proof_not_yet_valid'],
    [
      'over one header more',
      {
        headers: { accept: '*/*' },
        components: [
          '@method',
          '@authority',
          '@request-target',
          'workload-identity-token',
          'hopgate-channel',
          'delegation-chain',
          'accept',
        ],
      },
      'request_proof_components',
    ],
    [
      'without the method',
      {
        components: [
          '@authority',
          '@request-target',
          'workload-identity-token',
          'hopgate-channel',
          'delegation-chain',
        ],
      },
      'request_proof_components',
    ],
    [
      'without the chain',
      {
        components: [
          '@method',
          '@authority',
          '@request-target',
          'workload-identity-token',
          'hopgate-channel',
        ],
      },
      'request_proof_components',
    ],
    [
      'without the WIT',
      { components: ['@method', '@authority', '@request-target', 'hopgate-channel', 'delegation-chain'] },
      'request_proof_components',
    ],
    [
      'without the exporter',
      {
        components: [
          '@method',
          '@authority',
          '@request-target',
          'workload-identity-token',
          'delegation-chain',
        ],
      },
      'request_proof_components',
    ],
  ])('%s', async (_, plan, reason) => {
    const peer = await open();
    await expectRefused(peer, signed(peer, plan), reason);
  });

  it('from before the sidecar began', async () => {
    const late = await mesh.start(COST);
    const peer = await open(planning, late);
    // In the second before, whichever that was: the clock of this test and of the sidecar are one.
    const text = signedText(peer, late, planning, { chain, now: Math.floor(Date.now() / 1000) - 15 });
    await expectRefused(peer, text, 'request_proof_before_start', 'none', late);
  });

  it('with unsigned parameters', async () => {
    const peer = await open();
    const tamper = (sent: Sent): Sent => ({
      ...sent,
      lines: sent.lines.map((line) => (line.startsWith('signature-input:') ? `${line};alg="none"` : line)),
    });
    await expectRefused(peer, signed(peer, { tamper }), 'request_proof_malformed');
  });
});

describe('a proof in other hands or places', () => {
  it('is good once', async () => {
    const peer = await open();
    const text = signed(peer);
    expect((await peer.ask(text)).status).toBe(200);
    await expectRefused(peer, text, 'request_proof_replayed');
  });

  it('is good on its own connection alone', async () => {
    const first = await open();
    const second = await open();
    await expectRefused(second, signed(first), 'request_proof_channel');
  });

  it('does not move by writing the other exporter over it', async () => {
    const first = await open();
    const second = await open();
    const exporter = second.exporter.toString('base64url');
    await expectRefused(
      second,
      signed(first, { tamper: withLine('hopgate-channel', exporter) }),
      'request_proof_signature',
    );
  });

  it('of another agent, by its own WIT and key, over our SVID', async () => {
    const peer = await open();
    await expectRefused(peer, signed(peer, { wit: security.wit, by: security }), 'wit_not_svid');
  });

  it('by another key than the one that the WIT binds', async () => {
    const peer = await open();
    await expectRefused(peer, signed(peer, { by: security }), 'request_proof_signature');
  });

  it('with a stolen chain', async () => {
    const peer = await open(security);
    await expectRefused(
      peer,
      signed(peer, { target: '/ec2/DescribeVpcs' }, security),
      'chain_leaf_not_caller',
      'request',
    );
  });

  it('without a chain', async () => {
    const peer = await open();
    await expectRefused(peer, signed(peer, { chain: undefined }), 'chain_missing', 'request');
  });

  it('with a grant and no chain', async () => {
    const peer = await open();
    await expectRefused(
      peer,
      signed(peer, { chain: undefined, grant: chain }),
      'grant_without_chain',
      'request',
    );
  });
});

describe('who may come so', () => {
  it('nobody for a scope that policy does not name, though its chain and a rule would do', async () => {
    const peer = await open();
    await expectRefused(peer, signed(peer, { target: '/ec2/DescribeVpcs' }), 'request_proof_not_allowed');
  });

  it('nobody whom policy does not name', async () => {
    const own = mesh.domain.mintChain([SECURITY], { scope: TEST_SCOPE });
    const peer = await open(security);
    await expectRefused(peer, signed(peer, { chain: own }, security), 'request_proof_not_allowed');
  });

  it('plain HTTP without a word of proof', async () => {
    const peer = await open();
    await expectRefused(peer, requestText({ chain }), 'request_proof_missing');
  });

  it('nobody who has no SVID', async () => {
    await expect(
      openPlainTo(inventory, planning, { cert: undefined, key: undefined }).then((peer) =>
        peer.ask(requestText({ chain })),
      ),
    ).rejects.toThrow();
  });

  it('nobody at a sidecar whose configuration says no', async () => {
    const closed = await mesh.start(SECURITY, { config: { inbound: { withoutSidecar: false } } });
    await expect(openPlainTo(closed, planning)).rejects.toThrow(/alert|closed|reset/i);
    expect((await openSession(closed, planning)).session).not.toBe('');
  });
});

describe('the handshake is not to be left out, nor enough everywhere', () => {
  it('HTTP on the protocol of sidecars is no frame', async () => {
    const peer = await connectTlsTo(inventory, { cert: planning.svidPem, key: planning.svidKeyPem });
    peers.push(peer);
    const before = inventory.seen.length;
    peer.write(signed(peer));
    const [type, , , , , , status] = (await peer.readFrame()) ?? [];
    expect([type, status]).toEqual([4, 1]);
    await peer.ended();
    expect(inventory.seen).toHaveLength(before);
  });

  it('frames on plain HTTP are no request', async () => {
    const peer = await open();
    const answer = await peer.ask(frame(1, ['hopgate-hs/1', Buffer.of(1), Buffer.alloc(32), planning.wit]));
    expectProblem(answer, 'http_malformed');
    expect(recordsOf(inventory, peer.hop)).toMatchObject([
      { verdict: 'deny', reason: 'http_malformed', proof: 'none' },
    ]);
  });

  it('a session does not get what demands that the request is signed', async () => {
    const peer = await openSession(inventory, planning);
    peers.push(peer);
    const before = inventory.seen.length;
    const answer = await peer.ask(requestText({ chain, target: '/ec2/DescribeVpcs' }));
    expectProblem(answer, 'request_proof_missing');
    expect(inventory.seen).toHaveLength(before);
  });

  it('a session and a signature do, once', async () => {
    const peer = await openSession(inventory, planning);
    peers.push(peer);
    const text = signed(peer, { target: '/ec2/DescribeVpcs' });
    expect((await peer.ask(text)).status).toBe(200);
    expect(recordsOf(inventory, peer.hop)[0]).toMatchObject({ verdict: 'permit', proof: 'both' });
    const again = await peer.ask(text);
    expectProblem(again, 'request_proof_replayed');
  });

  it('a signature that fails is not passed over on a session that would need none', async () => {
    const peer = await openSession(inventory, planning);
    peers.push(peer);
    const answer = await peer.ask(signed(peer, { by: security }));
    expectProblem(answer, 'request_proof_signature');
  });

  it('an agent’s own signature goes on untouched', async () => {
    const peer = await openSession(inventory, planning);
    peers.push(peer);
    const answer = await peer.ask(
      requestText({ chain, headers: ['Signature-Input: sig1=("@method")', 'Signature: sig1=:AAAA:'] }),
    );
    expect(answer.status).toBe(200);
    expect(inventory.seen.at(-1)?.headers).toMatchObject({ 'signature-input': 'sig1=("@method")' });
  });
});
