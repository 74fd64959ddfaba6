import { createHash, X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Credentials } from '../../../../src/api/enrolment.ts';
import { jwsHeader } from '../../../../src/core/encoding/jws.ts';
import { jwkOf } from '../../../../src/core/keys.ts';
import { verifyRoles } from '../../../../src/core/trust/roles.ts';
import { makeCsr, makeSvidKey } from '../../../../src/edge/verifier/csr.ts';
import { joinEvidence, svidEvidence } from '../../../../src/edge/verifier/evidence.ts';
import {
  addJoiner,
  agentActor,
  DOMAIN,
  idOf,
  makeP384Csr,
  makeRegistryWorld,
  makeWorkload,
  OPERATOR,
  type RegistryWorld,
  type RequestFault,
  reasonOf,
  request,
  SOURCE,
  STRANGER,
  type Workload,
  wish,
} from '../../../testkit/registry-world.ts';

const ID = idOf('planning/1');
const stranger = { actor: STRANGER, source: SOURCE };
const self = { actor: agentActor(ID), source: SOURCE };

let world: RegistryWorld;
beforeEach(async () => {
  world = await makeRegistryWorld();
});
afterEach(() => world.close());

const join = async (workload: Workload, fault: RequestFault = {}, token?: string): Promise<Credentials> => {
  const secret = token ?? (await addJoiner(world, 'planning/1')).token;
  return world.registry.enrolments.enrol(
    stranger,
    await request(world, workload, joinEvidence(secret), fault),
  );
};
const renew = async (workload: Workload, fault: RequestFault = {}, sender = self): Promise<Credentials> =>
  world.registry.enrolments.renew(sender, await request(world, workload, svidEvidence, fault));
const names = async (): Promise<readonly string[]> => (await world.events()).map(({ event }) => event);
const claimsOf = (jwt: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

/** Of whatever stands between the lines of a PEM text. */
const digestOf = (pem: string): string =>
  createHash('sha256')
    .update(Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64'))
    .digest('base64url');

describe('enrolment by a join token', () => {
  test('gives an SVID, a WIT and a key binding that end together, and is on record', async () => {
    const workload = makeWorkload();
    const svidKey = makeSvidKey();
    const credentials = await join(workload, { svidKey });
    const leaf = new X509Certificate(credentials.svid);
    expect(credentials.id).toBe(ID);
    expect(leaf.checkPrivateKey(svidKey)).toBe(true);
    expect(leaf.subjectAltName).toBe(`URI:${ID}`);
    expect(leaf.validToDate.getTime() / 1000).toBe(credentials.svidNotAfter);
    const wit = claimsOf(credentials.wit);
    expect(wit).toMatchObject({
      sub: ID,
      exp: credentials.svidNotAfter,
      cnf: { jwk: jwkOf(workload.agent.x) },
      audit_jwk: jwkOf(workload.audit.x),
      attested: { method: 'join', 'join.id': ID },
    });
    expect(credentials.keyBinding.exp).toBe(credentials.svidNotAfter);
    expect(credentials.svidNotAfter).toBe(world.clock.seconds + 3600);
    const root = world.authority.rootThumbprint;
    expect(verifyRoles(credentials.roles, { trustDomain: DOMAIN, root, now: world.clock.seconds }).ok).toBe(
      true,
    );
    const issued = (await world.events()).find(
      ({ event, data }) => event === 'svid.issued' && data.id === ID,
    );
    expect(issued?.data).toMatchObject({
      serial: leaf.serialNumber.toLowerCase(),
      notAfter: credentials.svidNotAfter,
      key: workload.agent.thumbprint,
      attestor: 'join',
      source: SOURCE,
    });
  });

  test('a token is used once, however many come with it at once', async () => {
    const { token } = await addJoiner(world, 'planning/1');
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => reasonOf(join(makeWorkload(), {}, token))),
    );
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(['done', 'attestation_refused']));
    expect((await names()).filter((name) => name === 'join.token_used')).toHaveLength(1);
    expect(await names()).not.toContain('agent.key_replaced');
  });

  test('a guessed token, one that has expired', async () => {
    const guess = Buffer.alloc(32, 7).toString('base64url');
    expect(await reasonOf(join(makeWorkload(), {}, guess))).toBe('attestation_refused');
    const { token } = await addJoiner(world, 'planning/1');
    world.clock.advanceSeconds(600);
    expect(await reasonOf(join(makeWorkload(), {}, token))).toBe('attestation_expired');
  });

  test('a token is for its own ID, whatever the entries say and whoever asks', async () => {
    const { token } = await addJoiner(world, 'planning/1');
    await addJoiner(world, 'inventory/1');
    expect(await reasonOf(join(makeWorkload(), { id: idOf('inventory/1') }, token))).toBe(
      'attestation_refused',
    );
    // An operator's slip: an entry whose selector is another agent's.
    const stolen = idOf('security/1');
    const entry = await world.registry.entries.add(
      OPERATOR,
      { id: stolen, ...wish([`join:id=${stolen}`]) },
      'a test',
    );
    const second = await addJoiner(world, 'security/1');
    await world.registry.entries.update(OPERATOR, entry.name, wish([`join:id=${ID}`]), 'a slip');
    expect(await reasonOf(join(makeWorkload(), {}, second.token))).toBe('entry_unmatched');
    expect(await reasonOf(join(makeWorkload(), {}, token))).toBe('entry_unmatched');
  });

  test('an entry that gives another ID to who comes with a token is not believed', async () => {
    const { token } = await addJoiner(world, 'planning/1');
    await world.registry.entries.update(OPERATOR, 'planning-1', wish(['join:nobody']), 'a slip');
    await world.registry.entries.add(
      OPERATOR,
      { id: idOf('security/1'), ...wish([`join:id=${ID}`]) },
      'another slip',
    );
    expect(await reasonOf(join(makeWorkload(), {}, token))).toBe('attestation_refused');
  });

  test('neither token nor join string is in the ledger or the store', async () => {
    const { token, joinString } = await addJoiner(world, 'planning/1');
    await join(makeWorkload(), {}, token);
    const kept = `${await world.ledger()}${JSON.stringify(await world.records.store.list(''))}`;
    expect(kept).not.toContain(token);
    expect(kept).not.toContain(joinString);
  });
});

describe('the life of an SVID', () => {
  test.each([
    [false, 3600],
    [true, 7200],
  ])('two hours by the configuration, allowLongSvid %s: %i s', async (allowLongSvid, seconds) => {
    await world.close();
    world = await makeRegistryWorld({ allowLongSvid }, { svidTtlSeconds: 7200 });
    const { svidNotAfter, wit } = await join(makeWorkload());
    expect(svidNotAfter).toBe(world.clock.seconds + seconds);
    expect(claimsOf(wit).exp).toBe(svidNotAfter);
  });
});

describe('the proof', () => {
  test('a challenge is used once, ends, and is ours', async () => {
    const { nonce } = world.registry.challenges.make();
    await join(makeWorkload(), { nonce });
    expect(await reasonOf(join(makeWorkload(), { nonce }))).toBe('enrolment_proof');
    const late = world.registry.challenges.make().nonce;
    world.clock.advanceSeconds(60);
    expect(await reasonOf(join(makeWorkload(), { nonce: late }))).toBe('enrolment_proof');
    const own = Buffer.alloc(54, 1).toString('base64url');
    expect(await reasonOf(join(makeWorkload(), { nonce: own }))).toBe('enrolment_proof');
    const other = await makeRegistryWorld();
    const foreign = other.registry.challenges.make().nonce;
    expect(await reasonOf(join(makeWorkload(), { nonce: foreign }))).toBe('enrolment_proof');
    await other.close();
  });

  test('for another verifier, another CSR, by another key', async () => {
    const other = makeWorkload();
    for (const fault of [
      { trustDomain: 'other.com' },
      { csrDigest: Buffer.alloc(32, 9).toString('base64url') },
      { csr: (await makeCsr(makeSvidKey())).pem },
      { signer: other.agent },
    ])
      expect(await reasonOf(join(makeWorkload(), fault)), JSON.stringify(Object.keys(fault))).toBe(
        'enrolment_proof',
      );
  });

  test('the failed attempt has used no token up', async () => {
    const { token } = await addJoiner(world, 'planning/1');
    expect(await reasonOf(join(makeWorkload(), { signer: makeWorkload().agent }, token))).toBe(
      'enrolment_proof',
    );
    expect(await reasonOf(join(makeWorkload(), {}, token))).toBe('done');
  });

  test('agent key and audit key are two', async () => {
    const { agent } = makeWorkload();
    expect(await reasonOf(join({ agent, audit: agent }))).toBe('enrolment_proof');
  });

  test.each([
    ['the identity point', '01'.padEnd(64, '0')],
    ['order two', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ['order eight', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
    ['a y that is not canonical', 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
  ])('a key of small order or of no canonical form: %s', async (_name, hex) => {
    const x = Buffer.from(hex, 'hex').toString('base64url');
    const honest = makeWorkload();
    expect(await reasonOf(join({ ...honest, audit: { ...honest.audit, x } }))).toBe('enrolment_proof');
    expect(await reasonOf(join({ ...honest, agent: { ...honest.agent, x } }))).toBe('enrolment_proof');
  });

  test('a CSR for another curve, a CSR with a broken signature, no CSR', async () => {
    const { pem } = await makeCsr(makeSvidKey());
    const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
    der[der.length - 3] = (der.at(-3) ?? 0) ^ 1;
    const broken = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    const p384 = await makeP384Csr();
    const certificate = world.authority.authorities()[0]?.toString('base64');
    for (const csr of [
      broken,
      p384,
      'nothing',
      `-----BEGIN CERTIFICATE REQUEST-----\n${certificate}\n-----END CERTIFICATE REQUEST-----\n`,
    ])
      expect(await reasonOf(join(makeWorkload(), { csr, csrDigest: digestOf(csr) }))).toBe('enrolment_proof');
  });

  test('a proof of another type, or with another header, is none', async () => {
    const { token } = await addJoiner(world, 'planning/1');
    const workload = makeWorkload();
    const honest = await request(world, workload, joinEvidence(token));
    const [, payload = '', signature = ''] = honest.proof.split('.');
    for (const header of [
      jwsHeader('wit+jwt', workload.agent.thumbprint),
      Buffer.from('{"alg":"none","typ":"enrol+jwt"}').toString('base64url'),
      Buffer.from(`{"alg":"EdDSA","kid":"${workload.agent.thumbprint}","typ":"enrol+jwt"}`).toString(
        'base64url',
      ),
    ]) {
      const proof = `${header}.${payload}.${signature}`;
      expect(await reasonOf(world.registry.enrolments.enrol(stranger, { ...honest, proof }))).toBe(
        'enrolment_proof',
      );
    }
  });
});

describe('keys have one owner', () => {
  test('an agent, audit or SVID key of another agent, or in another use', async () => {
    const first = makeWorkload();
    const svidKey = makeSvidKey();
    await join(first, { svidKey });
    const { token } = await addJoiner(world, 'inventory/1');
    const attempts: readonly (readonly [Workload, RequestFault])[] = [
      [{ ...makeWorkload(), agent: first.agent }, {}],
      [{ ...makeWorkload(), audit: first.audit }, {}],
      [{ ...makeWorkload(), agent: first.audit }, {}],
      [{ ...makeWorkload(), audit: first.agent }, {}],
      [makeWorkload(), { svidKey }],
    ];
    for (const [workload, fault] of attempts)
      expect(await reasonOf(join(workload, fault, token))).toBe('enrolment_proof');
    expect(await reasonOf(join(makeWorkload(), {}, token))).toBe('done');
  });

  test('one’s own keys, each in the place of the other', async () => {
    const { agent, audit } = makeWorkload();
    await join({ agent, audit });
    expect(await reasonOf(join({ agent: makeWorkload().agent, audit: agent }))).toBe('enrolment_proof');
    expect(await reasonOf(join({ agent: audit, audit: makeWorkload().audit }))).toBe('enrolment_proof');
  });

  test('the same key for the same ID again: no alarm', async () => {
    const workload = makeWorkload();
    await join(workload);
    await join(workload);
    expect(await names()).not.toContain('agent.key_replaced');
  });

  test('a second enrolment with another key alarms, and ends the first key', async () => {
    const first = makeWorkload();
    const second = makeWorkload();
    await join(first);
    await join(second);
    const alarm = (await world.events()).find(({ event }) => event === 'agent.key_replaced');
    expect(alarm?.data).toMatchObject({
      level: 'alarm',
      id: ID,
      old: first.agent.thumbprint,
      new: second.agent.thumbprint,
      source: SOURCE,
    });
    expect(world.barring.keys.get(first.agent.thumbprint)).toBe('agent_key_lost');
    expect(await reasonOf(renew(first))).toBe('enrolment_proof');
    expect(await reasonOf(join(first))).toBe('enrolment_proof');
    expect(await reasonOf(renew(second))).toBe('done');
  });

  test('after its SVID has ended a new key is a notice, and the old key ends all the same', async () => {
    const first = makeWorkload();
    await join(first);
    world.clock.advanceSeconds(3600);
    await join(makeWorkload());
    const notice = (await world.events()).find(({ event }) => event === 'agent.key_replaced');
    expect(notice?.data.level).toBe('notice');
    expect(world.barring.keys.has(first.agent.thumbprint)).toBe(true);
  });

  test('a planned rotation, with the word of the old key, alarms nobody', async () => {
    const first = makeWorkload();
    const second = { ...makeWorkload(), audit: first.audit };
    await join(first);
    const credentials = await renew(second, { previous: first.agent });
    expect(claimsOf(credentials.wit).cnf).toEqual({ jwk: jwkOf(second.agent.x) });
    expect(await names()).toContain('agent.key_rotated');
    expect(await names()).not.toContain('agent.key_replaced');
    expect(world.barring.keys.size).toBe(0);
    expect(await reasonOf(renew(first))).toBe('enrolment_proof');
    expect(await reasonOf(renew(first, { previous: second.agent }))).toBe('enrolment_proof');
  });

  test('the word of a stranger’s key, or for another agent, is none', async () => {
    const first = makeWorkload();
    await join(first);
    const next = makeWorkload();
    expect(await reasonOf(renew(next))).toBe('enrolment_proof');
    expect(await reasonOf(renew(next, { previous: makeWorkload().agent }))).toBe('enrolment_proof');
    expect(await reasonOf(renew(next, { previous: first.agent, previousId: idOf('inventory/1') }))).toBe(
      'enrolment_proof',
    );
    const forged = { ...first.agent, sign: makeWorkload().agent.sign };
    expect(await reasonOf(renew(next, { previous: forged }))).toBe('enrolment_proof');
    expect(world.barring.keys.size).toBe(0);
  });
});

describe('renewal', () => {
  test('takes a live change of its entry, and forgets all but the last two SVID keys', async () => {
    const workload = makeWorkload();
    const keys = [makeSvidKey(), makeSvidKey(), makeSvidKey()];
    await join(workload, { svidKey: keys[0] as never });
    const [entry] = await world.registry.entries.forId(ID);
    await world.registry.entries.update(
      OPERATOR,
      entry?.name ?? '',
      wish([`join:id=${ID}`], { attributes: { team: 'red' }, svidTtlSeconds: 300 }),
      'a change',
    );
    const credentials = await renew(workload, { svidKey: keys[1] as never });
    expect(claimsOf(credentials.wit).attested).toMatchObject({ team: 'red', method: 'join' });
    expect(credentials.svidNotAfter).toBe(world.clock.seconds + 300);
    await renew(workload, { svidKey: keys[2] as never });
    const held = await world.records.store.list('held-key/p256-');
    expect(held).toHaveLength(2);
  });

  test('needs an SVID, an agent that has enrolled, and its own kind of evidence', async () => {
    const workload = makeWorkload();
    expect(await reasonOf(renew(workload, {}, stranger))).toBe('api_unauthenticated');
    expect(await reasonOf(renew(workload))).toBe('api_not_found');
    await join(workload);
    const other = { actor: agentActor(idOf('inventory/1')), source: SOURCE };
    expect(await reasonOf(renew(workload, {}, other))).toBe('api_not_found');
    const evidence = await request(world, workload, () => ({
      method: 'kubernetes' as const,
      token: 'a.b.c',
    }));
    expect(await reasonOf(world.registry.enrolments.renew(self, evidence))).toBe('attestation_refused');
  });

  test('an entry that was retired, an agent that was, one that was revoked: never again', async () => {
    const workload = makeWorkload();
    await join(workload);
    const { token } = await addJoiner(world, 'planning/1');
    await world.registry.agents.retire(OPERATOR, ID, 'a test');
    expect(world.barring.agents.has(ID)).toBe(true);
    expect(await world.registry.agents.isBarred(ID, world.clock.seconds)).toBe(true);
    expect(await reasonOf(renew(workload))).toBe('id_retired');
    // What the registry knows is enough: revocations end one day.
    world.barring.agents.clear();
    expect(await reasonOf(join(makeWorkload(), {}, token))).toBe('id_retired');
    expect(await reasonOf(renew(workload))).toBe('id_retired');
    expect(await reasonOf(addJoiner(world, 'planning/1'))).toBe('id_retired');

    const inventory = makeWorkload();
    const joiner = await addJoiner(world, 'inventory/1');
    await join(inventory, {}, joiner.token);
    const { agents } = await world.registry.agents.retireEntry(OPERATOR, 'inventory-1', 'a test');
    expect(agents).toEqual([joiner.id]);
    expect(await reasonOf(renew(inventory, {}, { actor: agentActor(joiner.id), source: SOURCE }))).toBe(
      'id_retired',
    );

    const security = makeWorkload();
    const third = await addJoiner(world, 'security/1');
    await join(security, {}, third.token);
    world.barring.agents.add(third.id);
    expect(await reasonOf(renew(security, {}, { actor: agentActor(third.id), source: SOURCE }))).toBe(
      'id_retired',
    );
  });

  test('a key that was revoked is renewed no more', async () => {
    const workload = makeWorkload();
    await join(workload);
    world.barring.keys.set(workload.agent.thumbprint, 'revoked_key');
    expect(await reasonOf(renew(workload))).toBe('enrolment_proof');
  });

  test('revoked, it or its key, it is shown as that while its SVID still runs', async () => {
    const workload = makeWorkload();
    await join(workload);
    const stateOf = async () => (await world.registry.agents.get(ID)).state;
    expect(await stateOf()).toBe('live');
    world.barring.keys.set((await world.registry.agents.get(ID)).thumbprint, 'revoked_key');
    expect(await stateOf()).toBe('revoked');
    world.barring.keys.clear();
    world.barring.agents.add(ID);
    expect((await world.registry.agents.list()).map(({ state }) => state)).toEqual(['revoked']);
  });

  test('retired at the very moment of an enrolment: whichever is first, nothing lives on', async () => {
    const { token } = await addJoiner(world, 'planning/1');
    const outcomes = await Promise.all([
      reasonOf(join(makeWorkload(), {}, token)),
      world.registry.agents.retireEntry(OPERATOR, 'planning-1', 'a test'),
    ]);
    if (outcomes[0] === 'done')
      expect(await world.registry.agents.isBarred(ID, world.clock.seconds)).toBe(true);
    else expect(outcomes[0]).toBe('entry_unmatched');
  });
});
