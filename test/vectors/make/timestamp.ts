/** Timestamps over the bundle in force. */
import { type Case, NOW } from './case.ts';
import { type Claims, key, withSignature } from './signing.ts';
import { plusGroupOrder } from './torsion.ts';
import { bundle, DOMAIN, PARTNER, POLICY, ROOT, roles, TIMESTAMP, timestamp } from './world.ts';

interface Options {
  readonly now?: number;
  /** `iat` of the last timestamp that was taken. */
  readonly since?: number;
  readonly bundle?: string;
}

const IAT = NOW - 5;
const EXP = NOW + 295;
const current = bundle();

const verify = (comment: string, text: string, expect: Case['expect'], options: Options = {}): Case => ({
  comment,
  source: '9',
  now: options.now ?? NOW,
  input: {
    timestamp: text,
    bundle: options.bundle ?? current,
    trustDomain: DOMAIN,
    root: ROOT.jkt,
    since: options.since ?? 0,
  },
  expect,
});
const ok = (comment: string, edit: Claims = {}, options: Options = {}): Case =>
  verify(
    comment,
    timestamp(options.bundle ?? current, edit),
    { reason: 'ok', iat: Number(edit.iat ?? IAT) },
    options,
  );
const bad = (comment: string, edit: Claims | string, reason: string, options: Options = {}): Case =>
  verify(comment, typeof edit === 'string' ? edit : timestamp(current, edit), { reason }, options);

const EVIL = key('timestamp evil');
const other = bundle({ revoked: [{ agent: 'spiffe://company.com/agent/inventory/i1' }] });
const twoKeys = bundle({ roles: roles({ timestamp: [key('timestamp next').jwk, TIMESTAMP.jwk] }) });
const none = bundle({ roles: roles({ timestamp: [] }) });
const good = timestamp(current);

export const timestampCases = (): Case[] => [
  ok('a good timestamp'),
  ok('the same again', {}, { since: IAT }),
  ok('a newer one than the last', {}, { since: IAT - 60 }),
  ok('by the second of two timestamp keys', {}, { bundle: twoKeys }),
  ok('the last second of the skew behind exp', {}, { now: EXP + 29 }),
  ok('30 s before iat', {}, { now: IAT - 30 }),
  bad('of another trust domain', { trust_domain: PARTNER }, 'bundle_domain'),
  bad('by a key that the roles do not name', timestamp(current, {}, EVIL), 'bundle_signer'),
  bad('by the policy key', timestamp(current, {}, POLICY), 'bundle_signer'),
  bad('by the root', timestamp(current, {}, ROOT), 'bundle_signer'),
  bad('over a bundle whose roles name no timestamp key', timestamp(none), 'bundle_signer', { bundle: none }),
  bad(
    'signed by another under the timestamp key’s kid',
    timestamp(current, {}, EVIL, TIMESTAMP.jkt),
    'bundle_signature',
  ),
  bad('S + L', withSignature(good, plusGroupOrder), 'bundle_signature'),
  bad('its claims exchanged, its signature kept', resigned(), 'bundle_signature'),
  bad('over another bundle of that number', timestamp(other), 'bundle_rollback'),
  bad('over an older bundle', { seq: 6 }, 'bundle_rollback'),
  bad('over a newer bundle that we do not have', { seq: 8 }, 'bundle_rollback'),
  bad('over another epoch', { epoch: 3 }, 'bundle_rollback'),
  bad('one second older than the last one', {}, 'bundle_rollback', { since: IAT + 1 }),
  bad('30 s past exp', {}, 'bundle_stale', { now: EXP + 30 }),
  bad('31 s before iat', {}, 'bundle_stale', { now: IAT - 31 }),
  bad('nothing', '', 'jws_structure'),
  bad('cut', good.slice(0, -1), 'jws_structure'),
  bad('a bundle', current, 'jws_header'),
  bad('roles', roles(), 'jws_header'),
  bad('a member too many', { note: 'x' }, 'claim_unknown'),
  ...['trust_domain', 'epoch', 'seq', 'digest', 'iat', 'exp'].map((name) =>
    bad(`no ${name}`, { [name]: undefined }, 'claim_missing'),
  ),
  bad('a digest that is none', { digest: 'AAAA' }, 'claim_invalid'),
  bad('seq zero', { seq: 0 }, 'claim_invalid'),
  bad('iat in milliseconds', { iat: NOW * 1000 }, 'claim_invalid'),
];

/** The payload of a later one under the signature of this one. */
function resigned(): string {
  const [header, payload] = timestamp(current, { exp: EXP + 86_400 }).split('.');
  return `${header}.${payload}.${good.split('.')[2]}`;
}
