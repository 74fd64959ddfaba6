/** MCP sessions of the agent behind this sidecar. An id is no bearer token: it is good for the caller and the task that began it. */
import { LRUCache } from 'lru-cache';
import { upTo } from '../core/lru.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { Clock, McpSessionPort, SessionOwner } from '../ports.ts';

const MOST_SESSIONS = 16_384;
/** Of all sessions, what one caller may hold: one that begins ever more ends its own. */
const SHARE = 1 / 4;
const MAX_ID = 512;

export class McpSessions implements McpSessionPort {
  private readonly sessions: LRUCache<string, SessionOwner>;
  private readonly counts = new Map<string, string[]>();

  constructor(idleMs: number, clock: Clock) {
    this.sessions = new LRUCache({
      ...upTo(MOST_SESSIONS),
      ttl: idleMs,
      updateAgeOnGet: true,
      ttlResolution: 0,
      perf: { now: () => clock.monotonic() },
    });
  }

  /** Of sessions that begin from now on. */
  set idleMs(milliseconds: number) {
    this.sessions.ttl = milliseconds;
  }

  get size(): number {
    return this.sessions.size;
  }

  check(id: string, owner: SessionOwner): Denial | undefined {
    const known = this.sessions.get(id);
    if (known === undefined)
      return deny('mcp_session_unknown', 'no session with this id began here, or it was idle for too long');
    return isSame(known, owner)
      ? undefined
      : deny('mcp_session_foreign', 'the session was begun by another caller or for another task');
  }

  begin(id: string, owner: SessionOwner): Denial | undefined {
    const known = this.sessions.get(id);
    if (known !== undefined && !isSame(known, owner))
      return deny('mcp_session_foreign', 'the server gives a session to a second caller or task');
    if (id.length > MAX_ID) return deny('response_malformed', 'the session id is longer than any should be');
    this.makeRoom(owner.caller, id);
    this.sessions.set(id, owner);
    return undefined;
  }

  private makeRoom(caller: string, id: string): void {
    const held = (this.counts.get(caller) ?? []).filter((one) => one !== id && this.sessions.has(one));
    while (held.length >= MOST_SESSIONS * SHARE) this.sessions.delete(held.shift() ?? '');
    held.push(id);
    this.counts.set(caller, held);
  }
}

const isSame = (a: SessionOwner, b: SessionOwner): boolean =>
  a.caller === b.caller && a.task === b.task && a.principal === b.principal;
