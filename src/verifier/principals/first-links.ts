/** L0 by the root issuer: for a session, on the word of a verified login, within what its groups give. */
import type { LinkWish } from '../../api/logins.ts';
import type { VerifiedChain } from '../../core/delegation/chain.ts';
import { mintRootLink } from '../../core/delegation/mint.ts';
import { expandScope } from '../../core/delegation/scope.ts';
import { DEFAULT_MAX_TASK_AGE_SECONDS } from '../../core/limits.ts';
import { makeTokenId } from '../authority/tokens.ts';
import { Refusal } from '../refusal.ts';
import { grantOf } from './ceilings.ts';
import type { DomainKeys } from './domain-keys.ts';
import type { SessionRecord } from './kinds.ts';
import { ceilingsOf, type OidcIssuers } from './oidc-issuers.ts';
import type { PresentTrust } from './trust.ts';

export interface FirstLink {
  readonly text: string;
  readonly chain: VerifiedChain;
}

export class FirstLinks {
  private readonly issuers: OidcIssuers;
  private readonly keys: DomainKeys;
  private readonly trust: PresentTrust;

  constructor(issuers: OidcIssuers, keys: DomainKeys, trust: PresentTrust) {
    this.issuers = issuers;
    this.keys = keys;
    this.trust = trust;
  }

  /** Whether the groups of a session may grant anything at all. */
  async mayGrant({ issuer, groups }: SessionRecord): Promise<boolean> {
    const trusted = await this.issuers.get(issuer);
    return trusted !== undefined && ceilingsOf(trusted, groups).some(({ scope }) => scope.length > 0);
  }

  /** The time that a task has left. Throws `task_too_old`. */
  async timeLeft(start: number, now: number): Promise<number> {
    const { limits } = await this.trust.policy.current();
    const most = limits.maxTaskAgeSeconds ?? DEFAULT_MAX_TASK_AGE_SECONDS;
    if (start + most <= now)
      throw new Refusal('task_too_old', `the task began at ${start}, policy allows ${most} s, it is ${now}`);
    return start + most - now;
  }

  /** Throws a `Refusal`: `anchor_*`, `scope_invalid`, `link_ttl`, `standing_lost`, `task_too_old`. */
  async mint(
    session: SessionRecord,
    wish: LinkWish,
    now: number,
    renews?: { readonly task: string; readonly start: number },
  ): Promise<FirstLink> {
    const trusted = await this.issuers.get(session.issuer);
    if (trusted === undefined)
      throw new Refusal('standing_lost', `${session.issuer} is not trusted any more`);
    const { scopeSets, limits } = await this.trust.policy.current();
    const names = wish.scope === undefined ? undefined : expandScope(wish.scope, scopeSets);
    if (names !== undefined && 'fault' in names) throw new Refusal('scope_invalid', names.fault);
    const given = grantOf(ceilingsOf(trusted, session.groups), {
      scope: names?.patterns,
      ttlSeconds: wish.ttlSeconds,
      maxDepth: wish.maxDepth,
    });
    if (!('granted' in given)) throw new Refusal(given.reason, given.detail);
    const left = renews === undefined ? Number.POSITIVE_INFINITY : await this.timeLeft(renews.start, now);
    const { granted } = given;
    const signer = this.keys.rootIssuer();
    const text = mintRootLink(
      {
        anchorX: signer.x,
        principal: session.principal,
        delegatee: { id: session.id, x: session.agentX },
        aud: [this.keys.trustDomain],
        scope: granted.scope,
        maxDepth: granted.maxDepth,
        // A wish that policy doesn't allow is refused below, with its reason.
        ttlSeconds: Math.min(
          wish.ttlSeconds === undefined
            ? Math.min(granted.ttlSeconds, limits.linkTtlSeconds)
            : granted.ttlSeconds,
          left,
        ),
        now,
        jti: makeTokenId(),
        orig: {
          iss: session.issuer,
          sub: session.subject,
          auth_time: session.login.authTime,
          token_hash: session.login.tokenHash,
          ...(session.login.acr !== undefined && { acr: session.login.acr }),
        },
        ...(wish.purpose !== undefined && { purpose: wish.purpose }),
        ...(renews !== undefined && { renews }),
      },
      signer.sign,
    );
    if (!text.ok) throw new Refusal(text.reason, text.detail);
    return { text: text.value, chain: await this.trust.verify(text.value, now) };
  }
}
