/** A running verifier with Alice registered, and chains of hers whose agents really own their names. */
import { policyEndpoints } from '../../src/api/policy.ts';
import { principalEndpoints } from '../../src/api/principals.ts';
import { parseLink, type UnverifiedLink } from '../../src/core/delegation/link.ts';
import { mintChildLink, mintRebindLink, mintRootLink } from '../../src/core/delegation/mint.ts';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { type Bundle, verifyBundle } from '../../src/core/trust/bundle.ts';
import {
  mintRevocationRequest,
  type RequestedTarget,
  type RevocationRequest,
} from '../../src/core/trust/revocation-request.ts';
import { mintKeyBinding } from '../../src/core/trust/wit.ts';
import { makeSigningKey, type SigningKey } from '../../src/edge/keys/signing-key.ts';
import type { VerifierClient } from '../../src/edge/verifier/client.ts';
import { permitted } from './core-world.ts';
import { RunningVerifier, type RunningVerifierOptions, TRUST_DOMAIN } from './running-verifier.ts';

export const ALICE = 'mailto:alice@company.com';
export const MALLORY = 'mailto:mallory@company.com';

export interface Agent {
  readonly id: AgentId;
  readonly key: SigningKey;
}

export const policyYaml = (revision: string, more = ''): string => `apiVersion: hopgate.dev/v1
kind: Policy
revision: ${revision}
routes:
  - name: read
    path: /reports/{id}
    scopes: [cloud:read]
rules:
  - name: all-read
    effect: allow
    scopes: [cloud:read]
${more}`;

let counter = 0;
const nextJti = (): string => `test-jti-${String(++counter).padStart(12, '0')}`;

export class RevocationWorld {
  readonly running: RunningVerifier;
  readonly local: VerifierClient;
  readonly alice = makeSigningKey();
  readonly mallory = makeSigningKey();

  private constructor(running: RunningVerifier) {
    this.running = running;
    this.local = running.local();
  }

  static async start(options: RunningVerifierOptions = {}): Promise<RevocationWorld> {
    const world = new RevocationWorld(await RunningVerifier.start(options));
    await world.local.call(policyEndpoints.publishPolicy, {
      body: { source: policyYaml('r1'), why: 'the first' },
    });
    const people = [
      ['alice', ALICE, world.alice],
      ['mallory', MALLORY, world.mallory],
    ] as const;
    for (const [name, uri, { x }] of people) {
      const delegatees = [`spiffe://${TRUST_DOMAIN}/agent/planner/*`];
      await world.local.call(principalEndpoints.addPrincipal, {
        body: {
          uri,
          keys: [{ name, x }],
          ceiling: { scope: ['cloud:*'], delegatees },
          why: 'a test',
        },
      });
    }
    return world;
  }

  get now(): number {
    return this.running.clock.seconds;
  }

  agent(name: string): Agent {
    return { id: `spiffe://${TRUST_DOMAIN}/agent/${name}` as AgentId, key: makeSigningKey() };
  }

  async as(name: string): Promise<VerifierClient> {
    return this.running.client(await this.running.identity(name));
  }

  /** A link of Alice's to the first, and one from each to the next. */
  chain(
    first: Agent,
    rest: readonly Agent[] = [],
    { by = this.alice, principal = ALICE, ttlSeconds = 3600 } = {},
  ): string {
    const root = permitted(
      mintRootLink(
        {
          anchorX: by.x,
          principal,
          delegatee: { id: first.id, x: first.key.x },
          aud: [TRUST_DOMAIN],
          scope: ['cloud:read'],
          maxDepth: 5,
          ttlSeconds,
          now: this.now,
          jti: nextJti(),
        },
        by.sign,
      ),
    );
    const agents = [first, ...rest];
    return rest.reduce((text, to, index) => this.extend(text, agents[index] as Agent, to, ttlSeconds), root);
  }

  /** The chain with one link more, signed by whom its leaf names. */
  extend(chain: string, from: Agent, to: Agent, ttlSeconds = 3600): string {
    const links = chain.split('~');
    const issuer = this.running.verifier.rooms.authority.signer('wit-issuer');
    const link = permitted(
      mintChildLink(
        linkAt(chain, links.length - 1),
        links.length,
        {
          delegatee: { id: to.id, x: to.key.x },
          kb: mintKeyBinding(from.id, from.key.x, this.now + 3600, issuer.sign, issuer.thumbprint),
          scope: ['cloud:read'],
          remainingDepth: 5,
          ttlSeconds,
          now: this.now,
          jti: nextJti(),
        },
        from.key.sign,
      ),
    );
    return `${chain}~${link}`;
  }

  /** The chain with its leaf bound to another key of the agent that the leaf names. */
  rebind(chain: string, from: Agent, next: SigningKey): string {
    const issuer = this.running.verifier.rooms.authority.signer('wit-issuer');
    const kb = mintKeyBinding(from.id, from.key.x, this.now + 3600, issuer.sign, issuer.thumbprint);
    const leaf = linkAt(chain, chain.split('~').length - 1);
    const options = { newX: next.x, kb, now: this.now, jti: nextJti() };
    return `${chain}~${permitted(mintRebindLink(leaf, options, from.key.sign))}`;
  }

  /** What a sidecar has with the newest bundle. */
  bundle(): Bundle {
    const { publication, authority } = this.running.verifier.rooms;
    const { text, epoch, seq } = publication.current;
    return permitted(
      verifyBundle(text, {
        trustDomain: TRUST_DOMAIN,
        root: authority.rootThumbprint,
        last: { epoch, seq },
        now: this.now,
      }),
    );
  }

  request(target: RequestedTarget, changes: Partial<RevocationRequest> = {}, key = this.alice): string {
    return mintRevocationRequest(
      {
        aud: `spiffe://${TRUST_DOMAIN}/verifier`,
        principal: ALICE,
        target,
        iat: this.now,
        jti: nextJti(),
        ...changes,
      },
      key.x,
      key.sign,
    );
  }

  stop(): Promise<void> {
    return this.running.stop();
  }
}

/** The id of the link at this place of a chain. */
export const linkAt = (chain: string, index: number): UnverifiedLink =>
  permitted(parseLink(chain.split('~')[index] ?? '', index === 0));
