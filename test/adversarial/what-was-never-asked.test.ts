/** A callee's log holds no request that its caller never sent: two honest logs would not match, and the caller would be blamed. */
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CrossCheck, HopIndex } from '../../src/core/audit/cross-check.ts';
import type { AuditRecord } from '../../src/core/audit/read-record.ts';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';

let mesh: Mesh;
let callee: MeshAgent;
let caller: MeshAgent;
const arrived: (() => void)[] = [];

beforeAll(async () => {
  mesh = await makeMesh({
    domain: { agents: ['planning/abc123', 'inventory/def456'] },
    config: { limits: { headersTimeout: '1s', idleTimeout: '1s' } },
  });
  callee = await mesh.start('inventory/def456', { handler: () => arrived.shift()?.() });
  caller = await mesh.start('planning/abc123', { routes: { 'inventory.mesh': 'inventory/def456' } });
});
afterAll(() => mesh.stop());

const planning = () => mesh.domain.agent('planning/abc123');
const chain = (): string => forgeChain(mesh.domain, [planning()], { scope: ['cloud:read', 'cloud:write'] });
const recordsOf = (member: MeshAgent) =>
  member.log().filter(({ kind }) => kind === 'decision' || kind === 'outcome');

/** What the log of one member shows and that of the other lacks. */
const unmatched = (shown: MeshAgent, other: MeshAgent) => {
  const indexes = [shown, other].map((member) => {
    const index = new HopIndex(member.logFile, member.agent.id);
    for (const record of member.log()) index.take(record as unknown as AuditRecord);
    return index;
  });
  const check = new CrossCheck(shown.logFile, indexes);
  for (const [at, record] of shown.log().entries()) check.take(record as unknown as AuditRecord, at + 1);
  return check.finish();
};

describe('a request that its caller breaks off in its body', () => {
  it('is one request in both logs', async () => {
    const proxy = new URL(caller.proxyUrl);
    const request = httpRequest({
      host: proxy.hostname,
      port: proxy.port,
      method: 'POST',
      path: 'http://inventory.mesh/vpcs',
      headers: {
        host: 'inventory.mesh',
        'proxy-authorization': `Basic ${btoa(`${proxy.username}:${proxy.password}`)}`,
        'hopgate-context': await mesh.startTask('planning/abc123', chain()),
      },
    });
    request.on('error', () => undefined);
    const there = new Promise<void>((resolve) => arrived.push(resolve));
    request.write('half of it');
    await there;
    request.destroy();
    await expect
      .poll(() => recordsOf(callee).map(({ kind, result }) => result ?? kind))
      .toEqual(['decision', 'client_aborted']);
    expect(unmatched(callee, caller)).toEqual([]);
    expect(unmatched(caller, callee)).toEqual([]);
  });
});

describe('a connection on which', () => {
  it('nothing is asked ends without a word in the log', async () => {
    const before = recordsOf(callee).length;
    const peer = await openSession(callee, planning());
    await peer.ended();
    expect(peer.pending).toHaveLength(0);
    expect(recordsOf(callee)).toHaveLength(before);
  });

  it.each(['', requestText({ headers: ['X-Mark: 1'] })])(
    'half a head comes has its record (%#)',
    async (first) => {
      const peer = await openSession(callee, planning());
      if (first !== '') expect((await peer.ask(first)).status).toBe(401);
      peer.write('GET /vpcs HTTP/1.1\r\nHost: inv');
      peer.requests++;
      await peer.ended();
      expect(callee.log().filter(({ hop }) => hop === peer.hop)).toMatchObject([{ reason: 'http_timeout' }]);
    },
  );
});
