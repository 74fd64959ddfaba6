/** What the chain vectors share: a verifier in company.com, its bundle and limits. */
import { type Case, NOW } from './case.ts';
import { idOf } from './signing.ts';
import { type Agent, ANCHORS, DOMAIN, issuersOf, PRINCIPAL } from './world.ts';

export const LIMITS = { maxDepth: 5, linkTtlSeconds: 7200, callbacks: false, humanRoot: false };

export interface ChainOptions {
  readonly now?: number;
  readonly source?: string;
  readonly limits?: Partial<typeof LIMITS> & { readonly maxTaskAgeSeconds?: number };
  readonly anchors?: readonly unknown[];
  readonly trustDomain?: string;
  readonly grant?: string;
  readonly callee?: Agent;
}

const party = ({ id, key }: Agent) => ({ id, jkt: key.jkt });

const inputOf = (chain: string, caller: Agent, options: ChainOptions) => ({
  chain,
  ...(options.grant === undefined ? {} : { grant: options.grant }),
  trustDomain: options.trustDomain ?? DOMAIN,
  caller: party(caller),
  ...(options.callee === undefined ? {} : { callee: party(options.callee) }),
  issuers: issuersOf(),
  anchors: options.anchors ?? ANCHORS,
  limits: { ...LIMITS, ...options.limits },
});

/** A chain as text, presented by `caller`, with a reason for which it is refused. */
export const refuse = (
  comment: string,
  chain: readonly string[] | string,
  caller: Agent,
  reason: string,
  options: ChainOptions = {},
): Case => ({
  comment,
  source: options.source ?? '7.2',
  now: options.now ?? NOW,
  input: inputOf(typeof chain === 'string' ? chain : chain.join('~'), caller, options),
  expect: { reason },
});

export interface Outcome {
  readonly depth?: number;
  readonly principal?: string;
  readonly task?: string;
}

/** A chain that holds. */
export const accept = (
  comment: string,
  links: readonly string[],
  caller: Agent,
  outcome: Outcome = {},
  options: ChainOptions = {},
): Case => ({
  ...refuse(comment, links, caller, 'ok', options),
  expect: {
    reason: 'ok',
    depth: outcome.depth ?? links.length,
    principal: outcome.principal ?? PRINCIPAL,
    task: outcome.task ?? idOf(links[0] ?? ''),
    links: links.map(idOf),
  },
});
