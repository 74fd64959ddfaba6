/** What this workload shows the verifier, as its configuration says: at enrolment, and again at each renewal. */
import { readFile } from 'node:fs/promises';
import type { EnrolmentEvidence, RenewalEvidence } from '../../api/enrolment.ts';
import type { AttestationConfig } from '../../config/sidecar-schema.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { parseJoinString } from '../../core/trust/join-string.ts';
import { parsePrivateKey } from '../keys/signing-key.ts';
import type { TrustRoot } from './enrolment.ts';
import {
  certificatesIn,
  type EvidenceSource,
  joinEvidence,
  kubernetesEvidence,
  oidcEvidence,
  svidEvidence,
  x509popEvidence,
} from './evidence.ts';

/** The evidence can't be had here; nothing secret in the message. */
export class AttestationError extends Error {}

export interface Attestation {
  /** For a first enrolment; and the name that is expected, where it is known. Throws {@link AttestationError}. */
  enrolment(): Promise<{ readonly evidence: EvidenceSource<EnrolmentEvidence>; readonly id?: AgentId }>;
  readonly renewal: EvidenceSource<RenewalEvidence>;
}

export interface AttestationOptions {
  readonly config: AttestationConfig | undefined;
  readonly trust: TrustRoot;
  /** Names in the configuration are relative to its file. */
  readonly fileAt: (name: string) => string;
}

const content = async (file: string, what: string): Promise<string> => {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new AttestationError(`${file}: ${what} can’t be read (${(error as NodeJS.ErrnoException).code})`);
  }
};

/** Also false for half a file, while somebody writes it. */
const isCertificates = (pem: string): boolean => {
  try {
    return certificatesIn(pem).length > 0;
  } catch {
    return false;
  }
};

/** By the client-credentials grant (RFC 6749 §4.4), for the verifier of this trust domain (RFC 8707). */
const accessToken = async (
  { issuer = '', clientId = '' }: AttestationConfig,
  secretFile: string,
  { trustDomain }: TrustRoot,
): Promise<string> => {
  const secret = await content(secretFile, 'the client secret');
  // Only who uses it pays for it.
  const { allowInsecureRequests, clientCredentialsGrant, discovery } = await import('openid-client');
  const url = new URL(issuer);
  try {
    const execute = url.protocol === 'http:' ? [allowInsecureRequests] : [];
    const provider = await discovery(url, clientId, secret, undefined, { execute, timeout: 10 });
    const resource = `spiffe://${trustDomain}/verifier`;
    return (await clientCredentialsGrant(provider, { resource })).access_token;
  } catch (error) {
    throw new AttestationError(`${issuer}: gives no access token (${whyNone(error)})`);
  }
};

/** What the provider answers is a stranger's text: of it only what has the form of a code (RFC 6749 §5.2). */
const whyNone = (thrown: unknown): string => {
  const { error, cause, name } = thrown as { error?: unknown; cause?: unknown; name?: string };
  if (typeof error === 'string' && /^[a-z_]{1,64}$/.test(error)) return error;
  return [thrown, cause].some(isFetchFault) ? 'it can’t be reached' : (name ?? 'no reason is known');
};

const isFetchFault = (error: unknown): boolean =>
  error instanceof TypeError && error.message === 'fetch failed';

export const makeAttestation = ({ config, trust, fileAt }: AttestationOptions): Attestation => {
  const file = (name: string | undefined): string => fileAt(name ?? '');
  switch (config?.method) {
    case 'kubernetes':
      return both(kubernetesEvidence(() => content(file(config.tokenFile), 'the service-account token')));
    case 'oidc':
      return both(oidcEvidence(() => accessToken(config, file(config.clientSecretFile), trust)));
    case 'x509pop':
      return both(
        x509popEvidence(async () => {
          const key = parsePrivateKey(await content(file(config.svidKey), 'the key of the SVID'));
          if (key === undefined)
            throw new AttestationError(`${file(config.svidKey)}: is not a private key in PEM`);
          const pem = await content(file(config.svid), 'the SVID');
          if (!isCertificates(pem))
            throw new AttestationError(`${file(config.svid)}: is no certificate in PEM`);
          return { pem, key };
        }),
      );
    default:
      return {
        enrolment: () =>
          joinWith(config?.joinFile === undefined ? undefined : fileAt(config.joinFile), trust),
        renewal: svidEvidence,
      };
  }
};

const both = (evidence: EvidenceSource<EnrolmentEvidence & RenewalEvidence>): Attestation => ({
  enrolment: async () => ({ evidence }),
  renewal: evidence,
});

const joinWith = async (file: string | undefined, trust: TrustRoot) => {
  if (file === undefined)
    throw new AttestationError(
      'this agent has no valid SVID and no join string: run "hopgate join", or name a file with one (identity.attestation.joinFile)',
    );
  const join = parseJoinString(await content(file, 'the join string'));
  if (!join.ok) throw new AttestationError(`${file}: ${join.detail}`);
  if (join.value.root !== trust.root)
    throw new AttestationError(`${file}: the join string is of another root than trust.root`);
  return { evidence: joinEvidence(join.value.token), id: join.value.id };
};
