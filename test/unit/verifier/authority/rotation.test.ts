/** Keys come and go, and nobody is cut off: at every moment what is unexpired verifies under the roles in force. */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { admitKey } from '../../../../src/core/keys.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { parseRoles, type Roles } from '../../../../src/core/trust/roles.ts';
import {
  type Issuers,
  type KeyBinding,
  verifyKeyBinding,
  verifyWit,
} from '../../../../src/core/trust/wit.ts';
import { makeSigningKey } from '../../../../src/edge/keys/signing-key.ts';
import { SYSTEM } from '../../../../src/verifier/actor.ts';
import type { Authority } from '../../../../src/verifier/authority/authority.ts';
import { makeTlsKey } from '../../../../src/verifier/authority/certificates.ts';
import { KEY_ROLES, type KeyRole } from '../../../../src/verifier/authority/key-records.ts';
import type { Timing } from '../../../../src/verifier/authority/timing.ts';
import { makeStage } from '../../../testkit/authority.ts';
import { agentIdOf, must } from '../../../testkit/domain.ts';

const ID = agentIdOf('company.com', 'planning/1');
const MINUTE = 60;
/** Everything faster, in the proportions of the defaults. */
const QUICK: Timing = {
  rotateAfter: { 'svid-ca': 2400, 'wit-issuer': 3000, 'root-issuer': 4200, policy: 3600, timestamp: 1800 },
  overlap: 600,
  roles: 7200,
  svid: 900,
  chain: 1200,
  bundle: 1200,
  timestamp: 300,
  server: 600,
};

const issuersOf = (roles: Roles): Issuers => {
  const keys = roles.issuers.map((x) => must(admitKey(x)));
  return new Map([[roles.trustDomain, new Map(keys.map((key) => [key.thumbprint, key]))]]);
};

/** What the authority gave out, as somebody who relies on it holds it. */
interface Held {
  readonly what: string;
  /** Seconds: until then it must be believed. */
  readonly until: number;
  readonly holds: (roles: Roles, now: number) => boolean;
}

const agent = makeSigningKey();
const audit = makeSigningKey();
const tlsKey: KeyObject = createPublicKey(makeTlsKey());

const issueAll = async (authority: Authority, now: number): Promise<readonly Held[]> => {
  const svid = await authority.svid({ id: ID, key: tlsKey, ttlSeconds: QUICK.svid });
  const certificate = new X509Certificate(svid.pem);
  const exp = svid.notAfter;
  const { wit, keyBinding } = authority.tokens({
    id: ID,
    agentX: agent.x,
    auditX: audit.x,
    exp,
    attested: {},
  });
  const signer = (role: 'policy' | 'timestamp' | 'root-issuer') => authority.signer(role).x;
  const [policy, timestamp, rootIssuer] = [signer('policy'), signer('timestamp'), signer('root-issuer')];
  return [
    {
      what: `SVID of ${now}`,
      until: exp,
      holds: ({ x509 }) => x509.some((der) => certificate.verify(new X509Certificate(der).publicKey)),
    },
    { what: `WIT of ${now}`, until: exp, holds: (roles, at) => verifyWit(wit, issuersOf(roles), at).ok },
    {
      // A link made with it in its last second is verified for as long as a chain lives.
      what: `kb of ${now}`,
      until: exp + QUICK.chain,
      holds: (roles) => holdsBinding(keyBinding, ID, exp - 1, roles),
    },
    { what: `bundle of ${now}`, until: now + QUICK.bundle, holds: (roles) => roles.policy.includes(policy) },
    {
      what: `timestamp of ${now}`,
      until: now + QUICK.timestamp,
      holds: (roles) => roles.timestamp.includes(timestamp),
    },
    {
      what: `L0 of ${now}`,
      until: now + QUICK.chain,
      holds: (roles) => roles.rootIssuers.includes(rootIssuer),
    },
  ];
};

const holdsBinding = (kb: KeyBinding, id: AgentId, iat: number, roles: Roles): boolean =>
  verifyKeyBinding(kb, id, agent.x, iat, issuersOf(roles)).ok;

describe('rotation by age', () => {
  it('cuts nobody off: neither who holds what was issued, nor who hears of new keys late', {
    timeout: 60_000,
  }, async () => {
    const { open, clock } = makeStage(onTestFinished);
    const authority = await open({ timing: QUICK });
    let held: readonly Held[] = [];
    const history: { readonly at: number; readonly roles: Roles }[] = [];
    const active = new Map<KeyRole, Set<string>>(KEY_ROLES.map((role) => [role, new Set()]));
    const end = clock.seconds + 6 * 3600;
    let last = '';
    for (; clock.seconds < end; clock.advanceSeconds(MINUTE)) {
      await authority.tick();
      const now = clock.seconds;
      const roles = must(parseRoles(authority.rolesText())).roles;
      if (authority.rolesText() !== last) history.push({ at: now, roles });
      last = authority.rolesText();
      held = held.filter(({ until }) => now < until);
      const fresh = await issueAll(authority, now);
      held = [...held, ...fresh];
      for (const { what, holds } of held)
        if (!holds(roles, now)) expect.fail(`${what} is not believed at ${now}`);
      // A sidecar that heard its last word almost an overlap ago believes what is issued now.
      const late =
        history.findLast(({ at }) => at <= now - QUICK.overlap + MINUTE)?.roles ?? history[0]?.roles;
      for (const { what, holds } of fresh)
        if (late !== undefined && !holds(late, now)) expect.fail(`${what} is not known at a late sidecar`);
      expect(now).toBeLessThan(roles.exp);
      for (const { role, state, thumbprint } of authority.keys())
        if (state === 'active') active.get(role)?.add(thumbprint);
    }
    // It has happened, for every role, and old keys have left the roles.
    for (const role of KEY_ROLES) expect(active.get(role)?.size, role).toBeGreaterThan(3);
    expect(authority.keys().filter(({ state }) => state === 'gone').length).toBeGreaterThan(10);
    expect(history.length).toBe(authority.roles.epoch);
  });

  it('takes up after a restart where it was, however long the verifier was down', async () => {
    const { open, clock } = makeStage(onTestFinished);
    const before = await open({ timing: QUICK });
    clock.advanceSeconds(QUICK.rotateAfter['svid-ca']);
    await before.tick();
    const next = before.keys().find(({ role, state }) => role === 'svid-ca' && state === 'next');
    clock.advanceSeconds(10 * QUICK.overlap);
    const after = await open({ timing: QUICK });
    expect(after.keys().find(({ role, state }) => role === 'svid-ca' && state === 'active')?.thumbprint).toBe(
      next?.thumbprint,
    );
  });

  it('forgets the private half as soon as a key signs no more', async () => {
    const { open, clock, store } = makeStage(onTestFinished);
    const authority = await open({ timing: QUICK });
    for (let minutes = 0; minutes < 120; minutes++) {
      clock.advanceSeconds(MINUTE);
      await authority.tick();
    }
    const records = (await store.list('key/')).map(({ value }) => JSON.parse(value));
    expect(records.some(({ state }) => state === 'retiring' || state === 'gone')).toBe(true);
    for (const { state, sealed } of records)
      expect(sealed === null).toBe(state === 'retiring' || state === 'gone');
  });
});

describe('rotation on command', () => {
  const stateOf = (authority: Authority, thumbprint: string | undefined) =>
    authority.keys().find((key) => key.thumbprint === thumbprint)?.state;

  it.each(KEY_ROLES)(
    'of %s names the next key, and changes over when sidecars have heard of it',
    async (role) => {
      const { open, clock } = makeStage(onTestFinished);
      const authority = await open();
      const old = authority.keys().find((key) => key.role === role)?.thumbprint;
      await authority.rotate({ role }, SYSTEM, 'a drill');
      const next = authority.keys().find((key) => key.role === role && key.state === 'next');
      expect(authority.roles.epoch).toBe(2);
      expect(next?.namedAt).toBe(clock.seconds);
      await expect(authority.rotate({ role }, SYSTEM, 'again')).rejects.toMatchObject({
        reason: 'api_conflict',
      });
      clock.advanceSeconds(authority.timing.overlap - 1);
      await authority.tick();
      expect(stateOf(authority, old)).toBe('active');
      clock.advanceSeconds(1);
      await authority.tick();
      expect([stateOf(authority, old), stateOf(authority, next?.thumbprint)]).toEqual(['retiring', 'active']);
      expect(authority.roles.epoch).toBe(2);
      clock.advanceSeconds(3 * 86_400);
      await authority.tick();
      expect(stateOf(authority, old)).toBe('gone');
      expect(authority.roles.epoch).toBe(3);
    },
  );

  it.each(KEY_ROLES)('of a %s that somebody else has drops it at once', async (role) => {
    const { open } = makeStage(onTestFinished);
    const authority = await open();
    const old = authority.keys().find((key) => key.role === role);
    await authority.rotate({ role, compromised: true }, SYSTEM, 'found on a laptop');
    const active = authority.keys().find((key) => key.role === role && key.state === 'active');
    expect(stateOf(authority, old?.thumbprint)).toBe('gone');
    expect(active?.thumbprint).not.toBe(old?.thumbprint);
    expect(authority.roles.epoch).toBe(2);
    const named = JSON.stringify(
      Buffer.from(authority.rolesText().split('.')[1] ?? '', 'base64url').toString(),
    );
    expect(named).not.toContain(old?.public);
    expect(named).toContain(active?.public);
    const again = authority.rotate(
      { role, compromised: true, thumbprint: old?.thumbprint ?? '' },
      SYSTEM,
      '',
    );
    await expect(again).rejects.toMatchObject({ reason: 'api_not_found' });
  });

  it('of a stolen key with a successor waiting lets that one take over', async () => {
    const authority = await makeStage(onTestFinished).open();
    await authority.rotate({ role: 'policy' }, SYSTEM, 'a drill');
    const next = authority.keys().find(({ role, state }) => role === 'policy' && state === 'next');
    await authority.rotate({ role: 'policy', compromised: true }, SYSTEM, 'stolen');
    expect(stateOf(authority, next?.thumbprint)).toBe('active');
    expect(authority.roles.policy).toEqual([next?.public]);
  });

  it('of a key that was stolen while it waited leaves the active one alone', async () => {
    const authority = await makeStage(onTestFinished).open();
    const signer = authority.signer('policy').x;
    await authority.rotate({ role: 'policy' }, SYSTEM, 'a drill');
    const next = authority.keys().find(({ role, state }) => role === 'policy' && state === 'next');
    const thumbprint = next?.thumbprint ?? '';
    await authority.rotate({ role: 'policy', compromised: true, thumbprint }, SYSTEM, 'stolen');
    expect(authority.signer('policy').x).toBe(signer);
    expect(authority.roles.policy).toEqual([signer]);
  });

  it('says in the ledger who did it and why', async () => {
    const { open, store } = makeStage(onTestFinished);
    const authority = await open();
    const seq = (await store.lastEvent())?.seq ?? 0;
    await authority.rotate(
      { role: 'wit-issuer', compromised: true },
      { ...SYSTEM, name: 'local:0' },
      'a leak',
    );
    const lines = (await store.events({ after: seq, limit: 10 })).map(({ line }) => JSON.parse(line));
    expect(lines.map(({ event }) => event).sort()).toEqual(['key.activated', 'key.gone', 'roles.installed']);
    for (const { actor, why } of lines) expect([actor, why]).toEqual(['local:0', 'a leak']);
  });

  it('stops where the roles can name no more keys', async () => {
    const { open, clock } = makeStage(onTestFinished);
    const authority = await open();
    const rotate = async () => {
      await authority.rotate({ role: 'policy' }, SYSTEM, 'a drill');
      clock.advanceSeconds(authority.timing.overlap);
      await authority.tick();
    };
    for (let count = 0; count < 3; count++) await rotate();
    await expect(rotate()).rejects.toMatchObject({ reason: 'api_conflict' });
    expect(authority.roles.policy).toHaveLength(4);
  });
});
