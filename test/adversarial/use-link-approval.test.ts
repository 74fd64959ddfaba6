/** Approvals that ride in a link, attacked on a running sidecar: moved, dropped, forged, outlived. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type LinkApproval,
  linkApprovalId,
  mintLinkApproval,
} from '../../src/core/approval/link-approval.ts';
import type { Caveat } from '../../src/core/delegation/caveats.ts';
import { parseLink } from '../../src/core/delegation/link.ts';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import type { SigningKey } from '../../src/edge/keys/signing-key.ts';
import type { RevocationEntry } from '../../src/verifier/publication/entries.ts';
import { makeJti } from '../testkit/approval-desk.ts';
import { recordsOf } from '../testkit/attack.ts';
import { must, type TestPrincipal } from '../testkit/domain.ts';
import { type Mesh, type MeshAgent, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';
import { TestClock } from '../testkit/test-clock.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const SECURITY = 'security/eee777';

describe('an approval in a link', () => {
  let clock: TestClock;
  let mesh: Mesh;
  let inventory: MeshAgent;
  let alice: TestPrincipal;
  let bob: TestPrincipal;

  beforeAll(async () => {
    clock = new TestClock();
    mesh = await makeMesh({
      clock,
      domain: {
        agents: [PLANNING, INVENTORY, SECURITY],
        principals: {
          alice: 'mailto:alice@company.com',
          bob: 'mailto:bob@company.com',
          mallory: 'mailto:mallory@company.com',
        },
        anchor: { scope: TEST_SCOPE },
      },
      policy: { demands: [{ scopes: ['cloud:write'], approval: 'required' }] },
      bundle: { approvers: ['alice', 'bob'] },
    });
    alice = mesh.domain.principal('alice');
    bob = mesh.domain.principal('bob');
    inventory = await mesh.start(INVENTORY);
  });
  afterAll(() => mesh.stop());

  /** What Bob would sign for Alice's link to planning. */
  const token = (changes: Partial<LinkApproval> = {}, by: SigningKey = bob): Caveat => ({
    type: 'approval',
    token: mintLinkApproval(
      {
        approver: bob.uri,
        principal: alice.uri,
        delegatee: mesh.domain.agent(PLANNING).id,
        parent: alice.thumbprint,
        scope: ['cloud:write' as ScopePattern],
        iat: clock.seconds,
        exp: clock.seconds + 1800,
        jti: makeJti(),
        ...changes,
      },
      by.sign,
      by.thumbprint,
    ),
  });
  const rootWith = (...caveats: Caveat[]): string =>
    mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE, caveats });

  /** What becomes of a write and of a read, for which nobody has to approve. */
  const outcomes = async (chain: string, caller = PLANNING) => {
    const peer = await openSession(inventory, mesh.domain.agent(caller));
    const write = await peer.ask(requestText({ chain, method: 'DELETE' }));
    const hop = peer.hop;
    const read = await peer.ask(requestText({ chain }));
    peer.close();
    return { write: write.code ?? write.status, read: read.code ?? read.status, hop };
  };
  const REFUSED = { write: 'approval_invalid', read: 'approval_invalid' };

  it('permits what it covers, and the log says by whom', async () => {
    const { hop, ...both } = await outcomes(rootWith(token()));
    expect(both).toEqual({ write: 200, read: 200 });
    const id = linkApprovalId({
      principal: alice.uri,
      delegatee: mesh.domain.agent(PLANNING).id,
      parent: alice.thumbprint,
      scope: ['cloud:write'],
    });
    expect(recordsOf(inventory, hop)[0]).toMatchObject({ approvals: [{ approver: bob.uri, id }] });
  });

  it('lacking, is asked for; where no verifier could be asked the refusal says so', async () => {
    const before = inventory.seen.length;
    expect(await outcomes(rootWith())).toMatchObject({ write: 'approval_required', read: 200 });
    expect(inventory.seen).toHaveLength(before + 1);
  });

  it('covers its scope and no more', async () => {
    const chain = rootWith(token({ scope: ['ec2:Describe*' as ScopePattern] }));
    expect(await outcomes(chain)).toMatchObject({ write: 'approval_required', read: 200 });
  });

  it.each<[string, () => Caveat]>([
    ['another principal', () => token({ principal: 'mailto:mallory@company.com' })],
    ['another delegatee', () => token({ delegatee: mesh.domain.agent(SECURITY).id })],
    ['another parent', () => token({ parent: mesh.domain.principal('mallory').thumbprint })],
    ['who asks', () => token({ approver: alice.uri }, alice)],
    ['a key that is no approver’s', () => token({}, mesh.domain.principal('mallory'))],
    ['an approver under another’s name', () => token({ approver: 'mailto:mallory@company.com' })],
    [
      'another key under the approver’s name',
      () => token({}, { ...mesh.domain.agent(PLANNING), thumbprint: bob.thumbprint }),
    ],
    ['a time that has passed', () => token({ iat: clock.seconds - 60, exp: clock.seconds })],
    ['a time to come', () => token({ iat: clock.seconds + 60 })],
  ])('of %s denies all that the chain is used for', async (_, caveat) => {
    const before = inventory.seen.length;
    expect(await outcomes(rootWith(caveat()))).toMatchObject(REFUSED);
    expect(inventory.seen).toHaveLength(before);
  });

  it('stays with the chain: children inherit it, and can’t drop it', async () => {
    const chain = rootWith(token());
    const from = mesh.domain.agent(PLANNING);
    const to = mesh.domain.agent(SECURITY);
    const grant = mesh.domain.mintGrant(chain, from, to, { scope: TEST_SCOPE });
    expect(await outcomes(`${chain}~${grant}`, SECURITY)).toMatchObject({ write: 200, read: 200 });

    const free = rootWith();
    const dropped = mesh.domain.mintGrant(free, from, to, { scope: TEST_SCOPE });
    expect(await outcomes(`${chain}~${dropped}`, SECURITY)).toMatchObject({
      write: 'link_parent',
      read: 'link_parent',
    });
  });

  it('can’t be moved from one link to another', async () => {
    const from = mesh.domain.agent(PLANNING);
    const to = mesh.domain.agent(SECURITY);
    const free = rootWith();
    // Alice's approved link to planning is not planning's own to security.
    const moved = mesh.domain.mintGrant(free, from, to, { scope: TEST_SCOPE, caveats: [token()] });
    expect(await outcomes(`${free}~${moved}`, SECURITY)).toMatchObject(REFUSED);
    // Nor is the approval of one parent's child that of another's.
    const parent = must(parseLink(free, true)).id;
    const child = token({ delegatee: to.id, parent });
    const good = mesh.domain.mintGrant(free, from, to, { scope: TEST_SCOPE, caveats: [child] });
    expect(await outcomes(`${free}~${good}`, SECURITY)).toMatchObject({ write: 200, read: 200 });
    const other = rootWith();
    const bad = mesh.domain.mintGrant(other, from, to, { scope: TEST_SCOPE, caveats: [child] });
    expect(await outcomes(`${other}~${bad}`, SECURITY)).toMatchObject(REFUSED);
  });

  it('goes through the caller’s own sidecar, whose grants inherit it', async () => {
    const planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    const context = await mesh.startTask(PLANNING, rootWith(token()));
    const url = 'http://inventory.mesh/vpcs';
    expect((await sendThrough(planning, url, { method: 'POST', context, body: 'x' })).status).toBe(200);
    const lacking = await mesh.startTask(PLANNING, rootWith());
    expect((await sendThrough(planning, url, { method: 'POST', context: lacking, body: 'x' })).code).toBe(
      'approval_required',
    );
  });

  it('ends to the second, on a chain that is known already', async () => {
    const chain = rootWith(token({ exp: clock.seconds + 30 }));
    expect(await outcomes(chain)).toMatchObject({ write: 200, read: 200 });
    clock.advanceSeconds(29);
    expect(await outcomes(chain)).toMatchObject({ write: 200, read: 200 });
    clock.advanceSeconds(1);
    expect(await outcomes(chain)).toMatchObject(REFUSED);
  });

  it('by who is no approver any more denies from the next bundle on', async () => {
    const chain = rootWith(token());
    expect(await outcomes(chain)).toMatchObject({ write: 200, read: 200 });
    mesh.writeBundle({ seq: 2, approvers: ['alice'] });
    inventory.sidecar.reload();
    expect(await outcomes(chain)).toMatchObject(REFUSED);
  });

  describe('by whom something was revoked', () => {
    let seq = 2;
    const revoke = (...revoked: RevocationEntry[]): void => {
      mesh.writeBundle({ seq: ++seq, approvers: ['alice', 'bob'], revoked });
      inventory.sidecar.reload();
    };

    it.each<[string, () => RevocationEntry]>([
      ['the key', () => ({ key: bob.thumbprint })],
      ['the key, as lost', () => ({ key: bob.thumbprint, lost: true })],
      ['all until now', () => ({ principal: bob.uri, before: clock.seconds + 1 })],
    ])('%s: does not hold', async (_, entry) => {
      const chain = rootWith(token());
      revoke();
      expect(await outcomes(chain)).toMatchObject({ write: 200, read: 200 });
      revoke(entry());
      expect(await outcomes(chain)).toMatchObject(REFUSED);
    });

    it('holds when it was given after that', async () => {
      revoke({ principal: bob.uri, before: clock.seconds });
      expect(await outcomes(rootWith(token()))).toMatchObject({ write: 200, read: 200 });
    });
  });
});
