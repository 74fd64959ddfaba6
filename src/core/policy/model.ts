/** A policy as the core sees it: plain, resolved data. The YAML and its schema live in `src/config`. */
import type { ChainLimits } from '../delegation/chain.ts';
import type { ScopePattern, ScopeSets } from '../delegation/scope.ts';
import type { IdPattern } from '../spiffe-id.ts';

export interface PolicyLists {
  /** When not empty, only these agents take part. */
  readonly allowAgents: readonly IdPattern[];
  readonly blockAgents: readonly IdPattern[];
  readonly blockPrincipals: readonly string[];
}

/** What a request needs: the first route that matches names the scopes. */
export interface RouteRule {
  readonly name: string;
  /** Callees that the route is about; undefined is any. */
  readonly callees: readonly IdPattern[] | undefined;
  /** Upper-case; undefined is any. */
  readonly methods: readonly string[] | undefined;
  /** `/ec2/{action}`, `/reports/*`. */
  readonly path: string;
  /** Literals with `{name}` templates. */
  readonly scopes: readonly string[];
}

/** Every selector that is given must match. */
export interface AccessRule {
  readonly name: string;
  readonly effect: 'allow' | 'deny';
  /** allow: the caller; deny: any agent of the chain. */
  readonly callers: readonly IdPattern[] | undefined;
  /** As `callers`. */
  readonly callerTypes: readonly string[] | undefined;
  readonly callees: readonly IdPattern[] | undefined;
  readonly principals: readonly string[] | undefined;
  /** allow: covers every required scope; deny: covers any of them. */
  readonly scopes: readonly ScopePattern[] | undefined;
  /** Names of routes. */
  readonly routes: readonly string[] | undefined;
}

/** What requests whose scope one of these patterns covers must have besides. */
export interface ScopeDemand {
  readonly scopes: readonly ScopePattern[];
  /** A human must have approved the delegation or this very request. */
  readonly approval: true | undefined;
  /** Of every agent in the chain, 1–1000. */
  readonly minScore: number | undefined;
  /** Age of the last word of the verifier. */
  readonly maxStalenessSeconds: number | undefined;
}

export interface Policy {
  /** Names this version in the audit. */
  readonly revision: string;
  readonly limits: ChainLimits & {
    readonly sessionSeconds: number;
    readonly maxStalenessSeconds?: number | undefined;
  };
  readonly scopeSets: ScopeSets;
  readonly lists: PolicyLists;
  readonly routes: readonly RouteRule[];
  readonly rules: readonly AccessRule[];
  readonly demands: readonly ScopeDemand[];
}
