/**
 * What would be decided about a request that nobody sent: by the very stages that decide about those that are. Only what
 * surrounds them is of paper: keys, clock, scores, and what other decision points say.
 */
import type { ContentNote, Outcome } from '../core/audit/record.ts';
import type { Message } from '../core/message/message.ts';
import type { Asked } from '../core/policy/analysis/explain.ts';
import type { CompiledPolicy } from '../core/policy/evaluate.ts';
import type { RouteRule } from '../core/policy/model.ts';
import type { ShadowNote } from '../core/policy/rules.ts';
import { readableHeaders } from '../core/policy/values.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import type { Attributes } from '../core/trust/attributes.ts';
import type { Bundle } from '../core/trust/bundle.ts';
import { Revocations } from '../core/trust/revocation.ts';
import type { Scores } from '../core/trust/scores.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import { decide } from '../hop/decide.ts';
import type { HopReply, HopRequest, Path } from '../hop/path.ts';
import { type Decision, isQuarantined, isUnapproved, isUndecided } from '../hop/permit.ts';
import { supply } from '../hop/supply.ts';
import { ToolWatch } from '../hop/tool-watch.ts';
import { ChainVerifier, type Delegated } from '../hop/verify-chain.ts';
import type { DecisionPoints, TrustSnapshot } from '../ports.ts';
import { type MintedChain, RehearsalMesh } from './mesh.ts';
import type { RehearsedRequest } from './request.ts';

export interface Rehearsed {
  readonly verdict: 'permit' | 'deny' | 'approve' | 'quarantine';
  readonly reason: Outcome;
  /** '' for a permit. */
  readonly detail: string;
  readonly rule: string;
  readonly route: RouteRule | undefined;
  readonly required: readonly string[];
  readonly labels: readonly string[];
  readonly flags: readonly string[];
  readonly shadow: readonly ShadowNote[];
  readonly content: readonly ContentNote[];
  /** What policy says, where its route is observed only and lets it through. */
  readonly observed: Outcome | undefined;
  /** As it was read; undefined where it wasn't, or where it is none. */
  readonly message: Message | undefined;
}

const scoresOf = ({ score, scores }: RehearsedRequest): Scores =>
  ({
    of: (id: AgentId) => ({ score: scores[id] ?? score, uncertainty: 0 }),
  }) as unknown as Scores;

const attributesOf = ({ attributes, groups, chain }: RehearsedRequest): Attributes =>
  ({
    agent: (id: AgentId) => attributes[id] ?? {},
    groups: (principal: string) => (principal === chain.principal ? groups : []),
  }) as unknown as Attributes;

/** Fresh, and without a revocation: neither is policy's. */
const snapshotOf = (
  policy: CompiledPolicy,
  request: RehearsedRequest,
  { context }: MintedChain,
): TrustSnapshot => ({
  generation: 1,
  bundle: {
    trustDomain: request.chain.audience,
    anchors: context.anchors,
    issuers: context.issuers,
    approvers: new Map(),
    revocations: Revocations.none,
    scores: scoresOf(request),
    attributes: attributesOf(request),
  } as unknown as Bundle,
  policy,
  bundleName: '',
  freshAt: request.nowSeconds,
  maxStalenessSeconds: Number.POSITIVE_INFINITY,
});

const pointsOf = ({ points }: RehearsedRequest): DecisionPoints => ({
  get: (name) => {
    const said = Object.hasOwn(points, name) ? points[name] : undefined;
    const note = { decisionId: '', revision: '' };
    return (
      said && {
        decide: () =>
          said === 'permit'
            ? { ...grant(true as const), ...note }
            : { ...deny('opa_denied', 'as this request says it would'), ...note },
      }
    );
  },
});

/** What `supply` needs of the path: nothing else of it is asked. */
const pathOf = (request: RehearsedRequest): Path =>
  ({
    clock: { now: () => request.nowSeconds * 1000, monotonic: () => 0 },
    points: pointsOf(request),
    tools: new ToolWatch(),
  }) as unknown as Path;

const replyOf = ({ body }: RehearsedRequest): Pick<HopReply, 'body'> => ({
  body: async (most = Number.POSITIVE_INFINITY) =>
    body.length > most
      ? deny('http_body_too_large', `the body has ${body.length} octets, ${most} are read`)
      : grant(body),
});

const refused = ({ reason, detail }: { reason: Outcome; detail: string }): Rehearsed => ({
  verdict: 'deny',
  reason,
  detail,
  rule: '',
  route: undefined,
  required: [],
  labels: [],
  flags: [],
  shadow: [],
  content: [],
  observed: undefined,
  message: undefined,
});

const VERDICTS = { approval_required: 'approve', quarantined: 'quarantine' } as const;

/** What became of it, in the words of the log. */
const settled = (decision: Decision, request: RehearsedRequest, read: Message | undefined): Rehearsed => {
  if (decision.ok) {
    const { rule, route, required, labels, flags, shadow, content, observed } = decision.value;
    const notes = { rule, route, required, labels, flags, shadow, content, message: read };
    return {
      verdict: 'permit',
      reason: 'ok',
      detail: observed?.detail ?? '',
      ...notes,
      observed: observed?.reason,
    };
  }
  const { reason, detail, rule = '', required = [], labels = request.labels, message = read } = decision;
  const { flags = [], shadow = [], content = [] } = decision;
  const isOpen = isUnapproved(decision) || isQuarantined(decision);
  const route = isUnapproved(decision) ? decision.allowed.route : undefined;
  const notes = { rule, route, required, labels, flags, shadow, content, message, observed: undefined };
  if (isUnapproved(decision) && request.approved)
    return { verdict: 'permit', reason: 'ok', detail: '', ...notes };
  const verdict = isOpen ? VERDICTS[reason as keyof typeof VERDICTS] : 'deny';
  return { verdict, reason, detail, ...notes };
};

/** Keys are made once for all requests that are tried in it. */
export class Rehearsal {
  private readonly mesh = new RehearsalMesh();
  private readonly chains = new ChainVerifier();

  /** Mints and verifies the chain under the limits of a policy. Refuses as a minter and as stage 3 refuse. */
  verify(
    policy: CompiledPolicy,
    request: RehearsedRequest,
  ): Verdict<{
    readonly delegated: Delegated;
    readonly trust: TrustSnapshot;
    readonly minted: MintedChain;
  }> {
    const minted = this.mesh.mint(request.chain);
    if (!minted.ok) return minted;
    const trust = snapshotOf(policy, request, minted.value);
    const { text, holder } = minted.value;
    const delegated = this.chains.verify(text, undefined, holder, undefined, trust, request.nowSeconds);
    return delegated.ok ? grant({ delegated: delegated.value, trust, minted: minted.value }) : delegated;
  }

  /** The facts of a request, for whoever explains it. */
  facts(policy: CompiledPolicy, request: RehearsedRequest, message: Message | undefined): Verdict<Asked> {
    const verified = this.verify(policy, request);
    if (!verified.ok) return verified;
    const { delegated, trust } = verified.value;
    const [path = '', query = ''] = request.target.split('?', 2);
    const { direction, callee, method, headers, body, labels, nowSeconds, released } = request;
    return grant({
      facts: {
        direction,
        callee,
        method,
        path,
        query,
        chain: delegated.chain,
        registered: trust.bundle.attributes,
      },
      proof: request.proof,
      live: {
        nowSeconds,
        score: (id) => trust.bundle.scores.of(id, nowSeconds).score,
        headers: () => readableHeaders(headers),
        size: body.length,
        labels,
        released,
      },
      message,
      unknown: () => [],
    });
  }

  async decide(policy: CompiledPolicy, request: RehearsedRequest): Promise<Rehearsed> {
    const verified = this.verify(policy, request);
    if (!verified.ok) return refused(verified);
    const { delegated, trust, minted } = verified.value;
    const { direction, callee, method, target, headers, labels, nowSeconds, body, released, proof } = request;
    let decision = decide({
      direction,
      delegated,
      proof,
      callee,
      method,
      target,
      trust,
      nowSeconds,
      sessionDeadline: Number.POSITIVE_INFINITY,
      headers,
      size: body.length,
      labels,
      released,
    });
    const hop: HopRequest = {
      direction,
      hop: '',
      caller: minted.holder,
      proof,
      callee,
      calleeHolder: undefined,
      method,
      target,
      headers,
      size: body.length,
      labels: () => labels,
      chainText: minted.text,
      grantText: undefined,
      last: undefined,
      sessionDeadline: Number.POSITIVE_INFINITY,
      fault: undefined,
    };
    let read: Message | undefined;
    let route: RouteRule | undefined;
    while (!decision.ok && isUndecided(decision)) {
      ({ route } = decision);
      const { message } = decision.input;
      if (message?.ok) read = message.value;
      decision = await supply(pathOf(request), hop, decision, replyOf(request) as HopReply);
    }
    const match = policy.routes.match(callee, method, target.split('?')[0] ?? '');
    route ??= match.ok ? match.value.rule : undefined;
    if (decision.ok) {
      const { message } = decision.value.input;
      if (message?.ok) read = message.value;
    }
    const result = settled(decision, request, read);
    return { ...result, route: result.route ?? route };
  }
}
