/** The signed word to the local agent about who calls it and on whose authority (SPEC.md section 6). */

import type { ScopeLiteral } from '../core/delegation/scope.ts';
import { signJws } from '../core/encoding/jws.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { Delegated } from '../hop/verify-chain.ts';

const LIFE_SECONDS = 60;
/** Kept for half its life, so that an agent always has time to look at it. */
const KEPT_SECONDS = 30;

interface Made {
  readonly text: string;
  readonly scope: string;
  readonly until: number;
  readonly identity: SidecarIdentity;
}

export class Assertions {
  private readonly made = new WeakMap<Delegated, Made>();

  for(
    delegated: Delegated,
    required: readonly ScopeLiteral[],
    identity: SidecarIdentity,
    nowSeconds: number,
  ): string {
    const scope = required.join(' ');
    const known = this.made.get(delegated);
    if (
      known !== undefined &&
      known.scope === scope &&
      nowSeconds < known.until &&
      known.identity === identity
    )
      return known.text;
    const { chain } = delegated;
    const claims = {
      iss: identity.id,
      aud: identity.id,
      sub: chain.holder.id,
      principal: chain.principal,
      task: chain.task,
      scope: required,
      link: chain.leaf.id,
      iat: nowSeconds,
      exp: nowSeconds + LIFE_SECONDS,
    };
    const text = signJws('hop+jwt', claims, identity.sign, identity.key.thumbprint);
    this.made.set(delegated, { text, scope, until: nowSeconds + KEPT_SECONDS, identity });
    return text;
  }
}
