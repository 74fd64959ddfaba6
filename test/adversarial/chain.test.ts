import { afterAll, beforeAll, describe, it } from 'vitest';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { makeSigningKey } from '../../src/edge/keys/signing-key.ts';
import { expectAllowed, expectDenied } from '../testkit/attack.ts';
import { makeDomain, type TestAgent, type TestDomain } from '../testkit/domain.ts';
import {
  type Delegatee,
  type ForgeOptions,
  forgeChain,
  forgeLinks,
  invent,
  linkId,
} from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { requestText } from '../testkit/raw-peer.ts';

const AGENTS = [
  'client/alice',
  'planning/abc123',
  'inventory/def456',
  'security/s1',
  'security/s2',
  'security/s3',
  'security/s4',
  'report/r1',
];

let mesh: Mesh;
let partner: TestDomain;
let target: MeshAgent;

beforeAll(async () => {
  partner = await makeDomain({ trustDomain: 'partner.com', agents: ['security/p1'] });
  mesh = await makeMesh({
    domain: {
      agents: AGENTS,
      principals: { alice: 'mailto:alice@company.com', bob: 'mailto:bob@company.com' },
    },
    bundle: { federated: [partner] },
  });
  target = await mesh.start('inventory/def456');
});
afterAll(() => mesh.stop());

const agent = (name: string): TestAgent => mesh.domain.agent(name);
const planning = () => agent('planning/abc123');
const line = (...names: string[]): TestAgent[] => names.map(agent);
const THREE = () => line('client/alice', 'security/s1', 'planning/abc123');
const forge = (agents: readonly Delegatee[], options?: ForgeOptions): string =>
  forgeChain(mesh.domain, agents, options);
const denied = (chain: string, reason: ReasonCode, caller = planning(), extra = {}): Promise<void> =>
  expectDenied(target, caller, { chain, ...extra }, reason);

describe('order and belonging', () => {
  it('a chain in order passes', async () => {
    await expectAllowed(target, planning(), { chain: forge(THREE()) });
  });

  it.each<readonly [string, (mine: string[], other: string[]) => readonly string[], ReasonCode]>([
    ['reordered', ([a = '', b = '', c = '', d = '']) => [a, c, b, d], 'link_parent'],
    ['the root last', ([a = '', b = '', c = '', d = '']) => [b, c, d, a], 'claim_unknown'],
    ['the root missing', ([, b = '', c = '', d = '']) => [b, c, d], 'claim_unknown'],
    ['a dropped middle', ([a = '', b = '', , d = '']) => [a, b, d], 'link_parent'],
    ['only root and leaf', ([a = '', , , d = '']) => [a, d], 'link_parent'],
    ['the leaf of another chain', ([a = '', b = '', c = ''], [, , , d = '']) => [a, b, c, d], 'link_parent'],
    ['the root of another chain', ([, b = '', c = '', d = ''], [a = '']) => [a, b, c, d], 'link_parent'],
    ['the middle of another chain', ([a = '', , c = '', d = ''], [, b = '']) => [a, b, c, d], 'link_parent'],
    ['the leaf twice', ([a = '', b = '', c = '', d = '']) => [a, b, c, d, d], 'link_rebind'],
    ['the root twice', ([a = '', b = '', c = '', d = '']) => [a, a, b, c, d], 'claim_unknown'],
    ['a link of the middle twice', ([a = '', b = '', c = '', d = '']) => [a, b, b, c, d], 'link_rebind'],
  ])('%s', async (_, change, reason) => {
    const agents = line('client/alice', 'security/s1', 'security/s2', 'planning/abc123');
    const chain = change(forgeLinks(mesh.domain, agents), forgeLinks(mesh.domain, agents)).join('~');
    await denied(chain, reason);
  });

  it('the right signer, the wrong parent', async () => {
    const [, other = ''] = forgeLinks(mesh.domain, THREE());
    await denied(forge(THREE(), { at: { 2: { edit: { par_hash: linkId(other) } } } }), 'link_parent');
  });

  it('cut back to an ancestor, who holds more', async () => {
    const links = forgeLinks(mesh.domain, THREE());
    await denied(links.slice(0, 2).join('~'), 'chain_leaf_not_caller');
    await denied(links[0] ?? '', 'chain_leaf_not_caller');
  });

  it('a chain of somebody else', async () => {
    const chain = forge(THREE());
    await expectAllowed(target, planning(), { chain });
    // It is remembered as verified by now: the thief must not profit from that.
    await denied(chain, 'chain_leaf_not_caller', agent('security/s2'));
    await denied(chain, 'chain_leaf_not_caller', agent('security/s1'));
  });

  it('a chain for the same name under another key', async () => {
    await denied(forge([agent('client/alice'), invent(mesh.domain, 'planning/abc123')]), 'chain_leaf_key');
  });

  it('two chain headers, the first good', async () => {
    const chain = forge(THREE());
    for (const second of [chain, 'x', '']) {
      const text = requestText({ chain, headers: [`Delegation-Chain: ${second}`] });
      await expectDenied(target, planning(), text, 'http_header_duplicate');
    }
    await expectDenied(
      target,
      planning(),
      requestText({ chain, headers: [`DELEGATION-CHAIN: ${chain}`] }),
      'http_header_duplicate',
    );
  });

  it('a chain only under another spelling of the header is none', async () => {
    const chain = forge(THREE());
    for (const name of [
      'Delegation_Chain',
      'delegation_chain',
      'X-Delegation-Chain',
      'Hopgate-Delegation-Chain',
    ])
      await expectDenied(target, planning(), { headers: [`${name}: ${chain}`] }, 'chain_missing');
  });

  it('no chain, and a grant without one', async () => {
    const chain = forge(THREE());
    await expectDenied(target, planning(), {}, 'chain_missing');
    await expectDenied(
      target,
      planning(),
      { grant: mesh.domain.mintGrant(chain, planning(), target.agent) },
      'grant_without_chain',
    );
  });
});

describe('agents and keys twice, and names invented', () => {
  const reborn = (name: string, of: TestAgent) => invent(mesh.domain, name, { key: of });

  it.each<readonly [string, () => readonly Delegatee[], ReasonCode]>([
    ['A to B to A', () => line('planning/abc123', 'security/s1', 'planning/abc123'), 'chain_agent_twice'],
    [
      'A to B to A, with A under another key first',
      () => [invent(mesh.domain, 'planning/abc123'), agent('security/s1'), planning()],
      'chain_agent_twice',
    ],
    [
      'one key under two names',
      () => [reborn('security/s1', planning()), agent('security/s2'), planning()],
      'chain_key_twice',
    ],
    ['one key under the next name', () => [reborn('security/s1', planning()), planning()], 'chain_key_twice'],
    [
      'a delegation to oneself',
      () => line('client/alice', 'planning/abc123', 'planning/abc123'),
      'link_rebind',
    ],
    [
      'a new key without the rebind mark',
      () => [agent('client/alice'), invent(mesh.domain, 'planning/abc123'), planning()],
      'link_rebind',
    ],
  ])('%s', async (_, agents, reason) => {
    await denied(forge(agents()), reason);
  });

  it.each<readonly [string, ForgeOptions['at'] & object, ReasonCode]>([
    ['without another key', { 2: { edit: { rebind: true } } }, 'link_rebind'],
    ['that is false', { 2: { edit: { rebind: false } } }, 'claim_invalid'],
    ['on the root', { 0: { edit: { rebind: true } } }, 'claim_unknown'],
  ])('a rebind mark %s', async (_, at, reason) => {
    await denied(forge(line('client/alice', 'planning/abc123', 'planning/abc123'), { at }), reason);
  });

  it('a rebind that widens', async () => {
    const old = invent(mesh.domain, 'planning/abc123');
    const rebound = (edit: object): string =>
      forge([agent('client/alice'), old, planning()], { at: { 2: { edit: { rebind: true, ...edit } } } });
    await expectAllowed(target, planning(), { chain: rebound({}) });
    for (const edit of [
      { scope: ['cloud:write'] },
      { max_depth: 8 },
      { caveats: [{ type: 'resource', paths: ['/'] }] },
      { act: { sub: agent('security/s1').id } },
    ])
      await denied(rebound(edit), edit.act === undefined ? 'link_rebind' : 'chain_leaf_not_caller');
  });

  it('a name invented midway: the planner delegates to “security” under a key of its own and signs on', async () => {
    const fake = invent(mesh.domain, 'security/s1', {
      issuer: makeSigningKey(),
      kid: mesh.domain.issuer.thumbprint,
    });
    await denied(forge([agent('client/alice'), fake, planning()]), 'kb_signature');
  });

  it.each<readonly [string, () => object | undefined, ReasonCode]>([
    ['missing', () => undefined, 'claim_missing'],
    ['empty', () => ({}), 'claim_missing'],
    ['of another agent', () => agent('security/s2').keyBinding, 'kb_signature'],
    ['of the child', () => planning().keyBinding, 'kb_signature'],
    ['for another key of the same name', () => invent(mesh.domain, 'security/s1').keyBinding, 'kb_signature'],
    [
      'for another name with the same key',
      () => invent(mesh.domain, 'security/s9', { key: agent('security/s1') }).keyBinding,
      'kb_signature',
    ],
    [
      'by the signer itself',
      () =>
        invent(mesh.domain, 'security/s1', { key: agent('security/s1'), issuer: agent('security/s1') })
          .keyBinding,
      'kb_issuer_unknown',
    ],
    [
      'by an issuer that nobody knows',
      () =>
        invent(mesh.domain, 'security/s1', { key: agent('security/s1'), issuer: makeSigningKey() })
          .keyBinding,
      'kb_issuer_unknown',
    ],
    [
      'by the issuer of a federated domain',
      () =>
        invent(mesh.domain, 'security/s1', { key: agent('security/s1'), issuer: partner.issuer }).keyBinding,
      'kb_issuer_unknown',
    ],
    [
      'that had expired when the link was made',
      () =>
        invent(mesh.domain, 'security/s1', { key: agent('security/s1'), exp: mesh.domain.now }).keyBinding,
      'kb_expired',
    ],
    [
      'whose exp was moved',
      () => ({ ...agent('security/s1').keyBinding, exp: mesh.domain.now + 9999 }),
      'kb_signature',
    ],
    [
      'with a member too many',
      () => ({ ...agent('security/s1').keyBinding, sub: agent('security/s1').id }),
      'claim_unknown',
    ],
  ])('a key binding %s', async (_, kb, reason) => {
    await denied(forge(THREE(), { at: { 2: { edit: { kb: kb() } } } }), reason);
  });
});

describe('depth', () => {
  const SIX = () =>
    line('client/alice', 'security/s1', 'security/s2', 'security/s3', 'security/s4', 'planning/abc123');

  it.each<readonly [string, () => readonly TestAgent[], ForgeOptions, ReasonCode]>([
    ['more than policy allows', SIX, { all: { max_depth: 5 } }, 'chain_too_deep'],
    ['more than policy allows, whatever the links say', SIX, { all: { max_depth: 8 } }, 'chain_too_deep'],
    ['more than the root allows', THREE, { all: { max_depth: 2 } }, 'chain_max_depth'],
    [
      'more than the middle allows',
      THREE,
      { at: { 1: { edit: { max_depth: 2 } }, 2: { edit: { max_depth: 2 } } } },
      'chain_max_depth',
    ],
    ['a leaf below its own limit', THREE, { at: { 2: { edit: { max_depth: 1 } } } }, 'chain_max_depth'],
    [
      'reset in the middle',
      THREE,
      { at: { 0: { edit: { max_depth: 3 } }, 1: { edit: { max_depth: 5 } } } },
      'link_max_depth_raised',
    ],
    [
      'raised by the leaf',
      THREE,
      { at: { 0: { edit: { max_depth: 4 } }, 1: { edit: { max_depth: 3 } }, 2: { edit: { max_depth: 4 } } } },
      'link_max_depth_raised',
    ],
    ['left out', THREE, { at: { 1: { edit: { max_depth: undefined } } } }, 'claim_missing'],
    ['a thousand', THREE, { all: { max_depth: 1000 } }, 'claim_invalid'],
    ['nine', THREE, { all: { max_depth: 9 } }, 'claim_invalid'],
    ['zero', THREE, { all: { max_depth: 0 } }, 'claim_invalid'],
    ['negative', THREE, { all: { max_depth: -1 } }, 'claim_invalid'],
  ])('%s', async (_, agents, options, reason) => {
    await denied(forge(agents(), options), reason);
  });

  it('a chain of a thousand links, small and large', async () => {
    await denied(Array.from({ length: 1000 }, () => 'a.b.c').join('~'), 'chain_too_many_links');
    const [link = ''] = forgeLinks(mesh.domain, THREE());
    await denied(Array.from({ length: 20 }, () => link).join('~'), 'chain_too_large');
    await denied('~'.repeat(8192), 'chain_too_many_links');
    await denied('~'.repeat(8193), 'chain_too_large');
  });
});

describe('times', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const at = (index: number, iat: number, exp: number): ForgeOptions => ({
    at: { [index]: { edit: { iat: now() + iat, exp: now() + exp } } },
  });
  const all = (iat: number, exp: number): ForgeOptions => ({ all: { iat: now() + iat, exp: now() + exp } });

  it.each<readonly [string, () => ForgeOptions]>([
    ['issued within the skew ahead of us', () => all(20, 600)],
    ['expired within the skew', () => all(-600, -20)],
    ['children as old as their parents', () => all(-60, 600)],
  ])('passes: %s', async (_, options) => {
    await expectAllowed(target, planning(), { chain: forge(THREE(), options()) });
  });

  it.each<readonly [string, () => ForgeOptions, ReasonCode]>([
    ['from beyond the skew ahead of us', () => all(40, 600), 'link_not_yet_valid'],
    ['expired beyond the skew', () => all(-600, -31), 'link_expired'],
    ['an expired root under live children', () => at(0, -600, -40), 'link_expired'],
    ['an expired middle', () => at(1, -600, -40), 'link_expired'],
    [
      'a child that outlives its parent by a second',
      () => ({ all: { iat: now() - 60, exp: now() + 600 }, ...at(2, -60, 601) }),
      'link_outlives_parent',
    ],
    [
      'a child older than its parent by a second',
      () => ({ all: { iat: now() - 60, exp: now() + 600 }, ...at(2, -61, 600) }),
      'link_older_than_parent',
    ],
    ['a life longer than policy allows', () => all(-10, 7200), 'link_ttl'],
    ['a life of a century', () => all(0, 4_000_000_000 - 1_800_000_000), 'link_ttl'],
    ['expired before it was issued', () => all(60, -60), 'claim_invalid'],
    ['nbf, which is no member', () => ({ all: { nbf: 0 } }), 'claim_unknown'],
  ])('%s', async (_, options, reason) => {
    await denied(forge(THREE(), options()), reason);
  });
});

describe('audience and anchor', () => {
  const OTHERS = { all: { aud: ['company.com', 'partner.com'] } };

  it.each<readonly [string, ForgeOptions, ReasonCode]>([
    ['aud of another domain only', { all: { aud: ['partner.com'] } }, 'chain_aud'],
    [
      'aud widened by the leaf',
      { at: { 2: { edit: { aud: ['company.com', 'partner.com'] } } } },
      'link_aud_widened',
    ],
    ['aud into a domain that the anchor may not grant into', OTHERS, 'anchor_domain'],
    ['no aud', { all: { aud: undefined } }, 'claim_missing'],
    ['an empty aud', { all: { aud: [] } }, 'claim_invalid'],
    ['an aud with an asterisk', { all: { aud: ['*'] } }, 'claim_invalid'],
    ['an aud in another case', { all: { aud: ['Company.com'] } }, 'claim_invalid'],
    [
      'a principal of another anchor',
      { at: { 0: { edit: { sub: 'mailto:bob@company.com' } } } },
      'anchor_principal',
    ],
    [
      'a principal with a look-alike',
      { at: { 0: { edit: { sub: 'mailto:Alice@company.com' } } } },
      'anchor_principal',
    ],
    ['a scope that the anchor has not', { scope: ['billing:read'] }, 'anchor_scope'],
    ['a life over the anchor’s', { all: { exp: 4_102_444_800 } }, 'link_ttl'],
  ])('%s', async (_, options, reason) => {
    await denied(forge(THREE(), options), reason);
  });

  it('a root that nobody anchored', async () => {
    const mallory = makeSigningKey();
    const iss = `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${mallory.thumbprint}`;
    await denied(forge(THREE(), { at: { 0: { edit: { iss }, sign: mallory.sign } } }), 'anchor_unknown');
    await denied(forge(THREE(), { at: { 0: { sign: mallory.sign } } }), 'link_signature');
    await denied(forge(THREE(), { at: { 0: { edit: { iss: mallory.thumbprint } } } }), 'claim_invalid');
  });

  it('a root by the anchor of another principal', async () => {
    const bob = mesh.domain.principal('bob');
    await denied(forge(THREE(), { at: { 0: { sign: bob.sign } } }), 'link_signature');
  });

  it('a root for an agent that the anchor may not delegate to', async () => {
    await denied(forge(line('report/r1', 'planning/abc123')), 'anchor_delegatee');
  });

  it('a root for an agent that is no agent', async () => {
    for (const sub of [
      'spiffe://company.com',
      'spiffe://company.com/planning',
      'spiffe://company.com/agent/planning',
      'spiffe://company.com/agent/planning/*',
      'SPIFFE://company.com/agent/planning/x',
      'spiffe://company.com/agent/planning/../x',
      '',
    ])
      await denied(forge(THREE(), { at: { 0: { edit: { act: { sub } } } } }), 'claim_invalid');
  });
});

describe('grants', () => {
  const chainOf = () => forge(THREE());
  const grantOf = (options: ForgeOptions & { readonly to?: Delegatee; readonly by?: TestAgent[] } = {}) => {
    const links = forgeLinks(mesh.domain, [...(options.by ?? THREE()), options.to ?? target.agent], options);
    return { chain: links.slice(0, -1).join('~'), grant: links.at(-1) ?? '' };
  };

  it('a grant that is right passes', async () => {
    await expectAllowed(target, planning(), grantOf());
  });

  it.each<readonly [string, () => { chain: string; grant: string }, ReasonCode]>([
    ['under another chain of the same holder', () => ({ ...grantOf(), chain: chainOf() }), 'grant_not_child'],
    ['for another callee', () => grantOf({ to: agent('security/s2') }), 'grant_callee'],
    [
      'for another key of the callee',
      () => grantOf({ to: invent(mesh.domain, 'inventory/def456') }),
      'grant_callee_key',
    ],
    ['for the caller itself', () => grantOf({ to: planning() }), 'grant_callee'],
    [
      'with more scope than the leaf',
      () => grantOf({ at: { 3: { edit: { scope: ['cloud:write'] } } } }),
      'link_scope_widened',
    ],
    [
      'that outlives the leaf',
      () => grantOf({ at: { 3: { edit: { exp: mesh.domain.now + 3700 } } } }),
      'link_outlives_parent',
    ],
    [
      'signed by an ancestor',
      () => grantOf({ at: { 3: { sign: agent('client/alice').sign } } }),
      'link_signature',
    ],
    ['signed by the callee', () => grantOf({ at: { 3: { sign: target.agent.sign } } }), 'link_signature'],
    [
      'with the key binding of an ancestor',
      () => grantOf({ at: { 3: { edit: { kb: agent('security/s1').keyBinding } } } }),
      'kb_signature',
    ],
    ['that is a root', () => ({ chain: chainOf(), grant: forge([target.agent]) }), 'claim_unknown'],
    ['that is a whole chain', () => ({ chain: chainOf(), grant: chainOf() }), 'jws_structure'],
    ['deeper than the chain allows', () => grantOf({ all: { max_depth: 3 } }), 'chain_max_depth'],
  ])('%s', async (_, request, reason) => {
    await expectDenied(target, planning(), request(), reason);
  });

  it('a grant sent as a chain by the one who minted it', async () => {
    const { chain, grant } = grantOf();
    await expectDenied(target, planning(), { chain: `${chain}~${grant}` }, 'chain_leaf_not_caller');
  });

  it('two grants', async () => {
    const { chain, grant } = grantOf();
    await expectDenied(
      target,
      planning(),
      { chain, grant, headers: [`Delegation-Grant: ${grant}`] },
      'http_header_duplicate',
    );
  });
});
