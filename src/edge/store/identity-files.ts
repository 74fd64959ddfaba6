/** The identity of this sidecar from files, checked to be of one piece before it replaces the last one. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { AuditSigner } from '../../core/audit/checkpoint.ts';
import { parseStrictObjectText } from '../../core/encoding/json.ts';
import type { Sign } from '../../core/encoding/jws.ts';
import { checkMembers } from '../../core/encoding/members.ts';
import type { AdmittedKey } from '../../core/keys.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Bundle } from '../../core/trust/bundle.ts';
import {
  type Issuers,
  KEY_BINDING_MEMBERS,
  type KeyBinding,
  verifyKeyBinding,
  verifyWit,
} from '../../core/trust/wit.ts';
import { privateKeyPem } from '../keys/signing-key.ts';
import { parsePeerCertificate } from '../tls/peer-certificate.ts';
import type { TlsIdentity } from '../tls/settings.ts';

export interface IdentityFileNames {
  readonly svid: string;
  readonly svidKey: string;
  readonly agentKey: string;
  readonly auditKey: string;
  readonly wit: string;
  readonly keyBinding: string;
}

/** All that this sidecar is. */
export interface SidecarIdentity {
  readonly id: AgentId;
  readonly key: AdmittedKey;
  readonly sign: Sign;
  readonly wit: string;
  readonly kb: KeyBinding;
  readonly tls: TlsIdentity;
  /** base64url SHA-256 of the SVID (DER). */
  readonly certificate: string;
  /** Seconds: the earlier end of SVID and WIT. */
  readonly notAfter: number;
  readonly svidNotBefore: number;
  readonly svidNotAfter: number;
  readonly witExp: number;
  readonly audit: AuditSigner;
}

/** Names the file at fault and what to do; holds nothing of its content. */
export class IdentityError extends Error {}

const read = (file: string, what: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new IdentityError(`${file}: ${what} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
};

const readKey = (file: string, what: string, type: 'ed25519' | 'ec'): KeyObject => {
  let key: KeyObject;
  try {
    key = createPrivateKey(read(file, what));
  } catch (error) {
    if (error instanceof IdentityError) throw error;
    throw new IdentityError(`${file}: ${what} is not a private key in PEM`);
  }
  if (key.asymmetricKeyType !== type)
    throw new IdentityError(`${file}: ${what} is a key of type ${key.asymmetricKeyType}, not ${type}`);
  return key;
};

const publicX = (key: KeyObject): string => createPublicKey(key).export({ format: 'jwk' }).x ?? '';

const signer =
  (key: KeyObject): Sign =>
  (message) =>
    sign(null, message, key);

const readKeyBinding = (file: string): KeyBinding => {
  const parsed = parseStrictObjectText(read(file, 'the key binding').trim());
  const closed = parsed.ok ? checkMembers(parsed.value, KEY_BINDING_MEMBERS, 'the key binding') : parsed;
  if (!closed.ok) throw new IdentityError(`${file}: ${closed.detail}`);
  return closed.value as unknown as KeyBinding;
};

const readCertificate = (pem: string, name: string): X509Certificate => {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new IdentityError(`${name}: the SVID is not a certificate in PEM`);
  }
};

/** What an identity is made of, wherever it was kept. */
export interface IdentityParts {
  /** PEM: the leaf first. */
  readonly svidPem: string;
  readonly svidKey: KeyObject;
  readonly agentKey: KeyObject;
  readonly auditKey: KeyObject;
  readonly wit: string;
  readonly keyBinding: KeyBinding;
}

const readParts = (files: IdentityFileNames): IdentityParts => ({
  svidPem: read(files.svid, 'the SVID'),
  svidKey: readKey(files.svidKey, 'the key of the SVID', 'ec'),
  agentKey: readKey(files.agentKey, 'the agent key', 'ed25519'),
  auditKey: readKey(files.auditKey, 'the audit key', 'ed25519'),
  wit: read(files.wit, 'the WIT').trim(),
  keyBinding: readKeyBinding(files.keyBinding),
});

/** Reads and cross-checks the files. Throws {@link IdentityError}. */
export const loadIdentity = (
  files: IdentityFileNames,
  { issuers }: Pick<Bundle, 'issuers'>,
  nowSeconds: number,
): SidecarIdentity =>
  checkIdentity(
    readParts(files),
    files,
    { issuers, renewal: 'renew it, with "hopgate init --renew" in a local trust domain' },
    nowSeconds,
  );

/** Cross-checks the parts; `names` says where each comes from. Throws {@link IdentityError}. */
export const checkIdentity = (
  parts: IdentityParts,
  names: IdentityFileNames,
  { issuers, renewal }: { readonly issuers: Issuers; readonly renewal: string },
  nowSeconds: number,
): SidecarIdentity => {
  const { svidPem, svidKey, agentKey, auditKey, wit: witText, keyBinding: kb } = parts;
  const leaf = readCertificate(svidPem, names.svid);
  if (!leaf.checkPrivateKey(svidKey))
    throw new IdentityError(`${names.svidKey}: is not the key of ${names.svid}`);
  const certificate = parsePeerCertificate(leaf);
  const wit = verifyWit(witText, issuers, nowSeconds);
  if (!wit.ok) throw new IdentityError(`${names.wit}: ${wit.detail} (${wit.reason}); ${renewal}`);
  const { sub, agentKey: key, auditX, exp } = wit.value;
  if (certificate.uriSans[0] !== sub)
    throw new IdentityError(
      `${names.svid}: names ${certificate.uriSans[0] ?? 'nobody'}, but the WIT names ${sub}`,
    );
  if (publicX(agentKey) !== key.x)
    throw new IdentityError(`${names.agentKey}: is not the key that the WIT names`);
  if (publicX(auditKey) !== auditX)
    throw new IdentityError(`${names.auditKey}: is not the audit key that the WIT names`);
  const binding = verifyKeyBinding(kb, sub, key.x, nowSeconds, issuers);
  if (!binding.ok) throw new IdentityError(`${names.keyBinding}: ${binding.detail} (${binding.reason})`);
  const tls = { cert: svidPem, key: privateKeyPem(svidKey) };
  try {
    // What TLS would choke on later, in the intermediates say, is found while the last good identity is still there.
    createSecureContext(tls);
  } catch {
    throw new IdentityError(`${names.svid}: holds something that TLS can't use`);
  }
  if (nowSeconds >= certificate.notAfter)
    throw new IdentityError(
      `${names.svid}: the SVID expired at ${certificate.notAfter}, it is ${nowSeconds}; ${renewal}`,
    );
  return {
    id: sub,
    key,
    sign: signer(agentKey),
    wit: witText,
    kb,
    tls,
    certificate: certificate.digest,
    notAfter: Math.min(certificate.notAfter, exp),
    svidNotBefore: certificate.notBefore,
    svidNotAfter: certificate.notAfter,
    witExp: exp,
    audit: { sidecar: sub, wit: witText, auditX: auditX ?? '', sign: signer(auditKey) },
  };
};
