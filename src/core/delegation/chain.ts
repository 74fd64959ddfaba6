/**
 * Verification of a delegation chain, offline (SPEC.md section 7.2). The cheap checks come first: structure, leaf = caller,
 * times and hashes before any signature, and a key is admitted only after the link that names it has verified;
 * so junk costs its sender more than us.
 */
import { CLOCK_SKEW_SECONDS, MAX_CHAIN_BYTES, MAX_LINKS } from '../limits.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { type ChildLink, parseLink, type RootLink, type UnverifiedLink } from './link.ts';
import {
  at,
  checkAnchor,
  checkDelegateeDomain,
  checkLinkSignature,
  checkNarrowing,
  checkSignatures,
  checkStructure,
  checkTimes,
  denyAt,
  depthOf,
} from './link-checks.ts';
import type { Anchor, ChainContext, Holder, VerifiedChain } from './model.ts';

export type { Anchor, ChainContext, ChainLimits, Holder, VerifiedChain } from './model.ts';

/** Verifies `L0~…~Lk`, held by `caller`. Refuses with the codes of SPEC.md section 7.2. */
export const verifyChain = (text: string, caller: Holder, context: ChainContext): Verdict<VerifiedChain> => {
  if (text.length > MAX_CHAIN_BYTES)
    return deny('chain_too_large', `${text.length} octets, at most ${MAX_CHAIN_BYTES}`);
  if (text === '') return deny('chain_missing', 'the chain is empty');
  const parts = text.split('~', MAX_LINKS + 1);
  if (parts.length > MAX_LINKS) return deny('chain_too_many_links', `more than ${MAX_LINKS} links`);

  const links: UnverifiedLink[] = [];
  for (const [index, part] of parts.entries()) {
    const link = parseLink(part, index === 0);
    if (!link.ok) return at(link, index);
    links.push(link.value);
  }
  const leaf = links.at(-1) as UnverifiedLink;
  if (leaf.delegatee !== caller.id)
    return deny(
      'chain_leaf_not_caller',
      `the chain was given to ${leaf.delegatee}, the caller is ${caller.id}`,
    );
  if (leaf.delegateeX !== caller.key.x)
    return deny('chain_leaf_key', `the chain was given to another key of ${caller.id}`);

  const denial =
    checkStructure(links, context.limits) ??
    checkTimes(links, context) ??
    checkDelegateeDomain(links[0] as RootLink, 0) ??
    checkNarrowing(links);
  if (denial !== undefined) return denial;
  if (!leaf.aud.includes(context.trustDomain))
    return deny('chain_aud', `the chain is for ${leaf.aud.join(', ')}, this is ${context.trustDomain}`);

  const root = links[0] as RootLink;
  const anchor = context.anchors.get(root.anchor);
  const ceiling = checkAnchor(root, anchor, context.limits);
  if (ceiling !== undefined || anchor === undefined) return ceiling ?? deny('anchor_unknown', '');
  const forged = checkSignatures(links, anchor, context.issuers);
  if (forged !== undefined) return forged;
  return grant(verifiedChain(links, caller, text.length, issuerOf(root, anchor)));
};

/**
 * Verifies a grant: the next link below a verified chain, for the callee. Refuses with `grant_*` and the codes of a link.
 * Checks only what the grant adds; the chain holds already.
 */
export const verifyGrant = (
  text: string,
  chain: VerifiedChain,
  callee: Holder,
  context: ChainContext,
): Verdict<VerifiedChain> => {
  const index = chain.links.length;
  const octets = chain.octets + 1 + text.length;
  // What the callee could never present is no grant.
  if (octets > MAX_CHAIN_BYTES)
    return deny('chain_too_large', `${octets} octets with the grant, at most ${MAX_CHAIN_BYTES}`);
  if (index >= MAX_LINKS) return deny('chain_too_many_links', `more than ${MAX_LINKS} links`);
  const parsed = parseLink(text, false);
  if (!parsed.ok) return at(parsed, index);
  const link = parsed.value as ChildLink;
  if (link.parent !== chain.leaf.id)
    return deny('grant_not_child', 'the grant was made under another leaf than the chain’s');
  if (link.delegatee !== callee.id)
    return deny('grant_callee', `the grant is for ${link.delegatee}, this is ${callee.id}`);
  if (link.delegateeX !== callee.key.x)
    return deny('grant_callee_key', `the grant is for another key of ${callee.id}`);
  if (link.rebind) return denyAt(index, 'link_rebind', 'a grant goes to another agent, a rebind to the same');
  const links = [...chain.links, link];
  const denial =
    checkStructure(links, context.limits) ??
    checkTimes([link], context, chain.leaf, index) ??
    checkNarrowing([chain.leaf, link], index - 1);
  if (denial !== undefined) return denial;
  if (!link.aud.includes(context.trustDomain))
    return denyAt(index, 'chain_aud', `it is for ${link.aud.join(', ')}, this is ${context.trustDomain}`);
  const forged = checkLinkSignature(link, chain.leaf, context.issuers, index);
  return forged ?? grant(verifiedChain(links, callee, octets, chain.issuer));
};

/** Whoever signs with a principal's own key may write any login into a link. */
const issuerOf = ({ loginIssuer = '' }: RootLink, { kind }: Anchor): string =>
  kind === 'root-issuer' ? loginIssuer : '';

const verifiedChain = (
  links: readonly UnverifiedLink[],
  holder: Holder,
  octets: number,
  issuer: string,
): VerifiedChain => {
  const root = links[0] as RootLink;
  return {
    root,
    links,
    leaf: links.at(-1) as UnverifiedLink,
    holder,
    depth: depthOf(links),
    principal: root.principal,
    issuer,
    task: root.renews ?? root.id,
    exp: Math.min(...links.map((link) => link.exp)),
    iat: Math.max(...links.map((link) => link.iat)),
    octets,
  } as VerifiedChain;
};

/** Whether time alone has ended a chain that once verified. Refuses with `link_expired`, `link_not_yet_valid`. */
export const checkChainTime = (chain: VerifiedChain, now: number): Denial | undefined => {
  if (now >= chain.exp + CLOCK_SKEW_SECONDS)
    return deny('link_expired', `a link expired at ${chain.exp}, it is ${now}`);
  if (chain.iat > now + CLOCK_SKEW_SECONDS)
    return deny('link_not_yet_valid', `a link is from ${chain.iat}, it is ${now}`);
  return undefined;
};
