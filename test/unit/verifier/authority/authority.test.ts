/** The authority: what it makes at its first start, what it keeps, and what its credentials are worth. */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { admitKey } from '../../../../src/core/keys.ts';
import { verifyRoles } from '../../../../src/core/trust/roles.ts';
import { verifyKeyBinding, verifyWit } from '../../../../src/core/trust/wit.ts';
import { makeSigningKey } from '../../../../src/edge/keys/signing-key.ts';
import { SYSTEM } from '../../../../src/verifier/actor.ts';
import { makeTlsKey } from '../../../../src/verifier/authority/certificates.ts';
import { keyKind } from '../../../../src/verifier/authority/key-records.ts';
import { Edit } from '../../../../src/verifier/records.ts';
import { makeFolder, makeStage, START } from '../../../testkit/authority.ts';
import { agentIdOf, must } from '../../../testkit/domain.ts';

const ID = agentIdOf('company.com', 'planning/1');

describe('a first start', () => {
  it('makes a root and one active key of every role, under epoch 1', async () => {
    const { open, clock } = makeStage(onTestFinished);
    const authority = await open();
    const root = authority.rootThumbprint;
    const roles = must(
      verifyRoles(authority.rolesText(), { trustDomain: 'company.com', root, now: clock.seconds }),
    );
    expect(roles.epoch).toBe(1);
    expect(authority.keys().map(({ role, state }) => [role, state])).toEqual([
      ['svid-ca', 'active'],
      ['wit-issuer', 'active'],
      ['root-issuer', 'active'],
      ['policy', 'active'],
      ['timestamp', 'active'],
    ]);
    expect(authority.authorities()).toEqual(roles.x509);
    expect(roles.policy).toEqual([authority.signer('policy').x]);
    expect(authority.isRootHere).toBe(true);
    expect(authority.isRootAwaited).toBe(false);
  });

  it('that was cut short keeps the root that it made', async () => {
    const { open, directory } = makeStage(onTestFinished);
    const noted = (await open()).rootThumbprint;
    const second = makeStage(onTestFinished);
    cpSync(directory, second.directory, { recursive: true });
    expect((await second.open()).rootThumbprint).toBe(noted);
  });

  it('is told in the ledger, without a secret', async () => {
    const { open, store } = makeStage(onTestFinished);
    await open();
    const events = await store.events({ after: 0, limit: 100 });
    const lines = events.map(({ line }) => line).join('\n');
    expect(lines).toContain('"roles.installed"');
    expect(lines.match(/"key\.activated"/g)).toHaveLength(5);
    const sealed = (await store.list('key/')).map(({ value }) => JSON.parse(value).sealed as string);
    for (const secret of sealed) expect(lines).not.toContain(secret);
  });
});

describe('a restart', () => {
  it('finds the same keys and the same roles', async () => {
    const { open } = makeStage(onTestFinished);
    const before = await open();
    const after = await open();
    expect(after.rolesText()).toBe(before.rolesText());
    expect(after.signer('policy').x).toBe(before.signer('policy').x);
    expect(after.keys()).toEqual(before.keys());
  });

  it('refuses a private key that stands in another’s place', async () => {
    const { open, records } = makeStage(onTestFinished);
    await open();
    const keys = await records.list(keyKind);
    const policy = keys.find(({ value }) => value.role === 'policy');
    const timestamp = keys.find(({ value }) => value.role === 'timestamp');
    if (policy === undefined || timestamp === undefined) throw new Error('keys are missing');
    const swapped = { ...policy.value, sealed: timestamp.value.sealed };
    await records.commit(
      { event: 'test.swapped', actor: SYSTEM, why: '', data: {} },
      new Edit().set(keyKind, policy.name, swapped),
    );
    await expect(open()).rejects.toThrow('does not open');
  });

  it('refuses another trust domain, another root and another key-encryption key', async () => {
    const { open, directory } = makeStage(onTestFinished);
    await open();
    const other = makeStage(onTestFinished);
    await other.open();
    await expect(open({ trustDomain: 'partner.org' })).rejects.toThrow('company.com, not of partner.org');

    const kept = makeFolder(onTestFinished);
    cpSync(directory, kept, { recursive: true });
    cpSync(path.join(other.directory, 'kek'), path.join(directory, 'kek'));
    await expect(open()).rejects.toThrow('does not open');

    await expect(open({ directory: other.directory })).rejects.toThrow();
    cpSync(path.join(kept, 'kek'), path.join(directory, 'kek'));
    rmSync(path.join(directory, 'root.key'));
    expect((await open()).isRootHere).toBe(false);
  });

  it('of a store with the root of another is refused', async () => {
    const { open, directory } = makeStage(onTestFinished);
    await open();
    const other = makeStage(onTestFinished);
    cpSync(path.join(directory, 'kek'), path.join(other.directory, 'kek'));
    await other.open();
    cpSync(path.join(other.directory, 'root.key'), path.join(directory, 'root.key'));
    await expect(open()).rejects.toThrow('is another root');
  });

  it('refuses a root key file that was renamed to another trust domain', async () => {
    const { open, directory } = makeStage(onTestFinished);
    await open();
    const file = path.join(directory, 'root.key');
    writeFileSync(file, readFileSync(file, 'utf8').replace('company.com', 'partner.org'));
    await expect(open()).rejects.toThrow('root of partner.org');
  });
});

describe('credentials', () => {
  it('verify under the roles', async () => {
    const { open, clock } = makeStage(onTestFinished);
    const authority = await open();
    const key = createPublicKey(makeTlsKey());
    const { pem, notAfter } = await authority.svid({ id: ID, key, ttlSeconds: 3600 });
    expect(notAfter).toBe(START + 3600);
    const [der] = authority.authorities();
    expect(new X509Certificate(pem).verify(new X509Certificate(der ?? '').publicKey)).toBe(true);

    const agent = makeSigningKey();
    const audit = makeSigningKey();
    const attested = { method: 'join' };
    const tokens = authority.tokens({ id: ID, agentX: agent.x, auditX: audit.x, exp: notAfter, attested });
    const issuers = new Map([
      [
        'company.com',
        new Map(authority.roles.issuers.map((x) => [must(admitKey(x)).thumbprint, must(admitKey(x))])),
      ],
    ]);
    expect(must(verifyWit(tokens.wit, issuers, clock.seconds)).sub).toBe(ID);
    expect(verifyKeyBinding(tokens.keyBinding, ID, agent.x, clock.seconds, issuers).ok).toBe(true);
  });

  it('live no longer than the roles’ keys are believed, and are for this trust domain alone', async () => {
    const authority = await makeStage(onTestFinished).open();
    const key = createPublicKey(makeTlsKey());
    const long = await authority.svid({ id: ID, key, ttlSeconds: 10 * 86_400 });
    expect(long.notAfter).toBe(START + 86_400);
    const request = { id: ID, agentX: makeSigningKey().x, auditX: makeSigningKey().x, attested: {} };
    expect(() => authority.tokens({ ...request, exp: START + 86_401 })).toThrow('end within');
    const foreign = agentIdOf('partner.org', 'planning/1');
    expect(() => authority.tokens({ ...request, id: foreign, exp: START + 60 })).toThrow(
      'not of the trust domain',
    );
    await expect(authority.svid({ id: foreign, key, ttlSeconds: 60 })).rejects.toThrow(
      'not of the trust domain',
    );
  });

  it('the verifier’s own is renewed at half-life, and is on record', async () => {
    const { open, clock, store } = makeStage(onTestFinished);
    const authority = await open();
    const first = await authority.serverIdentity();
    expect(new X509Certificate(first.certPem).subjectAltName).toBe('URI:spiffe://company.com/verifier');
    clock.advanceSeconds(1799);
    expect(await authority.serverIdentity()).toBe(first);
    clock.advanceSeconds(1);
    const second = await authority.serverIdentity();
    expect(second.notAfter).toBe(clock.seconds + 3600);
    const issued = (await store.events({ after: 0, limit: 100 })).filter(({ line }) =>
      line.includes('svid.issued'),
    );
    expect(issued).toHaveLength(2);
    expect(issued.map(({ line }) => line).join()).not.toContain('PRIVATE');
  });
});
