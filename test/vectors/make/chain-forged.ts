/** Chains of the right shape whose signatures, bindings or keys are not, and grants. */
import { type Case, NOW } from './case.ts';
import { accept, type ChainOptions, refuse } from './chain-case.ts';
import { b64u, type Claims, idOf, jws, key, withSignature } from './signing.ts';
import { identityKey, mixedOrderKey, plusGroupOrder } from './torsion.ts';
import {
  type Agent,
  ALICE,
  ANCHOR,
  AUDITOR,
  BILLING,
  bind,
  bindingInput,
  CLIENT,
  childClaims,
  DOMAIN,
  INVENTORY,
  ISSUER,
  makeChain,
  PARTNER,
  PARTNER_ISSUER,
  PLANNER,
  REPORT,
  rotated,
  SECURITY,
} from './world.ts';

const THREE = [CLIENT, PLANNER, INVENTORY] as const;
const three = makeChain({ agents: THREE });
const [L0 = '', L1 = '', L2 = ''] = three;
const signedBy = (comment: string, index: number, by = key('mallory'), reason = 'link_signature'): Case =>
  refuse(comment, makeChain({ agents: THREE, signer: { [index]: by } }), INVENTORY, reason);
const flip = (at: number) => (signature: Buffer) =>
  Buffer.from(signature.map((octet, index) => (index === at ? octet ^ 1 : octet)));

const signatures = (): Case[] => [
  signedBy('L0 signed by somebody else', 0),
  signedBy('L0 signed by its own delegatee', 0, CLIENT.key),
  signedBy('a child signed by somebody else', 1),
  signedBy('a child signed by its own delegatee', 1, PLANNER.key),
  signedBy('a child signed by the principal', 1, ALICE),
  signedBy('the leaf signed by its grandparent’s delegatee', 2, CLIENT.key),
  signedBy('the leaf signed by the WIT issuer', 2, ISSUER),
  refuse('a flipped bit in R of the leaf', [L0, L1, withSignature(L2, flip(0))], INVENTORY, 'link_signature'),
  refuse(
    'a flipped bit in S of the leaf',
    [L0, L1, withSignature(L2, flip(32))],
    INVENTORY,
    'link_signature',
  ),
  refuse(
    'a flipped bit in the signature of the middle',
    [L0, withSignature(L1, flip(7)), L2],
    INVENTORY,
    'link_signature',
  ),
  refuse('S + L in the leaf', [L0, L1, withSignature(L2, plusGroupOrder)], INVENTORY, 'link_signature'),
  refuse('S + L in L0', [withSignature(L0, plusGroupOrder), L1, L2], INVENTORY, 'link_signature'),
  refuse(
    'a signature of zeros',
    [L0, L1, withSignature(L2, (s) => Buffer.alloc(s.length))],
    INVENTORY,
    'link_signature',
  ),
  refuse(
    'the signature of the parent on the leaf',
    [L0, L1, `${L2.slice(0, L2.lastIndexOf('.'))}${L1.slice(L1.lastIndexOf('.'))}`],
    INVENTORY,
    'link_signature',
  ),
  refuse('the claims of the leaf edited after signing', [L0, L1, resigned(L2)], INVENTORY, 'link_signature'),
];

/** Another purpose under the old signature. */
function resigned(link: string): string {
  const [header = '', payload = '', signature = ''] = link.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims;
  return `${header}.${b64u(JSON.stringify({ ...claims, purpose: 'edited' }))}.${signature}`;
}

const bound = (comment: string, kb: Claims, reason: string): Case =>
  refuse(comment, makeChain({ agents: THREE, edit: { 2: { kb } } }), INVENTORY, reason);

const FAKE = rotated(SECURITY, key('invented by the planner'));

const bindings = (): Case[] => [
  refuse(
    'a name invented midway: the planner delegates to “security” under a key of its own and signs on',
    makeChain({
      agents: [CLIENT, PLANNER, FAKE, REPORT],
      edit: { 3: { kb: bind(FAKE, NOW + 7200, key('issuer evil'), ISSUER.jkt) } },
    }),
    REPORT,
    'kb_signature',
  ),
  refuse(
    'the same with the binding of the real security agent',
    makeChain({ agents: [CLIENT, PLANNER, FAKE, REPORT], edit: { 3: { kb: bind(SECURITY) } } }),
    REPORT,
    'kb_signature',
  ),
  refuse(
    'the same with the planner’s own binding',
    makeChain({ agents: [CLIENT, PLANNER, FAKE, REPORT], edit: { 3: { kb: bind(PLANNER) } } }),
    REPORT,
    'kb_signature',
  ),
  bound('a binding for another key', bind(rotated(PLANNER)), 'kb_signature'),
  bound('a binding for another name', bind({ id: SECURITY.id, key: PLANNER.key }), 'kb_signature'),
  bound('a binding for the child instead of the signer', bind(INVENTORY), 'kb_signature'),
  bound('a binding whose exp was moved', { ...bind(PLANNER, NOW + 60), exp: NOW + 7200 }, 'kb_signature'),
  bound('a binding with S + L', moved(), 'kb_signature'),
  bound('the signer binds itself', bind(PLANNER, NOW + 7200, PLANNER.key), 'kb_issuer_unknown'),
  bound('by an unknown issuer', bind(PLANNER, NOW + 7200, key('issuer evil')), 'kb_issuer_unknown'),
  bound(
    'by the partner’s issuer for an agent of ours',
    bind(PLANNER, NOW + 7200, PARTNER_ISSUER),
    'kb_issuer_unknown',
  ),
  refuse(
    'by our issuer for an agent of the partner',
    makeChain({
      agents: [PLANNER, AUDITOR, REPORT],
      all: { aud: [DOMAIN, PARTNER] },
      edit: { 2: { kb: bind(AUDITOR, NOW + 7200, ISSUER) } },
    }),
    REPORT,
    'kb_issuer_unknown',
  ),
  refuse(
    'an agent of a domain that nobody knows in the middle',
    makeChain({
      agents: [PLANNER, { id: 'spiffe://evil.com/agent/x/1', key: key('evil') }, REPORT],
      all: { aud: [DOMAIN, 'evil.com'] },
    }),
    REPORT,
    'kb_issuer_unknown',
    { anchors: [{ ...ANCHOR, domains: [DOMAIN, 'evil.com'] }] },
  ),
  bound(
    'a binding that expired in the second in which the link was made',
    bind(PLANNER, NOW - 60),
    'kb_expired',
  ),
  bound('a binding that had long expired', bind(PLANNER, NOW - 3600), 'kb_expired'),
  refuse(
    'a WIT signature is no binding',
    makeChain({ agents: THREE, edit: { 2: { kb: witSignature() } } }),
    INVENTORY,
    'kb_signature',
  ),
];

function moved(): Claims {
  const kb = bind(PLANNER);
  return { ...kb, sig: b64u(plusGroupOrder(Buffer.from(String(kb.sig), 'base64url'))) };
}

/** The issuer signs the payload of a binding, but under the header of a WIT. */
function witSignature(): Claims {
  const exp = NOW + 7200;
  const [, payload] = bindingInput(PLANNER, exp, ISSUER.jkt).split('.');
  const header = b64u(`{"alg":"Ed25519","kid":"${ISSUER.jkt}","typ":"wit+jwt"}`);
  return { exp, kid: ISSUER.jkt, sig: b64u(ISSUER.sign(Buffer.from(`${header}.${payload}`))) };
}

const throughKey = (comment: string, of: ReturnType<typeof key>, reason: string): Case => {
  const weak = rotated(PLANNER, of);
  return refuse(comment, makeChain({ agents: [CLIENT, weak, INVENTORY] }), INVENTORY, reason, {
    source: '4',
  });
};

const keys = (): Case[] => [
  throughKey(
    'the identity point as agent key: its forged signature fits every link',
    identityKey,
    'key_small_order',
  ),
  throughKey('an agent key of mixed order, with a signature that verifies', mixedOrderKey, 'key_mixed_order'),
  refuse(
    'junk keys in links that nobody signed: the signature above them is looked at first',
    makeChain({
      agents: [CLIENT, rotated(PLANNER, identityKey), rotated(SECURITY, mixedOrderKey), INVENTORY],
      signer: { 0: key('mallory') },
    }),
    INVENTORY,
    'link_signature',
  ),
];

const granted = (to: Agent, edit: Claims = {}, by: Agent = INVENTORY, parent = L2): string =>
  jws('dlink+jwt', childClaims(parent, by, to, 3, edit), by.key);
const grantCase = (comment: string, grant: string, reason: string, options: ChainOptions = {}): Case =>
  refuse(comment, three, INVENTORY, reason, { source: '7.3', callee: SECURITY, grant, ...options });

/** A chain of two long links, and a grant below it with which it has so many octets. */
const filling = (octets: number): { readonly chain: readonly string[]; readonly grant: string } => {
  const scope = Array.from({ length: 39 }, (_, at) => `cloud:${'x'.repeat(45)}${at}`);
  // Three octets of JSON are four of base64url: two links have to be adjusted to reach every length.
  for (const words of ['p', 'pp', 'ppp']) {
    const chain = makeChain({
      agents: [PLANNER, INVENTORY],
      edit: { 0: { scope, purpose: words }, 1: { scope } },
    });
    for (let length = 1; length <= 256; length++) {
      const edit = { scope: [scope[0]], purpose: 'g'.repeat(length) };
      const grant = jws(
        'dlink+jwt',
        childClaims(chain[1] ?? '', INVENTORY, SECURITY, 2, edit),
        INVENTORY.key,
      );
      if (chain.join('~').length + 1 + grant.length === octets) return { chain, grant };
    }
  }
  throw new Error(`no grant fills ${octets} octets`);
};
const full = filling(8192);
const over = filling(8193);

const C1 = { type: 'resource', paths: ['/ec2'] };
const held = makeChain({ agents: THREE, all: { caveats: [C1] } });

const grants = (): Case[] => [
  accept('a grant', three, INVENTORY, {}, { source: '7.3', callee: SECURITY, grant: granted(SECURITY) }),
  accept(
    'a grant that narrows',
    three,
    INVENTORY,
    {},
    {
      source: '7.3',
      callee: SECURITY,
      grant: granted(SECURITY, {
        scope: ['cloud:read'],
        exp: NOW + 60,
        iat: NOW,
        caveats: [C1],
        max_depth: 4,
      }),
    },
  ),
  accept('no grant', three, INVENTORY, {}, { source: '7.3', callee: SECURITY }),
  accept(
    'a grant in the last second of the skew',
    three,
    INVENTORY,
    {},
    { source: '7.3', callee: SECURITY, grant: granted(SECURITY, { exp: NOW - 29 }) },
  ),
  grantCase('a grant for a third party', granted(BILLING), 'grant_callee'),
  grantCase('a grant for another key of the callee', granted(rotated(SECURITY)), 'grant_callee_key'),
  grantCase(
    'a grant under another leaf',
    granted(SECURITY, {}, INVENTORY, makeChain({ agents: THREE, all: { purpose: 'other' } })[2]),
    'grant_not_child',
  ),
  grantCase('a grant under the leaf’s parent', granted(SECURITY, {}, PLANNER, L1), 'grant_not_child'),
  grantCase('a whole chain as grant', [...three, granted(SECURITY)].join('~'), 'jws_structure'),
  grantCase('two grants', `${granted(SECURITY)}~${granted(SECURITY)}`, 'jws_structure'),
  grantCase('an empty grant', '', 'jws_structure'),
  grantCase('an L0 as grant', L0, 'claim_unknown'),
  grantCase(
    'a grant of more than 4096 octets',
    granted(SECURITY, { caveats: [{ type: 'resource', paths: [`/${'a'.repeat(3000)}`] }] }),
    'jws_size',
  ),
  accept(
    'a grant with which the chain has 8192 octets',
    full.chain,
    INVENTORY,
    {},
    { source: '7.3', callee: SECURITY, grant: full.grant },
  ),
  refuse(
    'a grant with which the chain has 8193 octets: the callee could never present it',
    over.chain,
    INVENTORY,
    'chain_too_large',
    { source: '7.3', callee: SECURITY, grant: over.grant },
  ),
  grantCase('a grant with more scope', granted(SECURITY, { scope: ['cloud:*'] }), 'link_scope_widened'),
  grantCase(
    'a grant for more trust domains',
    granted(SECURITY, { aud: [DOMAIN, PARTNER] }),
    'link_aud_widened',
  ),
  grantCase('a grant with more depth', granted(SECURITY, { max_depth: 6 }), 'link_max_depth_raised'),
  grantCase('a grant that its own max_depth forbids', granted(SECURITY, { max_depth: 3 }), 'chain_max_depth'),
  grantCase('a grant that makes the chain too deep', granted(SECURITY), 'chain_too_deep', {
    limits: { maxDepth: 3 },
  }),
  grantCase('a grant that outlives the leaf', granted(SECURITY, { exp: NOW + 3601 }), 'link_outlives_parent'),
  grantCase('a grant older than the leaf', granted(SECURITY, { iat: NOW - 61 }), 'link_older_than_parent'),
  grantCase('a grant from the future', granted(SECURITY, { iat: NOW + 31 }), 'link_not_yet_valid'),
  grantCase('an expired grant', granted(SECURITY, { exp: NOW - 30 }), 'link_expired'),
  grantCase('a grant without kb', granted(SECURITY, { kb: undefined }), 'claim_missing'),
  grantCase('a grant with a foreign kb', granted(SECURITY, { kb: bind(SECURITY) }), 'kb_signature'),
  grantCase('a grant with an expired kb', granted(SECURITY, { kb: bind(INVENTORY, NOW - 60) }), 'kb_expired'),
  grantCase(
    'a grant by an unknown issuer’s kb',
    granted(SECURITY, { kb: bind(INVENTORY, NOW + 60, key('issuer evil')) }),
    'kb_issuer_unknown',
  ),
  grantCase(
    'a grant signed by somebody else',
    jws('dlink+jwt', childClaims(L2, INVENTORY, SECURITY, 3), key('mallory')),
    'link_signature',
  ),
  grantCase(
    'a grant signed by the callee itself',
    jws('dlink+jwt', childClaims(L2, INVENTORY, SECURITY, 3), SECURITY.key),
    'link_signature',
  ),
  grantCase('a rebind as grant', granted(rotated(INVENTORY), { rebind: true }), 'grant_callee'),
  grantCase(
    'a grant to another agent, marked as a rebind',
    granted(SECURITY, { rebind: true }),
    'link_rebind',
  ),
  refuse(
    'a rebind as grant, to an instance that has the caller’s name and another key',
    three,
    INVENTORY,
    'link_rebind',
    { source: '7.3', callee: rotated(INVENTORY), grant: granted(rotated(INVENTORY), { rebind: true }) },
  ),
  refuse('a grant back to an agent of the chain', three, INVENTORY, 'chain_agent_twice', {
    source: '7.3',
    callee: PLANNER,
    grant: granted(PLANNER),
  }),
  refuse('a grant to the caller itself', three, INVENTORY, 'link_rebind', {
    source: '7.3',
    callee: INVENTORY,
    grant: granted(INVENTORY),
  }),
  accept(
    'a grant back to an agent of the chain, where policy allows callbacks',
    three,
    INVENTORY,
    {},
    { source: '7.3', callee: PLANNER, grant: granted(PLANNER), limits: { callbacks: true } },
  ),
  refuse('a grant that drops a caveat', held, INVENTORY, 'link_caveats', {
    source: '7.3',
    callee: SECURITY,
    grant: granted(SECURITY, {}, INVENTORY, held[2]),
  }),
  refuse(
    'a grant for a domain that is not ours',
    makeChain({ agents: THREE, all: { aud: [DOMAIN, PARTNER] } }),
    INVENTORY,
    'chain_aud',
    {
      source: '7.3',
      callee: SECURITY,
      grant: granted(
        SECURITY,
        { aud: [PARTNER] },
        INVENTORY,
        makeChain({ agents: THREE, all: { aud: [DOMAIN, PARTNER] } })[2],
      ),
    },
  ),
  refuse(
    'a grant to a partner’s agent, for us only',
    makeChain({ agents: [PLANNER], all: { aud: [DOMAIN, PARTNER] } }),
    PLANNER,
    'chain_aud',
    {
      source: '7.3',
      trustDomain: PARTNER,
      callee: AUDITOR,
      grant: granted(
        AUDITOR,
        {},
        PLANNER,
        makeChain({ agents: [PLANNER], all: { aud: [DOMAIN, PARTNER] } })[0],
      ),
    },
  ),
  refuse('a grant sent as chain', granted(SECURITY), SECURITY, 'claim_unknown', { source: '7.3' }),
  refuse(
    'a caller whose key is of small order, below a good chain',
    makeChain({ agents: [CLIENT, rotated(PLANNER, identityKey)] }),
    PLANNER,
    'chain_leaf_key',
    { source: '4' },
  ),
];

export const forgedChains = (): Case[] => {
  // An id that depended on the signature would let one link have two names.
  if (idOf(L2) !== idOf(withSignature(L2, plusGroupOrder)))
    throw new Error('link ids depend on the signature');
  return [...signatures(), ...bindings(), ...keys(), ...grants()];
};
