/** Principals, logins and tasks over a store in memory, a real authority and a provider that signs what it is told to. */
import type { JWTPayload } from 'jose';
import type { LinkWish, LoginFlow, SessionAnswer } from '../../src/api/logins.ts';
import type { GroupCeiling, OidcIssuer } from '../../src/api/principals.ts';
import type { ChainLimits } from '../../src/core/delegation/chain.ts';
import { mintEnrolmentProof } from '../../src/core/trust/enrolment.ts';
import { makeSigningKey, type SigningKey } from '../../src/edge/keys/signing-key.ts';
import { makeCsr, makeSvidKey } from '../../src/edge/verifier/csr.ts';
import type { Actor } from '../../src/verifier/actor.ts';
import type { Authority } from '../../src/verifier/authority/authority.ts';
import { openPeople, type People } from '../../src/verifier/principals/people.ts';
import type { Records } from '../../src/verifier/records.ts';
import { Entries } from '../../src/verifier/registry/entries.ts';
import { makeStage } from './authority.ts';
import { IdTokenIssuer } from './id-token-issuer.ts';
import { TestClock } from './test-clock.ts';

export const ALICE = 'mailto:alice@company.com';
export const ALICE_SUB = '248289761001';
export const CLIENT_ID = 'hopgate';

export const LIMITS: ChainLimits = {
  maxDepth: 5,
  linkTtlSeconds: 7200,
  callbacks: false,
  humanRoot: true,
  maxTaskAgeSeconds: 14_400,
};
export const SCOPE_SETS = { 'infrastructure:review': ['cloud:read', 'ec2:Describe*', 's3:List*'] };

const person = (name: string, ...roles: ('admin' | 'operator')[]): Actor => ({
  kind: 'local',
  name,
  roles: new Set(roles),
  id: undefined,
  principal: undefined,
});
export const ADMIN = person('local:admin', 'admin', 'operator');
export const OPERATOR = person('local:operator', 'operator');
export const NOBODY: Actor = { ...person('192.0.2.7'), kind: 'anyone' };

export interface SentLogin {
  readonly flow?: LoginFlow;
  /** `undefined` leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly wish?: LinkWish;
  readonly renews?: string;
  /** Signed elsewhere, in place of what the provider would sign. */
  readonly idToken?: (claims: JWTPayload) => Promise<string> | string;
}

export interface OpenSession extends SessionAnswer {
  readonly key: SigningKey;
}

export class PeopleWorld {
  readonly clock: TestClock;
  readonly records: Records;
  readonly authority: Authority;
  readonly people: People;
  readonly provider: IdTokenIssuer;
  readonly entries: Entries;
  /** What was revoked, as `principal task`, or `principal all`. */
  readonly revoked: string[];
  /** Commits whose bundle was waited for. */
  readonly published: number[];

  private constructor(
    parts: Pick<
      PeopleWorld,
      'clock' | 'records' | 'authority' | 'people' | 'provider' | 'entries' | 'revoked' | 'published'
    >,
  ) {
    this.clock = parts.clock;
    this.records = parts.records;
    this.authority = parts.authority;
    this.people = parts.people;
    this.provider = parts.provider;
    this.entries = parts.entries;
    this.revoked = parts.revoked;
    this.published = parts.published;
  }

  /** With Alice, who is registered by her `sub`, in a group that may review. */
  static async open(onFinished: (work: () => void | Promise<void>) => void): Promise<PeopleWorld> {
    const clock = new TestClock();
    const { records, open } = makeStage(onFinished, { clock });
    const authority = await open();
    const provider = await IdTokenIssuer.start();
    onFinished(() => provider.stop());
    const revoked: string[] = [];
    const published: number[] = [];
    const people = openPeople({
      records,
      clock,
      authority,
      policy: { current: async () => ({ scopeSets: SCOPE_SETS, limits: LIMITS }) },
      revoking: {
        revokeTask: async (_actor, { principal, task }) => {
          revoked.push(`${principal} ${task}`);
        },
        endGrants: async (_edit, principal) => {
          revoked.push(`${principal} all`);
          return [];
        },
      },
      whenPublished: async (revision) => {
        published.push(revision);
      },
    });
    const entries = new Entries(records, clock, {
      trustDomain: authority.trustDomain,
      allowLongSvid: false,
      clusters: 0,
    });
    const world = new PeopleWorld({
      clock,
      records,
      authority,
      people,
      provider,
      entries,
      revoked,
      published,
    });
    await entries.add(
      ADMIN,
      {
        id: 'spiffe://company.com/agent/planning/1',
        selectors: ['join:id=spiffe://company.com/agent/planning/1'],
        hint: '',
      },
      'a test',
    );
    await people.principals.add(ADMIN, { uri: ALICE, keys: [], why: 'a test' });
    await world.trust({
      reviewers: { scope: ['cloud:read', 'ec2:Describe*'], maxTtlSeconds: 3600, maxDepth: 4 },
    });
    await people.issuers.putSubject(
      ADMIN,
      { issuer: provider.issuer, subject: ALICE_SUB, principal: ALICE },
      'a test',
    );
    return world;
  }

  trust(
    groups: Readonly<Record<string, GroupCeiling>>,
    changes: Partial<OidcIssuer> = {},
  ): Promise<OidcIssuer> {
    return this.people.issuers.put(
      ADMIN,
      {
        issuer: this.provider.issuer,
        clientId: CLIENT_ID,
        audience: CLIENT_ID,
        algs: ['ES256'],
        groupsClaim: 'groups',
        scopes: 'openid',
        groups,
        autoRegister: false,
        ...changes,
      },
      'a test',
    );
  }

  claims(nonce: string | undefined, changes: Readonly<Record<string, unknown>> = {}): JWTPayload {
    const now = this.clock.seconds;
    return {
      iss: this.provider.issuer,
      sub: ALICE_SUB,
      aud: CLIENT_ID,
      iat: now,
      exp: now + 300,
      groups: ['reviewers'],
      email: 'alice@company.com',
      ...(nonce !== undefined && { nonce }),
      ...changes,
    };
  }

  /** The whole of a login, as a CLI does it. */
  async login({
    flow = 'pkce',
    claims = {},
    wish = {},
    renews,
    idToken,
  }: SentLogin = {}): Promise<OpenSession> {
    const started = await this.people.logins.start(this.provider.issuer, flow);
    const wanted = this.claims(started.nonce, claims);
    const text = await (idToken ?? ((all) => this.provider.sign(all)))(wanted);
    return this.finish(started.login, text, wish, renews);
  }

  async finish(login: string, idToken: string, wish: LinkWish = {}, renews?: string): Promise<OpenSession> {
    const key = makeSigningKey();
    const csr = await makeCsr(makeSvidKey());
    const proof = mintEnrolmentProof(
      {
        nonce: login,
        csr: csr.digest,
        agentX: key.x,
        auditX: makeSigningKey().x,
        trustDomain: this.authority.trustDomain,
      },
      key.sign,
    );
    const answer = await this.people.logins.finish(NOBODY, {
      login,
      idToken,
      csr: csr.pem,
      proof,
      wish,
      ...(renews !== undefined && { renews }),
    });
    return { ...answer, key };
  }
}
