/** A small mesh for tests of the core: keys from seeds, a frozen clock, one trust domain with an issuer and an anchor. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  type KeyObject,
} from 'node:crypto';
import type { Anchor, ChainContext, ChainLimits, Holder } from '../../src/core/delegation/chain.ts';
import { verifyChain } from '../../src/core/delegation/chain.ts';
import { parseLink, type UnverifiedLink } from '../../src/core/delegation/link.ts';
import { mintChildLink, mintRootLink, type RootLinkOptions } from '../../src/core/delegation/mint.ts';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import { type Sign, signJws } from '../../src/core/encoding/jws.ts';
import { type AdmittedKey, admitKey, jwkOf, thumbprintUrn } from '../../src/core/keys.ts';
import type { ReasonCode } from '../../src/core/reasons.ts';
import type { AgentId, IdPattern } from '../../src/core/spiffe-id.ts';
import { type Issuers, type KeyBinding, mintKeyBinding, mintWit } from '../../src/core/trust/wit.ts';
import type { Verdict } from '../../src/core/verdict.ts';

/** Seconds; every test of the core happens now. */
export const NOW = 1_800_000_000;
export const DOMAIN = 'company.com';
export const ALICE = 'mailto:alice@company.com';

/** The value of a verdict that must be a permit. */
export const permitted = <T>(verdict: Verdict<T>): T => {
  if (!verdict.ok) throw new Error(`refused: ${verdict.reason}: ${verdict.detail}`);
  return verdict.value;
};

/** `ok` or the reason of a refusal. */
export const reasonOf = (verdict: Verdict<unknown> | { readonly reason: ReasonCode } | undefined) =>
  verdict === undefined || !('reason' in verdict) ? 'ok' : verdict.reason;

export interface TestKey {
  /** base64url of 32 octets. */
  readonly x: string;
  readonly thumbprint: string;
  readonly admitted: AdmittedKey;
  readonly secret: KeyObject;
  readonly sign: Sign;
}

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The Ed25519 key whose private scalar comes from SHA-256 of `seed`. */
export const testKey = (seed: string): TestKey => {
  const scalar = createHash('sha256').update(seed).digest();
  const secret = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, scalar]),
    format: 'der',
    type: 'pkcs8',
  });
  const x = createPublicKey(secret).export({ format: 'jwk' }).x ?? '';
  const admitted = permitted(admitKey(x));
  return {
    x,
    thumbprint: admitted.thumbprint,
    admitted,
    secret,
    sign: (message) => cryptoSign(null, message, secret),
  };
};

export const issuerKey = testKey('issuer of WITs');
export const principalKey = testKey('key of alice');
export const auditKey = testKey('audit key');

export const issuersOf = (...domains: readonly (readonly [string, ...TestKey[]])[]): Issuers =>
  new Map(
    domains.map(([name, ...keys]) => [name, new Map(keys.map((key) => [key.thumbprint, key.admitted]))]),
  );
export const ISSUERS = issuersOf([DOMAIN, issuerKey]);

export interface TestAgent {
  readonly id: AgentId;
  readonly key: TestKey;
  readonly holder: Holder;
  readonly kb: KeyBinding;
  readonly wit: string;
}

/** An agent of our trust domain; `generation` tells its keys apart. */
export const testAgent = (type: string, generation = 1, instance = 'a1'): TestAgent => {
  const id = `spiffe://${DOMAIN}/agent/${type}/${instance}` as AgentId;
  const key = testKey(`${id} ${generation}`);
  return {
    id,
    key,
    holder: { id, key: key.admitted },
    kb: mintKeyBinding(id, key.x, NOW + 86_400, issuerKey.sign, issuerKey.thumbprint),
    wit: mintWit(
      { sub: id, agentX: key.x, auditX: auditKey.x, iat: NOW - 60, exp: NOW + 3600, jti: jti(`wit ${id}`) },
      issuerKey.sign,
      issuerKey.thumbprint,
    ),
  };
};

/** A token id that looks random and isn’t. */
export const jti = (seed: string): string =>
  createHash('sha256').update(seed).digest('base64url').slice(0, 22);

export const LIMITS: ChainLimits = { maxDepth: 5, linkTtlSeconds: 7200, callbacks: false, humanRoot: false };

export const testAnchor = (changes: Partial<Anchor> = {}): Anchor => ({
  kind: 'principal',
  x: principalKey.x,
  principals: [ALICE],
  human: true,
  delegatees: [`spiffe://${DOMAIN}/agent/planner/*` as IdPattern],
  domains: [DOMAIN, 'partner.org'],
  scope: ['cloud:*', 'ec2:*', 'db:read'] as unknown as readonly ScopePattern[],
  maxTtlSeconds: 7200,
  maxDepth: 5,
  ...changes,
});

export interface ContextChanges extends Partial<Omit<ChainContext, 'anchors' | 'limits'>> {
  readonly anchor?: Partial<Anchor>;
  readonly limits?: Partial<ChainLimits>;
}

export const testContext = ({ anchor, limits, ...rest }: ContextChanges = {}): ChainContext => ({
  now: NOW,
  trustDomain: DOMAIN,
  anchors: new Map([[principalKey.thumbprint, testAnchor(anchor)]]),
  issuers: ISSUERS,
  limits: { ...LIMITS, ...limits },
  ...rest,
});

export const rootOptions = (
  delegatee: TestAgent,
  changes: Partial<RootLinkOptions> = {},
): RootLinkOptions => ({
  anchorX: principalKey.x,
  principal: ALICE,
  delegatee: { id: delegatee.id, x: delegatee.key.x },
  aud: [DOMAIN],
  scope: ['cloud:*'],
  maxDepth: 5,
  ttlSeconds: 3600,
  now: NOW,
  jti: jti(`root ${delegatee.id}`),
  ...changes,
});

export interface Hop {
  readonly to: TestAgent;
  readonly scope?: readonly string[];
  readonly ttlSeconds?: number;
  readonly remainingDepth?: number;
}

/** A chain by the minter itself: L0 to the first agent, then a child a hop. */
export const mintChain = (
  first: TestAgent,
  hops: readonly Hop[] = [],
  root: Partial<RootLinkOptions> = {},
): string => {
  let text = permitted(mintRootLink(rootOptions(first, root), principalKey.sign));
  let leaf: UnverifiedLink = permitted(parseLink(text, true));
  let from = first;
  for (const [index, hop] of hops.entries()) {
    const link = permitted(
      mintChildLink(
        leaf,
        index + 1,
        {
          delegatee: { id: hop.to.id, x: hop.to.key.x },
          kb: from.kb,
          scope: hop.scope ?? leaf.scope,
          remainingDepth: hop.remainingDepth ?? 5,
          ttlSeconds: hop.ttlSeconds ?? 3600,
          now: NOW,
          jti: jti(`${index} ${hop.to.id}`),
        },
        from.key.sign,
      ),
    );
    text = `${text}~${link}`;
    leaf = permitted(parseLink(link, false));
    from = hop.to;
  }
  return text;
};

/** The chain verified for its holder, which must succeed. */
export const verifiedChain = (text: string, holder: TestAgent, context = testContext()) =>
  permitted(verifyChain(text, holder.holder, context));

/** A link signed as it stands: what a minter that checks nothing would send. */
export const signLink = (payload: Readonly<Record<string, unknown>>, key: TestKey): string =>
  signJws('dlink+jwt', payload, key.sign);

/** Members of an L0 that holds under {@link testContext}. */
export const rootClaims = (delegatee: TestAgent, changes: Readonly<Record<string, unknown>> = {}) => ({
  iss: thumbprintUrn(principalKey.thumbprint),
  sub: ALICE,
  act: { sub: delegatee.id },
  cnf: { jwk: jwkOf(delegatee.key.x) },
  aud: [DOMAIN],
  jti: jti(`root ${delegatee.id}`),
  iat: NOW,
  exp: NOW + 3600,
  scope: ['cloud:*'],
  max_depth: 5,
  ...changes,
});

/** Members of a child of `parent` (a compact link), signed on by `from`. */
export const childClaims = (
  parent: string,
  from: TestAgent,
  to: TestAgent,
  changes: Readonly<Record<string, unknown>> = {},
) => ({
  par_hash: createHash('sha256')
    .update(parent.slice(0, parent.lastIndexOf('.')))
    .digest('base64url'),
  kb: from.kb,
  act: { sub: to.id },
  cnf: { jwk: jwkOf(to.key.x) },
  aud: [DOMAIN],
  jti: jti(`child ${to.id}`),
  iat: NOW,
  exp: NOW + 3600,
  scope: ['cloud:*'],
  max_depth: 5,
  ...changes,
});
