/** Allowlists and blocklists (SPEC.md section 13). */
import type { VerifiedChain } from '../delegation/model.ts';
import { type AgentId, anyInstanceOf } from '../spiffe-id.ts';
import { type Denial, deny } from '../verdict.ts';
import { type Callee, leavesMesh } from './destination.ts';
import type { PolicyLists } from './model.ts';

/** Lists made ready to be asked: they may be long, and every agent of a chain is looked up in each. */
export interface CompiledLists {
  /** Empty: there is no allowlist. */
  readonly allowAgents: ReadonlySet<string>;
  readonly blockAgents: ReadonlySet<string>;
  readonly blockPrincipals: ReadonlySet<string>;
}

export const compileLists = ({ allowAgents, blockAgents, blockPrincipals }: PolicyLists): CompiledLists => ({
  allowAgents: new Set(allowAgents),
  blockAgents: new Set(blockAgents),
  blockPrincipals: new Set(blockPrincipals),
});

/** An ID is matched by itself and by the one pattern that has `*` in place of its last segment (SPEC.md section 3). */
const listed = (patterns: ReadonlySet<string>, id: AgentId): boolean =>
  patterns.has(id) || patterns.has(anyInstanceOf(id));

/** Lists alone: the callee of an outbound hop, the agents of a chain. Refuses with `list_*`. */
export const checkAgentLists = (lists: CompiledLists, id: AgentId): Denial | undefined => {
  if (listed(lists.blockAgents, id)) return deny('list_blocked', `${id} is on the blocklist`);
  if (lists.allowAgents.size > 0 && !listed(lists.allowAgents, id))
    return deny('list_not_allowed', `${id} is not on the allowlist`);
  return undefined;
};

/** All who take part. Refuses with `list_*`. */
export const checkLists = (
  lists: CompiledLists,
  chain: VerifiedChain,
  callee: Callee,
): Denial | undefined => {
  if (lists.blockPrincipals.has(chain.principal))
    return deny('list_blocked', `${chain.principal} is on the blocklist`);
  if (lists.blockAgents.size + lists.allowAgents.size === 0) return undefined;
  for (const link of chain.links) {
    const denial = checkAgentLists(lists, link.delegatee);
    if (denial !== undefined) return denial;
  }
  return leavesMesh(callee) ? undefined : checkAgentLists(lists, callee);
};
