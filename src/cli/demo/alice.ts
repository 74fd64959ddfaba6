/** What Alice does: she registers her key, grants and takes back, as `hopgate principals`, `delegate` and `revoke` do for her. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { principalEndpoints } from '../../api/principals.ts';
import { type RevocationDone, revocationEndpoints } from '../../api/revocations.ts';
import { mintRootLink } from '../../core/delegation/mint.ts';
import { expandScope } from '../../core/delegation/scope.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { mintRevocationRequest, verifierIdOf } from '../../core/trust/revocation-request.ts';
import { makeSigningKey, privateKeyPem, type SigningKey } from '../../edge/keys/signing-key.ts';
import { writeFilesAtomic } from '../../edge/store/atomic-file.ts';
import type { VerifierClient } from '../../edge/verifier/client.ts';
import { makeTokenId } from '../../verifier/authority/tokens.ts';
import { nowSeconds } from '../time-words.ts';
import { ALICE, CEILING, POLICY, PURPOSE, REVIEW, TRUST_DOMAIN } from './story.ts';

export interface AliceGrant {
  readonly to: { readonly id: AgentId; readonly x: string };
  /** Patterns, or names of scope sets. */
  readonly scope: readonly string[];
  readonly maxDepth: number;
  readonly ttlSeconds: number;
  /** Seconds: when she granted it. */
  readonly at: number;
}

export class Alice {
  private readonly key: SigningKey;
  private readonly verifier: VerifierClient;

  private constructor(key: SigningKey, verifier: VerifierClient) {
    this.key = key;
    this.verifier = verifier;
  }

  /** Makes her key, which stays in `directory`, and has its public half registered. */
  static async register(directory: string, verifier: VerifierClient): Promise<Alice> {
    const key = makeSigningKey();
    writeFilesAtomic([{ file: path.join(directory, `${ALICE.name}.key`), content: privateKeyPem(key.key) }]);
    await verifier.call(principalEndpoints.addPrincipal, {
      body: { uri: ALICE.uri, ceiling: CEILING, keys: [{ x: key.x, name: 'first' }], why: 'the demo' },
    });
    return new Alice(key, verifier);
  }

  /** The first link of a chain. */
  grant({ to, scope, maxDepth, ttlSeconds, at }: AliceGrant): string {
    const expanded = expandScope(scope, POLICY.scopeSets);
    if ('fault' in expanded) throw new Error(expanded.fault);
    const link = mintRootLink(
      {
        anchorX: this.key.x,
        principal: ALICE.uri,
        delegatee: to,
        aud: [TRUST_DOMAIN],
        scope: expanded.patterns,
        maxDepth,
        ttlSeconds,
        now: at,
        jti: makeTokenId(),
        purpose: scope.includes(REVIEW) ? `${PURPOSE} [${REVIEW}]` : PURPOSE,
      },
      this.key.sign,
    );
    if (!link.ok) throw new Error(`${link.reason}: ${link.detail}`);
    return link.value;
  }

  /** Ends a task of hers everywhere; the signature says that it is she. */
  revokeTask(task: string): Promise<RevocationDone> {
    const request = mintRevocationRequest(
      {
        aud: verifierIdOf(TRUST_DOMAIN),
        principal: ALICE.uri,
        target: { task },
        iat: nowSeconds(),
        jti: randomBytes(16).toString('base64url'),
      },
      this.key.x,
      this.key.sign,
    );
    return this.verifier.call(revocationEndpoints.requestRevocation, {
      body: { request, why: 'the review is done' },
    });
  }
}
