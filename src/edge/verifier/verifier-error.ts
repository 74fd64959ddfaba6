/** Why a call to the verifier has failed, as a reason code. */
import type { ReasonCode } from '../../core/reasons.ts';
import { UntrustedVerifier, type VerifierTarget, whereIs } from './target.ts';

export class VerifierError extends Error {
  /** `verifier_unreachable`, `verifier_untrusted`, or what the verifier refused with. */
  readonly reason: ReasonCode;
  constructor(reason: ReasonCode, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** Of Node's TLS client, when a certificate is not what it should be. */
const CERTIFICATE =
  /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY|DECODE)|SIGNATURE_FAILURE|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|PATH_LENGTH|AKID|WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL/;

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'there is no such socket: is it running?',
  EACCES: 'this user may not open its socket',
  ENOTFOUND: 'that name has no address',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'nothing was heard of it for too long',
  UND_ERR_SOCKET: 'it closed the connection',
  ECONNRESET: 'it closed the connection',
};

/** The error of a call, from whatever was thrown beneath it. */
export const failureOf = (error: unknown, target: VerifierTarget): VerifierError => {
  if (error instanceof VerifierError) return error;
  const { name, code = '', message } = error as NodeJS.ErrnoException;
  const where = whereIs(target);
  if (error instanceof UntrustedVerifier)
    return new VerifierError('verifier_untrusted', `${where}: ${message}`);
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return new VerifierError(
      'verifier_untrusted',
      `${where}: its certificate is not valid now (${code}); it is ${new Date().toISOString()} here: compare both clocks`,
    );
  if (CERTIFICATE.test(code) && !code.startsWith('UND_'))
    return new VerifierError(
      'verifier_untrusted',
      `${where}: its certificate is by no CA of this trust domain (${code})`,
    );
  const words = name === 'TimeoutError' ? 'no answer in time' : WORDS[code];
  return new VerifierError('verifier_unreachable', `${where}: ${words ?? (code || message || name)}`);
};
