/** Whether a body is the one that was signed (RFC 9530). */
import { hash } from 'node:crypto';
import { type Denial, deny } from '../verdict.ts';
import type { ContentDigest } from './fields.ts';

/** Every digest that is named has to fit. Refuses with `request_proof_digest`. */
export const checkContentDigest = ({ sha256, sha512 }: ContentDigest, body: Buffer): Denial | undefined => {
  const fits =
    (sha256 === undefined || hash('sha256', body, 'base64') === sha256) &&
    (sha512 === undefined || hash('sha512', body, 'base64') === sha512);
  return fits ? undefined : deny('request_proof_digest', 'the body is not the one that was signed');
};

/** The value of `Content-Digest` for a body. */
export const contentDigestOf = (body: Uint8Array): string => `sha-256=:${hash('sha256', body, 'base64')}:`;
