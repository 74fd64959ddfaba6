/** Sessions of people who have logged in: agents with a key of an hour, behind whom a human stands. */
import { randomBytes } from 'node:crypto';
import { type AgentId, parseAgentId } from '../../core/spiffe-id.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { nameOf, PRINCIPAL, SESSION, type SessionRecord, USED_TOKEN } from './kinds.ts';
import type { OidcIssuers } from './oidc-issuers.ts';

export const SESSION_SECONDS = 3600;
/** Of what has ended, so much is taken out with each login: more would keep the one who logs in waiting. */
const SWEPT_AT_ONCE = 256;

export class Sessions {
  private readonly records: Records;
  private readonly clock: Clock;
  private readonly issuers: OidcIssuers;

  constructor(records: Records, clock: Clock, issuers: OidcIssuers) {
    this.records = records;
    this.clock = clock;
    this.issuers = issuers;
  }

  /** A name that no session had before: `…/client/alice-5f0c6f0b1a2d3e4f`. */
  newId(trustDomain: string, principal: string): AgentId {
    const word = /[A-Za-z0-9._-]+/.exec(principal.slice(principal.indexOf(':') + 1).replace(/^\/+/, ''))?.[0];
    const name = (word ?? 'session').slice(0, 40).replace(/^[.]+/, '');
    const id = parseAgentId(`spiffe://${trustDomain}/client/${name}-${randomBytes(8).toString('hex')}`);
    if (id === undefined) throw new RangeError(`${trustDomain} and ${name} make no agent ID`);
    return id;
  }

  /** What is known of a live session whose human still stands; throws `standing_lost` for one that has no ground any more. */
  async live(id: AgentId): Promise<SessionRecord> {
    const session = await this.read(id);
    if (session === undefined) throw new Refusal('standing_lost', `${id} is no session, or it has ended`);
    if (!(await this.stands(session.value)))
      throw new Refusal('standing_lost', `${session.value.principal} is not registered any more`);
    return session.value;
  }

  /**
   * For whoever asks what a client is: the principal behind it and its groups, `<issuer>#<group>`. A session whose human has lost
   * standing has neither.
   */
  async sessionOf(
    id: AgentId,
  ): Promise<{ readonly principal: string | undefined; readonly groups: readonly string[] } | undefined> {
    const session = (await this.read(id))?.value;
    if (session === undefined) return undefined;
    if (!(await this.stands(session))) return { principal: undefined, groups: [] };
    return {
      principal: session.principal,
      groups: session.groups.map((group) => `${session.issuer}#${group}`),
    };
  }

  /** Refuses with `api_not_found`. */
  async end(actor: Actor, id: AgentId): Promise<void> {
    const session = await this.read(id);
    if (session === undefined) throw new Refusal('api_not_found', `${id} is no session, or it has ended`);
    await this.records.commit(
      { event: 'session.ended', actor, why: '', data: { session: id, principal: session.value.principal } },
      new Edit().remove(SESSION, session),
    );
  }

  /** Takes some of what has ended out, with whatever else is changed. */
  async sweep(edit: Edit): Promise<void> {
    const now = Math.floor(this.clock.now() / 1000);
    for (const one of [SESSION, USED_TOKEN] as const) {
      const all: readonly Recorded<{ readonly exp: number }>[] = await this.records.list(one);
      for (const { name } of all.filter(({ value }) => value.exp <= now).slice(0, SWEPT_AT_ONCE))
        edit.removed.push(`${one.prefix}/${name}`);
    }
  }

  private async read(id: AgentId): Promise<Recorded<SessionRecord> | undefined> {
    const session = await this.records.get(SESSION, nameOf(id));
    return session !== undefined && session.value.exp > this.clock.now() / 1000 ? session : undefined;
  }

  private async stands({ issuer, subject, principal }: SessionRecord): Promise<boolean> {
    return (
      (await this.issuers.principalOf(issuer, subject)) === principal &&
      (await this.records.get(PRINCIPAL, nameOf(principal))) !== undefined
    );
  }
}
