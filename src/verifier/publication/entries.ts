/** What the sources put into a bundle, in the form in which it stands there (SPEC.md section 9). */
import type { AgentJwk } from '../../core/keys.ts';
import type { AgentId, IdPattern } from '../../core/spiffe-id.ts';

/** An anchor as a bundle carries it (SPEC.md section 9). */
export interface AnchorEntry {
  readonly kind: 'principal' | 'root-issuer';
  readonly jwk: AgentJwk;
  readonly principals: readonly string[];
  readonly human: boolean;
  readonly delegatees: readonly IdPattern[];
  readonly domains: readonly string[];
  readonly scope: readonly string[];
  /** Seconds. */
  readonly max_ttl: number;
  readonly max_depth: number;
}

/** A revocation as a bundle carries it (SPEC.md section 9). */
export type RevocationEntry =
  | { readonly link: string }
  | { readonly link: string; readonly parent: string; readonly delegatee: AgentId }
  | { readonly key: string }
  | { readonly key: string; readonly lost: true }
  | { readonly agent: AgentId }
  | { readonly task: string; readonly principal: string }
  | { readonly principal: string; readonly before: number };

/** Who may approve, as a bundle carries it (SPEC.md section 9). */
export interface ApproverEntry {
  readonly principal: string;
  readonly jwk: AgentJwk;
}

/** A foreign trust domain as a bundle carries it (SPEC.md section 9). */
export interface DomainEntry {
  /** DER, base64url. */
  readonly x509: readonly string[];
  readonly issuers: readonly AgentJwk[];
}

/** What the registry says of agents and principals, as a bundle carries it (SPEC.md section 9). */
export interface AttributesEntry {
  /** By ID or ID pattern. */
  readonly agents: Readonly<Record<IdPattern, Readonly<Record<string, string>>>>;
  /** By URI. */
  readonly principals: Readonly<Record<string, { readonly groups: readonly string[] }>>;
}

/** Scores as a bundle carries them: of those only that differ from the baseline (SPEC.md section 9). */
export interface ScoresEntry {
  /** 0–1000 */
  readonly baseline: number;
  /** Seconds. */
  readonly half_life: number;
  /** Score, time in seconds, weight of the evidence. */
  readonly agents: Readonly<Record<AgentId, readonly [number, number, number]>>;
}
