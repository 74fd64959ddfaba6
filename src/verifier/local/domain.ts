/**
 * A trust domain in a folder, for one machine: made, renewed, added to. Keys are made once and never written over.
 * The clock is passed in, in seconds. Throws {@link LocalDomainError} for what a person can put right, and I/O errors.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { makeSigningKey, privateKeyPem } from '../../edge/keys/signing-key.ts';
import { withLock, writeFilesAtomic } from '../../edge/store/atomic-file.ts';
import { issueSvidCa } from '../authority/certificates.ts';
import { starterPolicy } from '../policy/starter-policy.ts';
import { readAttributesFile } from './attributes-file.ts';
import { makeAgent, makePrincipal, type RenewedAgent, renewAgent, signBundle } from './credentials.ts';
import { checkConfiguration, checkTrust, readState } from './files.ts';
import {
  AGENT_FILES,
  type DomainState,
  folderNameOf,
  LocalDomainError,
  layoutOf,
  MAX_AGENTS,
} from './layout.ts';
import { DEFAULT_CEILING, routesTemplate, sidecarTemplate } from './templates.ts';

export type { RenewedAgent } from './credentials.ts';

// The CA of a local domain lives in a folder, next to its root key: a shorter life would protect nothing.
const AUTHORITY_TTL_SECONDS = 10 * 365 * 86_400;

export interface DomainSpec {
  readonly trustDomain: string;
  /** `planning/1` */
  readonly agents: readonly string[];
  /** Name to URI. */
  readonly principals: Readonly<Record<string, string>>;
  readonly svidTtlSeconds: number;
  readonly bundleTtlSeconds: number;
  /** The most that a principal may grant; by default that of the local policy's scopes. */
  readonly ceiling?: DomainState['ceiling'];
}

const stateFile = (directory: string, state: DomainState) => ({
  file: layoutOf(directory).state,
  content: `${JSON.stringify(state, null, 2)}\n`,
  mode: 0o644,
});

/** Makes a domain in a folder that is absent or empty: all of it, or on failure nothing. */
export const createLocalDomain = async (
  directory: string,
  spec: DomainSpec,
  now: number,
): Promise<DomainState> => {
  checkFolders(spec.agents);
  const target = path.resolve(directory);
  if (existsSync(target)) return createInside(target, spec, now);
  const parent = path.dirname(target);
  const madeParent = mkdirSync(parent, { recursive: true });
  let temporary: string | undefined;
  try {
    temporary = mkdtempSync(path.join(parent, `.${path.basename(target)}.`));
    const work = path.join(temporary, path.basename(target));
    mkdirSync(work, { mode: 0o755 });
    const state = await fill(work, spec, now);
    renameSync(work, target);
    rmSync(temporary, { recursive: true });
    return state;
  } catch (error) {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
    if (madeParent !== undefined) rmSync(madeParent, { recursive: true, force: true });
    throw error;
  }
};

/** An empty folder stays the one it is: it may be somebody's working directory, or a mount point. */
const createInside = async (target: string, spec: DomainSpec, now: number): Promise<DomainState> => {
  if (readdirSync(target).length > 0)
    throw new LocalDomainError(`${target} is not empty; a local trust domain is made in a folder of its own`);
  const moved: string[] = [];
  const temporary = mkdtempSync(path.join(target, '.init-'));
  try {
    const state = await fill(temporary, spec, now);
    // What makes it a domain comes last.
    const last = path.basename(layoutOf(target).state);
    for (const name of [...readdirSync(temporary).filter((one) => one !== last), last]) {
      renameSync(path.join(temporary, name), path.join(target, name));
      moved.push(name);
    }
    return state;
  } catch (error) {
    for (const name of moved) rmSync(path.join(target, name), { recursive: true, force: true });
    throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
};

const fill = async (directory: string, spec: DomainSpec, now: number): Promise<DomainState> => {
  const at = layoutOf(directory);
  for (const folder of [at.root, at.principals, at.agents]) mkdirSync(folder, { mode: 0o700 });
  const root = makeSigningKey();
  const authority = await issueSvidCa(spec.trustDomain, { now, ttlSeconds: AUTHORITY_TTL_SECONDS });
  writeFilesAtomic([
    { file: at.rootKey, content: privateKeyPem(root.key) },
    { file: at.policyKey, content: privateKeyPem(makeSigningKey().key) },
    { file: at.issuerKey, content: privateKeyPem(makeSigningKey().key) },
    { file: at.caKey, content: privateKeyPem(authority.key) },
    { file: at.ca, content: authority.certificatePem, mode: 0o644 },
    { file: at.policy, content: starterPolicy(spec.trustDomain, 'files'), mode: 0o644 },
  ]);
  const state: DomainState = {
    trustDomain: spec.trustDomain,
    root: root.thumbprint,
    epoch: 1,
    seq: 1,
    svidTtlSeconds: spec.svidTtlSeconds,
    bundleTtlSeconds: spec.bundleTtlSeconds,
    ceiling: spec.ceiling ?? DEFAULT_CEILING,
    agents: [...spec.agents],
    principals: { ...spec.principals },
    revoked: [],
  };
  for (const name of Object.keys(state.principals)) makePrincipal(directory, state, name);
  for (const name of state.agents) await makeAgent(directory, state, name, now);
  writeFilesAtomic([stateFile(directory, state), signBundle(directory, state, now)]);
  checkTrust(directory, state, now);
  checkConfiguration(directory, state.agents);
  return state;
};

/** `a-b/c` and `a/b-c` would share a folder. */
const checkFolders = (agents: readonly string[]): void => {
  if (agents.length > MAX_AGENTS)
    throw new LocalDomainError(`a local domain holds at most ${MAX_AGENTS} agents`);
  const byFolder = new Map<string, string>();
  for (const name of agents) {
    const other = byFolder.get(folderNameOf(name));
    if (other !== undefined && other !== name)
      throw new LocalDomainError(
        `agents "${other}" and "${name}" would share the folder ${folderNameOf(name)}`,
      );
    byFolder.set(folderNameOf(name), name);
  }
};

/** The state goes first: a bundle of a sequence number that was used before must never come about. */
const commit = (directory: string, state: DomainState, now: number): DomainState => {
  const next = { ...state, seq: state.seq + 1 };
  const bundle = signBundle(directory, next, now);
  writeFilesAtomic([stateFile(directory, next)]);
  writeFilesAtomic([bundle]);
  checkTrust(directory, next, now);
  return next;
};

/** Works on the state under the lock. Without a domain there is nothing to lock, and it is said so first. */
const withState = async <T>(directory: string, work: (state: DomainState) => Promise<T>): Promise<T> => {
  readState(directory);
  return withLock(directory, () => work(readState(directory)));
};

export interface Renewal {
  readonly state: DomainState;
  readonly agents: readonly RenewedAgent[];
  /** Seconds. */
  readonly bundleExp: number;
}

/**
 * Renews each agent's SVID, WIT and key binding, and signs the next bundle, with what `attributes.yaml` says now. Agent and audit
 * keys stay.
 */
export const renewLocalDomain = (
  directory: string,
  changes: Partial<Pick<DomainSpec, 'svidTtlSeconds' | 'bundleTtlSeconds'>>,
  now: number,
): Promise<Renewal> =>
  withState(directory, async (present) => {
    const before = { ...present, ...changes };
    // Before anything is written: what it says wrong is to be put right first.
    readAttributesFile(directory, before);
    const agents: RenewedAgent[] = [];
    for (const name of before.agents) agents.push(await renewAgent(directory, before, name, now));
    const state = commit(directory, before, now);
    return { state, agents, bundleExp: now + state.bundleTtlSeconds };
  });

export interface Addition {
  readonly state: DomainState;
  readonly agents: readonly RenewedAgent[];
  readonly principals: readonly string[];
  /** Sidecar files that someone has changed, and the routes that they may lack. */
  readonly leftAlone: readonly { readonly file: string; readonly routes: string }[];
}

/** Adds agents and principals, and signs the next bundle. Names that are there already stay as they are. */
export const addToLocalDomain = (
  directory: string,
  spec: Pick<DomainSpec, 'agents' | 'principals'>,
  now: number,
): Promise<Addition> =>
  withState(directory, async (before) => {
    for (const [name, uri] of Object.entries(spec.principals)) {
      const known = before.principals[name];
      if (known !== undefined && known !== uri)
        throw new LocalDomainError(`the principal "${name}" is ${known} here; take another name for ${uri}`);
    }
    const agents = spec.agents.filter((name) => !before.agents.includes(name));
    const principals = Object.keys(spec.principals).filter((name) => before.principals[name] === undefined);
    if (agents.length + principals.length === 0)
      throw new LocalDomainError(`all of this is in ${directory} already; --renew renews it`);
    const after: DomainState = {
      ...before,
      agents: [...before.agents, ...agents],
      principals: { ...before.principals, ...spec.principals },
    };
    checkFolders(after.agents);
    readAttributesFile(directory, after);
    for (const name of principals) makePrincipal(directory, after, name);
    const made: RenewedAgent[] = [];
    for (const name of agents) made.push(await makeAgent(directory, after, name, now));
    const state = commit(directory, after, now);
    const leftAlone = agents.length > 0 ? updateSidecars(directory, before, after) : [];
    checkConfiguration(directory, agents);
    return { state, agents: made, principals, leftAlone };
  });

/** Gives the sidecars that nobody has changed their new routes. */
const updateSidecars = (
  directory: string,
  before: DomainState,
  after: DomainState,
): Addition['leftAlone'] => {
  const leftAlone: { file: string; routes: string }[] = [];
  for (const name of before.agents) {
    const file = path.join(layoutOf(directory).agent(name), AGENT_FILES.sidecar);
    const wanted = sidecarTemplate(after, name);
    const present = readFileSync(file, 'utf8');
    if (present === wanted) continue;
    if (present === sidecarTemplate(before, name)) writeFilesAtomic([{ file, content: wanted, mode: 0o644 }]);
    else leftAlone.push({ file, routes: routesTemplate(after, name) });
  }
  return leftAlone;
};
