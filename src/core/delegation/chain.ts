/**
 * Verification of a delegation chain, offline (SPEC.md section 7.2). The cheap checks come first: structure, leaf = caller,
 * times and hashes before any signature, and a key is admitted only after the link that names it has verified;
 * so junk costs its sender more than us.
 */
import { canonicalJson } from '../encoding/json.ts';
import { verifyJws } from '../encoding/jws.ts';
import { type AdmittedKey, admitKey } from '../keys.ts';
import { CLOCK_SKEW_SECONDS, HARD_MAX_DEPTH, MAX_CHAIN_BYTES, MAX_LINKS } from '../limits.ts';
import { type AgentId, type IdPattern, idMatches, trustDomainOf } from '../spiffe-id.ts';
import { type Issuers, verifyKeyBinding } from '../trust/wit.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { type ChildLink, parseLink, type RootLink, type UnverifiedLink } from './link.ts';
import { findUncovered, type ScopePattern } from './scope.ts';

/** A key from which chains may start, and the ceiling of what it may grant (SPEC.md section 9). */
export interface Anchor {
  readonly kind: 'principal' | 'root-issuer';
  readonly key: AdmittedKey;
  readonly principals: readonly string[];
  readonly human: boolean;
  readonly delegatees: readonly IdPattern[];
  readonly domains: readonly string[];
  readonly scope: readonly ScopePattern[];
  readonly maxTtlSeconds: number;
  readonly maxDepth: number;
}

/** What policy says about chains. */
export interface ChainLimits {
  readonly maxDepth: number;
  readonly linkTtlSeconds: number;
  /** Whether an agent may occur twice. */
  readonly callbacks: boolean;
  /** Whether the anchor must stand for a human. */
  readonly humanRoot: boolean;
}

export interface ChainContext {
  readonly now: number;
  readonly trustDomain: string;
  /** By thumbprint. */
  readonly anchors: ReadonlyMap<string, Anchor>;
  readonly issuers: Issuers;
  readonly limits: ChainLimits;
}

/** A name and the key that was proven to be its own. */
export interface Holder {
  readonly id: AgentId;
  readonly key: AdmittedKey;
}

declare const verified: unique symbol;
/** Only {@link verifyChain} and {@link verifyGrant} make one. */
export interface VerifiedChain {
  readonly [verified]: true;
  readonly root: RootLink;
  readonly links: readonly UnverifiedLink[];
  readonly leaf: UnverifiedLink;
  readonly holder: Holder;
  readonly depth: number;
  readonly principal: string;
  /** Link id of the task's first L0; means nothing without the principal. */
  readonly task: string;
  /** The earliest `exp` of any link, seconds. */
  readonly exp: number;
  /** The latest `iat` of any link, seconds. */
  readonly iat: number;
  /** Length of the chain as text. */
  readonly octets: number;
}

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
  return grant(verifiedChain(links, caller, text.length));
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
  return forged ?? grant(verifiedChain(links, callee, octets));
};

const verifiedChain = (links: readonly UnverifiedLink[], holder: Holder, octets: number): VerifiedChain => {
  const root = links[0] as RootLink;
  return {
    root,
    links,
    leaf: links.at(-1) as UnverifiedLink,
    holder,
    depth: depthOf(links),
    principal: root.principal,
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

const at = (denial: Denial, index: number): Denial => deny(denial.reason, `link ${index}: ${denial.detail}`);
const denyAt = (index: number, reason: Denial['reason'], detail: string): Denial =>
  deny(reason, `link ${index}: ${detail}`);

const isRebind = (link: UnverifiedLink): boolean => !link.root && link.rebind;

const depthOf = (links: readonly UnverifiedLink[]): number =>
  links.reduce((depth, link) => (isRebind(link) ? depth : depth + 1), 0);

/** Depth, rebinds and repetition. */
const checkStructure = (links: readonly UnverifiedLink[], limits: ChainLimits): Denial | undefined => {
  const limit = Math.min(limits.maxDepth, HARD_MAX_DEPTH);
  const depth = depthOf(links);
  if (depth > limit) return deny('chain_too_deep', `${depth} links, policy allows ${limit}`);
  let soFar = 0;
  let allowed = HARD_MAX_DEPTH;
  for (const [index, link] of links.entries()) {
    const parent = links[index - 1];
    const rebind = checkRebind(link, parent, index);
    if (rebind !== undefined) return rebind;
    if (!isRebind(link)) soFar++;
    if (soFar > Math.min(allowed, link.maxDepth))
      return denyAt(
        index,
        'chain_max_depth',
        `depth ${soFar}, a link allows ${Math.min(allowed, link.maxDepth)}`,
      );
    if (link.maxDepth > allowed)
      return denyAt(index, 'link_max_depth_raised', `max_depth ${link.maxDepth}, its parent has ${allowed}`);
    allowed = link.maxDepth;
    if (limits.callbacks && !isRebind(link)) continue;
    for (let before = 0; before < index; before++) {
      const other = links[before] as UnverifiedLink;
      // A rebind repeats the name of its parent, whose own repetition was looked at already.
      if (!limits.callbacks && !isRebind(link) && other.delegatee === link.delegatee)
        return denyAt(index, 'chain_agent_twice', `${link.delegatee} occurs before`);
      if (other.delegateeX === link.delegateeX)
        return denyAt(index, 'chain_key_twice', 'its key occurs before');
    }
  }
  return undefined;
};

const checkRebind = (
  link: UnverifiedLink,
  parent: UnverifiedLink | undefined,
  index: number,
): Denial | undefined => {
  if (link.root || parent === undefined) return undefined;
  const sameName = link.delegatee === parent.delegatee;
  if (!link.rebind)
    return sameName ? denyAt(index, 'link_rebind', `${link.delegatee} delegates to itself`) : undefined;
  const same =
    sameName &&
    !isRebind(parent) &&
    link.delegateeX !== parent.delegateeX &&
    link.maxDepth === parent.maxDepth &&
    canonicalJson([link.scope, link.aud, link.caveats]) ===
      canonicalJson([parent.scope, parent.aud, parent.caveats]);
  return same ? undefined : denyAt(index, 'link_rebind', 'a rebind link changes the key and nothing else');
};

const checkTimes = (
  links: readonly UnverifiedLink[],
  context: ChainContext,
  above?: UnverifiedLink,
  offset = 0,
): Denial | undefined => {
  const { now, limits } = context;
  let parent = above;
  for (const [position, link] of links.entries()) {
    const index = position + offset;
    if (link.iat > now + CLOCK_SKEW_SECONDS)
      return denyAt(index, 'link_not_yet_valid', `issued at ${link.iat}, it is ${now}`);
    if (now >= link.exp + CLOCK_SKEW_SECONDS)
      return denyAt(index, 'link_expired', `expired at ${link.exp}, it is ${now}`);
    if (link.exp - link.iat > limits.linkTtlSeconds)
      return denyAt(
        index,
        'link_ttl',
        `lives ${link.exp - link.iat} s, policy allows ${limits.linkTtlSeconds} s`,
      );
    if (parent !== undefined) {
      if (link.iat < parent.iat)
        return denyAt(index, 'link_older_than_parent', `issued at ${link.iat}, its parent at ${parent.iat}`);
      if (link.exp > parent.exp)
        return denyAt(index, 'link_outlives_parent', `expires at ${link.exp}, its parent at ${parent.exp}`);
    }
    parent = link;
  }
  return undefined;
};

/** A partner's agent must not act on a chain that is only for us. */
const checkDelegateeDomain = (link: UnverifiedLink, index: number): Denial | undefined => {
  const domain = trustDomainOf(link.delegatee);
  return link.aud.includes(domain)
    ? undefined
    : denyAt(index, 'chain_aud', `its delegatee is of ${domain}, the link is for ${link.aud.join(', ')}`);
};

/** Each link hangs on its parent and is no wider than it. */
const checkNarrowing = (links: readonly UnverifiedLink[], offset = 0): Denial | undefined => {
  for (let index = 1; index < links.length; index++) {
    const link = links[index] as ChildLink;
    const parent = links[index - 1] as UnverifiedLink;
    const where = index + offset;
    if (link.parent !== parent.id) return denyAt(where, 'link_parent', 'made for another parent');
    const domain = link.aud.find((name) => !parent.aud.includes(name));
    if (domain !== undefined)
      return denyAt(where, 'link_aud_widened', `${domain} is not in the parent's aud`);
    const foreign = checkDelegateeDomain(link, where);
    if (foreign !== undefined) return foreign;
    const wider = findUncovered(parent.scope, link.scope);
    if (wider !== undefined)
      return denyAt(where, 'link_scope_widened', `${wider} is not covered by the parent's scope`);
    const kept =
      parent.caveats.length === 0 ||
      canonicalJson(link.caveats.slice(0, parent.caveats.length)) === canonicalJson(parent.caveats);
    if (!kept) return denyAt(where, 'link_caveats', 'the caveats do not begin with the parent’s');
  }
  return undefined;
};

const checkAnchor = (root: RootLink, anchor: Anchor | undefined, limits: ChainLimits): Denial | undefined => {
  if (anchor === undefined)
    return deny('anchor_unknown', 'the key that signed the first link is no anchor of this trust domain');
  const { principals, delegatees, domains, scope } = anchor;
  const anyone = anchor.kind === 'root-issuer' && principals.includes('*');
  if (!anyone && !principals.includes(root.principal))
    return deny('anchor_principal', `the anchor does not speak for ${root.principal}`);
  if (!delegatees.some((pattern) => idMatches(pattern, root.delegatee)))
    return deny('anchor_delegatee', `the anchor may not delegate to ${root.delegatee}`);
  const domain = root.aud.find((name) => !domains.includes(name));
  if (domain !== undefined) return deny('anchor_domain', `the anchor may not grant into ${domain}`);
  const wider = findUncovered(scope, root.scope);
  if (wider !== undefined) return deny('anchor_scope', `the anchor may not grant ${wider}`);
  if (root.exp - root.iat > anchor.maxTtlSeconds)
    return deny('anchor_ttl', `${root.exp - root.iat} s, the anchor may grant ${anchor.maxTtlSeconds} s`);
  if (root.maxDepth > anchor.maxDepth)
    return deny('anchor_depth', `max_depth ${root.maxDepth}, the anchor may grant ${anchor.maxDepth}`);
  if (limits.humanRoot && !anchor.human) return deny('anchor_not_human', `${root.principal} is no human`);
  return undefined;
};

const checkSignatures = (
  links: readonly UnverifiedLink[],
  anchor: Anchor,
  issuers: Issuers,
): Denial | undefined => {
  if (!verifyJws(links[0] as RootLink, anchor.key.key))
    return denyAt(0, 'link_signature', 'not signed by its anchor');
  for (let index = 1; index < links.length; index++) {
    const denial = checkLinkSignature(
      links[index] as ChildLink,
      links[index - 1] as UnverifiedLink,
      issuers,
      index,
    );
    if (denial !== undefined) return denial;
  }
  return undefined;
};

const checkLinkSignature = (
  link: ChildLink,
  parent: UnverifiedLink,
  issuers: Issuers,
  index: number,
): Denial | undefined => {
  // Without the binding, a delegatee's name is only its delegator's word: anyone could go on signing as "security".
  const binding = verifyKeyBinding(link.kb, parent.delegatee, parent.delegateeX, link.iat, issuers);
  if (!binding.ok) return at(binding, index);
  const key = admitKey(parent.delegateeX);
  if (!key.ok) return at(key, index - 1);
  return verifyJws(link, key.value.key)
    ? undefined
    : denyAt(index, 'link_signature', `not signed by ${parent.delegatee}`);
};
