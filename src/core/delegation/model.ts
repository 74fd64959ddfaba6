/** What verification of a chain is held against, and what it yields (SPEC.md sections 7 and 9). */
import type { AdmittedKey } from '../keys.ts';
import type { AgentId, IdPattern } from '../spiffe-id.ts';
import type { Issuers } from '../trust/wit.ts';
import type { RootLink, UnverifiedLink } from './link.ts';
import type { ScopePattern } from './scope.ts';

/** A key from which chains may start, and the ceiling of what it may grant (SPEC.md section 9). */
export interface Anchor {
  readonly kind: 'principal' | 'root-issuer';
  /** Public key, base64url of 32 octets; admitted when a chain starts from it: a bundle may have thousands. */
  readonly x: string;
  readonly principals: readonly string[];
  readonly human: boolean;
  readonly delegatees: readonly IdPattern[];
  readonly domains: readonly string[];
  readonly scope: readonly ScopePattern[];
  readonly maxTtlSeconds: number;
  readonly maxDepth: number;
}

/** What policy says about chains. */
export interface ChainLimits {
  readonly maxDepth: number;
  readonly linkTtlSeconds: number;
  /** Whether an agent may occur twice. */
  readonly callbacks: boolean;
  /** Whether the anchor must stand for a human. */
  readonly humanRoot: boolean;
  /** How long after its first L0 a renewed task may still hold; a day unless given. */
  readonly maxTaskAgeSeconds?: number | undefined;
}

export interface ChainContext {
  readonly now: number;
  readonly trustDomain: string;
  /** By thumbprint. */
  readonly anchors: ReadonlyMap<string, Anchor>;
  readonly issuers: Issuers;
  readonly limits: ChainLimits;
}

/** A name and the key that was proven to be its own. */
export interface Holder {
  readonly id: AgentId;
  readonly key: AdmittedKey;
}

declare const verified: unique symbol;
/** Only {@link verifyChain} and {@link verifyGrant} make one. */
export interface VerifiedChain {
  readonly [verified]: true;
  readonly root: RootLink;
  readonly links: readonly UnverifiedLink[];
  readonly leaf: UnverifiedLink;
  readonly holder: Holder;
  readonly depth: number;
  readonly principal: string;
  /** OIDC issuer of the principal's login, by the word of the root issuer; '' for a key of the principal's own. */
  readonly issuer: string;
  /** Link id of the task's first L0; means nothing without the principal. */
  readonly task: string;
  /** The earliest `exp` of any link, seconds. */
  readonly exp: number;
  /** The latest `iat` of any link, seconds. */
  readonly iat: number;
  /** Length of the chain as text. */
  readonly octets: number;
}
