/** A delegation chain, explained link by link and verified as a sidecar would. */
import { parseLinkApproval } from '../core/approval/link-approval.ts';
import type { Caveat } from '../core/delegation/caveats.ts';
import { type Holder, verifyChain } from '../core/delegation/chain.ts';
import { parseLink, type UnverifiedLink } from '../core/delegation/link.ts';
import { covers } from '../core/delegation/scope.ts';
import { admitKey } from '../core/keys.ts';
import { MAX_CHAIN_BYTES, MAX_LINKS } from '../core/limits.ts';
import { type Denial, deny } from '../core/verdict.ts';
import {
  expiryRow,
  type Inspection,
  issuedRow,
  type Section,
  shortId,
  sound,
  timesData,
  unreadable,
  unverified,
} from './inspection.ts';
import { bundlelessContext, chainContext, checkStanding, type KnownTrust } from './known-trust.ts';
import { describeDuration, describeExpiry, describeMoment, formatTime } from './time-words.ts';

const KIND = 'delegation chain';

export const inspectChain = (text: string, trust: KnownTrust, now: number): Inspection => {
  if (text.length > MAX_CHAIN_BYTES)
    return unreadable(KIND, deny('chain_too_large', `${text.length} octets, at most ${MAX_CHAIN_BYTES}`));
  const parts = text.split('~', MAX_LINKS + 1);
  if (parts.length > MAX_LINKS)
    return unreadable(KIND, deny('chain_too_many_links', `more than ${MAX_LINKS} links`));
  const links: UnverifiedLink[] = [];
  let fault: Denial | undefined;
  for (const [index, part] of parts.entries()) {
    const link = parseLink(part, index === 0);
    if (link.ok) links.push(link.value);
    else fault ??= deny(link.reason, `link ${index}: ${link.detail}`);
    if (fault !== undefined) break;
  }
  const alone = parts.length === 1 && fault !== undefined ? parseLink(text, false) : undefined;
  if (alone?.ok === true) return inspectGrant(alone.value, now);
  return {
    kind: KIND,
    sections: links.map((link, index) => linkSection(link, links[index - 1], index, now)),
    data: { links: links.map((link) => linkData(link)) },
    ...(fault === undefined ? judge(text, links, trust, now) : { result: fault, notes: [] }),
  };
};

const inspectGrant = (link: UnverifiedLink, now: number): Inspection => ({
  kind: 'grant',
  sections: [linkSection(link, undefined, 0, now)],
  result: deny('grant_without_chain', 'one link whose parent is missing; inspect it as chain~grant'),
  notes: [],
  data: { links: [linkData(link)] },
});

const judge = (
  text: string,
  links: readonly UnverifiedLink[],
  { bundle, policy }: KnownTrust,
  now: number,
): Pick<Inspection, 'result' | 'notes'> => {
  const leaf = links.at(-1) as UnverifiedLink;
  const notes = [`held against ${leaf.delegatee} as the caller, since nobody has presented the chain here`];
  if (policy === undefined)
    notes.push('no policy given: the default limits on depth and time to live were used');
  // The first key that is admitted here is one that no signature has vouched for: fine for a person with one file.
  const key = admitKey(leaf.delegateeX);
  if (!key.ok) return { result: key, notes };
  const holder: Holder = { id: leaf.delegatee, key: key.value };
  if (bundle === undefined) {
    const bare = verifyChain(text, holder, bundlelessContext(leaf.aud[0] ?? '', policy, now));
    if (!bare.ok && bare.reason !== 'anchor_unknown') return { result: bare, notes };
    return {
      result: unverified(
        'times, hashes and narrowing hold; signatures were not checked without a bundle: name --dir, or --bundle with --root',
      ),
      notes,
    };
  }
  if (!bundle.ok) return { result: bundle, notes };
  const chain = verifyChain(text, holder, chainContext(bundle.value, policy, now));
  const refused = chain.ok ? checkStanding(chain.value, bundle.value, policy) : chain;
  if (refused !== undefined) return { result: refused, notes };
  const { trustDomain, epoch, seq } = bundle.value;
  return {
    result: sound(
      `${links.length === 1 ? 'the link holds' : `all ${links.length} links hold`} under bundle ${epoch}.${seq} of ${trustDomain}`,
    ),
    notes,
  };
};

const linkSection = (
  link: UnverifiedLink,
  parent: UnverifiedLink | undefined,
  index: number,
  now: number,
): Section => {
  const from = link.root ? link.principal : parent === undefined ? '…' : shortId(parent.delegatee);
  const rebind = !link.root && link.rebind ? ' under a new key' : '';
  return {
    heading: `${index}  ${from} → ${shortId(link.delegatee)}${rebind}`,
    rows: [
      ['link', link.id],
      ...(link.root
        ? [['anchor', `key ${link.anchor}`] as const, ...renewsRow(link.renews)]
        : [['parent', link.parent] as const]),
      ['to', `${link.delegatee}, key ${link.delegateeThumbprint}`],
      ['scope', link.scope.join('  ')],
      ['depth', `chains of up to ${link.maxDepth} links`],
      ['valid in', link.aud.join('  ')],
      issuedRow(link.iat, now),
      expiryRow(link.exp, now),
      ...link.caveats.map((caveat) => ['caveat', describeCaveat(caveat, now)] as const),
      ...(link.purpose === undefined ? [] : [['purpose', `“${link.purpose}”`] as const]),
      ...(parent === undefined ? [] : [['narrowed', describeNarrowing(parent, link)] as const]),
    ],
  };
};

const renewsRow = (task: string | undefined): (readonly [string, string])[] =>
  task === undefined ? [] : [['renews', `task ${task}`]];

/** What a link gives up of its parent, or adds to it where it shouldn't. */
const describeNarrowing = (parent: UnverifiedLink, link: UnverifiedLink): string => {
  const changes: string[] = [];
  const dropped = parent.scope.filter((pattern) => !link.scope.some((kept) => covers(pattern, kept)));
  if (dropped.length > 0) changes.push(`scope without ${dropped.join(' ')}`);
  for (const pattern of parent.scope) {
    const kept = link.scope.filter((one) => covers(pattern, one));
    if (kept.length > 0 && !kept.includes(pattern)) changes.push(`${pattern} to ${kept.join(' ')}`);
  }
  const wider = link.scope.filter((one) => !parent.scope.some((pattern) => covers(pattern, one)));
  if (wider.length > 0) changes.push(`WIDENED by ${wider.join(' ')}`);
  if (link.exp < parent.exp) changes.push(`ends ${describeDuration(parent.exp - link.exp)} sooner`);
  if (link.exp > parent.exp) changes.push(`ENDS ${describeDuration(link.exp - parent.exp)} LATER`);
  if (link.maxDepth !== parent.maxDepth) changes.push(`depth ${parent.maxDepth} to ${link.maxDepth}`);
  const domains = parent.aud.filter((domain) => !link.aud.includes(domain));
  if (domains.length > 0) changes.push(`not valid in ${domains.join(' ')}`);
  const added = link.caveats.length - parent.caveats.length;
  if (added > 0) changes.push(`${added} more caveat${added === 1 ? '' : 's'}`);
  return changes.length === 0 ? 'nothing' : changes.join('; ');
};

const describeCaveat = (caveat: Caveat, now: number): string => {
  switch (caveat.type) {
    case 'callee':
      return `only to ${caveat.ids.join(' ')}`;
    case 'resource':
      return `only ${caveat.paths.join(' ')} and below`;
    case 'tool':
      return `only the tools ${caveat.names.join(' ')}`;
    case 'before':
      return `only before ${formatTime(caveat.time)} (${describeMoment(caveat.time, now)})`;
    case 'approval':
      return describeApproval(caveat.token, now);
    case 'max_uses':
      return `only ${caveat.uses} times, counted at ${caveat.at}`;
  }
};

const describeApproval = (token: string, now: number): string => {
  const parsed = parseLinkApproval(token);
  if (!parsed.ok) return `with an approval that can’t be read: ${parsed.reason}`;
  const { approver, scope, exp } = parsed.value.claims;
  return `approved by ${approver}: ${scope.join(' ')}; ${describeExpiry(exp, now)}`;
};

/** What a caveat says; of an approval its claims, without the signature. */
const caveatData = (caveat: Caveat): object => {
  if (caveat.type !== 'approval') return caveat;
  const parsed = parseLinkApproval(caveat.token);
  return { type: caveat.type, ...(parsed.ok && parsed.value.claims) };
};

const linkData = (link: UnverifiedLink) => ({
  link: link.id,
  ...(link.root
    ? { principal: link.principal, anchor: link.anchor, task: link.renews ?? link.id }
    : { parent: link.parent, rebind: link.rebind }),
  delegatee: link.delegatee,
  delegateeKey: link.delegateeThumbprint,
  scope: link.scope,
  aud: link.aud,
  maxDepth: link.maxDepth,
  ...timesData(link.iat, link.exp),
  ...(link.caveats.length > 0 && { caveats: link.caveats.map(caveatData) }),
  ...(link.purpose !== undefined && { purpose: link.purpose }),
});
