/** The checks of a chain's links, one for each step of SPEC.md section 7.2; pure, each with its own reason. */
import { canonicalJson } from '../encoding/json.ts';
import { verifyJws } from '../encoding/jws.ts';
import { admitKey } from '../keys.ts';
import { CLOCK_SKEW_SECONDS, DEFAULT_MAX_TASK_AGE_SECONDS, HARD_MAX_DEPTH } from '../limits.ts';
import { idMatches, trustDomainOf } from '../spiffe-id.ts';
import { type Issuers, verifyKeyBinding } from '../trust/wit.ts';
import { type Denial, deny } from '../verdict.ts';
import type { ChildLink, RootLink, UnverifiedLink } from './link.ts';
import type { Anchor, ChainContext, ChainLimits } from './model.ts';
import { findUncovered } from './scope.ts';

export const at = (denial: Denial, index: number): Denial =>
  deny(denial.reason, `link ${index}: ${denial.detail}`);
export const denyAt = (index: number, reason: Denial['reason'], detail: string): Denial =>
  deny(reason, `link ${index}: ${detail}`);

const isRebind = (link: UnverifiedLink): boolean => !link.root && link.rebind;

export const depthOf = (links: readonly UnverifiedLink[]): number =>
  links.reduce((depth, link) => (isRebind(link) ? depth : depth + 1), 0);

/** Depth, rebinds and repetition. */
export const checkStructure = (links: readonly UnverifiedLink[], limits: ChainLimits): Denial | undefined => {
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

export const checkTimes = (
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
    const maxTaskAge = limits.maxTaskAgeSeconds ?? DEFAULT_MAX_TASK_AGE_SECONDS;
    if (link.root && link.taskStart !== undefined && link.exp > link.taskStart + maxTaskAge)
      return denyAt(
        index,
        'task_too_old',
        `the task began at ${link.taskStart}, policy allows ${maxTaskAge} s, the link ends at ${link.exp}`,
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
export const checkDelegateeDomain = (link: UnverifiedLink, index: number): Denial | undefined => {
  const domain = trustDomainOf(link.delegatee);
  return link.aud.includes(domain)
    ? undefined
    : denyAt(index, 'chain_aud', `its delegatee is of ${domain}, the link is for ${link.aud.join(', ')}`);
};

/** Each link hangs on its parent and is no wider than it. */
export const checkNarrowing = (links: readonly UnverifiedLink[], offset = 0): Denial | undefined => {
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

export const checkAnchor = (
  root: RootLink,
  anchor: Anchor | undefined,
  limits: ChainLimits,
): Denial | undefined => {
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

export const checkSignatures = (
  links: readonly UnverifiedLink[],
  anchor: Anchor,
  issuers: Issuers,
): Denial | undefined => {
  const start = admitKey(anchor.x);
  if (!start.ok) return deny(start.reason, `anchor: ${start.detail}`);
  if (!verifyJws(links[0] as RootLink, start.value.key))
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

export const checkLinkSignature = (
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
