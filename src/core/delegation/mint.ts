/** Making links: the first one, children and rebinds (SPEC.md section 7.5). A minter can't ask for more than it has. */
import { canonicalJson } from '../encoding/json.ts';
import { type Sign, signJws } from '../encoding/jws.ts';
import { jwkOf, thumbprintOf, thumbprintUrn } from '../keys.ts';
import { type AgentId, trustDomainOf } from '../spiffe-id.ts';
import type { KeyBinding } from '../trust/wit.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import type { Caveat } from './caveats.ts';
import { parseLink, type UnverifiedLink } from './link.ts';
import { findUncovered, parseScope } from './scope.ts';

interface Delegatee {
  readonly id: AgentId;
  /** Agent key, base64url of 32 octets. */
  readonly x: string;
}

/** What is known of an OIDC login; for the audit, no verifier judges it. */
export interface LoginFacts {
  readonly iss: string;
  readonly sub: string;
  readonly auth_time: number;
  /** base64url SHA-256 of the ID token. */
  readonly token_hash: string;
  readonly acr?: string;
}

export interface RootLinkOptions {
  /** The anchor's public key, base64url of 32 octets. */
  readonly anchorX: string;
  readonly principal: string;
  readonly delegatee: Delegatee;
  readonly aud: readonly string[];
  readonly scope: readonly string[];
  readonly maxDepth: number;
  readonly ttlSeconds: number;
  readonly now: number;
  /** 16 random octets, base64url. */
  readonly jti: string;
  readonly caveats?: readonly Caveat[];
  readonly purpose?: string;
  /** The task that this renews: link id and `iat` of its first L0. */
  readonly renews?: { readonly task: string; readonly start: number };
  /** The verified login that this rests on, where the root issuer mints. */
  readonly orig?: LoginFacts;
}

/** A link whose `aud` leaves out the delegatee's own trust domain would verify nowhere. */
const checkDelegateeDomain = ({ id }: Delegatee, aud: readonly string[]): Denial | undefined => {
  const domain = trustDomainOf(id);
  return aud.includes(domain)
    ? undefined
    : deny('chain_aud', `${id} is of ${domain}, the link is for ${aud.join(', ')}`);
};

/** Mints L0 with a principal's key. Refuses with `chain_aud`, and what no verifier would accept in form. */
export const mintRootLink = (options: RootLinkOptions, sign: Sign): Verdict<string> => {
  const text = signJws(
    'dlink+jwt',
    {
      iss: thumbprintUrn(thumbprintOf(options.anchorX)),
      sub: options.principal,
      orig: options.orig,
      task: options.renews?.task,
      task_start: options.renews?.start,
      act: { sub: options.delegatee.id },
      cnf: { jwk: jwkOf(options.delegatee.x) },
      aud: options.aud,
      jti: options.jti,
      iat: options.now,
      exp: options.now + options.ttlSeconds,
      scope: options.scope,
      max_depth: options.maxDepth,
      caveats: options.caveats?.length ? options.caveats : undefined,
      purpose: options.purpose,
    },
    sign,
  );
  const parsed = parseLink(text, true);
  if (!parsed.ok) return parsed;
  return checkDelegateeDomain(options.delegatee, options.aud) ?? grant(text);
};

export interface ChildLinkOptions {
  readonly delegatee: Delegatee;
  /** The signer's own key binding. */
  readonly kb: KeyBinding;
  readonly scope: readonly string[];
  /** Depth that the chain may still grow below this link. */
  readonly remainingDepth: number;
  readonly ttlSeconds: number;
  readonly now: number;
  readonly jti: string;
  /** Fewer trust domains than the parent's; by default the same. */
  readonly aud?: readonly string[];
  /** Added to the parent's. */
  readonly caveats?: readonly Caveat[];
  readonly purpose?: string;
}

/**
 * Mints the child of a chain's leaf, with the leaf's key. `depth` is that of the chain.
 * Refuses with `scope_*`, `link_scope_widened`, `link_aud_widened`, `chain_aud`, `link_rebind`, `chain_key_twice`, `chain_max_depth`,
 * `link_expired`, `kb_expired`, and what no verifier would accept in form.
 */
export const mintChildLink = (
  leaf: UnverifiedLink,
  depth: number,
  options: ChildLinkOptions,
  sign: Sign,
): Verdict<string> => {
  const iat = Math.max(options.now, leaf.iat);
  const exp = Math.min(iat + options.ttlSeconds, leaf.exp);
  const denial = checkChild(leaf, depth, options, iat, exp);
  if (denial !== undefined) return denial;
  const caveats = [...leaf.caveats, ...(options.caveats ?? [])];
  const aud = options.aud ?? leaf.aud;
  const text = finish(
    {
      par_hash: leaf.id,
      kb: options.kb,
      act: { sub: options.delegatee.id },
      cnf: { jwk: jwkOf(options.delegatee.x) },
      aud,
      jti: options.jti,
      iat,
      exp,
      scope: options.scope,
      max_depth: Math.min(leaf.maxDepth, depth + 1 + options.remainingDepth),
      caveats: caveats.length > 0 ? caveats : undefined,
      purpose: options.purpose,
    },
    sign,
  );
  return text.ok ? (checkDelegateeDomain(options.delegatee, aud) ?? text) : text;
};

const checkChild = (
  leaf: UnverifiedLink,
  depth: number,
  options: ChildLinkOptions,
  iat: number,
  exp: number,
): Denial | undefined => {
  const scope = parseScope(options.scope);
  if (!scope.ok) return scope;
  const wider = findUncovered(leaf.scope, scope.value);
  if (wider !== undefined)
    return deny(
      'link_scope_widened',
      `${wider} is not covered by the chain's scope ${canonicalJson(leaf.scope)}`,
    );
  const domain = options.aud?.find((name) => !leaf.aud.includes(name));
  if (domain !== undefined) return deny('link_aud_widened', `${domain} is not in the chain's aud`);
  if (options.delegatee.id === leaf.delegatee)
    return deny('link_rebind', `${leaf.delegatee} delegates to itself`);
  if (options.delegatee.x === leaf.delegateeX)
    return deny('chain_key_twice', `${options.delegatee.id} is given the key of ${leaf.delegatee}`);
  if (options.remainingDepth < 0) return deny('chain_max_depth', 'the link itself takes one of the depth');
  if (depth + 1 > leaf.maxDepth)
    return deny('chain_max_depth', `the chain may have ${leaf.maxDepth} links and has ${depth}`);
  if (exp <= iat) return deny('link_expired', `the chain expires at ${leaf.exp}, it is ${iat}`);
  if (options.kb.exp <= iat) return deny('kb_expired', 'our key binding has expired');
  return undefined;
};

/**
 * Mints a rebind link: the same agent under a new key, signed by the old one.
 * Refuses with `link_expired`, `link_rebind`, `kb_expired`, and what no verifier would accept in form.
 */
export const mintRebindLink = (
  leaf: UnverifiedLink,
  options: { readonly newX: string; readonly kb: KeyBinding; readonly now: number; readonly jti: string },
  sign: Sign,
): Verdict<string> => {
  const iat = Math.max(options.now, leaf.iat);
  if (leaf.exp <= iat) return deny('link_expired', `the chain expires at ${leaf.exp}, it is ${iat}`);
  if (options.newX === leaf.delegateeX || (!leaf.root && leaf.rebind))
    return deny('link_rebind', 'a rebind link changes the key, and follows no rebind');
  if (options.kb.exp <= iat) return deny('kb_expired', 'our key binding has expired');
  return finish(
    {
      par_hash: leaf.id,
      kb: options.kb,
      rebind: true,
      act: { sub: leaf.delegatee },
      cnf: { jwk: jwkOf(options.newX) },
      aud: leaf.aud,
      jti: options.jti,
      iat,
      exp: leaf.exp,
      scope: leaf.scope,
      max_depth: leaf.maxDepth,
      caveats: leaf.caveats.length > 0 ? leaf.caveats : undefined,
    },
    sign,
  );
};

const finish = (payload: unknown, sign: Sign): Verdict<string> => {
  const text = signJws('dlink+jwt', payload, sign);
  const parsed = parseLink(text, false);
  return parsed.ok ? grant(text) : parsed;
};
