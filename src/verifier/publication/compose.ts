/** A bundle from its parts: composed, signed, and verified as a sidecar will before anybody gets it. */
import { type Bundle, mintBundle, verifyBundle } from '../../core/trust/bundle.ts';
import { policyDigest } from '../../core/trust/bundle-contents.ts';
import type { SigningKey } from '../../edge/keys/signing-key.ts';
import type { Content } from './sources.ts';

export interface Numbered {
  readonly trustDomain: string;
  readonly epoch: number;
  readonly seq: number;
  /** Seconds. */
  readonly iat: number;
  readonly exp: number;
}

/** Signed, and known to verify. */
export interface Composed {
  readonly epoch: number;
  readonly seq: number;
  readonly iat: number;
  readonly exp: number;
  /** SHA-256 of the text, base64url. */
  readonly digest: string;
  readonly text: string;
  /** As whoever gets it reads it. */
  readonly verified: Bundle;
}

/** A bundle that no sidecar would take: what it says and why, for the log and for who made the change. */
export class BundleFault extends Error {}

const signed = (
  { trustDomain, epoch, seq, iat, exp }: Numbered,
  content: Content,
  roles: string,
  signer: SigningKey,
): string => {
  const { anchors, approvers, policy, lists, revocations, scores, attributes, domains } = content;
  return mintBundle(
    {
      trust_domain: trustDomain,
      epoch,
      seq,
      iat,
      exp,
      roles,
      domains,
      anchors,
      revoked: revocations,
      ...(approvers.length > 0 && { approvers }),
      ...(policy && { policy, policy_digest: policyDigest(policy) }),
      ...(lists && { lists }),
      ...(scores && { scores }),
      ...(attributes && { attributes }),
    },
    signer.sign,
    signer.thumbprint,
  );
};

/** Throws {@link BundleFault}. */
export const compose = (
  number: Numbered,
  content: Content,
  signing: { readonly roles: string; readonly root: string; readonly signer: SigningKey },
): Composed => {
  const { trustDomain, epoch, seq, iat } = number;
  const text = signed(number, content, signing.roles, signing.signer);
  const verified = verifyBundle(text, {
    trustDomain,
    root: signing.root,
    last: { epoch, seq },
    now: iat,
  });
  if (!verified.ok) throw new BundleFault(`sidecars would refuse the next bundle: ${verified.detail}`);
  const { exp, digest } = verified.value;
  return { epoch, seq, iat, exp, digest, text, verified: verified.value };
};
