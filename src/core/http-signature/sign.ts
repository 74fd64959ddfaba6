/** Makes the proof of one request (SPEC.md section 12.1). Nonce, time and key are passed in. */
import { encodeBase64url } from '../encoding/base64url.ts';
import type { Sign } from '../encoding/jws.ts';
import { grant, type Verdict } from '../verdict.ts';
import { coveredOf, type SignedRequest, signatureBase } from './components.ts';
import { contentDigestOf } from './digest.ts';
import { PROOF_LABEL, PROOF_TAG } from './fields.ts';

export interface ProofParameters {
  /** The exact agent ID of the callee. */
  readonly audience: string;
  /** TLS exporter of the connection that the request goes over: 32 octets. */
  readonly exporter: Uint8Array;
  readonly wit: string;
  /** By the agent key that the WIT binds. */
  readonly sign: Sign;
  /** 16–64 of `A–Z a–z 0–9 - _`, never used before. */
  readonly nonce: string;
  /** Seconds. */
  readonly created: number;
  readonly expires: number;
}

/**
 * The headers that a request needs besides those in `request.fields`, as name, value, name, value …. `body` is undefined for
 * a request without one. Refuses with `request_proof_components`: a value of it can't be signed.
 */
export const signRequest = (
  request: SignedRequest,
  body: Uint8Array | undefined,
  { audience, exporter, wit, sign, nonce, created, expires }: ProofParameters,
): Verdict<readonly string[]> => {
  const added: (readonly [string, string])[] = [
    ['workload-identity-token', wit],
    ['hopgate-channel', encodeBase64url(exporter)],
  ];
  if (body !== undefined && !request.fields.has('content-digest'))
    added.push(['content-digest', contentDigestOf(body)]);
  const whole = { ...request, fields: new Map([...request.fields, ...added]) };
  const components = coveredOf(whole);
  const list = components.map((name) => `"${name}"`).join(' ');
  const parameters = `(${list});created=${created};expires=${expires};nonce="${nonce}";tag="${PROOF_TAG}";wimse-aud="${audience}"`;
  const base = signatureBase(whole, components, parameters);
  if (!base.ok) return base;
  return grant([
    ...added.flat(),
    'signature-input',
    `${PROOF_LABEL}=${parameters}`,
    'signature',
    `${PROOF_LABEL}=:${sign(base.value).toString('base64')}:`,
  ]);
};
