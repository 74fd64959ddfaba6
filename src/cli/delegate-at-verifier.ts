/** `hopgate delegate` where a verifier is: bundle, policy and the agent's key from it; by a key, by a session, or after a login. */
import { existsSync } from 'node:fs';
import { type VerifiedChain, verifyChain } from '../core/delegation/chain.ts';
import { mintChildLink, mintRootLink } from '../core/delegation/mint.ts';
import { expandScope } from '../core/delegation/scope.ts';
import { admitKey } from '../core/keys.ts';
import { HARD_MAX_DEPTH } from '../core/limits.ts';
import { type AgentId, parseAgentId } from '../core/spiffe-id.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { SigningKey } from '../edge/keys/signing-key.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { makeTokenId } from '../verifier/authority/tokens.ts';
import { readKey } from '../verifier/local/files.ts';
import { agentIdIn, isAgentName } from '../verifier/local/layout.ts';
import { CommandError } from './command.ts';
import { usageError } from './command-faults.ts';
import { approvalCaveats } from './delegate-approval.ts';
import {
  audOf,
  type DelegateOptions,
  depthOf,
  principalOf,
  purposeOf,
  readCaveats,
  readDelegateeKey,
  ttlOf,
} from './delegate-inputs.ts';
import { chainContext, checkStanding } from './known-trust.ts';
import { type LoggedIn, logIn } from './log-in.ts';
import { type Grantor, grantorOf, isFolder, readGrantor } from './session-folder.ts';
import { nowSeconds } from './time-words.ts';
import { connectVerifier, isVerifierNear } from './verifier-connection.ts';
import { fetchAgentKey, fetchTrust, type VerifierTrust } from './verifier-trust.ts';

export interface Minted {
  readonly trust: VerifierTrust;
  /** Thumbprint of the key that signed L0. */
  readonly anchor: string;
  readonly result: Verdict<{ readonly text: string; readonly chain: VerifiedChain }>;
}

/** Whether a verifier is named, or stands here. */
export const isAtVerifier = ({ dir, bundle, verifier, oidc }: DelegateOptions): boolean =>
  dir === undefined && bundle === undefined && (oidc === true || isVerifierNear({ verifier }));

export const delegateAtVerifier = async (options: DelegateOptions): Promise<Minted> => {
  if (options.oidc === true) return afterLogin(options);
  const folder = options.as !== undefined && isFolder(options.as) ? options.as : undefined;
  const https = (options.verifier ?? process.env.HOPGATE_VERIFIER)?.startsWith('https://') === true;
  const client = connectVerifier({
    verifier: options.verifier,
    as: https ? (options.identity ?? folder) : undefined,
  });
  try {
    if (folder !== undefined) return await mintBySession(options, client, readGrantor(folder));
    return await mintByKey(options, client, readKey(keyFileOf(options)));
  } finally {
    await client.close();
  }
};

const afterLogin = async (options: DelegateOptions): Promise<Minted> => {
  if (options.as !== undefined || options.key !== undefined)
    throw usageError('--oidc asks the identity provider who you are: without --as and --key');
  const { session, client }: LoggedIn = await logIn(options, {
    scope: [...new Set(options.scope)],
    ttlSeconds: ttlOf(options),
    // The session stands between you and the agent.
    maxDepth: Math.min(depthOf(options) + 1, HARD_MAX_DEPTH),
    purpose: (options.purpose ?? options.scope.join(' ')).slice(0, 256),
  });
  try {
    return await mintBySession(options, client, grantorOf(session));
  } finally {
    await client.close();
  }
};

/** `--as alice.key`, or `--as alice` for the file of this name. */
const keyFileOf = ({ as: name, key }: DelegateOptions): string => {
  if (key !== undefined) return key;
  if (name === undefined)
    throw usageError('whose delegation? --as KEYFILE, --as FOLDER of a session, or --oidc to log in');
  const found = [name, `${name}.key`].find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new CommandError(
    `${name}.key: there is no such key; "hopgate principals add ${name}" makes one and registers it`,
  );
};

interface Wanted {
  readonly id: AgentId;
  readonly x: string;
}

const wantedOf = async (
  options: DelegateOptions,
  client: VerifierClient,
  trust: VerifierTrust,
): Promise<Wanted> => {
  const { to } = options;
  const id = parseAgentId(to) ?? (isAgentName(to) ? agentIdIn(trust.trustDomain, to) : undefined);
  if (id === undefined) throw usageError(`--to ${to}: an agent’s SPIFFE ID, or TYPE/INSTANCE`);
  const x =
    options['to-key'] === undefined ? await fetchAgentKey(client, id) : readDelegateeKey(options, trust, id);
  return { id, x };
};

const mintByKey = async (
  options: DelegateOptions,
  client: VerifierClient,
  key: SigningKey,
): Promise<Minted> => {
  const now = nowSeconds();
  const trust = await fetchTrust(client, now);
  const anchor = key.thumbprint;
  const bundle = trust.bundle.value;
  if (!bundle.anchors.has(anchor))
    return { trust, anchor, result: deny('anchor_unknown', 'the verifier knows no principal by this key') };
  const to = await wantedOf(options, client, trust);
  const names = expandScope([...new Set(options.scope)], trust.policy?.scopeSets ?? {});
  if ('fault' in names) return { trust, anchor, result: deny('scope_invalid', names.fault) };
  const caveats = readCaveats(options.caveat ?? [], now);
  if (!caveats.ok) return { trust, anchor, result: caveats };
  const principal = principalOf({ ...options, as: undefined }, trust, key, bundle);
  const purpose = purposeOf(options, trust);
  const place = { principal, delegatee: to.id, parent: anchor, scope: names.patterns, ...purpose };
  const approved = await approvalCaveats(client, trust.policy, place, options.approval);
  if (!approved.ok) return { trust, anchor, result: approved };
  const text = mintRootLink(
    {
      anchorX: key.x,
      principal,
      delegatee: to,
      aud: audOf(options, to.id),
      scope: names.patterns,
      maxDepth: depthOf(options),
      ttlSeconds: ttlOf(options),
      now,
      jti: makeTokenId(),
      caveats: [...caveats.value, ...approved.value],
      ...purpose,
    },
    key.sign,
  );
  return { trust, anchor, result: text.ok ? checked(text.value, to, trust, now) : text };
};

const mintBySession = async (
  options: DelegateOptions,
  client: VerifierClient,
  { link, linkText, key, kb }: Grantor,
): Promise<Minted> => {
  const now = nowSeconds();
  const trust = await fetchTrust(client, now);
  const anchor = link.anchor;
  const to = await wantedOf(options, client, trust);
  const names = expandScope([...new Set(options.scope)], trust.policy?.scopeSets ?? {});
  if ('fault' in names) return { trust, anchor, result: deny('scope_invalid', names.fault) };
  const caveats = readCaveats(options.caveat ?? [], now);
  if (!caveats.ok) return { trust, anchor, result: caveats };
  const purpose = purposeOf(options, trust);
  const { principal, id: parent } = link;
  const place = { principal, delegatee: to.id, parent, scope: names.patterns, ...purpose };
  const approved = await approvalCaveats(client, trust.policy, place, options.approval);
  if (!approved.ok) return { trust, anchor, result: approved };
  const text = mintChildLink(
    link,
    1,
    {
      delegatee: to,
      kb,
      scope: names.patterns,
      remainingDepth: depthOf(options) - 1,
      ttlSeconds: ttlOf(options),
      now,
      jti: makeTokenId(),
      caveats: [...caveats.value, ...approved.value],
      ...purpose,
    },
    key.sign,
  );
  return { trust, anchor, result: text.ok ? checked(`${linkText}~${text.value}`, to, trust, now) : text };
};

/** What a sidecar would say. */
const checked = (
  text: string,
  { id, x }: Wanted,
  { bundle: { value: bundle }, policy }: VerifierTrust,
  now: number,
): Minted['result'] => {
  const key = admitKey(x);
  if (!key.ok) return key;
  const chain = verifyChain(text, { id, key: key.value }, chainContext(bundle, policy, now));
  if (!chain.ok) return chain;
  return checkStanding(chain.value, bundle, policy) ?? grant({ text, chain: chain.value });
};
