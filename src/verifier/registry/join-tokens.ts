/** Join tokens: a secret for one ID, kept as its hash, that makes one agent once. */
import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { entryName } from '../../api/registry.ts';
import { encodeBase64url } from '../../core/encoding/base64url.ts';
import { type AgentId, isAgentId } from '../../core/spiffe-id.ts';
import { formatJoinString } from '../../core/trust/join-string.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, type EventBody, kind, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import type { Agents } from './agents.ts';
import type { Entries } from './entries.ts';

export const DEFAULT_JOIN_SECONDS = 600;
/** How long a used or expired token is still known, so that whoever comes with it is told what happened. */
const REMEMBERED_SECONDS = 86_400;

const joinToken = z.strictObject({
  /** Names the token in the ledger and in selectors; says nothing of it. */
  tokenId: z.string(),
  id: z.custom<AgentId>(isAgentId, 'an agent ID'),
  entry: entryName,
  expires: z.int(),
  usedAt: z.int().optional(),
});
export type JoinToken = z.output<typeof joinToken>;

/** `join-token/<SHA-256 of the token>` */
export const JOIN_TOKEN = kind('join-token', joinToken);

export const hashOfToken = (token: string): string => createHash('sha256').update(token).digest('base64url');

export interface JoinTokensParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly entries: Entries;
  readonly agents: Agents;
  /** Thumbprint of the root key. */
  readonly root: () => string;
  /** `host:port`, where agents reach this verifier. */
  readonly addresses: () => readonly string[];
}

export class JoinTokens {
  private readonly parts: JoinTokensParts;

  constructor(parts: JoinTokensParts) {
    this.parts = parts;
  }

  /** Throws `api_not_found`, `api_malformed`, `id_retired`. */
  async make(
    actor: Actor,
    name: string,
    { ttlSeconds = DEFAULT_JOIN_SECONDS, why }: { readonly ttlSeconds?: number; readonly why: string },
  ): Promise<{
    readonly joinString: string;
    readonly tokenId: string;
    readonly id: AgentId;
    readonly expires: number;
  }> {
    const { records, entries, agents, root, addresses } = this.parts;
    const { id, selectors, state } = await entries.get(name);
    if (!isAgentId(id) || !selectors.some((selector) => selector.startsWith('join:')))
      throw new Refusal('api_malformed', `the entry ${name} is not for one agent that joins with a token`);
    if (state === 'retired' || (await agents.find(id))?.value.state === 'retired')
      throw new Refusal('id_retired', `${id} is retired; a retired name does not come back`);
    const token = encodeBase64url(randomBytes(32));
    const tokenId = encodeBase64url(randomBytes(12));
    const expires = this.now + ttlSeconds;
    const edit = new Edit().set(JOIN_TOKEN, hashOfToken(token), { tokenId, id, entry: name, expires }, null);
    await this.forget(edit, hashOfToken(token));
    await records.commit(
      { event: 'join.token_made', actor, why, data: { tokenId, id, entry: name, expires } },
      edit,
    );
    return {
      joinString: formatJoinString({ token, root: root(), id, verifiers: addresses() }),
      tokenId,
      id,
      expires,
    };
  }

  /** Throws `attestation_refused`, `attestation_expired`. */
  async look(token: string): Promise<Recorded<JoinToken>> {
    const found = await this.parts.records.get(JOIN_TOKEN, hashOfToken(token));
    if (found === undefined)
      throw new Refusal('attestation_refused', 'no join token of this verifier’s; ask for a new join string');
    const { usedAt, expires } = found.value;
    if (usedAt !== undefined)
      throw new Refusal(
        'attestation_refused',
        `the join token was used at ${usedAt}; ask for a new join string`,
      );
    if (expires <= this.now)
      throw new Refusal(
        'attestation_expired',
        `the join token expired at ${expires}, it is ${this.now}; ask for a new join string`,
      );
    return found;
  }

  /** Uses a token up, in the enrolment's own commit: of two at once, one finds it changed. */
  use(edit: Edit, token: Recorded<JoinToken>, actor: Actor): EventBody {
    const { tokenId, id } = token.value;
    edit.set(JOIN_TOKEN, token.name, { ...token.value, usedAt: this.now }, token);
    return { event: 'join.token_used', actor, why: '', data: { tokenId, id } };
  }

  /** Hashes are in no order, so that each new one is a fair place to look for old ones from. */
  private async forget(edit: Edit, after: string): Promise<void> {
    const known = await this.parts.records.list(JOIN_TOKEN, { after, limit: 20 });
    for (const token of known)
      if (token.value.expires + REMEMBERED_SECONDS <= this.now) edit.remove(JOIN_TOKEN, token);
  }

  private get now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }
}
