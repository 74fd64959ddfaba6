/** What the bundle says of people: the keys from which chains may start, and those that may approve. */
import { ANY_AGENT } from '../../api/principals.ts';
import { jwkOf } from '../../core/keys.ts';
import type { IdPattern } from '../../core/spiffe-id.ts';
import { rolesKind } from '../authority/key-records.ts';
import type { AnchorEntry, ApproverEntry } from '../publication/entries.ts';
import type { Source } from '../publication/sources.ts';
import type { Records } from '../records.ts';
import { AGENT_TYPE } from '../registry/entries.ts';
import { distinctScope } from './ceilings.ts';
import type { DomainKeys } from './domain-keys.ts';
import { OIDC_ISSUER, OIDC_SUBJECT, PRINCIPAL } from './kinds.ts';

export interface AnchorsOptions {
  readonly trustDomain: string;
  /** Public keys of the root issuer, base64url of 32 octets: the present one, and one that is leaving or coming. */
  readonly rootIssuers: readonly string[];
  /** Public keys that the roles in force name, for whatever: base64url of 32 octets. */
  readonly roleKeys: readonly string[];
  /** Agent types that are registered now: what `*` in a ceiling stands for. */
  readonly agentTypes: readonly string[];
}

/** Most delegatees that an anchor may have (SPEC.md section 9). */
const MAX_DELEGATEES = 256;
const MAX_PRINCIPALS = 10_000;
/** The most that sidecars take. */
const MAX_APPROVERS = 1024;

/** The anchors of a bundle: every key of every principal, and the root issuer for who logs in. */
export const anchorsOf = async (
  records: Records,
  options: AnchorsOptions,
): Promise<readonly AnchorEntry[]> => {
  const principals = (await records.list(PRINCIPAL)).map(({ value }) => value);
  const anchors: AnchorEntry[] = [];
  for (const { uri, human, keys, ceiling } of principals) {
    const delegatees = delegateesOf(ceiling.delegatees, options);
    // Nobody whom it could delegate to: an anchor says at least one.
    if (delegatees.length === 0) continue;
    for (const { x } of keys) {
      // Sidecars refuse a whole bundle in which a person has the key of a role.
      if (options.roleKeys.includes(x)) continue;
      anchors.push({
        kind: 'principal',
        jwk: jwkOf(x),
        principals: [uri],
        human,
        delegatees,
        domains: ceiling.domains,
        scope: ceiling.scope,
        max_ttl: ceiling.maxTtlSeconds,
        max_depth: ceiling.maxDepth,
      });
    }
  }
  return [...anchors, ...(await rootIssuersOf(records, new Set(principals.map(({ uri }) => uri)), options))];
};

const delegateesOf = (
  wanted: readonly string[],
  { trustDomain, agentTypes }: AnchorsOptions,
): readonly IdPattern[] => {
  const all = wanted.flatMap((one) =>
    one === ANY_AGENT ? agentTypes.map((type) => `spiffe://${trustDomain}/agent/${type}/*`) : [one],
  );
  return [...new Set(all)].slice(0, MAX_DELEGATEES) as IdPattern[];
};

/** It speaks for those who are registered with a provider, each by name: who is removed is gone from it at once. */
const rootIssuersOf = async (
  records: Records,
  known: ReadonlySet<string>,
  { trustDomain, rootIssuers }: AnchorsOptions,
): Promise<readonly AnchorEntry[]> => {
  const groups = (await records.list(OIDC_ISSUER))
    .flatMap(({ value }) => Object.values(value.groups))
    .filter(({ scope }) => scope.length > 0);
  const subjects = (await records.list(OIDC_SUBJECT)).map(({ value }) => value.principal);
  const principals = [...new Set(subjects)].filter((uri) => known.has(uri)).slice(0, MAX_PRINCIPALS);
  if (groups.length === 0 || principals.length === 0) return [];
  return rootIssuers.map((x) => ({
    kind: 'root-issuer',
    jwk: jwkOf(x),
    principals,
    human: true,
    delegatees: [`spiffe://${trustDomain}/client/*` as IdPattern],
    domains: [trustDomain],
    scope: distinctScope(groups.flatMap(({ scope }) => scope)),
    max_ttl: Math.max(...groups.map(({ maxTtlSeconds }) => maxTtlSeconds)),
    max_depth: Math.max(...groups.map(({ maxDepth }) => maxDepth)),
  }));
};

/** Who may approve, by key. */
export const approversOf = async (
  records: Records,
  roleKeys: readonly string[],
): Promise<readonly ApproverEntry[]> =>
  (await records.list(PRINCIPAL))
    .filter(({ value }) => value.approver)
    .flatMap(({ value: { uri, keys } }) =>
      keys.filter(({ x }) => !roleKeys.includes(x)).map(({ x }) => ({ principal: uri, jwk: jwkOf(x) })),
    )
    .slice(0, MAX_APPROVERS);

/** Agent types that registration entries let workloads become. */
export const agentTypesOf = async (records: Records): Promise<readonly string[]> =>
  (await records.list(AGENT_TYPE)).map(({ name }) => name);

/** Kinds of the records that anchors are made of; the root issuer's keys stand in the roles. */
export const ANCHOR_KINDS: readonly string[] = [
  PRINCIPAL,
  OIDC_ISSUER,
  OIDC_SUBJECT,
  AGENT_TYPE,
  rolesKind,
].map(({ prefix }) => prefix);

/** For publication. `keys` are asked at each reading. */
export const peopleSources = (
  records: Records,
  keys: Pick<DomainKeys, 'trustDomain' | 'rootIssuers' | 'roleKeys'>,
): {
  readonly anchors: Source<readonly AnchorEntry[]>;
  readonly approvers: Source<readonly ApproverEntry[]>;
} => ({
  anchors: {
    kinds: ANCHOR_KINDS,
    read: async () =>
      anchorsOf(records, {
        trustDomain: keys.trustDomain,
        rootIssuers: keys.rootIssuers(),
        roleKeys: keys.roleKeys(),
        agentTypes: await agentTypesOf(records),
      }),
  },
  approvers: {
    kinds: [PRINCIPAL.prefix, rolesKind.prefix],
    read: () => approversOf(records, keys.roleKeys()),
  },
});
