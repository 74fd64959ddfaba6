/** Tokens of approvers, for a link and for one request, held against what is at hand. */
import { type Case, NOW } from './case.ts';
import { b64u, type Claims, jti, jws, type Key, key, sha256, withSignature } from './signing.ts';
import { plusGroupOrder } from './torsion.ts';
import { ALICE, APPROVER, CAROL, INVENTORY, PLANNER, PRINCIPAL, SECURITY } from './world.ts';

type Kind = 'link' | 'request';

const digest = (text: string): string => b64u(sha256(text));
const FACTS: Readonly<Record<Kind, Claims>> = {
  link: { principal: PRINCIPAL, delegatee: PLANNER.id, parent: ALICE.jkt },
  request: {
    principal: PRINCIPAL,
    caller: PLANNER.id,
    callee: INVENTORY.id,
    chain: digest('a leaf'),
    method: 'POST',
    target: '/vpcs/vpc-1?dry=0',
    body: digest('{"delete":"vpc-1"}'),
  },
};
const TYPES = { link: 'link-approval+jwt', request: 'approval+jwt' } as const;
const EXP = NOW + 600;

const claimsOf = (kind: Kind, edit: Claims): Claims =>
  Object.fromEntries(
    Object.entries({
      approver: APPROVER.principal,
      ...FACTS[kind],
      ...(kind === 'link' && { scope: ['cloud:write', 'ec2:Describe*'] }),
      iat: NOW - 60,
      exp: EXP,
      jti: jti(`approval ${kind}`),
      ...edit,
    }).filter(([, value]) => value !== undefined),
  );
const token = (kind: Kind, edit: Claims = {}, by: Key = CAROL, kid = by.jkt): string =>
  jws(TYPES[kind], claimsOf(kind, edit), by, kid);

interface Options {
  readonly now?: number;
  readonly facts?: Claims;
  readonly approvers?: readonly Claims[];
  readonly agents?: readonly string[];
}

const DAN = key('approver dan');
const EVIL = key('approval evil');

const verify =
  (kind: Kind) =>
  (comment: string, text: string, reason: string, options: Options = {}): Case => ({
    comment: `${kind}: ${comment}`,
    source: '6.2',
    now: options.now ?? NOW,
    input: {
      kind,
      token: text,
      facts: { ...FACTS[kind], ...options.facts },
      approvers: options.approvers ?? [APPROVER],
      agents: options.agents ?? [PLANNER.key.jkt],
    },
    expect: { reason },
  });

/** The same of both. */
const common = (kind: Kind): Case[] => {
  const check = verify(kind);
  const good = token(kind);
  const bad = (comment: string, text: string, options?: Options) =>
    check(comment, text, 'approval_invalid', options);
  const both = [APPROVER, { principal: APPROVER.principal, jwk: DAN.jwk }];
  const members = Object.keys(claimsOf(kind, {}));
  return [
    check('a good approval', good, 'ok'),
    check('its last second', good, 'ok', { now: EXP - 1 }),
    check('30 s before iat', good, 'ok', { now: NOW - 90 }),
    check('by the second key of its approver', token(kind, {}, DAN), 'ok', { approvers: both }),
    bad('at exp: there is no skew', good, { now: EXP }),
    bad('31 s before iat', good, { now: NOW - 91 }),
    bad('by a key of nobody', token(kind, {}, EVIL)),
    bad('by nobody, since there are no approvers', good, { approvers: [] }),
    bad('by a key of its approver that is not among the approvers', token(kind, {}, DAN)),
    bad('under the kid of an approver, by another key', token(kind, {}, EVIL, CAROL.jkt)),
    bad('under the name of another approver', token(kind, { approver: 'mailto:dan@company.com' }), {
      approvers: [APPROVER, { principal: 'mailto:dan@company.com', jwk: DAN.jwk }],
    }),
    bad('by the principal itself', token(kind, { approver: PRINCIPAL }, ALICE), {
      approvers: [{ principal: PRINCIPAL, jwk: ALICE.jwk }],
    }),
    bad('by an agent of the chain, whoever’s its key is said to be', good, {
      agents: [PLANNER.key.jkt, CAROL.jkt],
    }),
    check('signed at the time of a revocation', good, 'ok', {
      approvers: [{ ...APPROVER, since: NOW - 60 }],
    }),
    bad('signed before a revocation of its approver', good, {
      approvers: [{ ...APPROVER, since: NOW - 59 }],
    }),
    bad('S + L', withSignature(good, plusGroupOrder)),
    check('of the other type', token(kind === 'link' ? 'request' : 'link'), 'jws_header'),
    check('nothing', '', 'jws_structure'),
    check('a member too many', token(kind, { note: 'x' }), 'claim_unknown'),
    ...members.map((name) => check(`no ${name}`, token(kind, { [name]: undefined }), 'claim_missing')),
    check('an approver that is no URI', token(kind, { approver: 'carol' }), 'claim_invalid'),
    check('exp in milliseconds', token(kind, { exp: EXP * 1_000_000 }), 'claim_invalid'),
    check('a short jti', token(kind, { jti: 'abc' }), 'claim_invalid'),
  ];
};

const elsewhere = (kind: Kind, facts: Claims): Case[] =>
  Object.entries(facts).map(([name, value]) =>
    verify(kind)(`for another ${name}`, token(kind), 'approval_invalid', { facts: { [name]: value } }),
  );

const invalid = (kind: Kind, comment: string, edit: Claims): Case =>
  verify(kind)(comment, token(kind, edit), 'claim_invalid', { facts: kind === 'request' ? edit : {} });

export const approvalCases = (): Case[] => [
  ...common('link'),
  ...elsewhere('link', {
    principal: 'mailto:dan@company.com',
    delegatee: SECURITY.id,
    parent: digest('another link'),
  }),
  invalid('link', 'a scope of nothing', { scope: [] }),
  invalid('link', 'a scope twice', { scope: ['cloud:write', 'cloud:write'] }),
  invalid('link', 'a scope that is none', { scope: ['*'] }),
  ...common('request'),
  ...elsewhere('request', {
    principal: 'mailto:dan@company.com',
    caller: SECURITY.id,
    callee: SECURITY.id,
    chain: digest('another leaf'),
    method: 'PUT',
    target: '/vpcs/vpc-1?dry=1',
    body: digest('{"delete":"vpc-2"}'),
  }),
  invalid('request', 'a method in small letters', { method: 'post' }),
  invalid('request', 'a target that is not canonical', { target: '/vpcs/../admin' }),
  invalid('request', 'a target of 1537 octets', { target: `/${'a'.repeat(1536)}` }),
];
