/** A federated trust domain whose keys we hold: it may speak for its own names and for no others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { privateKeyPem } from '../../src/edge/keys/signing-key.ts';
import { issueSvid, makeTlsKey } from '../../src/verifier/authority/certificates.ts';
import { issueTokens } from '../../src/verifier/authority/tokens.ts';
import { agentIdOf, makeDomain, type TestAgent, type TestDomain } from '../testkit/domain.ts';
import { type Mesh, type MeshAgent, makeMesh, TEST_SCOPE } from '../testkit/mesh.ts';
import { connectPeer, openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe('a federated domain', () => {
  let mesh: Mesh;
  let partner: TestDomain;
  let inventory: MeshAgent;
  const peers: RawPeer[] = [];

  beforeAll(async () => {
    partner = await makeDomain({
      trustDomain: 'partner.example',
      agents: ['planning/p1'],
      anchor: { scope: TEST_SCOPE, domains: ['partner.example', 'company.com'] },
    });
    mesh = await makeMesh({
      domain: { anchor: { scope: TEST_SCOPE } },
      bundle: { federated: [partner] },
    });
    // The partner's principals are anchored here too, as far as we let them.
    const [theirs] = [...partner.principals.values()];
    if (theirs === undefined) throw new RangeError('no principal');
    mesh.writeBundle({ federated: [partner], anchors: [wideAnchor(), theirs.anchor] });
    inventory = await mesh.start(INVENTORY);
  });
  afterAll(() => {
    for (const peer of peers) peer.close();
    mesh.stop();
  });

  /** Ours, which may also grant to the partner's agents. */
  const wideAnchor = () => {
    const { anchor } = mesh.domain.principal();
    return {
      ...anchor,
      domains: ['company.com', 'partner.example'],
      delegatees: [
        ...anchor.delegatees,
        'spiffe://partner.example/agent/planning/*' as const,
      ] as typeof anchor.delegatees,
    };
  };
  const nothingSeen = (): void => {
    expect(inventory.seen).toEqual([]);
  };
  /** `planning/abc123` of our domain, with an SVID and tokens by whoever is named. */
  const forge = async (svidBy: TestDomain, tokensBy: TestDomain): Promise<TestAgent> => {
    const agent = mesh.domain.agent(PLANNING);
    const id = agentIdOf('company.com', PLANNING);
    const key = makeTlsKey();
    const svid = await issueSvid(
      { ...svidBy.authority, trustDomain: 'company.com' },
      { id, key, now: svidBy.now, ttlSeconds: 3600 },
    );
    const tokens = issueTokens(tokensBy.issuer, {
      id,
      agentX: agent.x,
      auditX: agent.audit.x,
      now: tokensBy.now,
      exp: svid.notAfter,
    });
    return { ...agent, ...tokens, svidPem: svid.pem, svidKeyPem: privateKeyPem(key) };
  };
  const refusal = async (agent: TestAgent): Promise<string> => {
    try {
      const { peer, result } = await connectPeer(inventory, agent);
      peers.push(peer);
      return result.status === 'refused' ? result.reason : result.status;
    } catch (error) {
      return (error as Error).message;
    }
  };
  /** What the sidecar has counted since it started; written at its end, so this reads what `stop` leaves. */
  const countedAtEnd = new Set<string>();

  it('takes part under its own names', async () => {
    const agent = partner.agent('planning/p1');
    const peer = await openSession(inventory, agent);
    peers.push(peer);
    const chain = partner.mintRoot(agent, { scope: TEST_SCOPE, aud: ['partner.example', 'company.com'] });
    expect((await peer.ask(requestText({ chain }))).status).toBe(200);
    inventory.seen.length = 0;
  });

  it('cannot assert our name with its CA', async () => {
    expect(await refusal(await forge(partner, mesh.domain))).toBe('svid_untrusted');
    countedAtEnd.add('svid_untrusted');
    nothingSeen();
  });

  it('cannot assert our name with its WIT issuer', async () => {
    expect(await refusal(await forge(mesh.domain, partner))).toBe('wit_issuer_unknown');
    countedAtEnd.add('wit_issuer_unknown');
    nothingSeen();
  });

  it('cannot bind our name to its key within a chain', async () => {
    // Our agent's chain goes on below a link for planning; the partner's issuer vouches for the key.
    const agent = partner.agent('planning/p1');
    const ours = mesh.domain.agent(PLANNING);
    const chain = mesh.domain.mintRoot(ours, { scope: TEST_SCOPE, aud: ['company.com'] });
    const { keyBinding } = issueTokens(partner.issuer, {
      id: ours.id,
      agentX: ours.x,
      auditX: ours.audit.x,
      now: partner.now,
      exp: partner.now + 3600,
    });
    const forged = mesh.domain.mintGrant(chain, { ...ours, keyBinding }, inventory.agent);
    const peer = await openSession(inventory, ours);
    peers.push(peer);
    const answer = await peer.ask(requestText({ chain, grant: forged }));
    expect(answer.code).toBe('kb_issuer_unknown');
    expect(agent.id).not.toBe(ours.id);
    expect(inventory.log().findLast(({ hop }) => hop === peer.hop)).toMatchObject({
      verdict: 'deny',
      reason: 'kb_issuer_unknown',
    });
    nothingSeen();
  });

  it('cannot use a chain here that is for its own domain alone', async () => {
    const agent = partner.agent('planning/p1');
    const peer = await openSession(inventory, agent);
    peers.push(peer);
    const chain = partner.mintRoot(agent, { scope: TEST_SCOPE, aud: ['partner.example'] });
    expect((await peer.ask(requestText({ chain }))).code).toBe('chain_aud');
    expect(inventory.log().findLast(({ hop }) => hop === peer.hop)).toMatchObject({
      verdict: 'deny',
      reason: 'chain_aud',
    });
    nothingSeen();
  });

  it('cannot send one of our principals’ chains on to an agent of ours that it names', async () => {
    // A chain that our principal gave to our agent, presented by the partner's.
    const agent = partner.agent('planning/p1');
    const peer = await openSession(inventory, agent);
    peers.push(peer);
    const chain = mesh.domain.mintRoot(mesh.domain.agent(PLANNING), { scope: TEST_SCOPE });
    expect((await peer.ask(requestText({ chain }))).code).toBe('chain_leaf_not_caller');
    nothingSeen();
  });

  it('is out at once when the bundle no longer names it: its sessions end, new ones are refused', async () => {
    const agent = partner.agent('planning/p1');
    // A principal of ours granted it something: the anchor alone would still let it in.
    const chain = mesh.domain.mintRoot(agent, { scope: TEST_SCOPE, aud: ['company.com', 'partner.example'] });
    const peer = await openSession(inventory, agent);
    peers.push(peer);
    expect((await peer.ask(requestText({ chain }))).status).toBe(200);
    inventory.seen.length = 0;
    mesh.writeBundle({ seq: 3, anchors: [wideAnchor()] });
    inventory.sidecar.reload();
    await peer.ended();
    expect(await refusal(agent)).toBe('svid_untrusted');
    nothingSeen();
  });

  it('has left a trace of each refusal', () => {
    inventory.sidecar.stop('to read its refusals');
    const counted = inventory
      .log()
      .filter(({ kind }) => kind === 'refusals')
      .flatMap(({ sources }) => (sources as { reason: string }[]).map(({ reason }) => reason));
    expect(counted).toEqual(expect.arrayContaining([...countedAtEnd]));
  });
});
