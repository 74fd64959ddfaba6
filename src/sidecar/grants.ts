/** Grants for callees: minted where the route says so, never more than route, chain and agent allow, kept until near expiry. */
import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { DelegateRule } from '../config/sidecar-schema.ts';
import type { VerifiedChain } from '../core/delegation/chain.ts';
import { mintChildLink } from '../core/delegation/mint.ts';
import {
  expandScope,
  findUncovered,
  meetScope,
  parseScope,
  type ScopePattern,
  type ScopeSets,
} from '../core/delegation/scope.ts';
import type { Party } from '../core/handshake/proof.ts';
import { MAX_CHAIN_BYTES } from '../core/limits.ts';
import { upTo } from '../core/lru.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';

/** What the agent asks for with `Hopgate-Delegate`: less than its route allows. */
export interface DelegateRequest {
  readonly none: boolean;
  readonly scope: readonly ScopePattern[] | undefined;
  readonly ttlSeconds: number | undefined;
  readonly remainingDepth: number | undefined;
}

const FORM = /^(scope|ttl|depth)=(.+)$/;

/**
 * Parses `Hopgate-Delegate: none` or `scope=cloud:read ec2:Describe*; ttl=300; depth=0`, each part at most once.
 * Refuses with `delegate_invalid`.
 */
export const parseDelegateRequest = (text: string): Verdict<DelegateRequest> => {
  if (text.trim() === 'none')
    return grant({ none: true, scope: undefined, ttlSeconds: undefined, remainingDepth: undefined });
  const parts = new Map<string, string>();
  for (const part of text.split(';')) {
    const [, name, value] = FORM.exec(part.trim()) ?? [];
    if (name === undefined || value === undefined || parts.has(name))
      return deny(
        'delegate_invalid',
        'Hopgate-Delegate is "none" or parts of "scope=A B; ttl=SECONDS; depth=N", each once',
      );
    parts.set(name, value);
  }
  const ttl = parseCount(parts.get('ttl'));
  const depth = parseCount(parts.get('depth'));
  if (ttl === null || ttl === 0 || depth === null)
    return deny('delegate_invalid', 'ttl and depth of Hopgate-Delegate are whole numbers');
  const scope = parts.has('scope')
    ? parseScope((parts.get('scope') ?? '').split(' ').filter((item) => item !== ''))
    : undefined;
  if (scope !== undefined && !scope.ok) return deny('delegate_invalid', scope.detail);
  return grant({ none: false, scope: scope?.value, ttlSeconds: ttl, remainingDepth: depth });
};

const parseCount = (text: string | undefined): number | undefined | null => {
  if (text === undefined) return undefined;
  return /^(0|[1-9][0-9]{0,5})$/.test(text) ? Number(text) : null;
};

interface Minted {
  readonly text: string;
  /** Seconds from when on a new one is made. */
  readonly freshUntil: number;
}

const FRESH_SHARE = 0.8;

export class Grants {
  private readonly minted = new LRUCache<string, Minted>(upTo(4096));

  /**
   * The grant for one callee, or undefined when there is nothing to grant: no overlap of scope, no depth or no room left.
   * Refuses with `delegate_widened`, `context_key`, and the reasons of minting.
   */
  mint(
    chain: VerifiedChain,
    callee: Party,
    rule: DelegateRule,
    sets: ScopeSets,
    request: DelegateRequest | undefined,
    identity: SidecarIdentity,
    nowSeconds: number,
  ): Verdict<string | undefined> {
    if (request?.none) return grant(undefined);
    const { leaf } = chain;
    if (leaf.delegateeX !== identity.key.x)
      return deny('context_key', 'the chain names a key that this sidecar no longer holds');
    const allowed = allowedScope(rule, sets, leaf.scope);
    if (!allowed.ok) return allowed;
    const wider = widerThanRule(rule, allowed.value, request);
    if (wider !== undefined) return wider;
    const scope = request?.scope ?? allowed.value;
    if (scope.length === 0 || chain.depth >= leaf.maxDepth) return grant(undefined);
    const ttlSeconds = Math.min(request?.ttlSeconds ?? rule.ttl, rule.ttl);
    const remainingDepth = Math.min(request?.remainingDepth ?? rule.remainingDepth, rule.remainingDepth);
    const key = `${identity.kb.sig} ${leaf.id} ${callee.id} ${callee.key.thumbprint} ${ttlSeconds} ${remainingDepth} ${scope.join(' ')}`;
    const known = this.minted.get(key);
    if (known !== undefined && nowSeconds < known.freshUntil) return grant(known.text);
    const delegatee = { id: callee.id, x: callee.key.x };
    const jti = randomBytes(16).toString('base64url');
    const text = mintChildLink(
      leaf,
      chain.depth,
      { delegatee, kb: identity.kb, scope, remainingDepth, ttlSeconds, now: nowSeconds, jti },
      identity.sign,
    );
    if (!text.ok) return text;
    // The callee could never present it, and would refuse the whole request for it.
    if (chain.octets + 1 + text.value.length > MAX_CHAIN_BYTES) return grant(undefined);
    const life = Math.min(ttlSeconds, leaf.exp - nowSeconds);
    this.minted.set(key, { text: text.value, freshUntil: nowSeconds + life * FRESH_SHARE });
    return text;
  }
}

const allowedScope = (
  rule: DelegateRule,
  sets: ScopeSets,
  held: readonly ScopePattern[],
): Verdict<readonly ScopePattern[]> => {
  const expanded = expandScope(rule.scope, sets);
  if ('fault' in expanded) return deny('delegate_invalid', `the route’s delegate.scope: ${expanded.fault}`);
  return grant(meetScope(expanded.patterns, held));
};

const widerThanRule = (
  rule: DelegateRule,
  allowed: readonly ScopePattern[],
  request: DelegateRequest | undefined,
) => {
  if (request === undefined) return undefined;
  const wider = request.scope === undefined ? undefined : findUncovered(allowed, request.scope);
  if (wider !== undefined) return deny('delegate_widened', `${wider} is more than route and chain allow`);
  if ((request.ttlSeconds ?? 0) > rule.ttl) return deny('delegate_widened', `ttl is at most ${rule.ttl}`);
  if ((request.remainingDepth ?? 0) > rule.remainingDepth)
    return deny('delegate_widened', `depth is at most ${rule.remainingDepth}`);
  return undefined;
};
