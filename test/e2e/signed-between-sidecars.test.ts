/** Where policy demands that a request itself is signed, the caller's sidecar signs it: over HTTP/1.1 and HTTP/2, with a body and without. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Mesh,
  type MeshAgent,
  makeMesh,
  sendThrough,
  TEST_POLICY,
  TEST_SCOPE,
} from '../testkit/mesh.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const OTHER = 'planning/zzz999';

let mesh: Mesh;
let inventory: MeshAgent;
let planning: MeshAgent;
let context: string;
const bodies: string[] = [];

beforeAll(async () => {
  mesh = await makeMesh({
    domain: { agents: [PLANNING, INVENTORY, OTHER], anchor: { scope: TEST_SCOPE } },
    policy: {
      routes: TEST_POLICY.routes.map((route) =>
        route.name === 'write' ? { ...route, labels: { request: ['pii'] } } : route,
      ),
      demands: [{ scopes: ['cloud:write', 'ec2:*'], requestProof: 'required' }],
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
  planning = await mesh.start(PLANNING, {
    routes: { 'inventory.mesh': INVENTORY, 'second.mesh': INVENTORY },
  });
  context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
});
afterAll(() => mesh.stop());

const decisionOf = (agent: MeshAgent, hop: unknown): Record<string, unknown> | undefined =>
  agent.log().find((record) => record.hop === hop && record.kind === 'decision');

describe('a demanded proof', () => {
  test.each([
    ['without a body', '/ec2/DescribeVpcs', 'GET', undefined],
    ['with one, and labels', '/things', 'POST', '{"a":1}'],
    ['with an empty one', '/things', 'POST', ''],
  ])('is made by the caller’s sidecar: %s', async (_, path, method, body) => {
    const answer = await sendThrough(planning, `http://inventory.mesh${path}?page=2`, {
      method,
      context,
      ...(body !== undefined && {
        body,
        headers: { 'content-type': 'application/json', authorization: 'Bearer x' },
      }),
    });
    expect([answer.status, answer.code]).toEqual([200, undefined]);
    const hop = answer.headers['hopgate-hop'];
    expect(decisionOf(inventory, hop)).toMatchObject({ verdict: 'permit', proof: 'both' });
    expect(decisionOf(planning, hop)).not.toHaveProperty('proof');
    const seen = inventory.seen.at(-1)?.headers ?? {};
    expect(Object.keys(seen).filter((name) => /^(?:signature|workload|hopgate-channel)/.test(name))).toEqual(
      [],
    );
    expect(bodies.at(-1)).toBe(body ?? '');
  });

  test('is made of a grant too', async () => {
    await sendThrough(planning, 'http://inventory.mesh/ec2/DescribeVpcs', { context });
    expect(inventory.seen.at(-1)?.headers['hopgate-context']).toBeDefined();
  });

  test('is not made where nobody demands it', async () => {
    const answer = await sendThrough(planning, 'http://inventory.mesh/vpcs', { context });
    expect(decisionOf(inventory, answer.headers['hopgate-hop'])).not.toHaveProperty('proof');
  });

  test('reads the body whole, within its bound, before anything of it is sent', async () => {
    const before = inventory.seen.length;
    const answer = await sendThrough(planning, 'http://inventory.mesh/things', {
      method: 'POST',
      context,
      body: 'x'.repeat(65_537),
    });
    expect(answer.code).toBe('http_body_too_large');
    expect(inventory.seen).toHaveLength(before);
  });

  test.each([
    ['signed itself', { 'signature-input': 'sig1=("@method")', signature: 'sig1=:AAAA:' }],
    ['given a WIT of its own', { 'workload-identity-token': 'a.b.c' }],
  ])('can’t be made of what the agent has %s', async (_, headers) => {
    const answer = await sendThrough(planning, 'http://inventory.mesh/ec2/DescribeVpcs', {
      context,
      headers,
    });
    expect(answer.code).toBe('request_proof_missing');
  });

  test('does not take another digest of the agent’s for the body’s', async () => {
    const before = inventory.seen.length;
    const answer = await sendThrough(planning, 'http://inventory.mesh/things', {
      method: 'POST',
      context,
      body: 'x',
      headers: { 'content-digest': 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:' },
    });
    expect(answer.code).toBe('request_proof_digest');
    expect(inventory.seen).toHaveLength(before);
  });
});

test('over HTTP/2 as well', async () => {
  const caller = await mesh.start(OTHER, {
    config: {
      outbound: {
        routes: [
          {
            host: 'inventory.mesh',
            peer: mesh.domain.agent(INVENTORY).id,
            address: `127.0.0.1:${inventory.addresses.inbound?.port}`,
            http: 'h2',
          },
        ],
      },
    },
  });
  const handle = await mesh.startTask(OTHER, mesh.domain.mintChain([OTHER], { scope: TEST_SCOPE }));
  for (const [method, path, body] of [
    ['GET', '/ec2/DescribeVpcs', undefined],
    ['POST', '/things', '{"b":2}'],
  ] as const) {
    const answer = await sendThrough(caller, `http://inventory.mesh${path}`, {
      method,
      context: handle,
      ...(body !== undefined && { body }),
    });
    expect([answer.status, answer.code]).toEqual([200, undefined]);
    expect(decisionOf(inventory, answer.headers['hopgate-hop'])).toMatchObject({ proof: 'both' });
    expect(bodies.at(-1)).toBe(body ?? '');
  }
});
