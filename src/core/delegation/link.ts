/** One link of a delegation chain, parsed strictly and not verified (SPEC.md section 7.1). */
import type { JsonObject } from '../encoding/json.ts';
import { parseJws, sha256Base64url } from '../encoding/jws.ts';
import {
  checkMembers,
  isDigest,
  isInteger,
  isJti,
  isListOf,
  isObject,
  isString,
  isTime,
  optional,
} from '../encoding/members.ts';
import { parseThumbprintUrn, thumbprintOf } from '../keys.ts';
import { HARD_MAX_DEPTH } from '../limits.ts';
import { type AgentId, isAgentId, isPrincipal, isTrustDomain } from '../spiffe-id.ts';
import { cnfKey, KEY_BINDING_MEMBERS, type KeyBinding } from '../trust/wit.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import { type Caveat, parseCaveats } from './caveats.ts';
import { parseScope, type ScopePattern } from './scope.ts';

interface LinkBase {
  /** base64url SHA-256 of the signing input, 43 characters: the link id. */
  readonly id: string;
  readonly signingInput: string;
  readonly signature: Buffer;
  readonly delegatee: AgentId;
  /** The delegatee's agent key, base64url of 32 octets, not yet admitted. */
  readonly delegateeX: string;
  readonly delegateeThumbprint: string;
  readonly aud: readonly string[];
  readonly iat: number;
  readonly exp: number;
  readonly scope: readonly ScopePattern[];
  readonly maxDepth: number;
  readonly caveats: readonly Caveat[];
  readonly purpose: string | undefined;
}

/** L0: a principal (or the root issuer for it) delegates to an agent. */
export interface RootLink extends LinkBase {
  readonly root: true;
  /** Thumbprint of the anchor key. */
  readonly anchor: string;
  readonly principal: string;
  /** OIDC issuer of the login that it rests on, as the link says: to be believed of a root issuer alone. */
  readonly loginIssuer: string | undefined;
  /** The link id of the first L0 of a renewed task. */
  readonly renews: string | undefined;
  /** Seconds: `iat` of that first L0; there exactly when `renews` is. */
  readonly taskStart: number | undefined;
}

/** Li: the delegatee of the parent delegates further. */
export interface ChildLink extends LinkBase {
  readonly root: false;
  readonly parent: string;
  readonly kb: KeyBinding;
  readonly rebind: boolean;
}

export type UnverifiedLink = RootLink | ChildLink;

// No control characters, so that a purpose can be printed; length is in code points.
const PURPOSE = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,256}$/u;

const BOTH = {
  act: isObject,
  cnf: isObject,
  aud: isListOf((domain) => isTrustDomain(domain as string), 1, 8),
  jti: isJti,
  iat: isTime,
  exp: isTime,
  scope: Array.isArray,
  max_depth: isInteger(1, HARD_MAX_DEPTH),
  caveats: optional(() => true),
  purpose: optional((value) => typeof value === 'string' && PURPOSE.test(value)),
} as const;

const ROOT = {
  iss: (value: unknown) => typeof value === 'string' && parseThumbprintUrn(value) !== undefined,
  sub: (value: unknown) => typeof value === 'string' && isPrincipal(value),
  orig: optional(isObject),
  task: optional(isDigest),
  task_start: optional(isTime),
  ...BOTH,
} as const;

const CHILD = {
  par_hash: isDigest,
  kb: isObject,
  rebind: optional((value) => value === true),
  ...BOTH,
} as const;

const ORIG = {
  iss: isString,
  sub: isString,
  auth_time: isTime,
  token_hash: isString,
  acr: optional(isString),
} as const;

/** Parses one link. `root` says whether it stands first. Refuses with parse faults, `scope_*`, `caveat_*`. */
export const parseLink = (text: string, root: boolean): Verdict<UnverifiedLink> => {
  const jws = parseJws(text, 'dlink+jwt');
  if (!jws.ok) return jws;
  const { payload, signingInput, signature } = jws.value;
  const closed = checkMembers(payload, root ? ROOT : CHILD, 'the link');
  if (!closed.ok) return closed;

  const act = checkMembers(payload.act as JsonObject, { sub: isAgentId }, 'act');
  if (!act.ok) return act;
  const x = cnfKey(payload.cnf as JsonObject);
  if (!x.ok) return x;
  const iat = payload.iat as number;
  const exp = payload.exp as number;
  if (exp <= iat) return deny('claim_invalid', 'the link expires before it is issued');
  const scope = parseScope(payload.scope as readonly unknown[]);
  if (!scope.ok) return scope;
  const caveats = payload.caveats === undefined ? grant([]) : parseCaveats(payload.caveats);
  if (!caveats.ok) return caveats;

  const base: LinkBase = {
    id: sha256Base64url(signingInput),
    signingInput,
    signature,
    delegatee: act.value.sub as AgentId,
    delegateeX: x.value,
    delegateeThumbprint: thumbprintOf(x.value),
    aud: payload.aud as readonly string[],
    iat,
    exp,
    scope: scope.value,
    maxDepth: payload.max_depth as number,
    caveats: caveats.value,
    purpose: payload.purpose as string | undefined,
  };
  return root ? rootLink(base, payload) : childLink(base, payload);
};

const rootLink = (base: LinkBase, payload: JsonObject): Verdict<RootLink> => {
  if (payload.orig !== undefined) {
    const orig = checkMembers(payload.orig as JsonObject, ORIG, 'orig');
    if (!orig.ok) return orig;
  }
  const taskStart = payload.task_start as number | undefined;
  if ((payload.task === undefined) !== (taskStart === undefined) || (taskStart ?? 0) > base.iat)
    return deny(
      'claim_invalid',
      'task and task_start stand together, and a task starts before it is renewed',
    );
  return grant({
    ...base,
    root: true,
    anchor: parseThumbprintUrn(payload.iss as string) ?? '',
    principal: payload.sub as string,
    loginIssuer: (payload.orig as JsonObject | undefined)?.iss as string | undefined,
    renews: payload.task as string | undefined,
    taskStart,
  });
};

const childLink = (base: LinkBase, payload: JsonObject): Verdict<ChildLink> => {
  const kb = checkMembers(payload.kb as JsonObject, KEY_BINDING_MEMBERS, 'kb');
  if (!kb.ok) return kb;
  return grant({
    ...base,
    root: false,
    parent: payload.par_hash as string,
    kb: kb.value as unknown as KeyBinding,
    rebind: payload.rebind === true,
  });
};
