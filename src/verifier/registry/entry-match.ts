/** Which registration entry a workload has: the selectors of one entry hold, and it says more than every other that holds. */
import { type Entry, placeholderOf } from '../../api/registry.ts';
import { type AgentId, parseAgentId } from '../../core/spiffe-id.ts';
import { Refusal } from '../refusal.ts';

/** What attestation has shown of a workload. */
export interface Attested {
  readonly method: string;
  /** As selectors are written: `k8s:ns=prod`. */
  readonly facts: readonly string[];
  /** What the placeholders of a template stand for. */
  readonly values: Readonly<Record<string, string>>;
  /** The only ID that the evidence is for, where it is for one. */
  readonly id?: AgentId;
}

/** Selectors by how few workloads share them, the rarest first: entries are found by their rarest. */
const RARITY = [
  'join:',
  'x509:spiffe_id=',
  'k8s:pod-uid=',
  'k8s:pod=',
  'oidc:sub=',
  'oidc:client_id=',
  'oidc:azp=',
  'k8s:sa=',
  'k8s:node=',
  'oidc:role=',
  'k8s:ns=',
];

const rarity = (selector: string): number => {
  const rank = RARITY.findIndex((prefix) => selector.startsWith(prefix));
  return rank === -1 ? RARITY.length : rank;
};

/** The selector by which an entry is found; of two equally rare ones the first in order. */
export const rarestOf = (selectors: readonly string[]): string =>
  [...selectors].sort((one, other) => rarity(one) - rarity(other) || (one < other ? -1 : 1))[0] ?? '';

const kindOf = (selector: string): string => selector.slice(0, selector.indexOf(':'));

/** Why these selectors would let in whom nobody means; `undefined` when they are in order. */
export const selectorFault = (id: string, selectors: readonly string[]): string | undefined => {
  if (new Set(selectors).size < selectors.length) return 'a selector stands there twice';
  const kinds = new Set(selectors.map(kindOf));
  if (kinds.size > 1)
    return `one workload is attested in one way: ${[...kinds].join(' and ')} together hold for nobody`;
  const [kind] = kinds;
  const has = (prefix: string): boolean => selectors.some((selector) => selector.startsWith(prefix));
  if (kind === 'oidc' && !has('oidc:iss='))
    return 'names an OIDC client without its issuer: add oidc:iss=…, another issuer may have the same name';
  if (kind === 'oidc' && !has('oidc:sub=') && !has('oidc:client_id=') && !has('oidc:azp='))
    return 'lets in every client of an issuer: add oidc:client_id=… or oidc:sub=…';
  if (kind === 'k8s' && !has('k8s:ns='))
    return 'names no namespace: add k8s:ns=…, another namespace may have the same names';
  if (kind === 'k8s' && !has('k8s:sa=') && !has('k8s:pod=') && !has('k8s:pod-uid='))
    return 'lets in every pod of a namespace: add k8s:sa=…';
  if (kind === 'x509' && !has('x509:spiffe_id=')) return 'lets in a whole trust domain: add x509:spiffe_id=…';
  return placeholderFault(id, kind);
};

const PLACEHOLDERS: Readonly<Record<string, readonly string[]>> = {
  k8s: ['pod', 'pod_uid', 'sa', 'node'],
  oidc: ['client_id', 'sub'],
};

const placeholderFault = (id: string, kind: string | undefined): string | undefined => {
  const placeholder = placeholderOf(id);
  if (placeholder === undefined || (PLACEHOLDERS[kind ?? ''] ?? []).includes(placeholder)) return undefined;
  return `{${placeholder}} is no fact that ${kind} selectors go with`;
};

/** The ID that an entry gives to a workload. Throws `entry_unmatched` when its facts make none. */
export const idFor = (entry: Entry, { values }: Attested): AgentId => {
  const placeholder = placeholderOf(entry.id);
  const value = placeholder === undefined ? '' : values[placeholder];
  const text =
    placeholder === undefined
      ? entry.id
      : `${entry.id.slice(0, entry.id.lastIndexOf('/') + 1)}${value ?? ''}`;
  const id = parseAgentId(text);
  if (id === undefined || value === undefined)
    throw new Refusal(
      'entry_unmatched',
      `the entry ${entry.name} makes no SPIFFE ID here: its {${placeholder}} has no value that can be the end of one`,
    );
  return id;
};

/**
 * The one entry that holds: of those whose selectors are all shown, the one that has every selector of every other.
 * Throws `entry_unmatched` when there is none, or when two say different things: which of them is meant, nobody has said.
 */
export const strictestOf = (entries: readonly Entry[], { facts }: Attested): Entry => {
  const shown = new Set(facts);
  const holding = entries.filter(
    ({ state, selectors }) => state === 'active' && selectors.every((selector) => shown.has(selector)),
  );
  const strictest = holding.filter((entry) =>
    holding.every(
      (other) =>
        other === entry ||
        (other.selectors.length < entry.selectors.length &&
          other.selectors.every((selector) => entry.selectors.includes(selector))),
    ),
  );
  const [entry] = strictest;
  if (entry !== undefined) return entry;
  if (holding.length === 0)
    throw new Refusal('entry_unmatched', 'no registration entry has selectors that this workload fulfils');
  const names = holding.map(({ name }) => name).sort();
  throw new Refusal(
    'entry_unmatched',
    `the entries ${names.join(', ')} fit equally well; make one of them say more than the others`,
  );
};
