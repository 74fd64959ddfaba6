/**
 * A mesh that is nowhere but here: keys made for whoever is named, and chains that are minted and verified as everywhere.
 * What it vouches for nobody else believes.
 */
import { randomBytes } from 'node:crypto';
import type { Caveat } from '../core/delegation/caveats.ts';
import type { Anchor, ChainContext, Holder } from '../core/delegation/chain.ts';
import { parseLink, type UnverifiedLink } from '../core/delegation/link.ts';
import { mintChildLink, mintRootLink } from '../core/delegation/mint.ts';
import type { ScopePattern } from '../core/delegation/scope.ts';
import { type AdmittedKey, admitKey } from '../core/keys.ts';
import { HARD_MAX_DEPTH } from '../core/limits.ts';
import { type AgentId, type IdPattern, trustDomainOf } from '../core/spiffe-id.ts';
import { mintKeyBinding } from '../core/trust/wit.ts';
import { grant, type Verdict } from '../core/verdict.ts';
import { makeSigningKey, type SigningKey } from '../edge/keys/signing-key.ts';

/** One link, the principal's own first. */
export interface RehearsedLink {
  readonly agent: AgentId;
  readonly scope: readonly string[];
  readonly ttlSeconds: number;
  /** Added to those before it. */
  readonly caveats?: readonly Caveat[] | undefined;
}

export interface RehearsedChain {
  /** At least one. */
  readonly links: readonly RehearsedLink[];
  readonly principal: string;
  /** OIDC issuer of the principal's login; '' for a key of the principal's own. */
  readonly issuer: string;
  readonly purpose: string | undefined;
  /** Trust domain in which it is shown. */
  readonly audience: string;
  /** When it was made, seconds. */
  readonly at: number;
}

export interface MintedChain {
  readonly text: string;
  readonly holder: Holder;
  readonly context: Pick<ChainContext, 'anchors' | 'issuers'>;
}

const admitted = ({ x }: SigningKey): AdmittedKey => {
  const key = admitKey(x);
  if (!key.ok) throw new RangeError('a key of our own making was not admitted');
  return key.value;
};

const DAY_SECONDS = 86_400;
const jti = (): string => randomBytes(16).toString('base64url');

export class RehearsalMesh {
  private readonly issuer = makeSigningKey();
  private readonly issuerKey = admitted(this.issuer);
  private readonly principal = makeSigningKey();
  private readonly agents = new Map<AgentId, { readonly key: SigningKey; readonly admitted: AdmittedKey }>();

  holder(id: AgentId): Holder {
    return { id, key: this.agent(id).admitted };
  }

  /** Refuses with what a minter refuses with: `link_scope_widened`, `link_rebind`, `chain_max_depth` and the like. */
  mint({ links, principal, issuer, purpose, audience, at }: RehearsedChain): Verdict<MintedChain> {
    const [first, ...others] = links;
    if (first === undefined) throw new RangeError('a chain has at least one link');
    const domains = [...new Set([...links.map(({ agent }) => trustDomainOf(agent)), audience])];
    const root = mintRootLink(
      {
        anchorX: this.principal.x,
        principal,
        delegatee: { id: first.agent, x: this.agent(first.agent).key.x },
        aud: domains,
        scope: first.scope,
        maxDepth: HARD_MAX_DEPTH,
        ttlSeconds: first.ttlSeconds,
        now: at,
        jti: jti(),
        caveats: first.caveats ?? [],
        ...(purpose === undefined ? {} : { purpose }),
        ...(issuer === ''
          ? {}
          : { orig: { iss: issuer, sub: principal, auth_time: at, token_hash: 'A'.repeat(43) } }),
      },
      this.principal.sign,
    );
    if (!root.ok) return root;
    let text = root.value;
    let leaf = parsed(parseLink(text, true));
    for (const [index, link] of others.entries()) {
      const child = this.mintChild(leaf, index + 1, link, at);
      if (!child.ok) return child;
      text = `${text}~${child.value}`;
      leaf = parsed(parseLink(child.value, false));
    }
    const anchor = this.anchorFor(first, principal, issuer, domains);
    const issuers = new Map(
      domains.map((name) => [name, new Map([[this.issuer.thumbprint, this.issuerKey]])]),
    );
    return grant({
      text,
      holder: this.holder(links.at(-1)?.agent ?? first.agent),
      context: { anchors: new Map([[this.principal.thumbprint, anchor]]), issuers },
    });
  }

  private mintChild(
    leaf: UnverifiedLink,
    depth: number,
    { agent, scope, ttlSeconds, caveats = [] }: RehearsedLink,
    at: number,
  ): Verdict<string> {
    const signer = this.agent(leaf.delegatee).key;
    return mintChildLink(
      leaf,
      depth,
      {
        delegatee: { id: agent, x: this.agent(agent).key.x },
        kb: mintKeyBinding(
          leaf.delegatee,
          signer.x,
          at + 365 * DAY_SECONDS,
          this.issuer.sign,
          this.issuer.thumbprint,
        ),
        scope,
        remainingDepth: HARD_MAX_DEPTH - depth - 1,
        ttlSeconds,
        now: at,
        jti: jti(),
        caveats,
      },
      signer.sign,
    );
  }

  /** A ceiling that is none: what a principal may grant is not what is tried here. */
  private anchorFor(
    { agent, scope }: RehearsedLink,
    principal: string,
    issuer: string,
    domains: readonly string[],
  ): Anchor {
    return {
      kind: issuer === '' ? 'principal' : 'root-issuer',
      x: this.principal.x,
      principals: [principal],
      human: true,
      delegatees: [agent as unknown as IdPattern],
      domains,
      scope: scope as readonly ScopePattern[],
      maxTtlSeconds: 366 * DAY_SECONDS,
      maxDepth: HARD_MAX_DEPTH,
    };
  }

  private agent(id: AgentId) {
    const known = this.agents.get(id);
    if (known !== undefined) return known;
    const key = makeSigningKey();
    const made = { key, admitted: admitted(key) };
    this.agents.set(id, made);
    return made;
  }
}

const parsed = (link: Verdict<UnverifiedLink>): UnverifiedLink => {
  if (!link.ok) throw new RangeError(`a link of our own making: ${link.detail}`);
  return link.value;
};
