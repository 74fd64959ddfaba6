/** Chains and grants in other hands, other places and other roles than those they were made for. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestAgent } from '../testkit/domain.ts';
import { type Mesh, type MeshAgent, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { connectPeer, openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const SECURITY = 'security/eee777';

describe('authority in use', () => {
  let mesh: Mesh;
  let inventory: MeshAgent;
  let planning: TestAgent;
  let security: TestAgent;
  let byPlanning: RawPeer;
  let bySecurity: RawPeer;
  /** Held by planning. */
  let chain: string;
  const peers: RawPeer[] = [];

  const open = async (agent: TestAgent, target: MeshAgent = inventory): Promise<RawPeer> => {
    const peer = await openSession(target, agent);
    peers.push(peer);
    return peer;
  };

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { agents: [PLANNING, INVENTORY, SECURITY], anchor: { scope: TEST_SCOPE } },
    });
    inventory = await mesh.start(INVENTORY);
    await mesh.start(SECURITY, { routes: { 'inventory.mesh': INVENTORY } });
    await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY, 'security.mesh': SECURITY } });
    planning = mesh.domain.agent(PLANNING);
    security = mesh.domain.agent(SECURITY);
    chain = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
  });
  beforeEach(async () => {
    byPlanning = await open(planning);
    bySecurity = await open(security);
  });
  afterAll(() => {
    for (const peer of peers) peer.close();
    mesh.stop();
  });

  /** Refused with this code, on record as inbound denial, and nothing of it reached the agent. */
  const expectRefused = async (
    peer: RawPeer,
    request: Parameters<typeof requestText>[0],
    code: string,
  ): Promise<void> => {
    const seen = inventory.seen.length;
    const answer = await peer.ask(requestText(request));
    expect(answer.code).toBe(code);
    expect(inventory.seen.length).toBe(seen);
    expect(inventory.log().filter(({ hop }) => hop === peer.hop)).toMatchObject([
      { kind: 'decision', direction: 'inbound', verdict: 'deny', reason: code },
    ]);
  };
  const expectAllowed = async (peer: RawPeer, request: Parameters<typeof requestText>[0]): Promise<void> => {
    const answer = await peer.ask(requestText(request));
    expect([answer.status, answer.code]).toEqual([200, undefined]);
  };

  it('a stolen chain on the thief’s own connection', async () => {
    await expectAllowed(byPlanning, { chain });
    await expectRefused(bySecurity, { chain }, 'chain_leaf_not_caller');
  });

  it('a stolen chain, although the same request of its holder was allowed and is remembered', async () => {
    for (let round = 0; round < 3; round++)
      await expectAllowed(byPlanning, { chain, target: '/vpcs?cached' });
    expect(
      inventory.log().findLast(({ hop, kind }) => hop === byPlanning.hop && kind === 'decision'),
    ).toMatchObject({ cached: true });
    await expectRefused(bySecurity, { chain, target: '/vpcs?cached' }, 'chain_leaf_not_caller');
  });

  it('a stolen chain by one who enrolled under the same name with a key of its own', async () => {
    const impostor = await mesh.domain.enrol(PLANNING);
    const peer = await open(impostor);
    await expectRefused(peer, { chain }, 'chain_leaf_key');
    await mesh.domain.enrol(PLANNING, { key: planning });
  });

  it('a stolen chain with SVID and WIT of its holder, but without the agent key', async () => {
    const seen = inventory.seen.length;
    const { peer, result } = await connectPeer(inventory, planning, { signer: security.sign });
    expect(result).toEqual({ status: 'refused', reason: 'proof_signature' });
    peer.close();
    expect(inventory.seen.length).toBe(seen);
  });

  it('no chain', async () => {
    await expectRefused(byPlanning, {}, 'chain_missing');
  });

  describe('a grant', () => {
    /** planning's chain, and the grant below it for security, as security holds them. */
    let grant: string;
    beforeAll(() => {
      grant = mesh.domain.mintGrant(chain, planning, security);
    });

    it('is onward authority under its own chain, in the hands of its delegatee', async () => {
      await expectAllowed(bySecurity, { chain: `${chain}~${grant}` });
    });
    it('sent as the chain', async () => {
      await expectRefused(bySecurity, { chain: grant }, 'claim_unknown');
    });
    it('sent without a chain', async () => {
      await expectRefused(bySecurity, { grant }, 'grant_without_chain');
      await expectRefused(byPlanning, { grant }, 'grant_without_chain');
    });
    it('of another agent, presented by its minter to a third party', async () => {
      await expectRefused(byPlanning, { chain, grant }, 'grant_callee');
    });
    it('replayed by its delegatee to a third party, as grant and in the chain of its minter', async () => {
      await expectRefused(bySecurity, { chain, grant }, 'chain_leaf_not_caller');
      await expectRefused(byPlanning, { chain: `${chain}~${grant}` }, 'chain_leaf_not_caller');
    });
    it('under another leaf', async () => {
      const other = mesh.domain.mintChain([PLANNING], { scope: ['cloud:read'] });
      const forInventory = mesh.domain.mintGrant(chain, planning, inventory.agent);
      await expectRefused(byPlanning, { chain: other, grant: forInventory }, 'grant_not_child');
      await expectRefused(bySecurity, { chain: `${other}~${grant}` }, 'link_parent');
    });
    it('for the callee’s name with another key', async () => {
      const old = await mesh.domain.enrol(INVENTORY);
      const stale = mesh.domain.mintGrant(chain, planning, old);
      await expectRefused(byPlanning, { chain, grant: stale }, 'grant_callee_key');
    });
    it('made by the callee for itself', async () => {
      const own = mesh.domain.mintGrant(
        chain,
        { ...inventory.agent, keyBinding: planning.keyBinding },
        inventory.agent,
      );
      await expectRefused(byPlanning, { chain, grant: own }, 'link_signature');
    });
    it('twice, and two chains', async () => {
      const one = mesh.domain.mintGrant(chain, planning, inventory.agent);
      await expectRefused(
        byPlanning,
        { chain, headers: [`Delegation-Chain: ${chain}`] },
        'http_header_duplicate',
      );
      await expectRefused(
        await open(planning),
        { chain, grant: one, headers: [`delegation-grant: ${one}`] },
        'http_header_duplicate',
      );
    });
  });

  describe('tasks at once in one agent', () => {
    it('keep their own principal, task and scope, however they are mixed', async () => {
      const narrow = mesh.domain.mintChain([PLANNING], { scope: ['cloud:read'] });
      const wide = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
      const from = mesh.agent(PLANNING);
      const [one, two] = [await mesh.startTask(PLANNING, narrow), await mesh.startTask(PLANNING, wide)];
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          sendThrough(from, `http://inventory.mesh/tasks/${index}`, {
            method: 'POST',
            context: index % 2 === 0 ? one : two,
            // The trace is the same on purpose: it selects nothing.
            headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
            body: 'x',
          }),
        ),
      );
      answers.forEach((answer, index) => {
        expect(answer.code).toBe(index % 2 === 0 ? 'scope_missing' : undefined);
      });
      const arrived = inventory.seen.filter(({ url }) => url.startsWith('/tasks/'));
      expect(arrived).toHaveLength(20);
      expect(new Set(arrived.map(({ headers }) => headers['hopgate-task']))).toEqual(
        new Set([mesh.domain.verify(wide, planning).task]),
      );
      expect(new Set(arrived.map(({ headers }) => headers['hopgate-context'])).size).toBe(20);
    });
  });
});
