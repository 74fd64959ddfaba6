/** The proof of an agent key, bound to role, names, certificates, TLS channel and transcript (SPEC.md section 11). */

import type { Holder } from '../delegation/chain.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { parseJws, type Sign, signJws, verifyJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isString } from '../encoding/members.ts';
import type { ReasonCode } from '../reasons.ts';
import { type Denial, deny } from '../verdict.ts';
import { HANDSHAKE_VERSION } from './frames.ts';

export type Role = 'initiator' | 'responder';

/** One end of the connection as the handshake proves it. */
export interface Party extends Holder {
  /** SHA-256 of the TLS certificate (DER), base64url. */
  readonly certificate: string;
}

export interface Binding {
  readonly initiator: Party;
  readonly responder: Party;
  /** TLS exporter, RFC 9266: 32 octets. */
  readonly exporter: Uint8Array;
  /** th_R or th_I: 32 octets. */
  readonly transcript: Uint8Array;
}

const TYPE = { initiator: 'hs-i+jwt', responder: 'hs-r+jwt' } as const;

const claims = (role: Role, { initiator, responder, exporter, transcript }: Binding) => ({
  label: HANDSHAKE_VERSION,
  role,
  iid: initiator.id,
  rid: responder.id,
  ijkt: initiator.key.thumbprint,
  rjkt: responder.key.thumbprint,
  icert: initiator.certificate,
  rcert: responder.certificate,
  exporter: encodeBase64url(exporter),
  th: encodeBase64url(transcript),
});

const MISMATCH: Readonly<Record<keyof ReturnType<typeof claims>, ReasonCode>> = {
  label: 'proof_role',
  role: 'proof_role',
  iid: 'proof_identity',
  rid: 'proof_identity',
  ijkt: 'proof_key',
  rjkt: 'proof_key',
  icert: 'proof_certificate',
  rcert: 'proof_certificate',
  exporter: 'proof_channel',
  th: 'proof_transcript',
};

const MEMBERS = {
  label: isString,
  role: isString,
  iid: isString,
  rid: isString,
  ijkt: isDigest,
  rjkt: isDigest,
  icert: isDigest,
  rcert: isDigest,
  exporter: isDigest,
  th: isDigest,
} as const;

export const mintProof = (role: Role, binding: Binding, sign: Sign): string =>
  signJws(TYPE[role], claims(role, binding), sign);

/** Verifies the peer's proof. `undefined` when it holds. Refuses with parse faults and `proof_*`. */
export const verifyProof = (text: string, role: Role, binding: Binding): Denial | undefined => {
  const jws = parseJws(text, TYPE[role]);
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, MEMBERS, 'the proof');
  if (!closed.ok) return closed;
  const expected = claims(role, binding);
  for (const name of Object.keys(expected) as (keyof typeof expected)[]) {
    if (jws.value.payload[name] !== expected[name])
      return deny(MISMATCH[name], `${name} of the ${role}'s proof is not what this connection has`);
  }
  return verifyJws(jws.value, binding[role].key.key)
    ? undefined
    : deny('proof_signature', `the ${role}'s proof is not signed by its agent key`);
};
