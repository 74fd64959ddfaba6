/** Joining with a join string: from one line to an identity, and to a verifier only that has proven itself by the root. */
import { trustEndpoints } from '../../api/trust.ts';
import { trustDomainOf } from '../../core/spiffe-id.ts';
import { type Bundle, verifyBundle } from '../../core/trust/bundle.ts';
import type { JoinString } from '../../core/trust/join-string.ts';
import { makeSigningKey, privateKeyPem } from '../keys/signing-key.ts';
import { VerifierClient } from './client.ts';
import { type Enrolled, enrol, findVerifier } from './enrolment.ts';
import { joinEvidence } from './evidence.ts';
import { unpackBundle } from './packed-bundle.ts';
import type { VerifierTarget } from './target.ts';
import { VerifierError } from './verifier-error.ts';

export interface Joined {
  readonly enrolled: Enrolled;
  /** JWS, and what it says. */
  readonly bundleText: string;
  readonly bundle: Bundle;
  readonly timestamp: string | undefined;
}

/** The first of the addresses at which somebody answers, when it is the verifier. Throws {@link VerifierError}. */
const firstVerifier = async (
  join: JoinString,
  now: () => number,
): Promise<VerifierTarget & { kind: 'https' }> => {
  const trust = { trustDomain: trustDomainOf(join.id), root: join.root };
  let last: VerifierError | undefined;
  for (const address of join.verifiers) {
    try {
      const { target } = await findVerifier(`https://${address}`, trust, now());
      if (target.kind === 'https') return target;
    } catch (error) {
      // Who answers and is somebody else ends it: a second address would only hide that.
      if (!(error instanceof VerifierError) || error.reason !== 'verifier_unreachable') throw error;
      last = error;
    }
  }
  throw last ?? new VerifierError('verifier_unreachable', 'the join string names no verifier');
};

/**
 * Makes keys, and enrols them. The token goes over connections alone whose certificate is that of the verifier, by a CA that the
 * root has named. Throws {@link VerifierError}.
 */
export const joinVerifier = async (join: JoinString, now: () => number): Promise<Joined> => {
  const trust = { trustDomain: trustDomainOf(join.id), root: join.root };
  const target = await firstVerifier(join, now);
  const keys = { agent: makeSigningKey(), audit: makeSigningKey() };
  const client = new VerifierClient(target);
  let enrolled: Enrolled;
  try {
    enrolled = await enrol(client, { trust, keys, evidence: joinEvidence(join.token), id: join.id, now });
  } finally {
    await client.close();
  }
  const { packed, timestamp } = enrolled.credentials;
  const answer = packed === undefined ? await fetchBundle(target, enrolled) : { packed, timestamp };
  const bundleText = (await unpackBundle(answer.packed)) ?? '';
  const bundle = verifyBundle(bundleText, { ...trust, last: { epoch: 0, seq: 0 }, now: now() });
  if (!bundle.ok)
    throw new VerifierError('verifier_untrusted', `its bundle: ${bundle.detail} (${bundle.reason})`);
  return { enrolled, bundleText, bundle: bundle.value, timestamp: answer.timestamp };
};

const fetchBundle = async (
  target: VerifierTarget & { readonly kind: 'https' },
  { credentials, svidKey, roles }: Enrolled,
): Promise<{ readonly packed: string; readonly timestamp?: string | undefined }> => {
  const identity = { cert: credentials.svid, key: privateKeyPem(svidKey) };
  const client = new VerifierClient({ ...target, authorities: roles.x509, identity });
  try {
    const tagged = await client.callTagged(trustEndpoints.getBundle, {});
    if (tagged === undefined) throw new VerifierError('verifier_unreachable', 'the verifier gives no bundle');
    return tagged.answer;
  } finally {
    await client.close();
  }
};
