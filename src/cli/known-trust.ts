/** What a command verifies with: the bundle under a root, and the policy's limits; from a local domain or from single files. */
import { existsSync, readFileSync } from 'node:fs';
import { parsePolicy } from '../config/policy.ts';
import type { ChainContext, ChainLimits, VerifiedChain } from '../core/delegation/chain.ts';
import { parseJws } from '../core/encoding/jws.ts';
import { isDigest } from '../core/encoding/members.ts';
import { DEFAULT_LINK_TTL_SECONDS, DEFAULT_MAX_DEPTH } from '../core/limits.ts';
import { checkAgentLists, compileLists } from '../core/policy/lists.ts';
import type { Policy, PolicyLists } from '../core/policy/model.ts';
import { type Bundle, verifyBundle } from '../core/trust/bundle.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import { ORDER_FREE, readState } from '../verifier/local/files.ts';
import { type DomainState, layoutOf } from '../verifier/local/layout.ts';
import { usageError } from './command-faults.ts';

export interface TrustOptions {
  readonly dir: string | undefined;
  readonly bundle: string | undefined;
  readonly root: string | undefined;
  readonly policy: string | undefined;
}

export interface KnownTrust {
  readonly dir: string | undefined;
  /** Of the local domain, where there is one. */
  readonly state: DomainState | undefined;
  /** Undefined when nothing was named to verify with. */
  readonly bundle: Verdict<Bundle> | undefined;
  /** Thumbprint of the root that the bundle was held against. */
  readonly root: string | undefined;
  readonly policy: Policy | undefined;
}

/** Without a policy: what a sidecar has by default. */
const DEFAULT_LIMITS: ChainLimits = {
  maxDepth: DEFAULT_MAX_DEPTH,
  linkTtlSeconds: DEFAULT_LINK_TTL_SECONDS,
  callbacks: false,
  humanRoot: true,
};

const verifyFile = (
  file: string,
  root: string,
  trustDomain: string | undefined,
  now: number,
): Verdict<Bundle> => {
  const text = readFileSync(file, 'utf8').trim();
  const jws = parseJws(text, 'bundle+jwt');
  if (!jws.ok) return jws;
  // Whose domain it is, we are told by the bundle itself; the root decides whether that is so.
  return verifyBundle(text, {
    ...ORDER_FREE,
    trustDomain: trustDomain ?? String(jws.value.payload.trust_domain),
    root,
    now,
  });
};

/** Reads what `--dir`, or `--bundle` with `--root`, and `--policy` name. */
export const readTrust = (options: TrustOptions, now: number): KnownTrust => {
  const { dir } = options;
  if (options.root !== undefined && !isDigest(options.root))
    throw usageError('--root is a key thumbprint: 43 characters of base64url');
  if (options.bundle !== undefined && options.root === undefined && dir === undefined)
    throw usageError('--bundle needs --root, the thumbprint that it must hang on');
  const state = dir === undefined ? undefined : readState(dir);
  const root = options.root ?? state?.root;
  const bundleFile = options.bundle ?? (dir === undefined ? undefined : layoutOf(dir).bundle);
  const domainPolicy = dir === undefined ? undefined : layoutOf(dir).policy;
  const policyFile =
    options.policy ?? (domainPolicy !== undefined && existsSync(domainPolicy) ? domainPolicy : undefined);
  const bundle =
    bundleFile === undefined || root === undefined
      ? undefined
      : verifyFile(bundleFile, root, state?.trustDomain, now);
  // A sidecar that hears a verifier enforces the policy of the bundle; a file counts where one is named, or there is no other.
  const bundled = bundle?.ok === true ? bundle.value.policy : undefined;
  const policy =
    policyFile === undefined || (options.policy === undefined && bundled !== undefined)
      ? bundled
      : parsePolicy(readFileSync(policyFile, 'utf8'), policyFile);
  return { dir, state, root, bundle, policy };
};

export const chainContext = (bundle: Bundle, policy: Policy | undefined, now: number): ChainContext => ({
  now,
  trustDomain: bundle.trustDomain,
  anchors: bundle.anchors,
  issuers: bundle.issuers,
  limits: policy?.limits ?? DEFAULT_LIMITS,
});

/** For a chain that is looked at without a bundle: the anchor is then the first thing that is missing. */
export const bundlelessContext = (
  trustDomain: string,
  policy: Policy | undefined,
  now: number,
): ChainContext => ({
  now,
  trustDomain,
  anchors: new Map(),
  issuers: new Map(),
  limits: policy?.limits ?? DEFAULT_LIMITS,
});

/** What a sidecar refuses of a verified chain before it looks at the request: `revoked_*`, `list_*`. */
export const checkStanding = (
  chain: VerifiedChain,
  bundle: Bundle,
  policy: Policy | undefined,
): Denial | undefined => {
  const revoked = bundle.revocations.checkChain(chain);
  if (revoked !== undefined) return revoked;
  for (const lists of [policy?.lists, bundle.lists]) {
    const listed = lists === undefined ? undefined : checkLists(chain, lists);
    if (listed !== undefined) return listed;
  }
  return undefined;
};

const checkLists = (chain: VerifiedChain, lists: PolicyLists): Denial | undefined => {
  const compiled = compileLists(lists);
  if (compiled.blockPrincipals.has(chain.principal))
    return deny('list_blocked', `${chain.principal} is on the blocklist`);
  for (const link of chain.links) {
    const listed = checkAgentLists(compiled, link.delegatee);
    if (listed !== undefined) return listed;
  }
  return undefined;
};

/** yargs options that name what to verify with. */
export const TRUST_OPTIONS = {
  dir: { type: 'string', requiresArg: true, describe: 'Local trust domain, as made by "hopgate init"' },
  bundle: { type: 'string', requiresArg: true, describe: 'Trust bundle, in place of the one in --dir' },
  root: {
    type: 'string',
    requiresArg: true,
    describe: 'Thumbprint of the root key, as --root=…, in place of the one in --dir',
  },
  policy: {
    type: 'string',
    requiresArg: true,
    describe: 'Policy file, in place of that of the bundle or --dir',
  },
} as const;
