/** What was revoked, as an index over the bundle's list (SPEC.md section 9). */

import type { VerifiedChain } from '../delegation/chain.ts';
import type { Json, JsonObject } from '../encoding/json.ts';
import { checkMembers, isDigest, isObject, isTime } from '../encoding/members.ts';
import { type AgentId, isAgentId, isPrincipal } from '../spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';

const isUri = (value: unknown): boolean => typeof value === 'string' && isPrincipal(value);

const FORMS = [
  { link: isDigest },
  { link: isDigest, parent: isDigest, delegatee: isAgentId },
  { key: isDigest },
  { key: isDigest, lost: (value: unknown) => value === true },
  { agent: isAgentId },
  { task: isDigest, principal: isUri },
  { principal: isUri, before: isTime },
].map((members) => ({ members, names: Object.keys(members) }));

/** The one that has these very members. */
const formOf = (entry: Json): (typeof FORMS)[number] | undefined => {
  if (!isObject(entry)) return undefined;
  const count = Object.keys(entry).length;
  return FORMS.find(
    ({ names }) => names.length === count && names.every((name) => Object.hasOwn(entry, name)),
  );
};

/** An immutable index; a new bundle brings a new one. */
export class Revocations {
  readonly size: number;
  private readonly links = new Set<string>();
  /** `parent delegatee`: bars making the same link again. */
  private readonly minted = new Set<string>();
  private readonly keys = new Set<string>();
  /** Keys that their agent no longer has. */
  private readonly lost = new Set<string>();
  private readonly agents = new Set<string>();
  /** `task principal` */
  private readonly tasks = new Set<string>();
  private readonly principals = new Map<string, number>();

  private constructor(entries: readonly JsonObject[]) {
    this.size = entries.length;
    for (const entry of entries) this.add(entry);
  }

  static readonly none = new Revocations([]);

  /** Refuses with `claim_*`. */
  static parse(entries: readonly unknown[]): Verdict<Revocations> {
    for (const [index, entry] of entries.entries()) {
      const form = formOf(entry as Json);
      if (form === undefined) return deny('claim_invalid', `revocation ${index + 1} is of no known form`);
      const closed = checkMembers(entry as JsonObject, form.members, `revocation ${index + 1}`);
      if (!closed.ok) return closed;
    }
    return grant(new Revocations(entries as readonly JsonObject[]));
  }

  private add(entry: JsonObject): void {
    const text = entry as Readonly<Record<string, string>>;
    if (entry.link !== undefined) this.links.add(text.link ?? '');
    if (entry.parent !== undefined) this.minted.add(`${text.parent} ${text.delegatee}`);
    if (entry.key !== undefined) (entry.lost === true ? this.lost : this.keys).add(text.key ?? '');
    if (entry.agent !== undefined) this.agents.add(text.agent ?? '');
    if (entry.task !== undefined) this.tasks.add(`${text.task} ${text.principal}`);
    else if (entry.principal !== undefined) {
      const before = Math.max(entry.before as number, this.principals.get(text.principal ?? '') ?? 0);
      this.principals.set(text.principal ?? '', before);
    }
  }

  /** A name and key on their own: the peer of a session. Refuses with `revoked_agent`, `revoked_key`, `agent_key_lost`. */
  checkHolder(id: AgentId, thumbprint: string): Denial | undefined {
    if (this.size === 0) return undefined;
    if (this.agents.has(id)) return deny('revoked_agent', `${id} was revoked`);
    if (this.keys.has(thumbprint)) return deny('revoked_key', `a key of ${id} was revoked`);
    if (this.lost.has(thumbprint))
      return deny('agent_key_lost', `${id} has lost the key that this was granted to`);
    return undefined;
  }

  /** Seconds: from when on what this principal signed with this key counts; Infinity for a key that was revoked, in either form. */
  signsSince(principal: string, thumbprint: string): number {
    if (this.keys.has(thumbprint) || this.lost.has(thumbprint)) return Number.POSITIVE_INFINITY;
    return this.principals.get(principal) ?? 0;
  }

  /** Every position of a chain. Refuses with `revoked_*`, `agent_key_lost`. */
  checkChain(chain: VerifiedChain): Denial | undefined {
    if (this.size === 0) return undefined;
    // A minter that rotates its key goes on below a rebind link; the bar on what it made before must follow it.
    let minters: readonly string[] = [];
    for (const link of chain.links) {
      if (this.links.has(link.id)) return deny('revoked_link', `link ${link.id} was revoked`);
      if (minters.some((parent) => this.minted.has(`${parent} ${link.delegatee}`)))
        return deny('revoked_link', `the link to ${link.delegatee} was revoked`);
      minters = !link.root && link.rebind ? [...minters, link.id] : [link.id];
      const holder = this.checkHolder(link.delegatee, link.delegateeThumbprint);
      if (holder !== undefined) return holder;
    }
    // "Lost" is said of agents' keys; said of a principal's, it must not mean nothing.
    if (this.keys.has(chain.root.anchor) || this.lost.has(chain.root.anchor))
      return deny('revoked_key', 'the principal’s key was revoked');
    if (this.tasks.has(`${chain.task} ${chain.principal}`))
      return deny('revoked_task', `task ${chain.task} was revoked`);
    const before = this.principals.get(chain.principal);
    if (before !== undefined && chain.root.iat < before)
      return deny('revoked_principal', `what ${chain.principal} granted before ${before} was revoked`);
    return undefined;
  }
}
