/**
 * What a workload signs when it enrols or renews: that the agent key is its own, over the verifier's nonce and over
 * everything else that it asks to have certified, so that no part can be exchanged and nothing can be sent twice.
 */
import type { JsonObject } from '../encoding/json.ts';
import { parseJws, type Sign, signJws, type UnverifiedJws, verifyJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isObject, isString, optional } from '../encoding/members.ts';
import { type AdmittedKey, type AgentJwk, admitKey, jwkFault, jwkOf, thumbprintOf } from '../keys.ts';
import { type AgentId, isAgentId } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

export interface EnrolmentClaims {
  /** As the verifier gave it. */
  readonly nonce: string;
  /** base64url SHA-256 of the CSR (DER). */
  readonly csr: string;
  /** Public keys, base64url of 32 octets. */
  readonly agentX: string;
  readonly auditX: string;
  /** The trust domain that is meant: a proof for one verifier is worth nothing at another. */
  readonly trustDomain: string;
  /** The name that is expected; another one is then refused. */
  readonly id?: AgentId;
}

/** In form, and **not** verified. */
export interface UnverifiedEnrolment {
  readonly jws: UnverifiedJws;
  readonly claims: EnrolmentClaims;
}

const isNonce = (value: unknown): boolean =>
  typeof value === 'string' && /^[A-Za-z0-9_-]{43,128}$/.test(value);

const MEMBERS = {
  trust_domain: isString,
  nonce: isNonce,
  csr: isDigest,
  jwk: isObject,
  audit_jwk: isObject,
  id: optional(isAgentId),
} as const;

/** Reads the form. Refuses with parse faults. */
export const parseEnrolmentProof = (text: string): Verdict<UnverifiedEnrolment> => {
  const jws = parseJws(text, 'enrol+jwt');
  if (!jws.ok) return jws;
  const { payload } = jws.value;
  const closed = checkMembers(payload, MEMBERS, 'the enrolment proof');
  if (!closed.ok) return closed;
  const fault = jwkFault(payload.jwk as JsonObject) ?? jwkFault(payload.audit_jwk as JsonObject);
  if (fault !== undefined) return fault;
  return grant({
    jws: jws.value,
    claims: {
      nonce: payload.nonce as string,
      csr: payload.csr as string,
      agentX: (payload.jwk as unknown as AgentJwk).x,
      auditX: (payload.audit_jwk as unknown as AgentJwk).x,
      trustDomain: payload.trust_domain as string,
      ...(payload.id !== undefined && { id: payload.id as AgentId }),
    },
  });
};

/**
 * Admits both keys and checks that the agent key has signed. Refuses with `key_*`, `enrolment_proof`. Ask for the nonce
 * first: admission is dear, and a nonce costs whoever sends junk a request.
 */
export const verifyEnrolmentProof = ({
  jws,
  claims,
}: UnverifiedEnrolment): Verdict<{ readonly agentKey: AdmittedKey; readonly auditKey: AdmittedKey }> => {
  if (jws.kid !== thumbprintOf(claims.agentX))
    return deny('enrolment_proof', 'the proof is signed by another key than it names');
  if (claims.agentX === claims.auditX)
    return deny('enrolment_proof', 'agent key and audit key are one; each has its own');
  const agentKey = admitKey(claims.agentX);
  if (!agentKey.ok) return agentKey;
  const auditKey = admitKey(claims.auditX);
  if (!auditKey.ok) return auditKey;
  if (!verifyJws(jws, agentKey.value.key))
    return deny('enrolment_proof', 'the proof is not signed by the agent key');
  return grant({ agentKey: agentKey.value, auditKey: auditKey.value });
};

export const mintEnrolmentProof = (claims: EnrolmentClaims, sign: Sign): string =>
  signJws(
    'enrol+jwt',
    {
      trust_domain: claims.trustDomain,
      nonce: claims.nonce,
      csr: claims.csr,
      jwk: jwkOf(claims.agentX),
      audit_jwk: jwkOf(claims.auditX),
      id: claims.id,
    },
    sign,
    thumbprintOf(claims.agentX),
  );

const ROTATION = { id: isAgentId, nonce: isNonce, next: isDigest } as const;

export interface Rotation {
  readonly id: AgentId;
  readonly nonce: string;
  /** Thumbprint of the key that follows. */
  readonly next: string;
}

/** The old key's word for the new one: a rotation that was planned, and no theft. */
export const mintRotation = (rotation: Rotation, previousX: string, sign: Sign): string =>
  signJws('rotate+jwt', rotation, sign, thumbprintOf(previousX));

/** Refuses with parse faults, `key_*`, `enrolment_proof`. */
export const verifyRotation = (text: string, previousX: string, expected: Rotation): Verdict<true> => {
  const jws = parseJws(text, 'rotate+jwt');
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, ROTATION, 'the rotation');
  if (!closed.ok) return closed;
  const { id, nonce, next } = closed.value;
  if (jws.value.kid !== thumbprintOf(previousX))
    return deny('enrolment_proof', 'the rotation is not by the key that this agent has');
  if (id !== expected.id || nonce !== expected.nonce || next !== expected.next)
    return deny('enrolment_proof', 'the rotation is for another agent, key or request');
  const key = admitKey(previousX);
  if (!key.ok) return key;
  return verifyJws(jws.value, key.value.key)
    ? grant(true)
    : deny('enrolment_proof', 'the rotation is not signed by the key that this agent has');
};

/** What an X.509 key signs to show that it takes part in this very enrolment (x509pop). */
export const popInput = (nonce: string, csr: string, thumbprint: string): Buffer =>
  Buffer.from(`hopgate-x509pop/1\n${nonce}\n${csr}\n${thumbprint}`, 'latin1');
