/** Reading a local trust domain back, and checking that what was written holds together. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ConfigError, parseConfig } from '../../config/load.ts';
import { parsePolicy } from '../../config/policy.ts';
import { sidecarSchema } from '../../config/sidecar-schema.ts';
import { type Bundle, verifyBundle } from '../../core/trust/bundle.ts';
import type { Verdict } from '../../core/verdict.ts';
import { parsePrivateKey, type SigningKey, signingKeyOf } from '../../edge/keys/signing-key.ts';
import { IdentityError, loadIdentity } from '../../edge/store/identity-files.ts';
import { parsePeerCertificate } from '../../edge/tls/peer-certificate.ts';
import { readSvidCa, type SvidCa } from '../authority/certificates.ts';
import {
  AGENT_FILES,
  agentIdIn,
  type DomainState,
  domainSchema,
  LocalDomainError,
  layoutOf,
} from './layout.ts';

/** For those who look at a bundle and keep none: any order is new. */
export const ORDER_FREE = { last: { epoch: 0, seq: 0 } } as const;

const readText = (file: string): string => readFileSync(file, 'utf8');

/** `domain.json` of a folder. Throws {@link LocalDomainError} when there is none or it is malformed. */
export const readState = (directory: string): DomainState => {
  const file = layoutOf(directory).state;
  if (!existsSync(file))
    throw new LocalDomainError(
      `${directory} is no local trust domain (no domain.json); make one with "hopgate init ${directory}"`,
    );
  try {
    // YAML is a superset of JSON, so that a hand-made fault is named with its line.
    return parseConfig(readText(file), file, domainSchema).value;
  } catch (error) {
    if (error instanceof ConfigError) throw new LocalDomainError(error.message);
    throw error;
  }
};

/** An Ed25519 private key from its file. */
export const readKey = (file: string): SigningKey => {
  const key = parsePrivateKey(readText(file));
  const signing = key && signingKeyOf(key);
  if (signing === undefined)
    throw new LocalDomainError(`${file} is not an Ed25519 private key in PKCS#8 PEM`);
  return signing;
};

export const readAuthorityIn = (directory: string, trustDomain: string): SvidCa => {
  const at = layoutOf(directory);
  const key = parsePrivateKey(readText(at.caKey));
  if (key?.asymmetricKeyType !== 'ec')
    throw new LocalDomainError(`${at.caKey} is not an EC private key in PKCS#8 PEM`);
  return readSvidCa(trustDomain, readText(at.ca), key);
};

/** The bundle of a local domain, verified under the root that `domain.json` names. */
export const readBundle = (directory: string, state: DomainState, now: number): Verdict<Bundle> =>
  verifyBundle(readText(layoutOf(directory).bundle).trim(), {
    ...ORDER_FREE,
    trustDomain: state.trustDomain,
    root: state.root,
    now,
  });

/** Loads bundle and credentials as a sidecar does. Throws {@link LocalDomainError} naming what does not hold. */
export const checkTrust = (directory: string, state: DomainState, now: number): void => {
  const at = layoutOf(directory);
  const bundle = readBundle(directory, state, now);
  if (!bundle.ok) throw new LocalDomainError(`${at.bundle}: ${bundle.reason}: ${bundle.detail}`);
  for (const name of state.agents) {
    const fault = credentialFault(at.agent(name), agentIdIn(state.trustDomain, name), bundle.value, now);
    if (fault !== undefined) throw new LocalDomainError(fault);
  }
};

/** Loads the policy and the sidecar files of the agents named. Throws {@link LocalDomainError} with every fault. */
export const checkConfiguration = (directory: string, agents: readonly string[]): void => {
  const at = layoutOf(directory);
  try {
    parsePolicy(readText(at.policy), at.policy);
    for (const name of agents) {
      const file = path.join(at.agent(name), AGENT_FILES.sidecar);
      parseConfig(readText(file), file, sidecarSchema);
    }
  } catch (error) {
    if (error instanceof ConfigError) throw new LocalDomainError(error.message);
    throw error;
  }
};

const credentialFault = (folder: string, id: string, bundle: Bundle, now: number): string | undefined => {
  const file = (name: keyof typeof AGENT_FILES) => path.join(folder, AGENT_FILES[name]);
  try {
    const identity = loadIdentity(
      {
        svid: file('svid'),
        svidKey: file('svidKey'),
        agentKey: file('agentKey'),
        auditKey: file('auditKey'),
        wit: file('wit'),
        keyBinding: file('keyBinding'),
      },
      bundle,
      now,
    );
    if (identity.id !== id) return `its credentials are those of ${identity.id}`;
  } catch (error) {
    if (error instanceof IdentityError) return error.message;
    throw error;
  }
  const svid = new X509Certificate(readText(file('svid')));
  return parsePeerCertificate(svid).chainsTo(bundle.authorities.get(bundle.trustDomain) ?? [])
    ? undefined
    : 'the SVID is not signed by the CA in the bundle';
};
