/** Agent IDs. */
import { type Case, NOW } from './case.ts';

const bad = (comment: string, id: string): Case => ({
  comment,
  source: '3',
  now: NOW,
  input: { id },
  expect: { reason: 'svid_id' },
});
const good = (comment: string, id: string, type: string, trustDomain = 'company.com'): Case => ({
  ...bad(comment, id),
  expect: { reason: 'ok', type, trustDomain },
});

const BASE = 'spiffe://company.com/agent/inventory';

export const spiffeCases = (): Case[] => [
  good('an agent', `${BASE}/def456`, 'inventory'),
  good('a client', 'spiffe://company.com/client/alice', 'client'),
  good('all letters that a path may have', 'spiffe://company.com/agent/In-ven_t.ory/A.b-c_0', 'In-ven_t.ory'),
  good('all letters that a trust domain may have', 'spiffe://a-b_c.0/agent/x/y', 'x', 'a-b_c.0'),
  good('three dots are no parent', `${BASE}/...`, 'inventory'),
  good('an ID of 2048 octets', `${BASE}/${'a'.repeat(2048 - BASE.length - 1)}`, 'inventory'),
  bad('an ID of 2049 octets', `${BASE}/${'a'.repeat(2049 - BASE.length - 1)}`),
  good('a trust domain of 255 octets', `spiffe://${'a'.repeat(255)}/agent/x/y`, 'x', 'a'.repeat(255)),
  bad('a trust domain of 256 octets', `spiffe://${'a'.repeat(256)}/agent/x/y`),
  bad('no text', ''),
  bad('the root of a trust domain', 'spiffe://company.com'),
  bad('the root of a trust domain, with slash', 'spiffe://company.com/'),
  bad('no trust domain', 'spiffe:///agent/inventory/def456'),
  bad('another scheme', 'https://company.com/agent/inventory/def456'),
  bad('a scheme in upper case', 'SPIFFE://company.com/agent/inventory/def456'),
  bad('a trust domain in upper case', 'spiffe://Company.com/agent/inventory/def456'),
  bad('a port', 'spiffe://company.com:443/agent/inventory/def456'),
  bad('a user', 'spiffe://admin@company.com/agent/inventory/def456'),
  bad('a query', `${BASE}/def456?x=1`),
  bad('a fragment', `${BASE}/def456#x`),
  bad('a trailing slash', `${BASE}/def456/`),
  bad('an empty segment', 'spiffe://company.com/agent//def456'),
  bad('a dot segment as instance', `${BASE}/.`),
  bad('a double dot as instance', `${BASE}/..`),
  bad('a double dot as type', 'spiffe://company.com/agent/../def456'),
  bad('percent-encoding', `${BASE}/def%34`),
  bad('an encoded slash', 'spiffe://company.com/agent/inventory%2fdef456'),
  bad('a pattern', `${BASE}/*`),
  bad('a workload that is no agent', 'spiffe://company.com/ns/default/sa/web'),
  bad('no instance', BASE),
  bad('one segment too many', `${BASE}/def456/extra`),
  bad('a client with a type', 'spiffe://company.com/client/cli/alice'),
  bad('an agent that passes for a client by its type', 'spiffe://company.com/agent/client/alice'),
  bad('the word agent in upper case', 'spiffe://company.com/Agent/inventory/def456'),
  bad('a space', `${BASE}/def 456`),
  bad('a NUL', `${BASE}/def\u0000456`),
  bad('a newline behind the ID', `${BASE}/def456\n`),
  bad('a look-alike letter', 'spiffe://company.com/agent/inventоry/def456'),
  bad('a comma, as lists of SANs have', `${BASE}/def456,URI:spiffe://company.com/agent/security/s1`),
  bad('a backslash', 'spiffe://company.com/agent\\inventory\\def456'),
  bad('a tilde', `${BASE}/~def456`),
];
