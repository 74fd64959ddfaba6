/** What this workload shows the verifier, as its configuration says: at enrolment, and again at each renewal. */
import { readFile } from 'node:fs/promises';
import type { EnrolmentEvidence, RenewalEvidence } from '../../api/enrolment.ts';
import type { AttestationConfig } from '../../config/sidecar-schema.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { parseJoinString } from '../../core/trust/join-string.ts';
import { parsePrivateKey } from '../keys/signing-key.ts';
import type { TrustRoot } from './enrolment.ts';
import {
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
    throw new AttestationError(`${issuer}: gives no access token (${(error as Error).name})`);
  }
};

export const makeAttestation = ({ config, trust, fileAt }: AttestationOptions): Attestation => {
  const file = (name: string | undefined): string => fileAt(name ?? '');
  switch (config?.method) {
    case 'kubernetes':
      return both(kubernetesEvidence(file(config.tokenFile)));
    case 'oidc':
      return both(oidcEvidence(() => accessToken(config, file(config.clientSecretFile), trust)));
    case 'x509pop':
      return both(
        x509popEvidence(async () => {
          const key = parsePrivateKey(await content(file(config.svidKey), 'the key of the SVID'));
          if (key === undefined)
            throw new AttestationError(`${file(config.svidKey)}: is not a private key in PEM`);
          return { pem: await content(file(config.svid), 'the SVID'), key };
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
