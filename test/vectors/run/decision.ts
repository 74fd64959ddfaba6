/** Decisions: the policy out of a signed bundle, a chain that verifies, and what a sidecar would get on the way. */
import { inspectBody } from '../../../src/core/content/inspect-body.ts';
import { type Holder, type VerifiedChain, verifyChain } from '../../../src/core/delegation/chain.ts';
import { admitKey } from '../../../src/core/keys.ts';
import { DEFAULT_MAX_STALENESS_SECONDS } from '../../../src/core/limits.ts';
import { readsMessages } from '../../../src/core/message/message.ts';
import { readMessage } from '../../../src/core/message/read-message.ts';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import type { CallerProof } from '../../../src/core/policy/proofs.ts';
import { pathBelow } from '../../../src/core/policy/routes.ts';
import { type AgentId, parseAgentId } from '../../../src/core/spiffe-id.ts';
import { decide } from '../../../src/hop/decide.ts';
import { headerValues } from '../../../src/hop/headers.ts';
import {
  type Decision,
  type DecisionInput,
  isUndecided,
  type Permit,
  type Refusal,
  type Undecided,
} from '../../../src/hop/permit.ts';
import type { Delegated } from '../../../src/hop/verify-chain.ts';
import { LIMITS } from '../make/chain-case.ts';
import { b64u, jcs, key, sha256 } from '../make/signing.ts';
import { ANCHOR, agent, CLIENT, DOMAIN, makeChain } from '../make/world.ts';
import { bundled, trusted } from './chain.ts';
import { must, type Outcome } from './outcome.ts';

export interface DecisionCase {
  readonly policy: unknown;
  readonly lists?: unknown;
  readonly scores?: unknown;
  readonly attributes?: unknown;
  readonly freshAt: number;
  readonly request: {
    readonly callee: string;
    readonly method: string;
    readonly target: string;
    readonly caller: string;
    readonly principal: string;
    readonly direction?: 'inbound' | 'outbound';
    readonly proof?: CallerProof;
    readonly headers?: readonly string[];
    readonly body?: string;
    readonly labels?: readonly string[];
    readonly released?: boolean;
    readonly upgrade?: boolean;
  };
  readonly scopes: readonly (readonly string[])[];
  readonly caveats?: unknown;
  readonly granted?: boolean;
}

const idOf = (id: string): AgentId => {
  const parsed = parseAgentId(id);
  if (parsed === undefined) throw new Error(`no agent: ${id}`);
  return parsed;
};

/** A chain of ours whose links hold these scopes and whose leaf is the caller. */
const chainFor = ({ request, scopes, caveats }: DecisionCase, now: number): VerifiedChain => {
  const path = request.caller.replace(`spiffe://${DOMAIN}/`, '');
  const between = scopes.slice(1, -1).map((_, index) => agent(`agent/between/b${index}`));
  const agents = [...(scopes.length > 1 ? [CLIENT] : []), ...between, agent(path)];
  const edit = Object.fromEntries(scopes.map((scope, index) => [index, { scope }]));
  const links = makeChain({
    agents,
    all: caveats === undefined ? {} : { caveats },
    edit: { ...edit, 0: { ...edit[0], sub: request.principal, purpose: 'find out' } },
  });
  const anchors = [{ ...ANCHOR, principals: [request.principal], scope: ANYTHING }];
  const caller: Holder = {
    id: idOf(request.caller),
    key: must(admitKey(key(`agent ${DOMAIN}/${path}`).x)),
  };
  const context = { now, trustDomain: DOMAIN, limits: LIMITS, ...trusted(now, anchors) };
  return must(verifyChain(links.join('~'), caller, context));
};
const ANYTHING = ['cloud:*', 'ec2:*', 'mcp:*', 'a2a:*'];

/** With the link by which the caller lets the callee act onward. */
const withGrant = (chain: VerifiedChain, callee: AgentId): VerifiedChain => ({
  ...chain,
  links: [...chain.links, { ...chain.leaf, delegatee: callee }],
});

/** What a decision waits for, out of the body. Other decision points are nowhere to be asked. */
const supplyOf = (
  { wanted, route, input }: Undecided,
  { method, target, headers = [], body = '' }: DecisionCase['request'],
): Partial<DecisionInput> => {
  const octets = Buffer.from(body);
  const [path = '', query = ''] = target.split('?');
  switch (wanted.what) {
    case 'message': {
      const { protocol, skillMember } = route;
      if (!readsMessages(protocol)) throw new Error('no protocol');
      const call = { octets, method, path: pathBelow(route.path, path), query, headers };
      return { message: readMessage(protocol, call, { skillMember }), size: octets.length };
    }
    case 'content': {
      const rules = input.released
        ? wanted.selection.rules.filter(({ rule }) => rule.action !== 'quarantine')
        : wanted.selection.rules;
      const content = inspectBody(
        { ...wanted.selection, rules },
        { octets, contentType: headerValues(headers, 'content-type').at(-1), contentEncoding: undefined },
      );
      return { content, size: octets.length };
    }
    case 'body':
      return { bodyProven: true, size: octets.length };
    default:
      throw new Error('nobody to ask');
  }
};

const settled = (input: DecisionInput, request: DecisionCase['request']): Decision => {
  let known = input;
  for (;;) {
    const decision = decide(known);
    if (decision.ok || !isUndecided(decision)) return decision;
    known = { ...known, ...supplyOf(decision, request) };
  }
};

const listed = (name: string, list: readonly unknown[] = []) => (list.length === 0 ? {} : { [name]: list });

/** What the audit would say besides. */
const notes = ({ rule = '', flags, shadow, labels, content }: Permit | Refusal) => ({
  ...(rule === '' ? {} : { rule }),
  ...listed('flags', flags),
  ...listed('shadow', shadow),
  ...listed('labels', labels),
  ...listed('content', content),
});

/** What the bundle carries is read out of a signed bundle, as a sidecar does; without caveats nobody has approved. */
export const runDecision = (input: DecisionCase, now: number): Outcome => {
  const { policy, lists, scores, attributes, freshAt, request, granted } = input;
  const bundle = bundled(now, {
    policy,
    policy_digest: b64u(sha256(jcs(policy))),
    lists,
    scores,
    attributes,
  });
  if (bundle.policy === undefined) throw new Error('no policy');
  const callee = idOf(request.callee);
  const chain = chainFor(input, now);
  const delegated = {
    chain,
    chainText: '',
    decisions: new Map(),
    approvals: new Map(),
    ...(granted === true && { granted: withGrant(chain, callee) }),
  } as unknown as Delegated;
  const { direction = 'inbound', proof = 'session', method, target, headers, body } = request;
  const { labels, released, upgrade } = request;
  const decided = settled(
    {
      direction,
      delegated,
      proof,
      callee,
      method,
      target,
      headers,
      ...(body !== undefined && { size: Buffer.byteLength(body) }),
      labels,
      released,
      upgrade,
      trust: {
        generation: 1,
        bundle,
        policy: compilePolicy(bundle.policy, bundle.lists),
        bundleName: '2.7',
        freshAt,
        maxStalenessSeconds: bundle.policy.limits.maxStalenessSeconds ?? DEFAULT_MAX_STALENESS_SECONDS,
      },
      nowSeconds: now,
      sessionDeadline: now + 3600,
    },
    request,
  );
  if (!decided.ok) return { reason: decided.reason, required: decided.required, ...notes(decided) };
  const { value } = decided;
  const observed = value.observed === undefined ? {} : { observed: value.observed.reason };
  return { reason: 'ok', required: value.required, ...notes(value), ...observed };
};
