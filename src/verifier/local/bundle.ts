/** The bundle of a trust domain in files. Time is passed in, in seconds. */
import { jwkOf } from '../../core/keys.ts';
import { mintBundle } from '../../core/trust/bundle.ts';
import { mintRoles } from '../../core/trust/roles.ts';
import type { SigningKey } from '../../edge/keys/signing-key.ts';
import type { AnchorEntry, ApproverEntry, AttributesEntry, RevocationEntry } from '../publication/entries.ts';

export interface BundleOptions {
  readonly root: SigningKey;
  readonly policy: SigningKey;
  readonly trustDomain: string;
  readonly epoch: number;
  readonly seq: number;
  readonly now: number;
  readonly ttlSeconds: number;
  /** SVID CA certificates (DER) and public WIT issuer keys (base64url) by trust domain. */
  readonly domains: Readonly<
    Record<string, { readonly x509: readonly Buffer[]; readonly issuers: readonly string[] }>
  >;
  readonly anchors: readonly AnchorEntry[];
  readonly revoked: readonly RevocationEntry[];
  readonly approvers?: readonly ApproverEntry[];
  readonly attributes?: AttributesEntry | undefined;
}

const derText = (der: Buffer): string => der.toString('base64url');

/** Signs the roles with the root key and the bundle with the policy key; both end together. */
export const issueBundle = (options: BundleOptions): string => {
  const { root, policy, trustDomain, epoch, seq, now } = options;
  const exp = now + options.ttlSeconds;
  const { [trustDomain]: ours = { x509: [], issuers: [] }, ...foreign } = options.domains;
  const rootIssuers = options.anchors.filter(({ kind }) => kind === 'root-issuer').map(({ jwk }) => jwk);
  const roles = mintRoles(
    {
      trust_domain: trustDomain,
      epoch,
      iat: now,
      exp,
      root: jwkOf(root.x),
      policy: [jwkOf(policy.x)],
      // A domain in files is signed as a whole whenever it changes: its bundle is its own timestamp.
      timestamp: [],
      issuers: ours.issuers.map(jwkOf),
      root_issuers: rootIssuers,
      x509: ours.x509.map(derText),
    },
    root.sign,
    root.thumbprint,
  );
  const domains = Object.fromEntries(
    Object.entries(foreign).map(([name, { x509, issuers }]) => [
      name,
      { x509: x509.map(derText), issuers: issuers.map(jwkOf) },
    ]),
  );
  return mintBundle(
    {
      trust_domain: trustDomain,
      epoch,
      seq,
      iat: now,
      exp,
      roles,
      domains,
      anchors: options.anchors,
      revoked: options.revoked,
      approvers: options.approvers,
      ...(options.attributes && { attributes: options.attributes }),
    },
    policy.sign,
    policy.thumbprint,
  );
};
