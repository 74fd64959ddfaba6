/** A person's side of a login: keys of this session alone, and what the verifier gives for an ID token, checked before it is used. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { type LinkWish, loginEndpoints, type SessionAnswer } from '../../api/logins.ts';
import { parseLink } from '../../core/delegation/link.ts';
import { type AgentId, parseAgentId } from '../../core/spiffe-id.ts';
import { mintEnrolmentProof } from '../../core/trust/enrolment.ts';
import { makeSigningKey, type SigningKey } from '../keys/signing-key.ts';
import { parsePeerCertificate } from '../tls/peer-certificate.ts';
import type { VerifierClient } from './client.ts';
import { makeCsr, makeSvidKey } from './csr.ts';
import { VerifierError } from './verifier-error.ts';

export interface PersonSession {
  readonly answer: SessionAnswer;
  readonly id: AgentId;
  /** Signs for the session; made for it, and gone with it. */
  readonly key: SigningKey;
  readonly audit: SigningKey;
  readonly svidKey: KeyObject;
}

export interface LoginToFinish {
  readonly login: string;
  readonly idToken: string;
  readonly trustDomain: string;
  readonly wish: LinkWish;
  /** The task that this goes on with. */
  readonly renews?: string | undefined;
}

/** Exchanges an ID token for a session. `client` must be one whose verifier proves itself. Throws {@link VerifierError}. */
export const finishLogin = async (client: VerifierClient, given: LoginToFinish): Promise<PersonSession> => {
  const { login, idToken, trustDomain, wish, renews } = given;
  const [key, audit, svidKey] = [makeSigningKey(), makeSigningKey(), makeSvidKey()];
  const csr = await makeCsr(svidKey);
  const proof = mintEnrolmentProof(
    { nonce: login, csr: csr.digest, agentX: key.x, auditX: audit.x, trustDomain },
    key.sign,
  );
  const answer = await client.call(loginEndpoints.finishLogin, {
    body: { login, idToken, csr: csr.pem, proof, wish, ...(renews !== undefined && { renews }) },
  });
  return { answer, id: checked(answer, key, svidKey), key, audit, svidKey };
};

/** A verifier that errs must not leave us with a session that nobody takes. */
const checked = ({ id: text, svid, link }: SessionAnswer, key: SigningKey, svidKey: KeyObject): AgentId => {
  const id = parseAgentId(text);
  const leaf = new X509Certificate(svid);
  if (id === undefined || parsePeerCertificate(leaf).uriSans[0] !== id || !leaf.checkPrivateKey(svidKey))
    throw new VerifierError('verifier_untrusted', 'the session is for another name or key');
  if (link === undefined) return id;
  const first = parseLink(link, true);
  if (!first.ok || first.value.delegatee !== id || first.value.delegateeX !== key.x)
    throw new VerifierError('verifier_untrusted', 'the first link is for another session or key');
  return id;
};
