/** What the path of a hop works with, what a door hands to it, and what it hands back. */
import type { Direction } from '../core/audit/record.ts';
import type { Holder, VerifiedChain } from '../core/delegation/chain.ts';
import type { ContentDigest } from '../core/http-signature/fields.ts';
import type { Callee } from '../core/policy/destination.ts';
import type { CallerProof } from '../core/policy/proofs.ts';
import type { Denial, Verdict } from '../core/verdict.ts';
import type {
  ApprovalPort,
  AuditPort,
  Clock,
  DecisionPoints,
  EvidencePort,
  Exchange,
  FaultPort,
  HopSpan,
  McpSessionPort,
  MeterPort,
  QuarantinePort,
  TrustPort,
  UseCounter,
} from '../ports.ts';
import type { LiveHops } from './forward.ts';
import type { Permit, Refusal } from './permit.ts';
import type { ToolWatch } from './tool-watch.ts';
import type { ChainVerifier, Delegated } from './verify-chain.ts';

export interface Path {
  readonly clock: Clock;
  readonly trust: TrustPort;
  readonly audit: AuditPort;
  readonly chains: ChainVerifier;
  readonly uses: UseCounter;
  readonly live: LiveHops;
  /** Left out where nobody wants to know. */
  readonly evidence?: EvidencePort | undefined;
  readonly meter?: MeterPort | undefined;
  /** Left out where there is no verifier to ask. */
  readonly approvals?: ApprovalPort | undefined;
  /** Other decision points, as this sidecar reaches them. */
  readonly points?: DecisionPoints | undefined;
  /** Left out where nothing is configured to be kept aside. */
  readonly quarantine?: QuarantinePort | undefined;
  readonly sessions?: McpSessionPort | undefined;
  readonly tools: ToolWatch;
  /** Left out where nobody wants to know. */
  readonly onFault?: FaultPort | undefined;
  /** Octets of a body that is signed: it is read whole before a decision. 1 MiB, where it is left out. */
  readonly signedBodyBytes?: number | undefined;
  /** Resolves when others have had their turn; left out where there are none. */
  readonly turn?: (() => Promise<void>) | undefined;
}

/** One request, as a door of the sidecar hands it over. */
export interface HopRequest {
  readonly direction: Direction;
  /** Inbound: the connection's id and the request's place on it. Outbound it has none before it is sent: empty. */
  readonly hop: string;
  /** Whose key was proven, by a session or by this very request: nothing else yields one. */
  readonly caller: Holder;
  readonly proof: CallerProof;
  /** What the body has to be, by the signature of the request. */
  readonly digest?: ContentDigest | undefined;
  readonly callee: Callee;
  /** Who a grant must name: the callee as it proved itself. */
  readonly calleeHolder: Holder | undefined;
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value …, as they go on. */
  readonly headers: readonly string[];
  /** Octets of the body, as announced: 0 for none, undefined where nobody says. */
  readonly size: number | undefined;
  /** Of the data that the task has touched by now: it may touch more while this waits for its body or for others. */
  readonly labels: (chain: VerifiedChain) => readonly string[];
  /** Takes note of a request of this task, whose chain is verified. Refuses with `task_rate`. */
  readonly rate?: ((chain: VerifiedChain) => Denial | undefined) | undefined;
  /** It asks to become a WebSocket. */
  readonly upgrade?: boolean | undefined;
  readonly chainText: string | undefined;
  readonly grantText: string | undefined;
  readonly last: Delegated | undefined;
  /** Seconds. */
  readonly sessionDeadline: number;
  /** What the door itself found wrong; comes before all else, and is recorded like the rest. */
  readonly fault: Denial | undefined;
  /** Left out where nobody traces. */
  readonly span?: HopSpan | undefined;
}

/** What the door does with the answer. Exactly one of these is called, after the decision is on record. */
export interface HopReply {
  refuse(refusal: Refusal): void;
  /** Outbound: the hop id under which it is sent next on its connection. Asked for once, when its permit goes on record. */
  number?(): string;
  /**
   * The whole body, read once and kept for the exchange: only asked for when it has a say in the decision. Without a bound,
   * the most that a human can approve. Refuses with `http_body_too_large`, `http_timeout`, `client_aborted`, `caller_busy`.
   */
  body?(mostBytes?: number): Promise<Verdict<Buffer>>;
  /** Builds the exchange; the permit is what it may rely on. */
  exchange(permit: Permit, delegated: Delegated): Exchange;
}
