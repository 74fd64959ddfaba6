/** Runs one vector through src/core, the way test/vectors/README.md describes. */
import { type Approver, checkApprovalTime } from '../../../src/core/approval/approver.ts';
import { type LinkPlace, verifyLinkApproval } from '../../../src/core/approval/link-approval.ts';
import { type RequestFacts, verifyRequestApproval } from '../../../src/core/approval/request-approval.ts';
import { LogVerifier } from '../../../src/core/audit/verify-log.ts';
import { caveatDeadline, evaluateCaveats, parseCaveats } from '../../../src/core/delegation/caveats.ts';
import { findUncovered, parseScope } from '../../../src/core/delegation/scope.ts';
import { type Json, type JsonObject, parseStrictObjectText } from '../../../src/core/encoding/json.ts';
import { admitKey } from '../../../src/core/keys.ts';
import { readPolicy } from '../../../src/core/policy/read.ts';
import { parseTarget } from '../../../src/core/policy/target.ts';
import { type QuarantinedFacts, quarantineId } from '../../../src/core/quarantine/item.ts';
import { verifyReviewerToken } from '../../../src/core/quarantine/reviewer.ts';
import { agentTypeOf, parseAgentId, trustDomainOf } from '../../../src/core/spiffe-id.ts';
import { Attributes } from '../../../src/core/trust/attributes.ts';
import { verifyBundle } from '../../../src/core/trust/bundle.ts';
import { policyDigest } from '../../../src/core/trust/bundle-contents.ts';
import { verifyBundleAsHistory } from '../../../src/core/trust/bundle-history.ts';
import { verifyRoles } from '../../../src/core/trust/roles.ts';
import { Scores } from '../../../src/core/trust/scores.ts';
import { verifyTimestamp } from '../../../src/core/trust/timestamp.ts';
import { verifyWit } from '../../../src/core/trust/wit.ts';
import type { Group } from '../groups.ts';
import type { Case } from '../make/case.ts';
import { issuersOf, runChain, runRevocation } from './chain.ts';
import { runDecision } from './decision.ts';
import { runHandshake } from './handshake.ts';
import { runJws } from './jws.ts';
import { runMessage } from './message.ts';
import { must, type Outcome, outcomeOf } from './outcome.ts';
import { runRequestProof } from './request-proof.ts';

const runSpiffe = ({ id }: { readonly id: string }): Outcome => {
  const agentId = parseAgentId(id);
  return agentId === undefined
    ? { reason: 'svid_id' }
    : { reason: 'ok', type: agentTypeOf(agentId), trustDomain: trustDomainOf(agentId) };
};

interface ScopeInput {
  readonly pattern?: string;
  readonly parent?: readonly string[];
  readonly child?: readonly string[];
}

const runScope = ({ pattern, parent = [], child = [] }: ScopeInput): Outcome => {
  if (pattern !== undefined) return outcomeOf(parseScope([pattern]));
  const [above, below] = [parseScope(parent), parseScope(child)];
  if (!above.ok) return outcomeOf(above);
  if (!below.ok) return outcomeOf(below);
  return { reason: findUncovered(above.value, below.value) === undefined ? 'ok' : 'link_scope_widened' };
};

interface CaveatInput {
  readonly caveats: Json;
  readonly callee: string;
  readonly path: string;
  readonly tool?: string;
  readonly uses?: number;
}

/** `before` and `max_uses` depend on more than the request: the core gives the deadline and the limit, the caller asks. */
const runCaveats = ({ caveats, callee, path, tool, uses = 0 }: CaveatInput, now: number): Outcome => {
  const parsed = parseCaveats(caveats);
  if (!parsed.ok) return outcomeOf(parsed);
  const id = parseAgentId(callee);
  if (id === undefined) throw new Error('no callee');
  const denial = evaluateCaveats(parsed.value, { callee: id, path, tool });
  if (denial !== undefined) return { reason: denial.reason };
  if (now >= caveatDeadline(parsed.value)) return { reason: 'caveat_before' };
  const used = parsed.value.some((caveat) => caveat.type === 'max_uses' && uses >= caveat.uses);
  return { reason: used ? 'caveat_max_uses' : 'ok' };
};

interface AuditInput {
  readonly lines: readonly string[];
  readonly issuers: Parameters<typeof issuersOf>[0];
  readonly complete?: { readonly seq: number };
}

type QuarantineInput =
  | { readonly facts: QuarantinedFacts }
  | {
      readonly type: 'inspect' | 'release';
      readonly token: string;
      readonly wanted: { readonly id: string; readonly sidecar: string };
      readonly reviewers: readonly { readonly name: string; readonly jwk: { readonly x: string } }[];
    };

const runQuarantine = (input: QuarantineInput, now: number): Outcome => {
  if ('facts' in input) return { reason: 'ok', id: quarantineId(input.facts) };
  const sidecar = parseAgentId(input.wanted.sidecar);
  if (sidecar === undefined) throw new Error('no sidecar');
  const reviewers = new Map(
    input.reviewers.map(({ name, jwk }) => {
      const key = must(admitKey(jwk.x));
      return [key.thumbprint, { name, key }];
    }),
  );
  const wanted = { id: input.wanted.id, sidecar };
  return outcomeOf(verifyReviewerToken(`quarantine-${input.type}+jwt`, input.token, wanted, reviewers, now));
};

const runAudit = ({ lines, issuers, complete }: AuditInput): Outcome => {
  const verifier = new LogVerifier(issuersOf(issuers));
  for (const line of lines) {
    const fault = verifier.next(line);
    if (fault !== undefined) return { reason: fault.reason, line: fault.line };
  }
  const { head } = verifier.state;
  return complete !== undefined && head.seq < complete.seq
    ? { reason: 'audit_cut', line: lines.length }
    : { reason: 'ok' };
};

interface BundleInput {
  readonly bundle: string;
  readonly trustDomain: string;
  readonly root: string;
  readonly last: { readonly epoch: number; readonly seq: number; readonly digest?: string };
}

interface TimestampInput {
  readonly timestamp: string;
  readonly bundle: string;
  readonly trustDomain: string;
  readonly root: string;
  readonly since: number;
}

/** The bundle is one that was accepted when it was new. */
const runTimestamp = ({ timestamp, bundle, root, since }: TimestampInput, now: number): Outcome =>
  outcomeOf(verifyTimestamp(timestamp, must(verifyBundleAsHistory(bundle, root)), since, now), ({ iat }) => ({
    iat,
  }));

interface ApprovalInput {
  readonly kind: 'link' | 'request';
  readonly token: string;
  readonly facts: LinkPlace & RequestFacts;
  readonly approvers: readonly {
    readonly principal: string;
    readonly jwk: { readonly x: string };
    readonly since?: number;
  }[];
  readonly agents: readonly string[];
}

const runApproval = ({ kind, token, facts, approvers, agents }: ApprovalInput, now: number): Outcome => {
  const known = new Map<string, Approver>();
  for (const { jwk, ...rest } of approvers) {
    const admitted = must(admitKey(jwk.x));
    known.set(admitted.thumbprint, { ...rest, key: admitted });
  }
  const verify = kind === 'link' ? verifyLinkApproval : verifyRequestApproval;
  const verified = verify(token, facts, known, agents);
  if (!verified.ok) return outcomeOf(verified);
  return { reason: checkApprovalTime(verified.value, now)?.reason ?? 'ok' };
};

const runScores = (
  { scores, agent }: { readonly scores: unknown; readonly agent: string },
  now: number,
): Outcome => {
  const id = parseAgentId(agent);
  if (id === undefined) throw new Error('no agent');
  return outcomeOf(Scores.parse(strictly(scores)), (read) => ({ ...read.of(id, now) }));
};

const runAttributes = ({
  attributes,
  agent,
  principal,
}: {
  readonly attributes: unknown;
  readonly agent: string;
  readonly principal: string;
}): Outcome => {
  const id = parseAgentId(agent);
  if (id === undefined) throw new Error('no agent');
  return outcomeOf(Attributes.parse(strictly(attributes)), (read) => ({
    attributes: { ...read.agent(id) },
    groups: [...read.groups(principal)],
  }));
};

/** As the strict reader makes it: without prototypes. */
const strictly = (value: unknown): JsonObject => must(parseStrictObjectText(JSON.stringify(value)));

const runPolicy = ({ policy }: { readonly policy: unknown }): Outcome =>
  outcomeOf(readPolicy(strictly(policy)), () => ({ digest: policyDigest(strictly(policy)) }));

interface RolesInput {
  readonly roles: string;
  readonly trustDomain: string;
  readonly root: string;
}

const runRoles = ({ roles, ...expected }: RolesInput, now: number): Outcome =>
  outcomeOf(verifyRoles(roles, { ...expected, now }), ({ epoch }) => ({ epoch }));

const runBundle = ({ bundle, ...expected }: BundleInput, now: number): Outcome =>
  outcomeOf(verifyBundle(bundle, { ...expected, now }), ({ epoch, seq }) => ({ epoch, seq }));

interface WitInput {
  readonly wit: string;
  readonly issuers: Parameters<typeof issuersOf>[0];
}

const runWit = ({ wit, issuers }: WitInput, now: number): Outcome =>
  outcomeOf(verifyWit(wit, issuersOf(issuers), now), ({ sub, agentKey }) => ({
    sub,
    jkt: agentKey.thumbprint,
  }));

// Each group's `input` has the form that README.md gives for it.
const RUNNERS: Readonly<Record<Group, (input: never, now: number) => Outcome>> = {
  keys: ({ x }: { readonly x: string }) => outcomeOf(admitKey(x)),
  jws: runJws,
  spiffe: runSpiffe,
  scope: runScope,
  chain: runChain,
  caveats: runCaveats,
  wit: runWit,
  handshake: runHandshake,
  'request-proof': runRequestProof,
  roles: runRoles,
  bundle: runBundle,
  timestamp: runTimestamp,
  approval: runApproval,
  quarantine: runQuarantine,
  scores: runScores,
  attributes: runAttributes,
  revocation: runRevocation,
  target: ({ target }: { readonly target: string }) => outcomeOf(parseTarget(target)),
  policy: runPolicy,
  message: runMessage,
  decision: runDecision,
  audit: runAudit,
};

/** The outcome of a case, with as many members as it expects. */
export const runCase = (group: Group, { input, now, expect }: Case): Outcome => {
  const outcome = RUNNERS[group](input as never, now);
  const asked = Object.keys(expect).map((name) => [name, outcome[name]]);
  return { ...Object.fromEntries(asked), reason: outcome.reason };
};
