/** What definitions of tools were seen last, so that a changed one is known before it is called (rug pull; SPEC.md section 13). */
import { LRUCache } from 'lru-cache';
import type { ToolNote } from '../core/audit/record.ts';
import { upTo } from '../core/lru.ts';
import type { OfferedTool } from '../core/message/mcp-server.ts';
import type { Callee } from '../core/policy/destination.ts';
import type { RouteRule } from '../core/policy/model.ts';

const MOST_SEEN = 16_384;
const keyOf = (callee: Callee, route: string, tool: string): string => `${callee} ${route} ${tool}`;

/** How a definition stands to what policy has approved; undefined where there is nothing to say. */
export const changeOf = (
  { tools }: RouteRule,
  name: string,
  digest: string | undefined,
): ToolNote['change'] | undefined => {
  if (tools === undefined) return undefined;
  const approved = Object.hasOwn(tools.approved, name) ? tools.approved[name] : undefined;
  if (approved === undefined) return tools.unlisted === 'allow' ? undefined : 'unlisted';
  return digest === undefined || digest === approved ? undefined : 'changed';
};

/** Whether such a tool is neither shown nor called. */
export const isBarred = ({ tools }: RouteRule, change: ToolNote['change'] | undefined): boolean =>
  change !== undefined && (change === 'changed' ? tools?.changed : tools?.unlisted) === 'deny';

export class ToolWatch {
  private readonly seen = new LRUCache<string, string>(upTo(MOST_SEEN));

  /** A server offers this now. Of what nobody approved nothing is kept, so that no server can crowd out what was. */
  see(callee: Callee, route: RouteRule, { name, digest }: OfferedTool): void {
    if (route.tools !== undefined && Object.hasOwn(route.tools.approved, name))
      this.seen.set(keyOf(callee, route.name, name), digest);
  }

  /** Its digest when it was offered last; undefined where that was never seen here. */
  last(callee: Callee, route: string, tool: string): string | undefined {
    return this.seen.get(keyOf(callee, route, tool));
  }
}
