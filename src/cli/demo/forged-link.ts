/** Links signed by hand, without any of the checks that a minter makes. */
import { parseLink, type UnverifiedLink } from '../../core/delegation/link.ts';
import { type Sign, signJws } from '../../core/encoding/jws.ts';
import { jwkOf } from '../../core/keys.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { KeyBinding } from '../../core/trust/wit.ts';
import { makeTokenId } from '../../verifier/authority/tokens.ts';
import { nowSeconds } from '../time-words.ts';

/** Who signs: a key, and a key binding that may be another's. */
export interface Signer {
  readonly sign: Sign;
  readonly kb: KeyBinding;
}

export interface ForgedLink {
  readonly delegatee: { readonly id: AgentId; readonly x: string };
  readonly scope?: readonly string[];
}

/** The leaf of a chain, parsed and not verified. */
export const leafOf = (chain: string): UnverifiedLink => {
  const links = chain.split('~');
  const leaf = parseLink(links.at(-1) ?? '', links.length === 1);
  if (!leaf.ok) throw new Error(`${leaf.reason}: ${leaf.detail}`);
  return leaf.value;
};

/** The chain with one more link, which has what its parent has but for what is asked for. */
export const extendChain = (
  chain: string,
  { delegatee, scope }: ForgedLink,
  { sign, kb }: Signer,
): string => {
  const parent = leafOf(chain);
  const link = signJws(
    'dlink+jwt',
    {
      par_hash: parent.id,
      kb,
      act: { sub: delegatee.id },
      cnf: { jwk: jwkOf(delegatee.x) },
      aud: parent.aud,
      jti: makeTokenId(),
      iat: Math.max(nowSeconds(), parent.iat),
      exp: parent.exp,
      scope: scope ?? parent.scope,
      max_depth: parent.maxDepth,
    },
    sign,
  );
  return `${chain}~${link}`;
};
