import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type ForeignKey,
  makeForeignKey,
  signedWithPublicKey,
  signForeign,
  unsigned,
} from '../../../testkit/foreign-tokens.ts';
import {
  idOf,
  makeRegistryWorld,
  makeWorkload,
  OPERATOR,
  type RegistryWorld,
  reasonOf,
  request,
  SOURCE,
  STRANGER,
  wish,
} from '../../../testkit/registry-world.ts';

const FIRST = makeForeignKey('k1');
const OTHER = makeForeignKey('k1');
const AUDIENCE = 'spiffe://company.com/verifier';
const REALM = 'https://idp.example/realms/company';
const FOREIGN = 'https://idp.example/realms/guests';

let server: Server;
let keys: readonly ForeignKey[];
let fetched = 0;
beforeAll(async () => {
  server = createServer((asked, answer) => {
    fetched++;
    const wanted = asked.url === '/guests' ? [OTHER] : keys;
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify({ keys: wanted.map(({ jwk }) => jwk) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));

let world: RegistryWorld;
beforeEach(async () => {
  keys = [FIRST];
  fetched = 0;
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  world = await makeRegistryWorld({
    oidc: [
      { issuer: REALM, jwksUri: `${base}/company` },
      { issuer: FOREIGN, jwksUri: `${base}/guests` },
      { issuer: 'https://gone.example', jwksUri: 'http://127.0.0.1:1/jwks' },
    ],
  });
  await world.registry.entries.add(
    OPERATOR,
    { id: idOf('inventory/1'), ...wish([`oidc:iss=${REALM}`, 'oidc:client_id=inventory-agent']) },
    'a test',
  );
});
afterEach(() => world.close());

/** As Keycloak writes them for a service account. */
const claims = (more: Readonly<Record<string, unknown>> = {}) => {
  const now = world.clock.seconds;
  return {
    exp: now + 300,
    iat: now,
    jti: 'trrtcc:5e0a',
    iss: REALM,
    aud: [AUDIENCE, 'account'],
    sub: '9b1e8f0a-6f3c-4d55-8a41-0c2f6c1d9e77',
    typ: 'Bearer',
    azp: 'inventory-agent',
    acr: '1',
    realm_access: { roles: ['offline_access', 'agent'] },
    scope: 'profile email',
    email_verified: false,
    clientHost: '10.0.0.7',
    preferred_username: 'service-account-inventory-agent',
    clientAddress: '10.0.0.7',
    client_id: 'inventory-agent',
    ...more,
  };
};
const outcome = async (token: string) =>
  reasonOf(
    world.registry.enrolments.enrol(
      { actor: STRANGER, source: SOURCE },
      await request(world, makeWorkload(), () => ({ method: 'oidc' as const, token })),
    ),
  );

describe('an access token of a client, for itself', () => {
  test('makes the agent of its entry', async () => {
    expect(await outcome(await signForeign(FIRST, claims()))).toBe('done');
  });

  test('in the form of RFC 9068', async () => {
    const token = await signForeign(FIRST, claims({ typ: undefined, azp: undefined }), { typ: 'at+jwt' });
    expect(await outcome(token)).toBe('done');
  });

  test.each([
    ['for another audience', { aud: 'account' }],
    ['for none', { aud: undefined }],
    ['by an issuer that nobody named', { iss: 'https://mallory.example' }],
    ['by one that is nearly ours', { iss: `${REALM}/` }],
    ['an ID token', { typ: 'ID' }],
    ['a refresh token', { typ: 'Refresh' }],
    ['no token type', { typ: undefined }],
    ['of a person’s login at the same client', { sid: 'c0de' }],
    ['of a person’s login, by its time', { auth_time: 1 }],
    ['without client_id, as a person’s is', { client_id: undefined }],
    ['whose azp is another', { azp: 'planning-agent' }],
    ['without sub', { sub: undefined }],
    ['without an end', { exp: undefined }],
  ])('%s', async (_name, more) => {
    expect(await outcome(await signForeign(FIRST, claims(more)))).toBe('attestation_refused');
  });

  test('expired, not valid yet, from the future', async () => {
    const now = world.clock.seconds;
    expect(await outcome(await signForeign(FIRST, claims({ exp: now - 31 })))).toBe('attestation_expired');
    expect(await outcome(await signForeign(FIRST, claims({ nbf: now + 31 })))).toBe('attestation_refused');
    expect(await outcome(await signForeign(FIRST, claims({ iat: now + 31 })))).toBe('attestation_refused');
  });

  test('another client of the issuer, and a client of that name at another issuer', async () => {
    const other = { azp: 'planning-agent', client_id: 'planning-agent' };
    expect(await outcome(await signForeign(FIRST, claims(other)))).toBe('entry_unmatched');
    expect(await outcome(await signForeign(OTHER, claims({ iss: FOREIGN })))).toBe('entry_unmatched');
    // The guests' key has the same kid: it signs for its own issuer alone.
    expect(await outcome(await signForeign(OTHER, claims()))).toBe('attestation_refused');
  });

  test('by none, HS256 with the public key, an algorithm that is not listed, a header with a key', async () => {
    const stranger = makeForeignKey('k1');
    for (const token of [
      unsigned(claims()),
      signedWithPublicKey(FIRST, claims()),
      await signForeign({ ...FIRST, alg: 'PS256' as never }, claims()),
      await signForeign(stranger, claims()),
      await signForeign(stranger, claims(), { jwk: stranger.jwk }),
      await signForeign(stranger, claims(), { jku: 'https://mallory.example/jwks' }),
      await signForeign(FIRST, claims(), { crit: ['b64'], b64: true }),
    ])
      expect(await outcome(token)).toBe('attestation_refused');
  });

  test('keys are fetched once, and unknown ones don’t have them fetched each time', async () => {
    for (let count = 0; count < 3; count++) await outcome(await signForeign(FIRST, claims()));
    expect(fetched).toBe(1);
    const next = makeForeignKey('k2', 'ES256');
    for (let count = 0; count < 5; count++)
      expect(await outcome(await signForeign(next, claims()))).toBe('attestation_refused');
    expect(fetched).toBe(1);
  });

  test('a provider that does not answer is said to be one', async () => {
    expect(await outcome(await signForeign(FIRST, claims({ iss: 'https://gone.example' })))).toBe(
      'api_unavailable',
    );
  });
});
