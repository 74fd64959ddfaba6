/** The options of `hopgate delegate` to what a link is made of. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseDuration } from '../config/forms.ts';
import { type Caveat, caveatDeadline, parseCaveats } from '../core/delegation/caveats.ts';
import { type Json, parseStrictObjectText } from '../core/encoding/json.ts';
import { jwkFault } from '../core/keys.ts';
import { HARD_MAX_DEPTH } from '../core/limits.ts';
import { type AgentId, isPrincipal, isTrustDomain, parseAgentId, trustDomainOf } from '../core/spiffe-id.ts';
import type { Bundle } from '../core/trust/bundle.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { SigningKey } from '../edge/keys/signing-key.ts';
import { readKey } from '../verifier/local/files.ts';
import { AGENT_FILES, agentIdIn, isAgentName, layoutOf } from '../verifier/local/layout.ts';
import { CommandError } from './command.ts';
import { usageError } from './command-faults.ts';
import type { KnownTrust, TrustOptions } from './known-trust.ts';

export interface DelegateOptions extends TrustOptions {
  readonly as: string | undefined;
  readonly key: string | undefined;
  readonly principal: string | undefined;
  readonly to: string;
  readonly 'to-key': string | undefined;
  readonly scope: readonly string[];
  readonly aud: readonly string[] | undefined;
  readonly ttl: string;
  readonly depth: number;
  readonly purpose: string | undefined;
  readonly caveat: readonly string[] | undefined;
  readonly out: string | undefined;
  readonly json: boolean;
  readonly verifier: string | undefined;
  /** Folder of the identity that speaks to the verifier. */
  readonly identity: string | undefined;
  readonly oidc: boolean | undefined;
  readonly device: boolean | undefined;
  readonly issuer: string | undefined;
  readonly approval: string | undefined;
}

export const readPrincipalKey = (
  { key, as: name, dir }: DelegateOptions,
  { state }: KnownTrust,
): SigningKey => {
  if (key !== undefined) return readKey(key);
  if (name === undefined) throw usageError('whose delegation? --as NAME with --dir, or --key FILE');
  if (dir === undefined || state === undefined) throw usageError('--as needs --dir');
  if (!Object.hasOwn(state.principals, name))
    throw new CommandError(
      `"${name}" is none of the principals in ${dir}: ${Object.keys(state.principals).join(', ')}`,
    );
  return readKey(layoutOf(dir).principalKey(name));
};

export const ttlOf = ({ ttl }: DelegateOptions): number => {
  const seconds = parseDuration(ttl);
  if (seconds === undefined) throw usageError(`--ttl ${ttl}: a duration such as 15m or 1h`);
  return seconds;
};

export const depthOf = ({ depth }: DelegateOptions): number => {
  if (!Number.isInteger(depth) || depth < 1 || depth > HARD_MAX_DEPTH)
    throw usageError(`--depth: a whole number from 1 to ${HARD_MAX_DEPTH}`);
  return depth;
};

export const audOf = ({ aud }: DelegateOptions, id: AgentId): readonly string[] => {
  for (const domain of aud ?? [])
    if (!isTrustDomain(domain)) throw usageError(`--aud ${domain}: a trust domain`);
  return aud === undefined ? [trustDomainOf(id)] : [...new Set(aud)];
};

export const principalOf = (
  { principal, as: name }: DelegateOptions,
  { state }: KnownTrust,
  key: SigningKey,
  bundle: Bundle,
): string => {
  if (principal !== undefined) {
    if (!isPrincipal(principal)) throw usageError(`--principal: a URI such as mailto:alice@company.com`);
    return principal;
  }
  const named = name === undefined ? undefined : state?.principals[name];
  if (named !== undefined) return named;
  const known = bundle.anchors.get(key.thumbprint)?.principals ?? [];
  if (known.length === 1 && known[0] !== undefined && known[0] !== '*') return known[0];
  throw usageError('the bundle does not tell one principal from this key: name --principal');
};

export const delegateeOf = ({ to }: DelegateOptions, { state }: KnownTrust): AgentId => {
  const id = parseAgentId(to);
  if (id !== undefined) return id;
  if (!isAgentName(to)) throw usageError(`--to ${to}: an agent’s SPIFFE ID, or TYPE/INSTANCE in --dir`);
  if (state === undefined) throw usageError(`--to ${to} needs --dir; without it, name the whole SPIFFE ID`);
  return agentIdIn(state.trustDomain, to);
};

/** The agent's public key: from `--to-key`, or from its folder in the local domain. */
export const readDelegateeKey = (
  { 'to-key': file }: DelegateOptions,
  { dir, state }: KnownTrust,
  id: AgentId,
): string => {
  if (file !== undefined) return readJwk(file);
  if (dir === undefined || state === undefined)
    throw usageError('which key is the agent’s? --to-key FILE, or --dir');
  const name = state.agents.find((one) => agentIdIn(state.trustDomain, one) === id);
  if (name === undefined)
    throw new CommandError(`${id} is none of the agents in ${dir}: ${state.agents.join(', ')}`);
  return readJwk(path.join(layoutOf(dir).agent(name), AGENT_FILES.agentPublic));
};

const readJwk = (file: string): string => {
  const parsed = parseStrictObjectText(readFileSync(file, 'utf8').trim());
  const fault = parsed.ok ? jwkFault(parsed.value) : parsed;
  if (fault !== undefined || !parsed.ok)
    throw new CommandError(`${file} is not a public Ed25519 JWK: ${fault?.detail}`);
  return String(parsed.value.x);
};

export const readCaveats = (texts: readonly string[], now: number): Verdict<readonly Caveat[]> => {
  if (texts.length === 0) return grant([]);
  const list: Json[] = [];
  for (const text of texts) {
    const parsed = parseStrictObjectText(text);
    if (!parsed.ok)
      throw usageError(
        `--caveat: ${parsed.detail}; an example is '{"type":"resource","paths":["/reports"]}'`,
      );
    list.push(parsed.value);
  }
  const caveats = parseCaveats(list);
  if (!caveats.ok) return caveats;
  const deadline = caveatDeadline(caveats.value);
  return deadline > now
    ? caveats
    : deny('caveat_before', `a caveat ends the link at ${deadline}, it is ${now}`);
};

/** A link carries patterns; the names that the person used are kept where people read. */
export const purposeOf = (
  { purpose, scope }: DelegateOptions,
  { policy }: KnownTrust,
): { readonly purpose?: string } => {
  const sets = scope.filter((name) => Object.hasOwn(policy?.scopeSets ?? {}, name)).join(' ');
  if (purpose === undefined) return sets === '' ? {} : { purpose: sets };
  return { purpose: sets === '' ? purpose : `${purpose} [${sets}]` };
};
