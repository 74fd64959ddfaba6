/** What the path needs from outside: each port is filled by an adapter in `edge` or by a test. */
import type { RequestFacts } from './core/approval/request-approval.ts';
import type {
  AuditBody,
  ContentNote,
  DecisionRecord,
  Direction,
  Outcome,
  OutcomeRecord,
  ToolNote,
} from './core/audit/record.ts';
import type { ChainContext } from './core/delegation/chain.ts';
import type { ScopeLiteral } from './core/delegation/scope.ts';
import type { FrameType } from './core/handshake/frames.ts';
import type { CompiledPolicy } from './core/policy/evaluate.ts';
import type { QuarantinedRequest } from './core/quarantine/item.ts';
import type { ReasonCode } from './core/reasons.ts';
import type { AgentId } from './core/spiffe-id.ts';
import type { Bundle } from './core/trust/bundle.ts';
import type { Denial, Granted, Verdict } from './core/verdict.ts';

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds from some start, never backwards; for durations. */
  monotonic(): number;
}

/** What is trusted and allowed at this moment: a value that is replaced as a whole. */
export interface TrustSnapshot {
  /** Counts replacements: what was derived from an older snapshot is derived again. */
  readonly generation: number;
  readonly bundle: Bundle;
  readonly policy: CompiledPolicy;
  /** `epoch.seq` */
  readonly bundleName: string;
  /** Seconds: when the verifier last said that this is its newest. */
  readonly freshAt: number;
  /** Seconds after `freshAt` until which it may be decided with; a scope may demand less. */
  readonly maxStalenessSeconds: number;
}

export interface TrustPort {
  /** Refuses with `policy_unavailable`, `bundle_*`. */
  current(): Verdict<TrustSnapshot>;
}

export const chainContext = ({ bundle, policy }: TrustSnapshot, nowSeconds: number): ChainContext => ({
  now: nowSeconds,
  trustDomain: bundle.trustDomain,
  anchors: bundle.anchors,
  issuers: bundle.issuers,
  limits: policy.policy.limits,
});

/** Hears of what should not have happened, for this sidecar's diagnostics: nobody else ever sees it. */
export type FaultPort = (error: unknown, what: string) => void;

/** The decision log. */
export interface AuditPort {
  /**
   * Writes a record; `written` hears whether it is durable as configured, before which nothing may happen on its account.
   * Denials of one caller beyond its quota are summed up, without a record of their own.
   */
  append(body: AuditBody, written: (ok: boolean) => void): void;
  /** Writes a record that nothing waits for. */
  note(body: OutcomeRecord): void;
  /** Counts a refusal before authentication; written summed up, under its own quota. */
  countRefusal(source: string, reason: ReasonCode): void;
}

/** Hears how hops went, for the verifier's scores. */
export interface EvidencePort {
  /** A permitted hop has ended; `peer` is the other agent, as it was proven. */
  ended(peer: string, result: Outcome): void;
  /** A request was refused here; `peer` is undefined where nothing proves whose it is. */
  refused(peer: string | undefined, reason: ReasonCode): void;
}

/**
 * Counts how hops go. It is called several times for each request: to count costs nanoseconds, never throws, and keeps nothing that a
 * peer chooses. Times are milliseconds.
 */
export interface MeterPort {
  verified(direction: Direction, ms: number): void;
  decided(direction: Direction, ms: number, cached: boolean): void;
  /** What the decision lacked was got. */
  settled(direction: Direction, ms: number): void;
  /** The decision is on record, or could not be. */
  recorded(direction: Direction, ms: number): void;
  /** It ends without having been sent on. */
  refused(direction: Direction, reason: ReasonCode): void;
  /** Policy would have denied it, had its route not been observed only. */
  observed(direction: Direction, reason: ReasonCode): void;
  /** What was sent on has ended; `ms` from its start, `forwardMs` from when it was sent on. */
  ended(direction: Direction, result: ExchangeResult, forwardMs: number, ms: number): void;
}

/** One request in a trace. Never throws, and nothing waits for it. */
export interface HopSpan {
  /** As it goes on record. */
  decided(record: DecisionRecord): void;
  /** It was refused (`result` is the reason), or what was sent on has ended. The last call. */
  ended(result: Outcome, status: number): void;
}

/** Traces requests. */
export interface TracePort {
  /**
   * Begins the span of a request that has come to a door, as a child of what its headers name; where spans are told, the headers name
   * this one afterwards. `headers`: name, value …, those that go on.
   */
  begin(direction: Direction, method: string, headers: string[]): HopSpan;
}

/** Durable counters for `max_uses`, and for approvals of requests. */
export interface UseCounter {
  /** Takes one use, durably; false when `limit` were taken. `until`, in seconds: nobody can ask for it after that. */
  take(linkId: string, index: number, limit: number, until: number): Promise<boolean>;
}

/** A request that waits for a human: what will be approved, and what helps to decide. */
export interface AskedApproval extends RequestFacts {
  /** Those of the request for which policy wants a human. */
  readonly scopes: readonly ScopeLiteral[];
  /** Everybody in the chain, the first delegatee first: none of them may approve. */
  readonly agents: readonly AgentId[];
  /** As the principal's delegation says it; for people. */
  readonly purpose: string | undefined;
}

/** Where people approve: the one thing for which the verifier is on the path of a request. */
export interface ApprovalPort {
  /** The token under this id; undefined while there is none. Refuses with `approval_denied`, `approval_unavailable`. */
  token(id: string): Promise<Verdict<string | undefined>>;
  /** Lets it wait for an approver; to ask again changes nothing. Refuses with `approval_unavailable`. */
  ask(request: AskedApproval): Promise<Verdict<true>>;
}

/** A request under the name that it has in the quarantine of this sidecar. */
export interface NamedRequest {
  /** 43 characters; the same each time that it is sent. */
  readonly id: string;
  readonly request: QuarantinedRequest;
  /** base64url SHA-256 of the octets of its body. */
  readonly body: string;
  readonly salt: string;
}

/** Why a request is kept aside. */
export interface QuarantineCause {
  readonly hop: string;
  readonly rule: string;
  /** Ids of the patterns that were found, never what they found. */
  readonly findings: readonly string[];
}

/** Where bodies are kept that only a reviewer may read, and what was released of them. */
export interface QuarantinePort {
  name(request: QuarantinedRequest, body: Buffer): NamedRequest;
  /**
   * Whether this very request was released and not used yet: takes its one use, durably, so ask last.
   * Refuses with `audit_unavailable`.
   */
  takeRelease(named: NamedRequest, hop: string): Promise<Verdict<boolean>>;
  /** Keeps it aside; to keep it again changes nothing. Refuses with `quarantine_unavailable`, `audit_unavailable`. */
  keep(named: NamedRequest, cause: QuarantineCause, body: Buffer): Promise<Verdict<true>>;
}

/** What a decision point leaves for the record, whatever it says. */
export interface PointNote {
  /** OPA's own id of this decision, under which its log has it; '' where it gives none. */
  readonly decisionId: string;
  /** Of the bundle that was evaluated; '' over REST. */
  readonly revision: string;
}

export type PointVerdict = (Granted<true> & PointNote) | (Denial & PointNote);

/** Somebody else who must permit a request too: OPA. */
export interface DecisionPoint {
  /**
   * `path` is that of a rule in OPA's data, such as `hopgate/authz/allow`; `input` becomes JSON. What is evaluated in this process
   * is answered at once, without a promise. Refuses with `opa_denied`, `opa_undefined`, `opa_result`, `opa_timeout`,
   * `opa_unavailable`; never throws or rejects.
   */
  decide(path: string, input: Readonly<Record<string, unknown>>): PointVerdict | Promise<PointVerdict>;
}

/** By the names under which policy and configuration know them. */
export interface DecisionPoints {
  get(point: string): DecisionPoint | undefined;
}

/** Whose an MCP session is. */
export interface SessionOwner {
  readonly caller: AgentId;
  readonly principal: string;
  readonly task: string;
}

/** The MCP sessions of the agent behind this sidecar: each is good for the caller and the task that began it. */
export interface McpSessionPort {
  /** Refuses with `mcp_session_unknown`, `mcp_session_foreign`. */
  check(id: string, owner: SessionOwner): Denial | undefined;
  /** The agent has given this id to this owner. Refuses with `mcp_session_foreign` where another has it. */
  begin(id: string, owner: SessionOwner): Denial | undefined;
}

/** The handshake's octets on a TLS connection. */
export interface FrameChannel {
  /** The next whole frame of one of the expected types. Refuses with `hs_frame`, `hs_timeout`. */
  read(expected: readonly FrameType[]): Promise<Verdict<Buffer>>;
  /** Resolves when the octets have been handed to the system. */
  write(octets: Buffer): Promise<void>;
}

/** The facts of a peer's certificate, as parsed by the adapter. */
export interface PeerCertificate {
  /** SHA-256 over the DER, base64url. */
  readonly digest: string;
  /** The same in hex, for X-Forwarded-Client-Cert. */
  readonly digestHex: string;
  readonly uriSans: readonly string[];
  readonly isCa: boolean;
  readonly keyUsage:
    | { readonly digitalSignature: boolean; readonly keyCertSign: boolean; readonly cRLSign: boolean }
    | undefined;
  /** OIDs; undefined when the extension is absent. */
  readonly extKeyUsage: readonly string[] | undefined;
  /** Seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Whether it chains to one of these CA certificates (DER). */
  readonly chainsTo: (authorities: readonly Buffer[]) => boolean;
}

/** What of a body goes on now; with a denial nothing goes on after it. */
export interface BodyStep {
  readonly pass: readonly Uint8Array[];
  readonly denial?: Denial | undefined;
}

/** Looks at a body as it goes by. */
export interface BodyInspector {
  push(chunk: Uint8Array): BodyStep;
  end(): BodyStep;
}

/** What was found in a body, for the record. */
export interface ResponseNotes {
  readonly content: readonly ContentNote[];
  readonly tools: readonly ToolNote[];
}

export interface OpenResponse {
  readonly inspector: BodyInspector;
  /** What goes on has the length of what came, unless it is cut. */
  readonly keepsLength: boolean;
  /** The head goes on at once; else with the first octets, so that a body that is refused whole can be answered for. */
  readonly headNow: boolean;
}

/** Looks at a response. */
export interface ResponseWatch {
  /** Whether its body must come as it is, without a content coding. */
  readonly readsBody: boolean;
  /** At its head: undefined where its body is nothing to look at. Refuses what is not to be sent at all. */
  open(
    status: number,
    headers: readonly string[],
    contentLength: number | undefined,
  ): Verdict<OpenResponse | undefined>;
  /** Octets with which a response that is cut can say why, so that nobody takes it for a whole one; `problem` is JSON. */
  closing(problem: string): Uint8Array | undefined;
  readonly notes: ResponseNotes;
}

/** How a forwarded exchange ended. */
export interface ExchangeResult {
  /** HTTP status sent back; 0 when none was. */
  readonly status: number;
  readonly result: Outcome;
  /** Octets of body, from the caller's side. */
  readonly received: number;
  readonly sent: number;
  /** What was found in either body; left out where nobody looked. */
  readonly notes?: ResponseNotes | undefined;
  /** Of the data that came back. */
  readonly labels?: readonly string[] | undefined;
}

/** A request that can be sent on, as the HTTP adapter offers it. */
export interface Exchange {
  /** Starts it; `done` is called exactly once. Returns a way to cut it. */
  start(done: (result: ExchangeResult) => void): (reason: ReasonCode) => void;
}
