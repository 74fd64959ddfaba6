/** A policy as the core sees it: plain, resolved data. The YAML and its schema live in `src/config`. */
import type { ChainLimits } from '../delegation/model.ts';
import type { ScopePattern, ScopeSets } from '../delegation/scope.ts';
import type { Protocol } from '../message/message.ts';
import type { IdPattern } from '../spiffe-id.ts';
import type { Destination } from './destination.ts';

export interface PolicyLists {
  /** When not empty, only these agents take part. */
  readonly allowAgents: readonly IdPattern[];
  readonly blockAgents: readonly IdPattern[];
  readonly blockPrincipals: readonly string[];
}

/** What operations of a message need; the first of a route that matches names the scopes. */
export interface OperationRule {
  /** `tools/call`, `SendMessage`; a final `/*` stands for one or more further parts; undefined is any. */
  readonly methods: readonly string[] | undefined;
  /** Names of tools, prompts or skills, as the method has them; a final `*` stands for the rest; undefined is any. */
  readonly names: readonly string[] | undefined;
  /** Literals with `{name}` templates: those of the path, and `{server}`, `{method}`, `{tool}`, `{prompt}`, `{skill}`. */
  readonly scopes: readonly string[];
}

/** What becomes of a list of tools that a server offers. */
export interface ToolRules {
  /** Tools that the chain may not call are left out of `tools/list`. */
  readonly filter: boolean;
  /** Name to SHA-256 of the definition, base64url: what was approved. */
  readonly approved: Readonly<Record<string, string>>;
  /** What becomes of a tool whose definition differs from the approved one. */
  readonly changed: 'flag' | 'deny';
  /** And of one that nobody has approved. */
  readonly unlisted: 'allow' | 'flag' | 'deny';
}

/** What kind of data goes in and comes out. */
export interface RouteLabels {
  readonly request: readonly string[];
  readonly response: readonly string[];
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
  /** Literals with `{name}` templates. Of every request, whatever its body says. */
  readonly scopes: readonly string[];
  /** How its bodies are read; undefined is `http`: not at all. */
  readonly protocol?: Protocol | undefined;
  /** What `{server}` stands for. */
  readonly server?: string | undefined;
  /** What the operations of a message need besides; there exactly when there is a protocol. */
  readonly operations?: readonly OperationRule[] | undefined;
  /** mcp: methods of requests that the server may send to its client; none unless named. */
  readonly serverRequests?: readonly string[] | undefined;
  readonly tools?: ToolRules | undefined;
  /** a2a: the metadata member that names the skill; `skillId` unless given. */
  readonly skillMember?: string | undefined;
  /** Octets of the largest body that is read; {@link DEFAULT_MESSAGE_BYTES} unless given. */
  readonly maxMessageBytes?: number | undefined;
  readonly labels?: RouteLabels | undefined;
  /** Seconds: until then what policy would deny here is let through and logged. Never identity, handshake or chain. */
  readonly observeUntil?: number | undefined;
}

/**
 * What may leave the mesh, and what that requires. Each names one host and port, so that the whole list can be read and signed;
 * a sidecar's own configuration can only take up what stands here.
 */
export interface EgressRule extends RouteRule {
  readonly destination: Destination;
  /**
   * api: the sidecar reads each request, decides by method and path, and speaks TLS to the destination itself.
   * tunnel: octets, permitted whole when the tunnel is opened; a route of `CONNECT /`.
   */
  readonly mode: 'api' | 'tunnel';
  /** tunnel: `tls` (unless given) demands TLS for this very host name; `any` looks at nothing. */
  readonly inside?: 'tls' | 'any' | undefined;
  /** Ranges of private addresses at which it may be; no others, and public ones always. */
  readonly allowPrivate?: readonly string[] | undefined;
}

/** `deny` over `quarantine` over `approve` over `allow`; `flag` marks, whatever is decided. */
export type Effect = 'allow' | 'deny' | 'approve' | 'quarantine' | 'flag';

/** Every selector that is given must match, and the condition hold. */
export interface AccessRule {
  readonly name: string;
  readonly effect: Effect;
  /** allow: the caller; else: any agent of the chain. */
  readonly callers: readonly IdPattern[] | undefined;
  /** As `callers`. */
  readonly callerTypes: readonly string[] | undefined;
  readonly callees: readonly IdPattern[] | undefined;
  readonly principals: readonly string[] | undefined;
  /** allow: covers every required scope; else: covers any of them. */
  readonly scopes: readonly ScopePattern[] | undefined;
  /** Names of routes. */
  readonly routes: readonly string[] | undefined;
  /** CEL over the environment of `environment.ts`, of type bool. */
  readonly when?: string | undefined;
  /** It decides nothing; the log says what it would have done. */
  readonly shadow?: true | undefined;
}

/** What requests whose scope one of these patterns covers, or whose data has one of these labels, must have besides. */
export interface ScopeDemand {
  /** Undefined: whatever the scope, by its labels alone. */
  readonly scopes: readonly ScopePattern[] | undefined;
  /** Only where the data has one of these labels; undefined: whatever its labels. */
  readonly labels?: readonly string[] | undefined;
  /** A human must have approved the delegation or this very request. */
  readonly approval: true | undefined;
  /** Of every agent in the chain, 1–1000. */
  readonly minScore: number | undefined;
  /** Age of the last word of the verifier. */
  readonly maxStalenessSeconds: number | undefined;
  /** Links of the chain. */
  readonly maxDepth?: number | undefined;
  /** Life of each link of the chain. */
  readonly maxLinkTtlSeconds?: number | undefined;
  /** All agents of the chain and the callee are of one trust domain. */
  readonly sameDomain?: true | undefined;
  /** The request itself is signed by the caller's agent key, handshake or not. */
  readonly requestProof?: true | undefined;
}

/** Who may come without a sidecar, and for what. Every selector that is given must match, as of an allow. */
export interface WithoutSidecarRule {
  readonly name: string;
  readonly callers: readonly IdPattern[] | undefined;
  readonly callerTypes: readonly string[] | undefined;
  readonly callees: readonly IdPattern[] | undefined;
  /** They cover every required scope. */
  readonly scopes: readonly ScopePattern[] | undefined;
  /** Names of routes. */
  readonly routes: readonly string[] | undefined;
}

/** Who may delegate to whom. Every selector that is given must match an edge of the chain: a delegator and its delegatee. */
export interface DelegationRule {
  readonly name: string;
  readonly effect: 'allow' | 'deny';
  readonly from: readonly IdPattern[] | undefined;
  readonly fromTypes: readonly string[] | undefined;
  readonly fromDomains: readonly string[] | undefined;
  readonly to: readonly IdPattern[] | undefined;
  readonly toTypes: readonly string[] | undefined;
  readonly toDomains: readonly string[] | undefined;
  /** Only edges between two trust domains. */
  readonly crossing: true | undefined;
}

/** Edges between agents; what a principal may grant to whom is its anchor's. */
export interface DelegationRules {
  /** What holds for an edge that no rule matches. */
  readonly otherwise: 'allow' | 'deny';
  /** A deny that matches overrides every allow. */
  readonly rules: readonly DelegationRule[];
}

/** What a content rule looks for; see `core/content`. */
export interface ContentRule {
  readonly name: string;
  readonly directions: readonly ('request' | 'response')[];
  readonly callees: readonly IdPattern[] | undefined;
  readonly routes: readonly string[] | undefined;
  /** Names of built-in detectors: `injection`, `secrets`, `pii`. */
  readonly detectors: readonly string[] | undefined;
  /** RE2 patterns of its own, by name. */
  readonly patterns: Readonly<Record<string, string>> | undefined;
  /** Media types that it lets through, such as `application/json` or `text/*`; others are its case. */
  readonly types: readonly string[] | undefined;
  /** Octets; more are its case. */
  readonly maxBytes: number | undefined;
  /** flag: it is logged. deny: refused, or cut. quarantine: refused, and kept aside (requests alone). */
  readonly action: 'flag' | 'deny' | 'quarantine';
  /**
   * hold: nothing goes on before it was looked at (a body whole, a stream event by event), within `holdBytes`.
   * stream: it goes on meanwhile, and is cut when something is found.
   */
  readonly mode: 'hold' | 'stream';
  /** Octets that are held at most; more is a denial. */
  readonly holdBytes: number;
  readonly shadow?: true | undefined;
}

/** Requests that another decision point must permit too. */
export interface DecisionPointRule {
  /** Under which the sidecar's configuration says how it is reached. */
  readonly point: string;
  /** Path of the rule in OPA's data, such as `hopgate/authz/allow`. */
  readonly path: string;
  readonly callees: readonly IdPattern[] | undefined;
  readonly routes: readonly string[] | undefined;
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
  readonly egress?: readonly EgressRule[] | undefined;
  readonly rules: readonly AccessRule[];
  readonly demands: readonly ScopeDemand[];
  readonly delegation?: DelegationRules | undefined;
  readonly content?: readonly ContentRule[] | undefined;
  readonly decisionPoints?: readonly DecisionPointRule[] | undefined;
  /** Nobody, where it is left out. */
  readonly withoutSidecar?: readonly WithoutSidecarRule[] | undefined;
}
