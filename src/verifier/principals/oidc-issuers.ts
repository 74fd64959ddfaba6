/** Which identity providers are believed, what their groups give, and who is who there. */
import type { GroupCeiling, OidcIssuer, OidcSubject } from '../../api/principals.ts';
import { MAX_SCOPE_PATTERNS } from '../../core/limits.ts';
import { IdentityProvider } from '../../edge/oidc/identity-provider.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { Edit, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { distinctScope } from './ceilings.ts';
import { nameOf, OIDC_ISSUER, OIDC_SUBJECT, PRINCIPAL } from './kinds.ts';

const MAX_ISSUERS = 16;
const MAX_SUBJECTS = 10_000;

export class OidcIssuers {
  private readonly records: Records;
  private readonly clock: Clock;
  private readonly providers = new Map<string, IdentityProvider>();

  constructor(records: Records, clock: Clock) {
    this.records = records;
    this.clock = clock;
  }

  async list(): Promise<readonly OidcIssuer[]> {
    return (await this.records.list(OIDC_ISSUER)).map(({ value }) => value);
  }

  async subjects(): Promise<readonly OidcSubject[]> {
    return (await this.records.list(OIDC_SUBJECT)).map(({ value }) => value);
  }

  async get(issuer: string): Promise<OidcIssuer | undefined> {
    return (await this.records.get(OIDC_ISSUER, nameOf(issuer)))?.value;
  }

  /** The principal that (iss, sub) is; `undefined` when nobody said so. */
  async principalOf(issuer: string, subject: string): Promise<string | undefined> {
    return (await this.records.get(OIDC_SUBJECT, nameOf(issuer, subject)))?.value.principal;
  }

  /** Keeps the provider's keys from one login to the next. */
  provider(issuer: string): IdentityProvider {
    const known = this.providers.get(issuer);
    if (known !== undefined) return known;
    const provider = new IdentityProvider(issuer, this.clock);
    this.providers.set(issuer, provider);
    return provider;
  }

  /** Refuses with `scope_invalid`, `api_conflict`. */
  async put(actor: Actor, value: OidcIssuer, why: string): Promise<OidcIssuer> {
    const was = await this.records.get(OIDC_ISSUER, nameOf(value.issuer));
    const others = (await this.list()).filter(({ issuer }) => issuer !== value.issuer);
    if (was === undefined && others.length >= MAX_ISSUERS)
      throw new Refusal('api_conflict', `at most ${MAX_ISSUERS} identity providers`);
    // One anchor, that of the root issuer, carries what all groups of all providers may grant.
    const scope = distinctScope(
      [...others, value].flatMap(({ groups }) => Object.values(groups).flatMap((group) => group.scope)),
    );
    if (scope.length > MAX_SCOPE_PATTERNS)
      throw new Refusal(
        'scope_invalid',
        `all groups together may grant ${scope.length} patterns, at most ${MAX_SCOPE_PATTERNS}`,
      );
    const edit = new Edit().set(OIDC_ISSUER, nameOf(value.issuer), value, was ?? null);
    await this.records.commit({ event: 'oidc.issuer_put', actor, why, data: { ...value } }, edit);
    return value;
  }

  /** With everybody who is registered there. Refuses with `api_not_found`. */
  async remove(actor: Actor, issuer: string, why: string): Promise<void> {
    const was = await this.records.get(OIDC_ISSUER, nameOf(issuer));
    if (was === undefined) throw new Refusal('api_not_found', `${issuer} is no identity provider here`);
    const edit = new Edit().remove(OIDC_ISSUER, was);
    const subjects = await this.records.list(OIDC_SUBJECT, { below: `${nameOf(issuer)}/` });
    for (const subject of subjects) edit.remove(OIDC_SUBJECT, subject);
    await this.records.commit(
      { event: 'oidc.issuer_removed', actor, why, data: { issuer, subjects: subjects.length } },
      edit,
    );
    this.providers.delete(issuer);
  }

  /** Refuses with `api_not_found`, `api_conflict`. */
  async putSubject(actor: Actor, value: OidcSubject, why: string): Promise<OidcSubject> {
    const { issuer, subject, principal } = value;
    if ((await this.get(issuer)) === undefined)
      throw new Refusal('api_not_found', `${issuer} is no identity provider here`);
    const known = await this.records.get(PRINCIPAL, nameOf(principal));
    if (known === undefined) throw new Refusal('api_not_found', `${principal} is no principal here`);
    if (!known.value.human)
      throw new Refusal('api_conflict', `${principal} is not a human, and can't log in`);
    if ((await this.records.count(OIDC_SUBJECT)) >= MAX_SUBJECTS)
      throw new Refusal('api_conflict', `at most ${MAX_SUBJECTS} people at identity providers`);
    const was = await this.records.get(OIDC_SUBJECT, nameOf(issuer, subject));
    const edit = new Edit().set(OIDC_SUBJECT, nameOf(issuer, subject), value, was ?? null);
    await this.records.commit({ event: 'oidc.subject_put', actor, why, data: { ...value } }, edit);
    return value;
  }

  /** Refuses with `api_not_found`. */
  async removeSubject(actor: Actor, issuer: string, subject: string, why: string): Promise<void> {
    const was = await this.records.get(OIDC_SUBJECT, nameOf(issuer, subject));
    if (was === undefined)
      throw new Refusal('api_not_found', `nobody is registered as ${subject} at ${issuer}`);
    const edit = new Edit().remove(OIDC_SUBJECT, was);
    await this.records.commit({ event: 'oidc.subject_removed', actor, why, data: { ...was.value } }, edit);
  }
}

/** What the issuer's document gives these groups; what it doesn't name gives nothing. */
export const ceilingsOf = ({ groups }: OidcIssuer, names: readonly string[]): readonly GroupCeiling[] =>
  names.flatMap((name) => (Object.hasOwn(groups, name) ? [groups[name] as GroupCeiling] : []));
