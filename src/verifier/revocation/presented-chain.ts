/** A link as its chain shows it: whose it is, who stands above it, and how long it could be made again. */
import { type ChainLimits, type VerifiedChain, verifyChain } from '../../core/delegation/chain.ts';
import { parseLink, type UnverifiedLink } from '../../core/delegation/link.ts';
import { admitKey } from '../../core/keys.ts';
import { HARD_MAX_DEPTH, MAX_CHAIN_BYTES, MAX_LINKS, MAX_TIME } from '../../core/limits.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Bundle } from '../../core/trust/bundle.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';

/** All that is needed of a bundle. */
export type ChainTrust = Pick<Bundle, 'trustDomain' | 'anchors' | 'issuers'>;

export interface PresentedLink {
  readonly link: UnverifiedLink;
  /** Under which it could be made again: never a rebind, of which its agent makes as many as it likes. Undefined for L0, which no agent makes. */
  readonly parent: UnverifiedLink | undefined;
  /** Its signer and all above it, from the first agent down; none for L0. */
  readonly ancestors: readonly AgentId[];
  /** The link's delegatee and those below, as far as the chain goes. */
  readonly below: readonly AgentId[];
  readonly principal: string;
  readonly task: string;
}

/** To end a link it has to be authentic; whether policy still lets it act is another question. */
const ANY_LIMITS: ChainLimits = {
  maxDepth: HARD_MAX_DEPTH,
  linkTtlSeconds: MAX_TIME,
  callbacks: true,
  humanRoot: false,
  maxTaskAgeSeconds: MAX_TIME,
};

/**
 * Verifies a chain for what it says of one of its links, the last unless named; one that has expired as of when it was
 * made, since a link can be made again as long as its parent lives. Refuses with the codes of SPEC.md section 7.2, and
 * `api_not_found` for a link that isn't in it.
 */
export const verifyPresented = (
  text: string,
  id: string | undefined,
  trust: ChainTrust,
  now: number,
): Verdict<PresentedLink> => {
  const verified = verifyAnyTime(text, trust, now);
  if (!verified.ok) return verified;
  const { links, principal, task } = verified.value;
  const at = id === undefined ? links.length - 1 : links.findIndex((one) => one.id === id);
  const link = links[at];
  if (link === undefined) return deny('api_not_found', 'the chain has no such link');
  return grant({
    link,
    parent: links.slice(0, at).findLast((one) => one.root || !one.rebind),
    ancestors: links.slice(0, at).map(({ delegatee }) => delegatee),
    below: links.slice(at).map(({ delegatee }) => delegatee),
    principal,
    task,
  });
};

const verifyAnyTime = (text: string, trust: ChainTrust, now: number): Verdict<VerifiedChain> => {
  // The caps of verifyChain, before anything is parsed here.
  if (text.length > MAX_CHAIN_BYTES) return deny('chain_too_large', `more than ${MAX_CHAIN_BYTES} octets`);
  const parts = text.split('~', MAX_LINKS + 1);
  if (parts.length > MAX_LINKS) return deny('chain_too_many_links', `more than ${MAX_LINKS} links`);
  const links: UnverifiedLink[] = [];
  for (const [index, part] of parts.entries()) {
    const link = parseLink(part, index === 0);
    if (!link.ok) return link;
    links.push(link.value);
  }
  const leaf = links.at(-1) as UnverifiedLink;
  const key = admitKey(leaf.delegateeX);
  if (!key.ok) return key;
  const exp = Math.min(...links.map((link) => link.exp));
  const iat = Math.max(...links.map((link) => link.iat));
  const { trustDomain, anchors, issuers } = trust;
  const context = { now: now < exp ? now : iat, trustDomain, anchors, issuers, limits: ANY_LIMITS };
  return verifyChain(text, { id: leaf.delegatee, key: key.value }, context);
};
