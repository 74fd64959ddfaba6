/**
 * The feed of a sidecar in the wrong hands: a server with the verifier's own certificate, which TLS can't tell from the verifier,
 * replays, cuts, re-signs and backdates. The last good bundle stays, its revocations with it, and the log says what came.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../../src/core/encoding/json.ts';
import { parseJws, signJws } from '../../src/core/encoding/jws.ts';
import { type BundleMembers, mintBundle } from '../../src/core/trust/bundle.ts';
import type { Roles } from '../../src/core/trust/roles.ts';
import { mintTimestamp } from '../../src/core/trust/timestamp.ts';
import { makeSigningKey, type SigningKey } from '../../src/edge/keys/signing-key.ts';
import { SYSTEM } from '../../src/verifier/actor.ts';
import { FalseVerifier, type Said } from '../testkit/false-verifier.ts';
import { type Answer, sendThrough } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';
const STALENESS_SECONDS = 600;
const POLL_PATIENCE = { timeout: 10_000 };

describe('a verifier in the wrong hands', () => {
  let mesh: VerifiedMesh;
  let planning: VerifiedMember;
  let inventory: VerifiedMember;
  let context: string;
  let other: string;
  let evil: FalseVerifier;
  /** Before and after the revocation of the chain. */
  let before: Said;
  let after: Said;
  /** Of the epoch before this one, by a key that was stolen then and dropped. */
  let ofOldEpoch: Said;
  let stolen: SigningKey;
  /** That sign now. */
  let policyKey: SigningKey;
  let timestampKey: SigningKey;
  let roles: Roles;

  const said = (): Said => {
    const { publication } = mesh.running.verifier.rooms;
    return { bundle: publication.current.text, timestamp: publication.timestamp };
  };
  const payloadOf = (jws: string): JsonObject =>
    JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
  const membersOf = ({ bundle }: Said): BundleMembers => {
    const parsed = parseJws(bundle, 'bundle+jwt');
    if (!parsed.ok) throw new Error(parsed.detail);
    return parsed.value.payload as unknown as BundleMembers;
  };
  const ask = (handle = context): Promise<Answer> =>
    sendThrough(planning, 'http://inventory.mesh/vpcs', { context: handle });

  beforeAll(async () => {
    mesh = await makeVerifiedMesh({
      // TLS looks at the wall clock: behind it, what is issued after the steps below is valid there too.
      clock: new TestClock(Date.now() - STALENESS_SECONDS * 1000),
      policy: { limits: { maxStaleness: `${STALENESS_SECONDS}s` } },
    });
    inventory = await mesh.start(INVENTORY);
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    const chain = mesh.mintRoot(planning);
    context = await mesh.startTask(PLANNING, chain);
    other = await mesh.startTask(PLANNING, mesh.mintRoot(planning));
    expect((await ask()).status).toBe(200);
    const { authority, publication } = mesh.running.verifier.rooms;
    stolen = authority.signer('policy');
    ofOldEpoch = said();
    await authority.rotate({ role: 'policy', compromised: true }, SYSTEM, 'stolen');
    await publication.whenRolesPublished();
    before = said();
    await mesh.revoke({ chain });
    await publication.settled();
    after = said();
    policyKey = authority.signer('policy');
    timestampKey = authority.signer('timestamp');
    await vi.waitFor(() => {
      for (const { source } of [planning, inventory])
        expect(source.trust.digest).toBe(publication.current.digest);
    }, POLL_PATIENCE);
    const identity = await authority.serverIdentity();
    const { port } = mesh.running;
    roles = authority.roles;
    const rolesText = authority.rolesText();
    await mesh.stopVerifier();
    evil = await FalseVerifier.start(port, identity, rolesText, after);
    // Nobody doubts who it is.
    await vi.waitFor(() => expect(evil.listeners).toBe(2), POLL_PATIENCE);
    // What was overtaken on its way would be no alarm.
    mesh.clock.advanceSeconds(10);
  }, 60_000);
  afterAll(async () => {
    await evil.stop().catch(() => undefined);
    await mesh.stop();
  });
  beforeEach(() => evil.say(after));

  const alarms = ({ said: lines }: VerifiedMember): readonly Readonly<Record<string, unknown>>[] =>
    lines.filter(({ level, reason }) => level === 50 && reason !== undefined);

  /** Both sidecars hear it over stream and poll, say so, and go on with what they had. */
  const expectRefused = async (lie: Said, reason: string | undefined): Promise<void> => {
    const digests = [planning, inventory].map(({ source }) => source.trust.digest);
    const heard = [planning, inventory].map((member) => alarms(member).length);
    const asked = evil.asked.length;
    await evil.say(lie);
    planning.source.reload();
    inventory.source.reload();
    await vi.waitFor(() => {
      for (const [index, member] of [planning, inventory].entries()) {
        const line = alarms(member).slice(heard[index])[0];
        expect(line, 'no alarm').toBeDefined();
        expect(line).toMatchObject({ reason, detail: expect.any(String) });
      }
      expect(evil.asked.slice(asked).filter((path) => path === '/v1/bundle').length).toBeGreaterThanOrEqual(
        2,
      );
    }, POLL_PATIENCE);
    expect([planning, inventory].map(({ source }) => source.trust.digest)).toEqual(digests);
    for (const { source } of [planning, inventory])
      expect(source.state).toMatchObject({ refused: { reason } });
    const seen = inventory.seen.length;
    expect((await ask()).code).toBe('revoked_link');
    expect(inventory.seen).toHaveLength(seen);
    expect((await ask(other)).status).toBe(200);
  };

  it('replays a bundle from before a revocation', () => expectRefused(before, 'bundle_rollback'));

  it('replays one of the epoch before, which the root has ended', () =>
    expectRefused(ofOldEpoch, 'bundle_rollback'));

  it('signs with a policy key that was stolen and dropped, whatever roles stand in it', async () => {
    const now = membersOf(after);
    const lie = { ...now, seq: (now.seq as number) + 5, revoked: [] };
    const text = mintBundle(lie, stolen.sign, stolen.thumbprint);
    await expectRefused({ bundle: text }, 'bundle_signer');
    await evil.say(after);
    const then = membersOf(ofOldEpoch);
    // With the roles of its time, and the number of ours.
    const mixed = { ...lie, roles: then.roles };
    await expectRefused({ bundle: mintBundle(mixed, stolen.sign, stolen.thumbprint) }, 'bundle_signer');
    await evil.say(after);
    const old = { ...then, seq: (then.seq as number) + 100, revoked: [] };
    await expectRefused({ bundle: mintBundle(old, stolen.sign, stolen.thumbprint) }, 'bundle_rollback');
  });

  it('signs with a key of its own, under its name and under ours', async () => {
    const own = makeSigningKey();
    const now = membersOf(after);
    const lie = { ...now, seq: (now.seq as number) + 5, revoked: [] };
    await expectRefused({ bundle: mintBundle(lie, own.sign, own.thumbprint) }, 'bundle_signer');
    await evil.say(after);
    await expectRefused({ bundle: mintBundle(lie, own.sign, policyKey.thumbprint) }, 'bundle_signature');
  });

  it('makes another bundle of the number that is in force, with the policy key itself', async () => {
    const lie = { ...membersOf(after), revoked: [] };
    await expectRefused({ bundle: mintBundle(lie, policyKey.sign, policyKey.thumbprint) }, 'bundle_rollback');
  });

  it('lets a federated domain speak for ours, with the policy key itself', async () => {
    const now = membersOf(after);
    const theirs = makeSigningKey();
    const seq = (now.seq as number) + 5;
    const domain = { issuers: [{ kty: 'OKP', crv: 'Ed25519', x: theirs.x }], x509: [] };
    const lie = { ...now, seq, revoked: [], domains: { 'company.com': domain } };
    await expectRefused({ bundle: mintBundle(lie, policyKey.sign, policyKey.thumbprint) }, 'bundle_role');
    await evil.say(after);
    const ours = roles.issuers[0] ?? '';
    const taken = { issuers: [{ kty: 'OKP', crv: 'Ed25519', x: ours }], x509: [] };
    const borrowed = { ...now, seq, revoked: [], domains: { 'partner.example': taken } };
    await expectRefused(
      { bundle: mintBundle(borrowed, policyKey.sign, policyKey.thumbprint) },
      'bundle_role',
    );
  });

  it('sends roles by a root of its own', async () => {
    const own = makeSigningKey();
    const now = membersOf(after);
    const forged = signJws(
      'roles+jwt',
      { ...payloadOf(now.roles as string), epoch: 9_999_999 },
      own.sign,
      own.thumbprint,
    );
    const lie = { ...now, epoch: 9_999_999, seq: 1, roles: forged, revoked: [] };
    await expectRefused({ bundle: mintBundle(lie, policyKey.sign, policyKey.thumbprint) }, 'bundle_signer');
  });

  it('sends one that is cut, and what is none at all', async () => {
    const { bundle } = after;
    await expectRefused({ bundle: bundle.slice(0, -1) }, 'jws_structure');
    await evil.say(after);
    const [head = '', body = '', signature = ''] = bundle.split('.');
    const changed = Buffer.from(body, 'base64url').toString().replace('"revoked":[', '"revoked":[ ');
    const text = `${head}.${Buffer.from(changed).toString('base64url')}.${signature}`;
    await expectRefused({ bundle: text }, 'bundle_signature');
    await evil.say(after);
    await expectRefused({ bundle: `${bundle}x`, packed: 'H4sIAAAA' }, 'jws_structure');
  });

  it('keeps saying what is newest: old words about it, and words by nobody, make nothing fresh', async () => {
    const { epoch, seq, digest } = planning.source.trust.last.bundle;
    const now = mesh.clock.seconds;
    const claims = { trustDomain: 'company.com', epoch, seq, digest };
    const own = makeSigningKey();
    const { freshAt } = planning.source.trust.last;
    const refuses = async (timestamp: string, reason: string): Promise<void> => {
      const heard = alarms(planning).length;
      evil.sayTimestamp(timestamp);
      await vi.waitFor(
        () => expect(alarms(planning).slice(heard)[0]).toMatchObject({ reason }),
        POLL_PATIENCE,
      );
      expect(planning.source.trust.last.freshAt).toBe(freshAt);
      await evil.say(after);
    };
    await refuses(
      mintTimestamp({ ...claims, iat: now, exp: now + 300 }, own.sign, own.thumbprint),
      'bundle_signer',
    );
    await refuses(before.timestamp ?? '', 'bundle_rollback');
    await refuses(
      mintTimestamp({ ...claims, iat: now - 60, exp: now + 240 }, timestampKey.sign, timestampKey.thumbprint),
      'bundle_rollback',
    );
    await refuses(
      mintTimestamp(
        { ...claims, iat: now + 3600, exp: now + 3900 },
        timestampKey.sign,
        timestampKey.thumbprint,
      ),
      'bundle_stale',
    );
  });

  it('freezes its listeners with what was true once: past the freshness limit they decide nothing', async () => {
    mesh.clock.advanceSeconds(STALENESS_SECONDS - 20);
    expect((await ask(other)).status).toBe(200);
    mesh.clock.advanceSeconds(21);
    const heard = alarms(planning).length;
    evil.sayTimestamp(after.timestamp ?? '');
    await evil.say({ bundle: after.bundle, timestamp: before.timestamp });
    await vi.waitFor(() => expect(alarms(planning).length).toBeGreaterThan(heard), POLL_PATIENCE);
    const seen = inventory.seen.length;
    expect((await ask(other)).code).toBe('bundle_stale');
    expect(inventory.seen).toHaveLength(seen);
  });

  it('and is forgotten when the verifier is back', async () => {
    await evil.stop();
    await mesh.restartVerifier();
    await vi.waitFor(async () => expect((await ask(other)).status).toBe(200), POLL_PATIENCE);
    expect((await ask()).code).toBe('revoked_link');
  });
});
