/** Identity tokens that a login must not accept, one fault each, each for its own reason. */
import { SignJWT, UnsecuredJWT } from 'jose';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { encodeBase64url } from '../../../../src/core/encoding/base64url.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { mintEnrolmentProof } from '../../../../src/core/trust/enrolment.ts';
import { makeSigningKey } from '../../../../src/edge/keys/signing-key.ts';
import { makeCsr, makeSvidKey } from '../../../../src/edge/verifier/csr.ts';
import { Edit } from '../../../../src/verifier/records.ts';
import { Refusal } from '../../../../src/verifier/refusal.ts';
import { HELD_KEY } from '../../../../src/verifier/registry/agent-records.ts';
import { must } from '../../../testkit/domain.ts';
import { IdTokenIssuer, makeKey } from '../../../testkit/id-token-issuer.ts';
import { ADMIN, ALICE, ALICE_SUB, PeopleWorld, type SentLogin } from '../../../testkit/people.ts';

let world: PeopleWorld;
beforeEach(async () => {
  world = await PeopleWorld.open(onTestFinished);
});

/** `reason: detail`; "accepted" when it wasn't refused. */
const outcome = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'accepted';
  } catch (error) {
    if (error instanceof Refusal) return `${error.reason}: ${error.message}`;
    throw error;
  }
};
const login = (sent?: SentLogin): Promise<string> => outcome(world.login(sent));

test('the login that all others differ from in one thing', async () => {
  expect(await login()).toBe('accepted');
});

describe('claims', () => {
  test.each([
    ['another audience', { aud: 'another-client' }, /^login_refused: .*aud/],
    ['another issuer', { iss: 'https://idp.evil.example' }, /^login_refused: .*iss/],
    ['several audiences and no azp', { aud: ['hopgate', 'grafana'] }, /^login_refused: .*azp/],
    [
      'several audiences and another azp',
      { aud: ['hopgate', 'grafana'], azp: 'grafana' },
      /^login_refused: .*another client/,
    ],
    ['another client’s token that lists us', { azp: 'grafana' }, /^login_refused: .*another client/],
    ['no subject', { sub: undefined }, /^login_refused/],
    ['an empty subject', { sub: '' }, /^login_refused/],
    ['no expiry', { exp: undefined }, /^login_refused/],
    ['no time of issue', { iat: undefined }, /^login_refused/],
    ['an access token of Keycloak', { typ: 'Bearer' }, /^login_refused: .*type/],
    ['a logout token', { events: {} }, /^login_refused: .*logout/],
    ['no nonce', { nonce: undefined }, /^login_refused: .*nonce/],
    ['another nonce', { nonce: 'n'.repeat(43) }, /^login_refused: .*nonce/],
    ['somebody whom nobody registered', { sub: 'mallory' }, /^login_unknown/],
  ] satisfies [string, Readonly<Record<string, unknown>>, RegExp][])('%s', async (_what, claims, refusal) => {
    expect(await login({ claims })).toMatch(refusal);
  });

  test('two audiences of which azp is ours are fine', async () => {
    expect(await login({ claims: { aud: ['hopgate', 'grafana'], azp: 'hopgate' } })).toBe('accepted');
  });

  test('expired, from the future, and what 30 s of skew still allow', async () => {
    const now = world.clock.seconds;
    expect(await login({ claims: { iat: now - 400, exp: now - 31 } })).toMatch(/^login_expired/);
    expect(await login({ claims: { nbf: now + 31 } })).toMatch(/^login_expired/);
    expect(await login({ claims: { iat: now + 31 } })).toMatch(/^login_expired/);
    expect(await login({ claims: { iat: now - 400, exp: now - 29 } })).toBe('accepted');
    expect(await login({ claims: { iat: now + 29, nbf: now + 29 } })).toBe('accepted');
  });
});

describe('signatures', () => {
  test('none', async () => {
    const idToken = (claims: object) => new UnsecuredJWT({ ...claims }).encode();
    expect(await login({ idToken })).toMatch(/^login_refused/);
    // With a signature in its place, so that it does not fail for its form.
    const forged = async (claims: object) => {
      const [, payload] = (await world.provider.sign({ ...claims })).split('.');
      return `${encodeBase64url(Buffer.from('{"alg":"none"}'))}.${payload}.AAAA`;
    };
    expect(await login({ idToken: forged })).toMatch(/^login_refused: .*another algorithm/);
  });

  test('HS256 with the public key as secret', async () => {
    const secret = Buffer.from(JSON.stringify(world.provider.keys[0]?.jwk));
    const idToken = (claims: object) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'HS256', kid: world.provider.keys[0]?.kid ?? '' })
        .sign(secret);
    expect(await login({ idToken })).toMatch(/^login_refused: .*another algorithm/);
  });

  test('RS256 where ES256 is configured, though the provider publishes the key', async () => {
    const rsa = await makeKey('RS256');
    world.provider.keys.push(rsa);
    expect(await login({ idToken: (claims) => world.provider.sign(claims, rsa) })).toMatch(
      /^login_refused: .*another algorithm than ES256/,
    );
  });

  test('a key of a stranger under a known name', async () => {
    const stranger = { ...(await makeKey('ES256')), kid: world.provider.keys[0]?.kid ?? '' };
    expect(await login({ idToken: (claims) => world.provider.sign(claims, stranger) })).toMatch(
      /^login_refused: .*signature/,
    );
  });

  test('a key that came with the token', async () => {
    const own = await makeKey('ES256');
    const idToken = (claims: object) => world.provider.sign({ ...claims }, own, { jwk: own.jwk });
    expect(await login({ idToken })).toMatch(/^login_refused: .*does not publish/);
  });

  test('an access token by type', async () => {
    const idToken = (claims: object) => world.provider.sign({ ...claims }, undefined, { typ: 'at+jwt' });
    expect(await login({ idToken })).toMatch(/^login_refused: .*type/);
  });
});

describe('used before', () => {
  test('the same token in another login, in every spelling', async () => {
    const first = await world.people.logins.start(world.provider.issuer, 'device');
    const token = await world.provider.sign(world.claims(undefined));
    await world.finish(first.login, token);
    for (const again of [`${token}=`, `${token.slice(0, -1)}${nextOf(token.at(-1) ?? '')}`]) {
      const { login: name } = await world.people.logins.start(world.provider.issuer, 'device');
      expect(await outcome(world.finish(name, again))).toBe('login_refused: this is not an ID token');
    }
    const { login: name } = await world.people.logins.start(world.provider.issuer, 'device');
    expect(await outcome(world.finish(name, token))).toBe('login_refused: the ID token was used before');
  });

  test('the same signing input under a second signature of the provider', async () => {
    const claims = world.claims(undefined);
    for (const expected of ['accepted', 'login_refused: the ID token was used before']) {
      const { login: name } = await world.people.logins.start(world.provider.issuer, 'device');
      expect(await outcome(world.finish(name, await world.provider.sign(claims)))).toBe(expected);
    }
  });

  test('twice at once', async () => {
    const { login: name, nonce } = await world.people.logins.start(world.provider.issuer, 'pkce');
    const token = await world.provider.sign(world.claims(nonce));
    const both = await Promise.all([outcome(world.finish(name, token)), outcome(world.finish(name, token))]);
    expect(both.filter((one) => one === 'accepted')).toHaveLength(1);
    expect(both.some((one) => one.startsWith('login_refused'))).toBe(true);
  });

  test('a login that has ended takes no second token', async () => {
    const { login: name, nonce } = await world.people.logins.start(world.provider.issuer, 'pkce');
    await world.finish(name, await world.provider.sign(world.claims(nonce)));
    const second = await world.provider.sign(world.claims(nonce, { jti: 'another' }));
    expect(await outcome(world.finish(name, second))).toMatch(/^login_refused: .*ended already/);
  });

  test('another login’s nonce', async () => {
    const stolen = await world.people.logins.start(world.provider.issuer, 'pkce');
    const token = await world.provider.sign(world.claims(stolen.nonce));
    for (const flow of ['pkce', 'device'] as const) {
      const own = await world.people.logins.start(world.provider.issuer, flow);
      expect(await outcome(world.finish(own.login, token))).toMatch(/^login_refused: .*another login/);
    }
  });
});

describe('the device flow, which has no nonce', () => {
  test('takes a token without one, if it is younger than the login', async () => {
    const early = await world.provider.sign(world.claims(undefined));
    world.clock.advanceSeconds(2);
    const { login: name } = await world.people.logins.start(world.provider.issuer, 'device');
    expect(await outcome(world.finish(name, early))).toMatch(/^login_refused: .*older than the login/);
    expect(await outcome(world.finish(name, await world.provider.sign(world.claims(undefined))))).toBe(
      'accepted',
    );
  });

  test('its login is none for PKCE', async () => {
    const { login: name } = await world.people.logins.start(world.provider.issuer, 'pkce');
    const token = await world.provider.sign(world.claims(undefined));
    expect(await outcome(world.finish(name, token))).toMatch(/^login_refused: .*nonce/);
  });
});

describe('logins', () => {
  test('made up, changed, or over', async () => {
    const { login: name, nonce } = await world.people.logins.start(world.provider.issuer, 'pkce');
    const token = await world.provider.sign(world.claims(nonce, { exp: world.clock.seconds + 900 }));
    const octets = Buffer.from(name, 'base64url');
    octets[octets.length - 1] = (octets.at(-1) ?? 0) ^ 1;
    for (const wrong of ['A'.repeat(95), octets.toString('base64url')])
      expect(await outcome(world.finish(wrong, token))).toMatch(/^login_refused: no login/);
    world.clock.advanceSeconds(600);
    expect(await outcome(world.finish(name, token))).toMatch(/^login_refused: .*600 s/);
  });

  test('with an issuer that nobody configured', async () => {
    expect(await outcome(world.people.logins.start('https://idp.evil.example', 'pkce'))).toMatch(
      /^login_refused/,
    );
  });

  test('the same email and the same sub from another issuer is somebody else', async () => {
    const other = await IdTokenIssuer.start();
    onTestFinished(() => other.stop());
    await world.people.issuers.put(
      ADMIN,
      {
        ...(await world.trust({ reviewers: { scope: ['cloud:read'], maxTtlSeconds: 60, maxDepth: 4 } })),
        issuer: other.issuer,
      },
      'a second provider',
    );
    const { login: name, nonce } = await world.people.logins.start(other.issuer, 'pkce');
    const token = await other.sign({ ...world.claims(nonce), iss: other.issuer });
    expect(await outcome(world.finish(name, token))).toMatch(/^login_unknown/);
    // And a token of the first provider is nothing in a login with the second.
    const mixed = await world.people.logins.start(other.issuer, 'pkce');
    expect(
      await outcome(world.finish(mixed.login, await world.provider.sign(world.claims(mixed.nonce)))),
    ).toMatch(/^login_refused/);
  });

  test('a proof over another login or request, by an agent’s key, or none', async () => {
    const { login: name, nonce } = await world.people.logins.start(world.provider.issuer, 'pkce');
    const idToken = await world.provider.sign(world.claims(nonce));
    const [key, audit] = [makeSigningKey(), makeSigningKey()];
    const [csr, other] = [await makeCsr(makeSvidKey()), await makeCsr(makeSvidKey())];
    const claims = {
      nonce: name,
      csr: csr.digest,
      agentX: key.x,
      auditX: audit.x,
      trustDomain: 'company.com',
    };
    const finish = (changes: Partial<typeof claims>, text?: string) =>
      outcome(
        world.people.logins.finish(ADMIN, {
          login: name,
          idToken,
          csr: csr.pem,
          proof: text ?? mintEnrolmentProof({ ...claims, ...changes }, key.sign),
          wish: {},
        }),
      );
    expect(await finish({}, 'e.e.e')).toMatch(/^jws_/);
    expect(await finish({ nonce: 'n'.repeat(95) })).toMatch(/^enrolment_proof/);
    expect(await finish({ trustDomain: 'other.example' })).toMatch(/^enrolment_proof/);
    expect(await finish({ csr: other.digest })).toMatch(/^enrolment_proof/);
    expect(await finish({ agentX: audit.x, auditX: key.x })).toMatch(/^enrolment_proof/);
    const id = must({ ok: true, value: 'spiffe://company.com/agent/planning/1' as AgentId });
    const held = new Edit().set(HELD_KEY, key.thumbprint, { id, use: 'agent', state: 'held' }, null);
    await world.records.commit({ event: 'test.held', actor: ADMIN, why: '', data: {} }, held);
    expect(await finish({})).toMatch(/^enrolment_proof: .*agent’s/);
  });
});

describe('standing', () => {
  test('a principal that was removed, and one whose provider was', async () => {
    await world.people.principals.remove(ADMIN, ALICE, 'left');
    expect(await login()).toMatch(/^login_unknown/);
    await world.people.issuers.remove(ADMIN, world.provider.issuer, 'moved');
    expect(await login()).toMatch(/^login_refused/);
  });

  test('a principal that is no human any more', async () => {
    expect(
      await outcome(world.people.principals.change(ADMIN, ALICE, { human: false, why: 'a robot' })),
    ).toMatch(/^api_conflict/);
  });
});

describe('the provider’s keys', () => {
  test('a key that has left with a rotation', async () => {
    const old = world.provider.keys[0];
    expect(await login()).toBe('accepted');
    await world.provider.rotate();
    world.clock.advanceSeconds(31);
    expect(await login()).toBe('accepted');
    expect(await login({ idToken: (claims) => world.provider.sign(claims, old) })).toMatch(
      /^login_refused: .*does not publish/,
    );
  });

  test('unknown keys ask the provider once in 30 s, however many tokens name them', async () => {
    expect(await login()).toBe('accepted');
    const stranger = await makeKey('ES256');
    const asked = world.provider.asked;
    for (let i = 0; i < 5; i++)
      expect(await login({ idToken: (claims) => world.provider.sign(claims, stranger) })).toMatch(
        /^login_refused/,
      );
    expect(world.provider.asked).toBe(asked);
    world.clock.advanceSeconds(31);
    for (let i = 0; i < 5; i++)
      expect(await login({ idToken: (claims) => world.provider.sign(claims, stranger) })).toMatch(
        /^login_refused/,
      );
    expect(world.provider.asked).toBe(asked + 1);
  });

  test('of a document that is about another issuer count for nothing', async () => {
    world.provider.claimed = 'https://idp.evil.example';
    expect(await login()).toMatch(/^api_unavailable: .*another issuer/);
  });

  test('down: denied at first; later its known keys go on, for a day, and no others', async () => {
    world.provider.down = true;
    expect(await login()).toMatch(/^api_unavailable/);
    world.provider.down = false;
    world.clock.advanceSeconds(31);
    expect(await login()).toBe('accepted');
    world.provider.down = true;
    world.clock.advanceSeconds(3600);
    expect(await login()).toBe('accepted');
    const next = await makeKey('ES256');
    expect(await login({ idToken: (claims) => world.provider.sign(claims, next) })).toMatch(/^login_refused/);
    world.clock.advanceSeconds(86_400);
    expect(await login()).toMatch(/^api_unavailable/);
  });
});

/** The next character of base64url that decodes to the same octets in the last place. */
const nextOf = (character: string): string => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(character) + 1] ?? 'A';
};

test('the subject is the one that is registered, whatever the email says', async () => {
  const session = await world.login({ claims: { email: 'root@company.com' } });
  expect(session.principal).toBe(ALICE);
  expect(await login({ claims: { sub: `${ALICE_SUB}1`, email: 'alice@company.com' } })).toMatch(
    /^login_unknown/,
  );
});
