/** Chains, grants, and what was revoked of them. */
import {
  type ChainContext,
  type ChainLimits,
  type Holder,
  type VerifiedChain,
  verifyChain,
  verifyGrant,
} from '../../../src/core/delegation/chain.ts';
import { admitKey } from '../../../src/core/keys.ts';
import { parseAgentId } from '../../../src/core/spiffe-id.ts';
import { verifyBundle } from '../../../src/core/trust/bundle.ts';
import { Revocations } from '../../../src/core/trust/revocation.ts';
import type { Issuers } from '../../../src/core/trust/wit.ts';
import type { Verdict } from '../../../src/core/verdict.ts';
import { LIMITS } from '../make/chain-case.ts';
import { type Claims, keyByThumbprint } from '../make/signing.ts';
import { ANCHORS, bundle, DOMAIN, ROOT } from '../make/world.ts';
import { must, type Outcome, outcomeOf } from './outcome.ts';

interface PartyInput {
  readonly id: string;
  readonly jkt: string;
}

/** Out of a real, signed bundle that holds it. */
export const bundled = (now: number, contents: Claims) =>
  must(
    verifyBundle(bundle({ iat: now, exp: now + 60, ...contents }), {
      trustDomain: DOMAIN,
      root: ROOT.jkt,
      last: { epoch: 1, seq: 1 },
      now,
    }),
  );

export const trusted = (now: number, anchors: unknown): Pick<ChainContext, 'anchors' | 'issuers'> => {
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
