/** Logins: an ID token, shown once with proof of a new key, for a session that is bound to this key. */
import type { LinkWish, LoginFlow, SessionAnswer } from '../../api/logins.ts';
import type { OidcIssuer } from '../../api/principals.ts';
import { isPrincipal } from '../../core/spiffe-id.ts';
import { parseEnrolmentProof, verifyEnrolmentProof } from '../../core/trust/enrolment.ts';
import type { Verdict } from '../../core/verdict.ts';
import type { Clock } from '../../ports.ts';
import { type Actor, SYSTEM } from '../actor.ts';
import type { Issuing } from '../authority/issuing.ts';
import { Edit, type EventBody, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { HELD_KEY } from '../registry/agent-records.ts';
import { readCsr } from '../registry/csr.ts';
import { ConflictError } from '../store/store.ts';
import type { FirstLink, FirstLinks } from './first-links.ts';
import { type VerifiedLogin, verifyIdToken } from './id-token.ts';
import {
  nameOf,
  OIDC_SUBJECT,
  PRINCIPAL,
  SESSION,
  type SessionRecord,
  selfNamed,
  USED_TOKEN,
} from './kinds.ts';
import { LoginTickets } from './login-tickets.ts';
import { ceilingsOf, type OidcIssuers } from './oidc-issuers.ts';
import { SESSION_SECONDS, type Sessions } from './sessions.ts';
import type { Tasks } from './tasks.ts';

export interface LoginRequest {
  readonly login: string;
  readonly idToken: string;
  /** PEM. */
  readonly csr: string;
  /** JWS, `enrol+jwt`; its nonce is the login. */
  readonly proof: string;
  readonly wish: LinkWish;
  readonly renews?: string | undefined;
}

export interface LoginParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly issuing: Issuing;
  readonly issuers: OidcIssuers;
  readonly sessions: Sessions;
  readonly links: FirstLinks;
  readonly tasks: Tasks;
  readonly whenPublished: (revision: number) => Promise<void>;
}

const must = <T>(verdict: Verdict<T>): T => {
  if (!verdict.ok) throw new Refusal(verdict.reason, verdict.detail);
  return verdict.value;
};

export class Logins {
  private readonly parts: LoginParts;
  private readonly tickets: LoginTickets;

  constructor(parts: LoginParts) {
    this.parts = parts;
    this.tickets = new LoginTickets(parts.clock);
  }

  /** Refuses with `login_refused`. */
  async start(issuer: string, flow: LoginFlow) {
    const { clientId, scopes } = await this.trusted(issuer);
    return { ...this.tickets.make(issuer, flow), clientId, scopes };
  }

  /** Refuses with `login_*`, `standing_lost`, `enrolment_proof`, `anchor_*`, `api_unavailable` and what no verifier would read. */
  async finish(actor: Actor, request: LoginRequest): Promise<SessionAnswer> {
    const { clock, issuers } = this.parts;
    const now = Math.floor(clock.now() / 1000);
    const ticket = this.tickets.read(request.login);
    const enrolment = await this.readEnrolment(request);
    const trusted = (await issuers.list()).find(({ issuer }) => ticket.isOf(issuer));
    if (trusted === undefined)
      throw new Refusal('login_refused', 'the identity provider is not trusted any more');
    const token = await verifyIdToken(request.idToken, trusted, issuers.provider(trusted.issuer), now);
    if (token.nonce !== undefined ? token.nonce !== ticket.nonce : ticket.flow === 'pkce')
      throw new Refusal('login_refused', 'the ID token was made for another login (nonce)');
    // A provider that carries no nonce in the device flow leaves only the time to tell a login's token from an older one.
    if (token.nonce === undefined && token.issuedAt < ticket.startedAt)
      throw new Refusal('login_refused', 'the ID token is older than the login; compare both clocks');
    if ((await this.parts.records.get(USED_TOKEN, token.tokenId)) !== undefined)
      throw new Refusal('login_refused', 'the ID token was used before');
    const { agentKey, auditKey } = must(verifyEnrolmentProof(enrolment.unverified));
    await this.checkFreshKeys([agentKey.thumbprint, auditKey.thumbprint]);
    this.tickets.use(request.login);
    const principal = await this.principalOf(trusted, token);
    const session: SessionRecord = {
      id: this.parts.sessions.newId(this.parts.issuing.trustDomain, principal),
      principal,
      issuer: trusted.issuer,
      subject: token.subject,
      groups: [...token.groups],
      agentX: agentKey.x,
      login: {
        authTime: token.authTime,
        tokenHash: token.tokenHash,
        ...(token.acr !== undefined && { acr: token.acr }),
      },
      exp: now + SESSION_SECONDS,
    };
    return this.open(actor, session, {
      ...request,
      csrKey: enrolment.csrKey,
      auditX: auditKey.x,
      token,
      now,
    });
  }

  private async trusted(issuer: string): Promise<OidcIssuer> {
    const trusted = await this.parts.issuers.get(issuer);
    if (trusted === undefined) throw new Refusal('login_refused', `${issuer} is no identity provider here`);
    return trusted;
  }

  /** What costs nothing to look at; keys are admitted when the token has shown that somebody is there. */
  private async readEnrolment({ login, csr, proof }: LoginRequest) {
    const unverified = must(parseEnrolmentProof(proof));
    const { claims } = unverified;
    if (
      claims.nonce !== login ||
      claims.trustDomain !== this.parts.issuing.trustDomain ||
      claims.id !== undefined
    )
      throw new Refusal('enrolment_proof', 'the proof is for another login or another trust domain');
    const { key, digest } = await readCsr(csr);
    if (digest !== claims.csr)
      throw new Refusal('enrolment_proof', 'the proof is over another certificate request');
    return { unverified, csrKey: key };
  }

  private async checkFreshKeys(thumbprints: readonly string[]): Promise<void> {
    for (const thumbprint of thumbprints)
      if ((await this.parts.records.get(HELD_KEY, thumbprint)) !== undefined)
        throw new Refusal(
          'enrolment_proof',
          'a key of the session is an agent’s; a session makes keys of its own',
        );
  }

  private async principalOf(trusted: OidcIssuer, { subject, groups }: VerifiedLogin): Promise<string> {
    const { issuers, records } = this.parts;
    const known = await issuers.principalOf(trusted.issuer, subject);
    if (known === undefined) return this.register(trusted, subject, groups);
    const record = await records.get(PRINCIPAL, nameOf(known));
    if (record === undefined || !record.value.human)
      throw new Refusal('standing_lost', `${known} is no human principal here any more`);
    return known;
  }

  /** Whom nobody has registered is nobody, unless the operator trusts the provider's groups to say who may come. */
  private async register(trusted: OidcIssuer, subject: string, groups: readonly string[]): Promise<string> {
    const { issuer, autoRegister } = trusted;
    const principal = selfNamed(issuer, subject);
    const welcome = autoRegister && ceilingsOf(trusted, groups).length > 0 && isPrincipal(principal);
    if (!welcome)
      throw new Refusal(
        'login_unknown',
        `nobody is registered as ${subject} at ${issuer}; an admin can: hopgate principals issuer subject`,
      );
    const trustDomain = this.parts.issuing.trustDomain;
    const { scope, maxTtlSeconds, maxDepth } = {
      scope: [...new Set(ceilingsOf(trusted, groups).flatMap((one) => one.scope))],
      maxTtlSeconds: 1,
      maxDepth: 1,
    };
    if (scope.length === 0)
      throw new Refusal('login_unknown', 'none of the groups that may register itself may grant anything');
    const edit = new Edit()
      .set(
        PRINCIPAL,
        nameOf(principal),
        {
          uri: principal,
          human: true,
          keys: [],
          // For keys, of which it has none: its logins are held against its groups.
          ceiling: { scope, maxTtlSeconds, maxDepth, delegatees: ['*'], domains: [trustDomain] },
          approver: false,
          // What the provider says of groups counts for ceilings and roles, for as long as the session; conditions of policy go by ours.
          groups: [],
        },
        null,
      )
      .set(OIDC_SUBJECT, nameOf(issuer, subject), { issuer, subject, principal }, null);
    const revision = await this.parts.records.commit(
      {
        event: 'principal.added',
        actor: SYSTEM,
        why: 'the first login; this identity provider registers people',
        data: { principal, issuer, subject },
      },
      edit,
    );
    // What the first login grants must be worth something at every sidecar that hears of it.
    await this.parts.whenPublished(revision);
    return principal;
  }

  private async open(
    actor: Actor,
    session: SessionRecord,
    request: LoginRequest & {
      readonly csrKey: Awaited<ReturnType<typeof readCsr>>['key'];
      readonly auditX: string;
      readonly token: VerifiedLogin;
      readonly now: number;
    },
  ): Promise<SessionAnswer> {
    const { issuing, records, sessions, tasks } = this.parts;
    const { token, now } = request;
    const edit = new Edit();
    const first = await this.firstLink(session, request, now);
    const svid = await issuing.svid({ id: session.id, key: request.csrKey, ttlSeconds: SESSION_SECONDS });
    const tokens = issuing.tokens({
      id: session.id,
      agentX: session.agentX,
      auditX: request.auditX,
      exp: svid.notAfter,
      attested: { method: 'login', issuer: session.issuer },
    });
    await sessions.sweep(edit);
    // As long as the token could be shown again, and a little longer.
    edit
      .set(USED_TOKEN, token.tokenId, { exp: token.exp + 2 * 60 }, null)
      .set(SESSION, nameOf(session.id), { ...session, exp: svid.notAfter }, null);
    const events: EventBody[] = [
      {
        event: 'session.opened',
        actor: { ...actor, name: session.id },
        why: request.wish.purpose ?? '',
        data: {
          session: session.id,
          principal: session.principal,
          issuer: session.issuer,
          subject: session.subject,
          groups: session.groups,
          tokenHash: token.tokenHash,
          from: actor.name,
          exp: svid.notAfter,
        },
      },
      ...(first === undefined
        ? []
        : await tasks.took(edit, { ...actor, name: session.id }, first.chain, now)),
    ];
    try {
      await records.commit(events, edit);
    } catch (error) {
      if (error instanceof ConflictError && (await records.get(USED_TOKEN, token.tokenId)) !== undefined)
        throw new Refusal('login_refused', 'the ID token was used before');
      throw error;
    }
    return {
      id: session.id,
      principal: session.principal,
      svid: svid.pem,
      svidNotAfter: svid.notAfter,
      wit: tokens.wit,
      keyBinding: tokens.keyBinding,
      ...(first !== undefined && { link: first.text, task: first.chain.task }),
    };
  }

  /** Somebody who only reads logs needs no link; whoever asks for one hears why there is none. */
  private async firstLink(
    session: SessionRecord,
    { wish, renews }: LoginRequest,
    now: number,
  ): Promise<FirstLink | undefined> {
    const { links, tasks } = this.parts;
    const asked = renews !== undefined || Object.keys(wish).length > 0;
    if (!asked && !(await links.mayGrant(session))) return undefined;
    const renewal = renews === undefined ? undefined : await tasks.renewable(session.principal, renews);
    return links.mint(session, wish, now, renewal);
  }
}
