/** What stands in a local domain’s folders for a principal, for an agent, and for all: keys, credentials, the bundle. */
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { jwkOf } from '../../core/keys.ts';
import { agentTypeOf, type IdPattern } from '../../core/spiffe-id.ts';
import { verifyBundle } from '../../core/trust/bundle.ts';
import { makeSigningKey, privateKeyPem, type SigningKey } from '../../edge/keys/signing-key.ts';
import { type FileContent, writeFilesAtomic } from '../../edge/store/atomic-file.ts';
import { issueSvid, makeTlsKey } from '../authority/certificates.ts';
import { issueTokens } from '../authority/tokens.ts';
import { readAttributesFile } from './attributes-file.ts';
import { issueBundle } from './bundle.ts';
import { ORDER_FREE, readAuthorityIn, readKey } from './files.ts';
import {
  AGENT_FILES,
  agentIdIn,
  type DomainState,
  folderNameOf,
  LocalDomainError,
  layoutOf,
} from './layout.ts';
import { sidecarTemplate } from './templates.ts';

export interface RenewedAgent {
  readonly name: string;
  /** Seconds. */
  readonly notAfter: number;
}

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Makes a principal’s key. One that is there already is kept: a run that was cut short leaves one, and someone may rely on it. */
export const makePrincipal = (directory: string, state: DomainState, name: string): void => {
  const at = layoutOf(directory);
  const principal = state.principals[name] ?? '';
  let key: SigningKey;
  if (existsSync(at.principalKey(name))) key = readKey(at.principalKey(name));
  else {
    key = makeSigningKey();
    writeFilesAtomic([{ file: at.principalKey(name), content: privateKeyPem(key.key) }]);
  }
  writeFilesAtomic([
    { file: at.principal(name), content: toJson({ principal, thumbprint: key.thumbprint }), mode: 0o644 },
  ]);
};

/** Makes an agent’s folder with keys, credentials and configuration; in one that is there only the credentials are new. */
export const makeAgent = async (
  directory: string,
  state: DomainState,
  name: string,
  now: number,
): Promise<RenewedAgent> => {
  const folder = layoutOf(directory).agent(name);
  if (existsSync(folder)) return renewAgent(directory, state, name, now);
  const agentKey = makeSigningKey();
  const auditKey = makeSigningKey();
  const temporary = mkdtempSync(path.join(layoutOf(directory).agents, `.${folderNameOf(name)}.`));
  try {
    writeFilesAtomic([
      { file: path.join(temporary, AGENT_FILES.agentKey), content: privateKeyPem(agentKey.key) },
      { file: path.join(temporary, AGENT_FILES.auditKey), content: privateKeyPem(auditKey.key) },
      {
        file: path.join(temporary, AGENT_FILES.agentPublic),
        content: toJson(jwkOf(agentKey.x)),
        mode: 0o644,
      },
      { file: path.join(temporary, AGENT_FILES.sidecar), content: sidecarTemplate(state, name), mode: 0o644 },
    ]);
    const renewed = await writeCredentials(directory, temporary, state, name, { agentKey, auditKey }, now);
    renameSync(temporary, folder);
    return renewed;
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
};

/** New credentials for the agent and audit keys that are there. */
export const renewAgent = async (
  directory: string,
  state: DomainState,
  name: string,
  now: number,
): Promise<RenewedAgent> => {
  const folder = layoutOf(directory).agent(name);
  const agentKey = readKey(path.join(folder, AGENT_FILES.agentKey));
  const auditKey = readKey(path.join(folder, AGENT_FILES.auditKey));
  return writeCredentials(directory, folder, state, name, { agentKey, auditKey }, now);
};

/** New SVID with a new key, WIT and key binding; all end together. */
const writeCredentials = async (
  directory: string,
  folder: string,
  state: DomainState,
  name: string,
  { agentKey, auditKey }: { readonly agentKey: SigningKey; readonly auditKey: SigningKey },
  now: number,
): Promise<RenewedAgent> => {
  const at = layoutOf(directory);
  const id = agentIdIn(state.trustDomain, name);
  const svidKey = makeTlsKey();
  const svid = await issueSvid(readAuthorityIn(directory, state.trustDomain), {
    id,
    key: svidKey,
    now,
    ttlSeconds: state.svidTtlSeconds,
  });
  const exp = svid.notAfter;
  const tokens = issueTokens(readKey(at.issuerKey), {
    id,
    agentX: agentKey.x,
    auditX: auditKey.x,
    now,
    exp,
    attested: { method: 'local' },
  });
  writeFilesAtomic([
    { file: path.join(folder, AGENT_FILES.svidKey), content: privateKeyPem(svidKey) },
    { file: path.join(folder, AGENT_FILES.svid), content: svid.pem, mode: 0o644 },
    { file: path.join(folder, AGENT_FILES.wit), content: `${tokens.wit}\n`, mode: 0o644 },
    { file: path.join(folder, AGENT_FILES.keyBinding), content: toJson(tokens.keyBinding), mode: 0o644 },
  ]);
  return { name, notAfter: exp };
};

/** Signs the bundle that `state` describes, and verifies it as a sidecar will; the caller writes it. */
export const signBundle = (directory: string, state: DomainState, now: number): FileContent => {
  const at = layoutOf(directory);
  const types = new Set(state.agents.map((name) => agentTypeOf(agentIdIn(state.trustDomain, name))));
  const delegatees = [...types].map((type) => `spiffe://${state.trustDomain}/agent/${type}/*` as IdPattern);
  const text = issueBundle({
    root: readKey(at.rootKey),
    policy: readKey(at.policyKey),
    trustDomain: state.trustDomain,
    epoch: state.epoch,
    seq: state.seq,
    now,
    ttlSeconds: state.bundleTtlSeconds,
    domains: {
      [state.trustDomain]: {
        x509: [readAuthorityIn(directory, state.trustDomain).certificateDer],
        issuers: [readKey(at.issuerKey).x],
      },
    },
    anchors: Object.entries(state.principals).map(([name, principal]) => ({
      kind: 'principal',
      jwk: jwkOf(readKey(at.principalKey(name)).x),
      principals: [principal],
      human: true,
      delegatees,
      domains: [state.trustDomain],
      scope: state.ceiling.scope,
      max_ttl: state.ceiling.maxTtlSeconds,
      max_depth: state.ceiling.maxDepth,
    })),
    revoked: state.revoked,
    attributes: readAttributesFile(directory, state),
  });
  const bundle = verifyBundle(text, { ...ORDER_FREE, trustDomain: state.trustDomain, root: state.root, now });
  if (!bundle.ok)
    throw new LocalDomainError(`${at.state} makes no valid bundle: ${bundle.reason}: ${bundle.detail}`);
  return { file: at.bundle, content: `${text}\n`, mode: 0o644 };
};
