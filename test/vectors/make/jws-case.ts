import { type Case, NOW } from './case.ts';
import { type Claims, headerOf, jws, rawJws } from './signing.ts';
import { ALICE, CLIENT, childClaims, makeChain, PLANNER, rootClaims } from './world.ts';
export const parse = (
  comment: string,
  text: string,
  reason: string,
  type = 'link',
  source = type === 'link' ? '7.1' : '6',
): Case => ({ comment, source, now: NOW, input: { type, jws: text }, expect: { reason } });

export const LINK = headerOf('dlink+jwt');
export const claims = rootClaims(CLIENT);
export const text = JSON.stringify(claims);
export const good = jws('dlink+jwt', claims, ALICE);
export const [header = '', payload = '', signature = ''] = good.split('.');

export const form = (comment: string, jwsText: string, reason: string): Case =>
  parse(comment, jwsText, reason, 'link', '2');
export const json = (comment: string, octets: Uint8Array | string, reason: string): Case =>
  form(comment, rawJws(LINK, octets, ALICE), reason);
export const root = (comment: string, edit: Claims, reason: string): Case =>
  parse(comment, jws('dlink+jwt', rootClaims(CLIENT, edit), ALICE), reason);
const parent = makeChain({ agents: [CLIENT] })[0] ?? '';
export const child = (comment: string, edit: Claims, reason: string): Case =>
  parse(comment, jws('dlink+jwt', childClaims(parent, CLIENT, PLANNER, 1, edit), CLIENT.key), reason);

/** The last character of a 32- or 64-octet string carries unused bits; this sets one of them. */
export const nextCharacter = (part: string): string => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return part.slice(0, -1) + alphabet.charAt(alphabet.indexOf(part.slice(-1)) + 1);
};
