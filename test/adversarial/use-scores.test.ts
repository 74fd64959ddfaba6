/** Trust scores in use: who would lower another’s by what it does itself, and what a low one ends. */
import type { RequestListener } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ScoreAnswer, scoreEndpoints } from '../../src/api/scores.ts';
import { agentIdOf } from '../testkit/domain.ts';
import { sendThrough, TEST_POLICY } from '../testkit/mesh.ts';
import { TRUST_DOMAIN } from '../testkit/running-verifier.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';

const streaming: RequestListener = (request, response) => {
  if (request.url !== '/events') response.end('{}');
  else response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
};

describe('a score', () => {
  let mesh: VerifiedMesh;
  let planning: VerifiedMember;
  let inventory: VerifiedMember;
  let context: string;
  beforeEach(async () => {
    mesh = await makeVerifiedMesh();
    inventory = await mesh.start(INVENTORY, { handler: streaming });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.mintRoot(planning, { scope: ['cloud:read'] }));
  });
  afterEach(() => mesh.stop());

  const ask = (target: string, method = 'GET') =>
    sendThrough(planning, `http://inventory.mesh${target}`, { context, method });

  /** Another policy makes sidecars report at once; a good hop in the same report shows that it has come. */
  const scoreOf = async ({ id }: VerifiedMember, change: Record<string, unknown>): Promise<ScoreAnswer> => {
    await mesh.publishPolicy(change);
    return vi.waitFor(async () => {
      await mesh.running.verifier.rooms.scores.flush();
      const score = await mesh.operator.call(scoreEndpoints.getScore, { params: { id } });
      expect(score.reasons.map(({ reason }) => reason)).toContain('ok');
      return score;
    }, 5000);
  };
  const named = ({ reasons }: ScoreAnswer): string[] => reasons.map(({ reason }) => reason);

  it('of a callee is not lowered by what its caller’s own sidecar refused', async () => {
    for (let round = 0; round < 20; round++) expect((await ask('/vpcs', 'POST')).code).toBe('scope_missing');
    expect((await ask('/a%2fb')).code).toBe('target_not_canonical');
    expect((await ask('/vpcs')).status).toBe(200);
    expect(inventory.log().filter(({ verdict }) => verdict === 'deny')).toEqual([]);
    const score = await scoreOf(inventory, { revision: 'test-2' });
    expect(named(score)).toEqual(['ok']);
    expect(score.score).toBeGreaterThanOrEqual(score.baseline);
  });

  it('of neither is lowered by another policy that ends what it had allowed', async () => {
    expect((await ask('/vpcs')).status).toBe(200);
    const ended = ask('/events').catch(() => undefined);
    await vi.waitFor(() => expect(inventory.seen.at(-1)?.url).toBe('/events'), 5000);
    const routes = TEST_POLICY.routes.filter(({ name }) => name === 'write');
    const scores = [
      await scoreOf(planning, { revision: 'test-2', routes }),
      await scoreOf(inventory, { revision: 'test-3', routes }),
    ];
    await ended;
    expect(scores.map(named)).toEqual([['ok'], ['ok']]);
  });

  describe('and the age of trust', () => {
    const demanding = (demand: Record<string, unknown>) =>
      mesh.publishPolicy({ revision: 'test-9', demands: [{ scopes: ['cloud:read'], ...demand }] });
    const openStream = () => ask('/events').catch(() => undefined);
    const results = ({ log }: VerifiedMember): unknown =>
      log().findLast(({ kind }) => kind === 'outcome')?.result;
    const inForce = () =>
      vi.waitFor(() => {
        for (const { source } of [planning, inventory])
          expect(source.trust.last.policy.policy.revision).toBe('test-9');
      }, 5000);

    it('cut a stream when the score of an agent in its chain falls below what is demanded', async () => {
      await demanding({ minScore: 400 });
      await inForce();
      const stream = openStream();
      await vi.waitFor(() => expect(inventory.seen.at(-1)?.url).toBe('/events'), 5000);
      const { scores } = mesh.running.verifier.rooms;
      for (const one of ['security/1', 'cost/1', 'report/1'])
        scores.take(agentIdOf(TRUST_DOMAIN, one), planning.id, { chain_leaf_not_caller: 5 });
      await scores.flush();
      await stream;
      await vi.waitFor(
        () => expect([planning, inventory].map(results)).toEqual(['score_too_low', 'score_too_low']),
        3000,
      );
      const seen = inventory.seen.length;
      expect((await ask('/vpcs')).code).toBe('score_too_low');
      expect(inventory.seen).toHaveLength(seen);
    });

    it('cut a stream when nothing was heard of the verifier for longer than is demanded', async () => {
      await demanding({ maxStaleness: '2m' });
      await inForce();
      const stream = openStream();
      await vi.waitFor(() => expect(inventory.seen.at(-1)?.url).toBe('/events'), 5000);
      await mesh.stopVerifier();
      mesh.clock.advanceSeconds(110);
      for (const { sidecar } of [planning, inventory]) sidecar.sweep();
      expect([planning, inventory].map(({ log }) => log().some(({ kind }) => kind === 'outcome'))).toEqual([
        false,
        false,
      ]);
      mesh.clock.advanceSeconds(20);
      for (const { sidecar } of [inventory, planning]) sidecar.sweep();
      await stream;
      await vi.waitFor(
        () => expect([planning, inventory].map(results)).toEqual(['bundle_stale', 'bundle_stale']),
        3000,
      );
      expect((await ask('/vpcs')).code).toBe('bundle_stale');
    });
  });
});
