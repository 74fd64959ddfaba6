/** What Alice does: she grants, with her own key, as `hopgate delegate` does for her. */
import { mintRootLink } from '../../core/delegation/mint.ts';
import { expandScope } from '../../core/delegation/scope.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { SigningKey } from '../../edge/keys/signing-key.ts';
import { makeTokenId } from '../../verifier/authority/tokens.ts';
import { readKey } from '../../verifier/local/files.ts';
import { layoutOf } from '../../verifier/local/layout.ts';
import { ALICE, POLICY, PURPOSE, REVIEW, TRUST_DOMAIN } from './story.ts';

export interface AliceGrant {
  readonly to: { readonly id: AgentId; readonly x: string };
  /** Patterns, or names of scope sets. */
  readonly scope: readonly string[];
  readonly maxDepth: number;
  readonly ttlSeconds: number;
  /** Seconds: when she granted it. */
  readonly at: number;
}

export class Alice {
  private readonly key: SigningKey;

  constructor(directory: string) {
    this.key = readKey(layoutOf(directory).principalKey(ALICE.name));
  }

  /** The first link of a chain. */
  grant({ to, scope, maxDepth, ttlSeconds, at }: AliceGrant): string {
    const expanded = expandScope(scope, POLICY.scopeSets);
    if ('fault' in expanded) throw new Error(expanded.fault);
    const link = mintRootLink(
      {
        anchorX: this.key.x,
        principal: ALICE.uri,
        delegatee: to,
        aud: [TRUST_DOMAIN],
        scope: expanded.patterns,
        maxDepth,
        ttlSeconds,
        now: at,
        jti: makeTokenId(),
        purpose: scope.includes(REVIEW) ? `${PURPOSE} [${REVIEW}]` : PURPOSE,
      },
      this.key.sign,
    );
    if (!link.ok) throw new Error(`${link.reason}: ${link.detail}`);
    return link.value;
  }
}
