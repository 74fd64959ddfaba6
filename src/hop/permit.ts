/** What a decision needs, and the two things that it can be: a permit, or a refusal that says what is missing (SPEC.md section 13). */
import type { VerifiedRequestApproval } from '../core/approval/request-approval.ts';
import type { ApprovalNote, ContentNote, Direction, PointNote } from '../core/audit/record.ts';
import type { ContentSelection } from '../core/content/compile.ts';
import type { ContentOutcome } from '../core/content/inspect-body.ts';
import type { Holder } from '../core/delegation/chain.ts';
import type { ScopeLiteral } from '../core/delegation/scope.ts';
import type { ContentDigest } from '../core/http-signature/fields.ts';
import type { Message } from '../core/message/message.ts';
import type { Demanded } from '../core/policy/demands.ts';
import { type Callee, leavesMesh } from '../core/policy/destination.ts';
import type { Allowed } from '../core/policy/evaluate.ts';
import type { RouteRule } from '../core/policy/model.ts';
import type { CallerProof } from '../core/policy/proofs.ts';
import type { ShadowNote } from '../core/policy/rules.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import type { Denial, Verdict } from '../core/verdict.ts';
import type { TrustSnapshot } from '../ports.ts';
import { notesOf } from './content-notes.ts';
import type { Delegated } from './verify-chain.ts';

declare const permit: unique symbol;

/** What forwarding demands; only {@link decide} makes one. */
export interface Permit {
  readonly [permit]: true;
  readonly delegated: Delegated;
  readonly route: RouteRule;
  readonly rule: string;
  readonly required: readonly ScopeLiteral[];
  readonly demanded: Demanded;
  readonly labels: readonly string[];
  readonly flags: readonly string[];
  readonly shadow: readonly ShadowNote[];
  readonly content: readonly ContentNote[];
  readonly opa: readonly PointNote[];
  /** What policy would have denied, had its route not been observed only. */
  readonly observed: Denial | undefined;
  /** Whether anything but time, trust and policy had a say in it, so that each sweep asks anew. */
  readonly isLive: boolean;
  /** The approvals that it rests on; none where policy asks for none. */
  readonly approvals: readonly ApprovalNote[];
  /** Of this one request: its use is to be counted before it is used. */
  readonly requestApproval: VerifiedRequestApproval | undefined;
  readonly cached: boolean;
  /** What was asked: asked again when trust or policy change under what still streams. */
  readonly input: DecisionInput;
}

export interface DecisionInput {
  readonly direction: Direction;
  readonly delegated: Delegated;
  /** How the caller has proven itself; of what our own agent sends, the handshake over which it goes. */
  readonly proof: CallerProof;
  /** What the body has to be, by the signature of the request; undefined where it signs none. */
  readonly digest?: ContentDigest | undefined;
  /** The body was read, and is the one that was signed, or the one that is going to be. */
  readonly bodyProven?: true | undefined;
  readonly callee: Callee;
  /** As it proved itself on this connection, or ourselves; undefined where nobody has. */
  readonly calleeHolder?: Holder | undefined;
  readonly method: string;
  /** Request target in origin form, as received. */
  readonly target: string;
  readonly trust: TrustSnapshot;
  readonly nowSeconds: number;
  /** Seconds: the end of the session; Infinity where there is none yet. */
  readonly sessionDeadline: number;
  /** Name, value, name, value …, as received. */
  readonly headers?: readonly string[] | undefined;
  /** Octets of the body, as announced or read. */
  readonly size?: number | undefined;
  /** Of the data that the task has touched so far. */
  readonly labels?: readonly string[] | undefined;
  /** What the body says, once it was read; or why it can't be known. */
  readonly message?: Verdict<Message> | undefined;
  /** It calls a tool that is not what policy has approved. */
  readonly barred?: Denial | undefined;
  /** What content rules found in the body, once it was looked at. */
  readonly content?: ContentOutcome | undefined;
  /** What other decision points have said, once they were asked. */
  readonly points?: PointsOutcome | undefined;
  /** It asks to become a WebSocket. */
  readonly upgrade?: boolean | undefined;
  /** A reviewer has released it. */
  readonly released?: boolean | undefined;
}

/**
 * Whether nobody decides after this sidecar: it is the callee's, or the request leaves the mesh here. Else the callee's has the
 * last word, and what wants an approval or a reviewer is passed on to it.
 */
export const hasLastWord = ({ direction, callee }: Pick<DecisionInput, 'direction' | 'callee'>): boolean =>
  direction === 'inbound' || leavesMesh(callee);

/** One that an agent is to answer. */
export type ForAgent = DecisionInput & { readonly callee: AgentId };

export const isForAgent = (input: DecisionInput): input is ForAgent => !leavesMesh(input.callee);

/** What other decision points have said together. */
export interface PointsOutcome {
  readonly notes: readonly PointNote[];
  /** The first that did not say yes. */
  readonly denial: Denial | undefined;
}

/** A denial, with what the audit wants to know of it. */
export interface Refusal extends Denial {
  readonly rule?: string;
  readonly required?: readonly ScopeLiteral[];
  readonly cached?: boolean;
  /** What it said, where it was read. */
  readonly message?: Message;
  readonly labels?: readonly string[];
  readonly flags?: readonly string[];
  readonly shadow?: readonly ShadowNote[];
  readonly content?: readonly ContentNote[];
  readonly opa?: readonly PointNote[];
  readonly approvals?: readonly ApprovalNote[];
  /** The id of the approval that would permit it: who asks needs it. */
  readonly approval?: string;
}

/** All is well but for a human's word on these scopes; with it, {@link approve} makes the permit. */
export interface Unapproved extends Refusal {
  readonly reason: 'approval_required';
  readonly unapproved: readonly ScopeLiteral[];
  readonly allowed: Allowed;
  readonly input: ForAgent;
}

/** A question to another decision point. */
export interface AskedPoint {
  readonly point: string;
  readonly path: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** What a decision waits for. */
export type Wanted =
  /** The body whole: to be held against its signed digest, or to be signed. */
  | { readonly what: 'body' }
  /** The body, read as the route's protocol says. */
  | { readonly what: 'message' }
  /** The body, looked at by these rules. */
  | { readonly what: 'content'; readonly selection: ContentSelection }
  | { readonly what: 'points'; readonly asked: readonly AskedPoint[] };

/** Nothing is decided before this is known. Whoever takes it for a refusal refuses. */
export interface Undecided extends Refusal {
  readonly wanted: Wanted;
  readonly route: RouteRule;
  readonly input: DecisionInput;
}

/** Policy wants it kept aside. */
export interface Quarantined extends Refusal {
  readonly reason: 'quarantined';
  readonly input: DecisionInput;
}

export type Decision =
  | { readonly ok: true; readonly value: Permit }
  | Refusal
  | Unapproved
  | Undecided
  | Quarantined;

export const isUnapproved = (decision: Refusal): decision is Unapproved => 'unapproved' in decision;
export const isUndecided = (decision: Refusal): decision is Undecided => 'wanted' in decision;
export const isQuarantined = (decision: Refusal): decision is Quarantined =>
  decision.reason === 'quarantined' && 'input' in decision;

/** Whether it is neither a permit nor a refusal yet. */
export const isOpen = (decision: Refusal): boolean =>
  isUndecided(decision) || isUnapproved(decision) || isQuarantined(decision);

export interface PermitExtras {
  readonly isLive: boolean;
  readonly observed?: Denial;
  readonly requestApproval?: VerifiedRequestApproval;
}

/** For `decide.ts` alone: nobody else may make one. */
export const permitOf = (
  allowed: Allowed,
  input: DecisionInput,
  cached: boolean,
  approvals: readonly ApprovalNote[],
  { isLive, observed, requestApproval }: PermitExtras,
): Permit =>
  ({
    ...allowed,
    delegated: input.delegated,
    cached,
    input,
    approvals,
    requestApproval,
    observed,
    isLive,
    content: contentNotes(input),
    opa: input.points?.notes ?? [],
  }) as unknown as Permit;

const NO_CONTENT: readonly ContentNote[] = [];

/** What was found in the body, each kind once. */
export const contentNotes = ({ content }: DecisionInput): readonly ContentNote[] =>
  content === undefined || content.findings.length === 0 ? NO_CONTENT : notesOf(content.findings);
