/** Chains, grants, and what needs a verified chain: revocation and policy. */
import {
  type ChainContext,
  type ChainLimits,
  type Holder,
  type VerifiedChain,
  verifyChain,
  verifyGrant,
} from '../../../src/core/delegation/chain.ts';
import { admitKey } from '../../../src/core/keys.ts';
import { DEFAULT_MAX_STALENESS_SECONDS } from '../../../src/core/limits.ts';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import { parseAgentId } from '../../../src/core/spiffe-id.ts';
import { verifyBundle } from '../../../src/core/trust/bundle.ts';
import { Revocations } from '../../../src/core/trust/revocation.ts';
import type { Issuers } from '../../../src/core/trust/wit.ts';
import type { Verdict } from '../../../src/core/verdict.ts';
import { decide } from '../../../src/hop/decide.ts';
import type { Delegated } from '../../../src/hop/verify-chain.ts';
import { LIMITS } from '../make/chain-case.ts';
import { b64u, type Claims, jcs, key, keyByThumbprint, sha256 } from '../make/signing.ts';
import { ANCHOR, ANCHORS, agent, bundle, CLIENT, DOMAIN, makeChain, ROOT } from '../make/world.ts';
import { must, type Outcome, outcomeOf } from './outcome.ts';

interface PartyInput {
  readonly id: string;
  readonly jkt: string;
}

/** Out of a real, signed bundle that holds it. */
const bundled = (now: number, contents: Claims) =>
  must(
    verifyBundle(bundle({ iat: now, exp: now + 60, ...contents }), {
      trustDomain: DOMAIN,
      root: ROOT.jkt,
      last: { epoch: 1, seq: 1 },
      now,
    }),
  );

const trusted = (now: number, anchors: unknown): Pick<ChainContext, 'anchors' | 'issuers'> => {
  const read = bundled(now, { anchors });
  return { anchors: read.anchors, issuers: read.issuers };
};

/** Issuers as the vectors give them: trust domain to JWKs. */
export const issuersOf = (input: Readonly<Record<string, readonly { readonly x: string }[]>>): Issuers =>
  new Map(
    Object.entries(input).map(([domain, jwks]) => {
      const keys = jwks.map(({ x }) => must(admitKey(x)));
      return [domain, new Map(keys.map((each) => [each.thumbprint, each]))];
    }),
  );

/** A name and key as the handshake would have proven them. */
const holderOf = ({ id, jkt }: PartyInput): Holder => {
  const agentId = parseAgentId(id);
  const found = keyByThumbprint(jkt);
  if (agentId === undefined || found === undefined) throw new Error(`nobody is ${id} with key ${jkt}`);
  return { id: agentId, key: must(admitKey(found.x)) };
};

interface ChainInput {
  readonly chain: string;
  readonly grant?: string;
  readonly trustDomain: string;
  readonly caller: PartyInput;
  readonly callee?: PartyInput;
  readonly issuers: Parameters<typeof issuersOf>[0];
  readonly anchors: unknown;
  readonly limits: ChainLimits;
}

const verifyBoth = (input: ChainInput, now: number): Verdict<VerifiedChain> => {
  const context: ChainContext = {
    now,
    trustDomain: input.trustDomain,
    limits: input.limits,
    anchors: trusted(now, input.anchors).anchors,
    issuers: issuersOf(input.issuers),
  };
  const chain = verifyChain(input.chain, holderOf(input.caller), context);
  if (!chain.ok || input.grant === undefined || input.callee === undefined) return chain;
  const granted = verifyGrant(input.grant, chain.value, holderOf(input.callee), context);
  return granted.ok ? chain : granted;
};

export const runChain = (input: ChainInput, now: number): Outcome =>
  outcomeOf(verifyBoth(input, now), ({ depth, principal, task, links }) => ({
    depth,
    principal,
    task,
    links: links.map(({ id }) => id),
  }));

interface RevocationInput {
  readonly chain: string;
  readonly grant?: string;
  readonly revoked: readonly unknown[];
}

/** Who a link of ours was made for. */
const delegateeOf = (link: string): Holder => {
  const claims = JSON.parse(Buffer.from(link.split('.')[1] ?? '', 'base64url').toString()) as {
    act: { sub: string };
    cnf: { jwk: { x: string } };
  };
  const id = parseAgentId(claims.act.sub);
  if (id === undefined) throw new Error('no delegatee');
  return { id, key: must(admitKey(claims.cnf.jwk.x)) };
};

export const runRevocation = ({ chain, grant, revoked }: RevocationInput, now: number): Outcome => {
  const context: ChainContext = {
    now,
    trustDomain: DOMAIN,
    limits: LIMITS,
    ...trusted(now, ANCHORS),
  };
  const verified = must(verifyChain(chain, delegateeOf(chain.split('~').at(-1) ?? ''), context));
  const held =
    grant === undefined ? verified : must(verifyGrant(grant, verified, delegateeOf(grant), context));
  const index = Revocations.parse(revoked);
  return index.ok ? { reason: index.value.checkChain(held)?.reason ?? 'ok' } : outcomeOf(index);
};

interface DecisionInput {
  readonly policy: unknown;
  readonly lists?: unknown;
  readonly scores?: unknown;
  readonly freshAt: number;
  readonly request: {
    readonly callee: string;
    readonly method: string;
    readonly target: string;
    readonly caller: string;
    readonly principal: string;
  };
  readonly scopes: readonly (readonly string[])[];
}

/** A chain of ours whose links hold these scopes and whose leaf is the caller. */
const chainFor = ({ request, scopes }: DecisionInput, now: number): VerifiedChain => {
  const path = request.caller.replace(`spiffe://${DOMAIN}/`, '');
  const between = scopes.slice(1, -1).map((_, index) => agent(`agent/between/b${index}`));
  const agents = [...(scopes.length > 1 ? [CLIENT] : []), ...between, agent(path)];
  const edit = Object.fromEntries(scopes.map((scope, index) => [index, { scope }]));
  const links = makeChain({ agents, edit: { ...edit, 0: { ...edit[0], sub: request.principal } } });
  const anchors = [{ ...ANCHOR, principals: [request.principal], scope: ['cloud:*', 'ec2:*'] }];
  const id = parseAgentId(request.caller);
  if (id === undefined) throw new Error('no caller');
  const caller: Holder = { id, key: must(admitKey(key(`agent ${DOMAIN}/${path}`).x)) };
  const context = { now, trustDomain: DOMAIN, limits: LIMITS, ...trusted(now, anchors) };
  return must(verifyChain(links.join('~'), caller, context));
};

/** What the bundle carries is read out of a signed bundle, as a sidecar does; without caveats nobody has approved. */
export const runDecision = (input: DecisionInput, now: number): Outcome => {
  const { policy, lists, scores, freshAt, request } = input;
  const bundle = bundled(now, { policy, policy_digest: b64u(sha256(jcs(policy))), lists, scores });
  const callee = parseAgentId(request.callee);
  if (callee === undefined || bundle.policy === undefined) throw new Error('no callee, or no policy');
  const chain = chainFor(input, now);
  const decided = decide({
    direction: 'inbound',
    delegated: { chain, chainText: '', decisions: new Map(), approvals: new Map() } as unknown as Delegated,
    callee,
    method: request.method,
    target: request.target,
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
  });
  return decided.ok
    ? { reason: 'ok', required: decided.value.required }
    : { reason: decided.reason, required: decided.required };
};
