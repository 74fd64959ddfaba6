/** What a first link is held against at the verifier: what the next bundle will say, and not what the last one said. */
import { type ChainContext, type VerifiedChain, verifyChain } from '../../core/delegation/chain.ts';
import { parseLink, type UnverifiedLink } from '../../core/delegation/link.ts';
import type { Anchor, ChainLimits } from '../../core/delegation/model.ts';
import type { ScopePattern, ScopeSets } from '../../core/delegation/scope.ts';
import { type AdmittedKey, admitKey, thumbprintOf } from '../../core/keys.ts';
import type { Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { ANCHOR_KINDS, anchorsOf } from './anchors.ts';
import type { DomainKeys } from './domain-keys.ts';

/** The policy in force, as far as people are concerned. */
export interface PolicyWords {
  current(): Promise<{ readonly scopeSets: ScopeSets; readonly limits: ChainLimits }>;
}

export class PresentTrust {
  private readonly records: Records;
  private readonly keys: DomainKeys;
  readonly policy: PolicyWords;
  /** Kept until a record changes of which anchors are made: reading all people for each stranger's chain would be dear. */
  private known: { readonly anchors: ReadonlyMap<string, Anchor>; readonly roleKeys: string } | undefined;
  private changes = 0;

  constructor(records: Records, keys: DomainKeys, policy: PolicyWords) {
    this.records = records;
    this.keys = keys;
    this.policy = policy;
    records.store.watch((_revision, touched) => {
      if (!touched.some((key) => ANCHOR_KINDS.includes(key.slice(0, key.indexOf('/'))))) return;
      this.changes++;
      this.known = undefined;
    });
  }

  /** Verifies a chain whose leaf is whoever it says: it is looked at, not acted upon. Throws a `Refusal`. */
  async verify(text: string, now: number): Promise<VerifiedChain> {
    const leaf = leafOf(text);
    const key = admitKey(leaf.delegateeX);
    if (!key.ok) throw new Refusal(key.reason, key.detail);
    const chain = verifyChain(text, { id: leaf.delegatee, key: key.value }, await this.context(now));
    if (!chain.ok) throw new Refusal(chain.reason, chain.detail);
    return chain.value;
  }

  private async anchors(): Promise<ReadonlyMap<string, Anchor>> {
    // A commit is heard of before the authority has taken new roles over.
    const roleKeys = this.keys.roleKeys().join(' ');
    if (this.known?.roleKeys === roleKeys) return this.known.anchors;
    const { changes } = this;
    const anchors = await this.readAnchors();
    if (changes === this.changes) this.known = { anchors, roleKeys };
    return anchors;
  }

  private async readAnchors(): Promise<ReadonlyMap<string, Anchor>> {
    const { trustDomain } = this.keys;
    const entries = await anchorsOf(this.records, {
      trustDomain,
      rootIssuers: this.keys.rootIssuers(),
      roleKeys: this.keys.roleKeys(),
      agentTypes: await this.keys.agentTypes(),
    });
    const anchors = new Map<string, Anchor>();
    for (const entry of entries) {
      anchors.set(thumbprintOf(entry.jwk.x), {
        kind: entry.kind,
        x: entry.jwk.x,
        principals: entry.principals,
        human: entry.human,
        delegatees: entry.delegatees,
        domains: entry.domains,
        scope: entry.scope as readonly ScopePattern[],
        maxTtlSeconds: entry.max_ttl,
        maxDepth: entry.max_depth,
      });
    }
    return anchors;
  }

  private async context(now: number): Promise<ChainContext> {
    const { trustDomain } = this.keys;
    const anchors = await this.anchors();
    const { limits } = await this.policy.current();
    return { now, trustDomain, anchors, issuers: new Map([[trustDomain, this.admittedIssuers()]]), limits };
  }

  private admittedIssuers(): ReadonlyMap<string, AdmittedKey> {
    const admitted = new Map<string, AdmittedKey>();
    for (const x of this.keys.issuers()) {
      const key = admitKey(x);
      if (key.ok) admitted.set(key.value.thumbprint, key.value);
    }
    return admitted;
  }
}

const leafOf = (chain: string): UnverifiedLink => {
  const links = chain.split('~');
  const leaf = parseLink(links.at(-1) ?? '', links.length === 1);
  if (!leaf.ok) throw new Refusal(leaf.reason, leaf.detail);
  return leaf.value;
};
