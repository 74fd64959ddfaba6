/** What is kept aside: its id, fact by fact, and what reviewers say of it. */
import { type Case, NOW } from './case.ts';
import { b64u, type Claims, jcs, jti, jws, type Key, key, sha256, withSignature } from './signing.ts';
import { plusGroupOrder } from './torsion.ts';
import { INVENTORY, PLANNER, PRINCIPAL, SECURITY } from './world.ts';

const digest = (text: string): string => b64u(sha256(text));
const FACTS = {
  body: digest('{"text":"x"}'),
  callee: INVENTORY.id,
  caller: PLANNER.id,
  encoding: '',
  method: 'POST',
  principal: PRINCIPAL,
  salt: digest('salt'),
  sidecar: INVENTORY.id,
  target: '/reports?for=x',
  task: digest('task'),
  type: 'application/json; charset=utf-8',
};
const OTHERS = {
  body: digest('{"text":"y"}'),
  callee: SECURITY.id,
  caller: SECURITY.id,
  encoding: 'gzip',
  method: 'PUT',
  principal: 'mailto:dan@company.com',
  salt: digest('another salt'),
  sidecar: PLANNER.id,
  target: '/reports',
  task: digest('another task'),
  type: 'text/plain; note="ü\u2028"',
};
const ID = digest(jcs(FACTS));

const named = (comment: string, facts: Claims): Case => ({
  comment,
  source: '13',
  now: NOW,
  input: { facts },
  expect: { reason: 'ok', id: digest(jcs(facts)) },
});

type Type = 'inspect' | 'release';
const BOB = key('reviewer bob');
const EVIL = key('reviewer evil');
const LONGEST = { inspect: 300, release: 3600 } as const;

const claimsOf = (type: Type, edit: Claims): Claims =>
  Object.fromEntries(
    Object.entries({
      aud: INVENTORY.id,
      exp: NOW - 60 + LONGEST[type],
      iat: NOW - 60,
      id: ID,
      jti: jti(`quarantine ${type}`),
      why: 'a false alarm',
      ...edit,
    }).filter(([, value]) => value !== undefined),
  );
const token = (type: Type, edit: Claims = {}, by: Key = BOB, kid = by.jkt): string =>
  jws(`quarantine-${type}+jwt`, claimsOf(type, edit), by, kid);

const words = (type: Type): Case[] => {
  const check = (comment: string, text: string, reason: string, now = NOW, reviewers = [BOB]): Case => ({
    comment: `${type}: ${comment}`,
    source: '13',
    now,
    input: {
      type,
      token: text,
      wanted: { id: ID, sidecar: INVENTORY.id },
      reviewers: reviewers.map(({ name, jwk }) => ({ name, jwk })),
    },
    expect: { reason },
  });
  const bad = (comment: string, text: string, now?: number, reviewers?: Key[]): Case =>
    check(comment, text, 'approval_invalid', now, reviewers);
  const good = token(type);
  const exp = NOW - 60 + LONGEST[type];
  return [
    check('good', good, 'ok'),
    check('its last second', good, 'ok', exp - 1),
    check('30 s before iat', good, 'ok', NOW - 90),
    check('with nothing to say', token(type, { why: '' }), 'ok'),
    check('with 200 characters of two code units each', token(type, { why: '🎉'.repeat(200) }), 'ok'),
    bad('at exp: there is no skew', good, exp),
    bad('31 s before iat', good, NOW - 91),
    bad('good for a second too long', token(type, { exp: exp + 1 })),
    bad('for another request', token(type, { id: digest('another') })),
    bad('for another sidecar', token(type, { aud: PLANNER.id })),
    bad('by a key of nobody', token(type, {}, EVIL)),
    bad('by nobody, since there are no reviewers', good, NOW, []),
    bad('under the kid of a reviewer, by another key', token(type, {}, EVIL, BOB.jkt)),
    bad('S + L', withSignature(good, plusGroupOrder)),
    check('of the other type', token(type === 'inspect' ? 'release' : 'inspect'), 'jws_header'),
    check('nothing', '', 'jws_structure'),
    check('a member too many', token(type, { body: 'x' }), 'claim_unknown'),
    ...Object.keys(claimsOf(type, {})).map((name) =>
      check(`no ${name}`, token(type, { [name]: undefined }), 'claim_missing'),
    ),
    check('201 characters', token(type, { why: 'x'.repeat(201) }), 'claim_invalid'),
    check('two lines', token(type, { why: 'a\nb' }), 'claim_invalid'),
    check('text that runs backwards', token(type, { why: 'a\u202eb' }), 'claim_invalid'),
    check('exp in milliseconds', token(type, { exp: exp * 1_000_000 }), 'claim_invalid'),
    check('an id that is none', token(type, { id: 'x' }), 'claim_invalid'),
    check('a short jti', token(type, { jti: 'abc' }), 'claim_invalid'),
  ];
};

export const quarantineCases = (): Case[] => [
  named('the id of a request', FACTS),
  ...Object.entries(OTHERS).map(([name, value]) => named(`another ${name}`, { ...FACTS, [name]: value })),
  ...words('inspect'),
  ...words('release'),
];
