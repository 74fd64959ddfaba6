/**
 * The workload's side of enrolment and renewal: keys that never leave, a CSR, a proof over the verifier's nonce. `hopgate join` and
 * the running sidecar go the same way.
 */
import { type KeyObject, X509Certificate } from 'node:crypto';
import {
  type Credentials,
  type EnrolmentEvidence,
  enrolmentEndpoints,
  type RenewalEvidence,
} from '../../api/enrolment.ts';
import { trustEndpoints } from '../../api/trust.ts';
import { type AdmittedKey, admitKey } from '../../core/keys.ts';
import { type AgentId, trustDomainOf } from '../../core/spiffe-id.ts';
import { mintEnrolmentProof, mintRotation } from '../../core/trust/enrolment.ts';
import { type Roles, verifyRoles } from '../../core/trust/roles.ts';
import { verifyKeyBinding, verifyWit } from '../../core/trust/wit.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { parsePeerCertificate } from '../tls/peer-certificate.ts';
import type { TlsIdentity } from '../tls/settings.ts';
import { type ClientOptions, VerifierClient } from './client.ts';
import { makeCsr, makeSvidKey } from './csr.ts';
import type { EvidenceSource } from './evidence.ts';
import type { VerifierTarget } from './target.ts';
import { VerifierError } from './verifier-error.ts';

/** What a workload knows before it knows anything else. */
export interface TrustRoot {
  readonly trustDomain: string;
  /** Thumbprint of the root key. */
  readonly root: string;
}

export interface AgentKeys {
  readonly agent: SigningKey;
  readonly audit: SigningKey;
}

/** What an agent is from now on. Everything in it has been checked against the root. */
export interface Enrolled {
  readonly credentials: Credentials;
  readonly id: AgentId;
  readonly keys: AgentKeys;
  /** The SVID's; new each time. */
  readonly svidKey: KeyObject;
  readonly roles: Roles;
}

const untrusted = (what: string): VerifierError => new VerifierError('verifier_untrusted', what);

/**
 * Finds out by which CAs the verifier at an address can prove itself, from roles that the root has signed. Nothing secret is sent:
 * whoever answers here has proven nothing yet. Throws {@link VerifierError}.
 */
export const findVerifier = async (
  url: string,
  { trustDomain, root }: TrustRoot,
  now: number,
  identity?: TlsIdentity,
  options: ClientOptions = {},
): Promise<{ readonly target: VerifierTarget; readonly roles: Roles }> => {
  const client = new VerifierClient({ kind: 'unproven', url }, options);
  try {
    const { roles: text } = await client.call(trustEndpoints.getRoles, {});
    const roles = verifyRoles(text, { trustDomain, root, now });
    if (!roles.ok)
      throw untrusted(
        `${url}: who answers is not the verifier of this root: ${roles.detail} (${roles.reason})`,
      );
    const target = { kind: 'https', url, trustDomain, authorities: roles.value.x509, identity } as const;
    return { target, roles: roles.value };
  } finally {
    await client.close();
  }
};

export interface Ask<Evidence> {
  readonly trust: TrustRoot;
  readonly keys: AgentKeys;
  readonly evidence: EvidenceSource<Evidence & (EnrolmentEvidence | RenewalEvidence)>;
  /** The name that is expected: with another one the verifier refuses. */
  readonly id?: AgentId | undefined;
  /** The agent key so far, in a planned rotation. */
  readonly previous?: SigningKey | undefined;
  /** Seconds. */
  readonly now: () => number;
}

const prepare = async <E>(client: VerifierClient, ask: Ask<E>) => {
  const { trust, keys, evidence, id, previous } = ask;
  const svidKey = makeSvidKey();
  const csr = await makeCsr(svidKey);
  const { nonce } = await client.call(enrolmentEndpoints.createChallenge, {});
  const claims = {
    nonce,
    csr: csr.digest,
    agentX: keys.agent.x,
    auditX: keys.audit.x,
    trustDomain: trust.trustDomain,
    ...(id !== undefined && { id }),
  };
  const rotation =
    previous === undefined || id === undefined
      ? undefined
      : mintRotation({ id, nonce, next: keys.agent.thumbprint }, previous.x, previous.sign);
  const body = {
    evidence: await evidence({ nonce, csr: csr.digest, thumbprint: keys.agent.thumbprint }),
    csr: csr.pem,
    proof: mintEnrolmentProof(claims, keys.agent.sign),
    ...(rotation !== undefined && { previous: rotation }),
  };
  return { svidKey, body };
};

/** Becomes an agent. `client` must be one whose verifier proves itself: evidence is a secret. Throws {@link VerifierError}. */
export const enrol = async (client: VerifierClient, ask: Ask<EnrolmentEvidence>): Promise<Enrolled> => {
  const { svidKey, body } = await prepare(client, ask);
  return check(await client.call(enrolmentEndpoints.enrol, { body }), svidKey, ask);
};

/** Stays one: `client` has the SVID that is renewed. Throws {@link VerifierError}. */
export const renew = async (
  client: VerifierClient,
  ask: Ask<RenewalEvidence> & { readonly id: AgentId },
): Promise<Enrolled> => {
  const { svidKey, body } = await prepare(client, ask);
  return check(await client.call(enrolmentEndpoints.renew, { body }), svidKey, ask);
};

/** A verifier that errs must not leave us with credentials that nobody takes. */
const check = (
  credentials: Credentials,
  svidKey: KeyObject,
  { trust, keys, id: expected, now }: Pick<Ask<unknown>, 'trust' | 'keys' | 'id' | 'now'>,
): Enrolled => {
  const id = credentials.id as AgentId;
  const roles = verifyRoles(credentials.roles, { ...trust, now: now() });
  if (!roles.ok)
    throw untrusted(`the roles that came with the credentials: ${roles.detail} (${roles.reason})`);
  if (trustDomainOf(id) !== trust.trustDomain || (expected !== undefined && id !== expected))
    throw untrusted(`the credentials are for ${id}`);
  checkSvid(credentials, svidKey, roles.value);
  const issuers = new Map([[trust.trustDomain, admittedIssuers(roles.value)]]);
  const wit = verifyWit(credentials.wit, issuers, now());
  if (!wit.ok) throw untrusted(`the WIT: ${wit.detail} (${wit.reason})`);
  if (wit.value.sub !== id || wit.value.agentKey.x !== keys.agent.x || wit.value.auditX !== keys.audit.x)
    throw untrusted('the WIT names another agent, or other keys');
  const binding = verifyKeyBinding(credentials.keyBinding, id, keys.agent.x, wit.value.iat, issuers);
  if (!binding.ok) throw untrusted(`the key binding: ${binding.detail} (${binding.reason})`);
  return { credentials, id, keys, svidKey, roles: roles.value };
};

const checkSvid = ({ id, svid }: Credentials, svidKey: KeyObject, roles: Roles): void => {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(svid);
  } catch {
    throw untrusted('the SVID is no certificate');
  }
  const { uriSans, isCa, chainsTo } = parsePeerCertificate(leaf);
  if (
    !leaf.checkPrivateKey(svidKey) ||
    uriSans.length !== 1 ||
    uriSans[0] !== id ||
    isCa ||
    !chainsTo(roles.x509)
  )
    throw untrusted('the SVID is for another name or key, or by no CA that the root names');
};

/** By thumbprint; of the keys that are good ones. */
export const admittedIssuers = ({ issuers }: Roles): ReadonlyMap<string, AdmittedKey> => {
  const keys = new Map<string, AdmittedKey>();
  for (const x of issuers) {
    const key = admitKey(x);
    if (key.ok) keys.set(key.value.thumbprint, key.value);
  }
  return keys;
};
