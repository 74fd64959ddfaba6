/** A request that proves itself: on a connection without a session, and on top of one. */
import { describe, expect, test } from 'vitest';
import { SeenNonces } from '../../../src/core/http-signature/nonces.ts';
import { Revocations } from '../../../src/core/trust/revocation.ts';
import type { Identified } from '../../../src/hop/identify.ts';
import { proveRequest } from '../../../src/hop/prove-request.ts';
import {
  checkSession,
  nextHopId,
  openPlain,
  type PlainConnection,
  type Session,
} from '../../../src/hop/session.ts';
import type { TrustSnapshot } from '../../../src/ports.ts';
import { ISSUERS, NOW, permitted, reasonOf, testAgent } from '../../testkit/core-world.ts';
import { callee, caller, EXPORTER, signed } from '../../testkit/request-proof.ts';

const trusting = (revoked: readonly unknown[] = []): TrustSnapshot =>
  ({
    bundle: { issuers: ISSUERS, revocations: permitted(Revocations.parse(revoked)), authorities: new Map() },
    policy: { policy: { limits: { sessionSeconds: 600 } } },
  }) as unknown as TrustSnapshot;

const peer = {
  id: caller.id,
  certificate: { notBefore: NOW - 60, notAfter: NOW + 1200, digestHex: 'ab' },
} as unknown as Identified;

const open = (changes: Partial<Parameters<typeof openPlain>[0]> = {}) =>
  openPlain({
    peer,
    exporter: EXPORTER,
    ownNotAfter: NOW + 900,
    trust: trusting(),
    nowSeconds: NOW,
    ...changes,
  });

const prove = (
  connection: Session | PlainConnection,
  { request = signed(), revoked = [] as readonly unknown[], nonces = new SeenNonces() } = {},
) =>
  proveRequest({
    connection,
    request,
    own: callee.holder,
    trust: trusting(revoked),
    nowSeconds: NOW,
    startedAt: NOW - 60,
    nonces,
  });

describe('a connection without a session', () => {
  test('ends with the first of its credentials, and with what policy gives a session', () => {
    expect(permitted(open()).deadline).toBe(NOW + 600);
    expect(permitted(open({ ownNotAfter: NOW + 30 })).deadline).toBe(NOW + 30);
    expect(reasonOf(open({ ownNotAfter: NOW }))).toBe('session_expired');
  });

  test('has hop ids of its own, which do not tell the exporter', () => {
    const connection = permitted(open());
    expect(connection.id).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(EXPORTER.toString('base64url')).not.toContain(connection.id);
    expect([nextHopId(connection), nextHopId(connection)]).toEqual([
      `${connection.id}.1`,
      `${connection.id}.2`,
    ]);
    expect(permitted(open({ exporter: Buffer.alloc(32, 9) })).id).not.toBe(connection.id);
  });

  test('is nobody’s who was revoked, then and later', () => {
    const revoked = trusting([{ agent: caller.id }]);
    expect(reasonOf(open({ trust: revoked }))).toBe('revoked_agent');
    expect(reasonOf(checkSession(permitted(open()), revoked, NOW))).toBe('revoked_agent');
    expect(reasonOf(checkSession(permitted(open()), trusting(), NOW + 600))).toBe('session_expired');
  });

  test('yields a caller by a signed request alone', () => {
    const proven = permitted(prove(permitted(open())));
    expect(proven).toMatchObject({ proof: 'request', caller: { id: caller.id }, deadline: NOW + 600 });
    expect(reasonOf(prove(permitted(open()), { request: { ...signed(), signature: undefined } }))).toBe(
      'request_proof_missing',
    );
  });

  test('knows revoked keys and agents', () => {
    const connection = permitted(open());
    expect(reasonOf(prove(connection, { revoked: [{ key: caller.key.thumbprint }] }))).toBe('revoked_key');
    expect(reasonOf(prove(connection, { revoked: [{ key: caller.key.thumbprint, lost: true }] }))).toBe(
      'agent_key_lost',
    );
    expect(reasonOf(prove(connection, { revoked: [{ agent: caller.id }] }))).toBe('revoked_agent');
  });

  test('takes a nonce once, and none for a proof that fails', () => {
    const connection = permitted(open());
    const nonces = new SeenNonces();
    const forged = { ...signed(), method: 'DELETE' };
    expect(reasonOf(prove(connection, { request: forged, nonces }))).toBe('request_proof_signature');
    expect(reasonOf(prove(connection, { revoked: [{ agent: caller.id }], nonces }))).toBe('revoked_agent');
    expect(nonces.size).toBe(0);
    expect(reasonOf(prove(connection, { nonces }))).toBe('ok');
    expect(reasonOf(prove(connection, { nonces }))).toBe('request_proof_replayed');
  });
});

describe('on a session', () => {
  const session = (key = caller.key.admitted) =>
    ({ ...permitted(open()), peer: { id: caller.id, key } }) as unknown as Session;

  test('both proofs are one', () => {
    expect(permitted(prove(session())).proof).toBe('both');
  });

  test('the key is the one of its handshake', () => {
    const before = testAgent('planner', 2);
    expect(reasonOf(prove(session(before.key.admitted)))).toBe('request_proof_signature');
  });
});
