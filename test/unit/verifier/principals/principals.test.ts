/** The register of principals, and what of it stands in a bundle. */
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { makeSigningKey } from '../../../../src/edge/keys/signing-key.ts';
import { widerPart } from '../../../../src/verifier/principals/ceilings.ts';
import { nameOf, PRINCIPAL } from '../../../../src/verifier/principals/kinds.ts';
import { Refusal } from '../../../../src/verifier/refusal.ts';
import { ADMIN, ALICE, ALICE_SUB, OPERATOR, PeopleWorld } from '../../../testkit/people.ts';

const BOB = 'mailto:bob@company.com';
const why = 'a test';

let world: PeopleWorld;
beforeEach(async () => {
  world = await PeopleWorld.open(onTestFinished);
});

const reasonOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
};
const anchors = async () => world.people.sources.anchors.read(world.clock.seconds);

test('a key becomes an anchor with its ceiling, and is gone when the key or the principal is', async () => {
  const [one, other] = [makeSigningKey(), makeSigningKey()];
  const { principals } = world.people;
  await principals.add(OPERATOR, { uri: BOB, keys: [{ x: one.x, name: 'first' }], why });
  await principals.addKey(OPERATOR, BOB, { x: other.x, name: 'laptop', why });
  const bobs = async () => (await anchors()).filter(({ principals: [uri] }) => uri === BOB);
  expect(await bobs()).toHaveLength(2);
  expect((await bobs())[0]).toMatchObject({
    kind: 'principal',
    human: true,
    // "*" is what is registered.
    delegatees: ['spiffe://company.com/agent/planning/*'],
    scope: ['cloud:read', 'ec2:Describe*', 's3:List*'],
  });
  await principals.removeKey(OPERATOR, BOB, one.thumbprint, why);
  expect((await bobs()).map(({ jwk }) => jwk.x)).toEqual([other.x]);
  await principals.remove(OPERATOR, BOB, why);
  expect(await bobs()).toEqual([]);
  // And its key is free for whoever has it.
  await principals.addKey(ADMIN, ALICE, { x: other.x, name: 'laptop', why });
});

test('no key is two principals’, has two names, or would spoil the bundle', async () => {
  const key = makeSigningKey();
  const { principals } = world.people;
  await principals.add(ADMIN, { uri: BOB, keys: [{ x: key.x, name: 'first' }], why });
  expect(await reasonOf(principals.addKey(ADMIN, ALICE, { x: key.x, name: 'first', why }))).toBe(
    'api_conflict',
  );
  expect(await reasonOf(principals.addKey(ADMIN, BOB, { x: makeSigningKey().x, name: 'first', why }))).toBe(
    'api_conflict',
  );
  const identity = `AQ${'A'.repeat(41)}`;
  expect(await reasonOf(principals.addKey(ADMIN, BOB, { x: identity, name: 'small', why }))).toBe(
    'key_small_order',
  );
  const twice = [{ x: makeSigningKey().x, name: 'a' }].flatMap((one) => [one, { ...one, name: 'b' }]);
  expect(await reasonOf(principals.add(ADMIN, { uri: 'mailto:eve@company.com', keys: twice, why }))).toBe(
    'api_conflict',
  );
  for (const { public: x } of world.authority.keys().filter(({ role }) => role !== 'svid-ca'))
    expect(await reasonOf(principals.addKey(ADMIN, BOB, { x, name: 'role', why }))).toBe('api_conflict');
});

test('an operator widens nothing; an admin may', async () => {
  const { principals } = world.people;
  await principals.add(ADMIN, {
    uri: BOB,
    keys: [],
    ceiling: { scope: ['cloud:read'], maxTtlSeconds: 600 },
    why,
  });
  for (const wish of [
    { ceiling: { scope: ['cloud:*'] } },
    { ceiling: { maxTtlSeconds: 601 } },
    { ceiling: { maxDepth: 6 } },
    { ceiling: { domains: ['company.com', 'partner.example'] } },
    { ceiling: { delegatees: ['spiffe://partner.example/agent/x/*' as const] } },
    { ceiling: { delegatees: ['spiffe://company.com/client/*' as const] } },
    { approver: true },
  ]) {
    expect(await reasonOf(principals.change(OPERATOR, BOB, { ...wish, why }))).toBe('api_forbidden');
    const uri = `mailto:${Object.keys(wish)}@company.com`;
    const wider =
      'ceiling' in wish && 'maxTtlSeconds' in wish.ceiling ? { ceiling: { maxTtlSeconds: 7201 } } : wish;
    expect(await reasonOf(principals.add(OPERATOR, { uri, keys: [], ...wider, why }))).toBe('api_forbidden');
  }
  await principals.change(OPERATOR, BOB, { ceiling: { maxTtlSeconds: 60 }, why });
  await principals.change(ADMIN, BOB, { approver: true, ceiling: { scope: ['cloud:*'] }, why });
  // A key of an approver's is an approval.
  const wish = { x: makeSigningKey().x, name: 'mine', why };
  expect(await reasonOf(principals.addKey(OPERATOR, BOB, wish))).toBe('api_forbidden');
  await principals.addKey(ADMIN, BOB, wish);
  expect(await world.people.sources.approvers.read(0)).toMatchObject([
    { principal: BOB, jwk: { x: wish.x } },
  ]);
});

test('the root issuer speaks for those who are registered with a provider, and for nobody else', async () => {
  const issuer = async () => (await anchors()).filter(({ kind }) => kind === 'root-issuer');
  expect(await issuer()).toMatchObject([
    {
      principals: [ALICE],
      delegatees: ['spiffe://company.com/client/*'],
      scope: ['cloud:read', 'ec2:Describe*'],
      max_ttl: 3600,
    },
  ]);
  await world.people.issuers.removeSubject(OPERATOR, world.provider.issuer, ALICE_SUB, why);
  expect(await issuer()).toEqual([]);
});

test('groups: the union, but no pattern for longer than its own group gives; none, nothing', async () => {
  await world.trust({
    short: { scope: ['cloud:*'], maxTtlSeconds: 600, maxDepth: 4 },
    long: { scope: ['ec2:Describe*'], maxTtlSeconds: 3600, maxDepth: 4 },
    auditors: { scope: [], maxTtlSeconds: 3600, maxDepth: 4 },
  });
  const claims = { groups: ['short', 'long'] };
  const login = (wish: object, groups = claims.groups) => reasonOf(world.login({ claims: { groups }, wish }));
  expect(await login({ scope: ['cloud:read', 'ec2:DescribeInstances'], ttlSeconds: 600 })).toBe('done');
  expect(await login({ scope: ['ec2:Describe*'], ttlSeconds: 3600 })).toBe('done');
  expect(await login({ scope: ['cloud:read'], ttlSeconds: 3600 })).toBe('anchor_scope');
  expect(await login({ ttlSeconds: 3601 })).toBe('anchor_ttl');
  expect(await login({ maxDepth: 5 })).toBe('anchor_depth');
  expect(await login({ scope: ['cloud:read'] }, [])).toBe('anchor_scope');
  expect(await login({ scope: ['cloud:read'] }, ['toString'])).toBe('anchor_scope');
  const auditor = await world.login({ claims: { groups: ['auditors'] } });
  expect(auditor.link).toBeUndefined();
  expect(await world.people.sessions.sessionOf(auditor.id as never)).toEqual({
    principal: ALICE,
    groups: [`${world.provider.issuer}#auditors`],
  });
});

test('a session has roles no longer than its human stands, and no longer than an hour', async () => {
  const session = await world.login();
  const of = () => world.people.sessions.sessionOf(session.id as never);
  expect(await of()).toMatchObject({ principal: ALICE });
  await world.people.principals.remove(ADMIN, ALICE, why);
  expect(await of()).toBeUndefined();
  // Nor when it is added again.
  const { issuer } = world.provider;
  await world.people.principals.add(ADMIN, { uri: ALICE, keys: [], why });
  await world.people.issuers.putSubject(ADMIN, { issuer, subject: ALICE_SUB, principal: ALICE }, why);
  expect(await of()).toBeUndefined();

  const unnamed = await world.login();
  const ofUnnamed = () => world.people.sessions.sessionOf(unnamed.id as never);
  await world.people.issuers.removeSubject(ADMIN, issuer, ALICE_SUB, why);
  expect(await ofUnnamed()).toEqual({ principal: undefined, groups: [] });
  world.clock.advanceSeconds(3600);
  expect(await ofUnnamed()).toBeUndefined();
});

test('who registers itself does so by (iss, sub), only where that is wanted and a group is welcome', async () => {
  const groups = { reviewers: { scope: ['cloud:read'], maxTtlSeconds: 600, maxDepth: 4 } };
  const carol = { sub: 'carol' };
  expect(await reasonOf(world.login({ claims: carol }))).toBe('login_unknown');
  await world.trust(groups, { autoRegister: true });
  expect(await reasonOf(world.login({ claims: { ...carol, groups: ['others'] } }))).toBe('login_unknown');
  expect((await world.login({ claims: carol })).principal).toBe(`${world.provider.issuer}#carol`);
  // Its anchor is out before it has anything to show; the next time it is known.
  const added = await world.records.get(PRINCIPAL, nameOf(`${world.provider.issuer}#carol`));
  expect(world.published).toEqual([added?.revision]);
  await world.login({ claims: carol });
  expect(world.published).toHaveLength(1);
});

test('who was removed does not come back by registering itself', async () => {
  const groups = { reviewers: { scope: ['cloud:read'], maxTtlSeconds: 600, maxDepth: 4 } };
  await world.trust(groups, { autoRegister: true });
  const carol = { claims: { sub: 'carol' } };
  const { principal } = await world.login(carol);
  const { principals, issuers } = world.people;
  await principals.remove(ADMIN, principal, why);
  await principals.remove(ADMIN, ALICE, why);
  expect(await reasonOf(world.login(carol))).toBe('standing_lost');
  expect(await reasonOf(world.login())).toBe('standing_lost');
  // Until somebody says that it may.
  await issuers.removeSubject(ADMIN, world.provider.issuer, 'carol', why);
  expect((await world.login(carol)).principal).toBe(principal);
});

test('every change is an event that says who and why, and holds no token', async () => {
  const token: string[] = [];
  await world.login({
    idToken: async (claims) => {
      token.push(await world.provider.sign(claims));
      return token[0] ?? '';
    },
  });
  const events = await world.records.store.events({ after: 0, limit: 100 });
  const names = events.map(({ line }) => JSON.parse(line).event);
  expect(names).toEqual(
    expect.arrayContaining([
      'principal.added',
      'oidc.issuer_put',
      'oidc.subject_put',
      'session.opened',
      'task.registered',
    ]),
  );
  for (const { line } of events) expect(line).not.toContain((token[0] ?? '').split('.')[2]);
});

test('"*" covers agents of the own domains, and no sessions', () => {
  const base = { scope: ['a'], maxTtlSeconds: 1, maxDepth: 1, domains: ['company.com'] };
  const any = { ...base, delegatees: ['*' as const] };
  const wider = (one: string) => widerPart({ ...base, delegatees: [one] }, any);
  expect(wider('spiffe://company.com/agent/planning/*')).toBeUndefined();
  expect(wider('spiffe://company.com/client/*')).toContain('client');
  expect(wider('spiffe://other.example/agent/planning/*')).toContain('other.example');
  expect(widerPart(any, { ...base, delegatees: ['spiffe://company.com/agent/planning/*'] })).toContain('*');
});

test('groups are an admin’s to give and to take, and stand in the bundle when it is said that they do', async () => {
  const { principals, sources } = world.people;
  const grouped = async () => (await sources.attributes.read(world.clock.seconds))?.principals;
  await principals.add(OPERATOR, { uri: BOB, keys: [], why });
  expect(await grouped()).toBeUndefined();
  const mine = { uri: 'mailto:mallory@company.com', keys: [], groups: ['sre'], why };
  expect(await reasonOf(principals.add(OPERATOR, mine))).toBe('api_forbidden');
  expect(await reasonOf(principals.change(OPERATOR, BOB, { groups: ['sre'], why }))).toBe('api_forbidden');
  const before = world.published.length;
  await principals.change(ADMIN, BOB, { groups: ['sre', 'oncall'], why });
  expect(world.published).toHaveLength(before + 1);
  expect(await grouped()).toEqual({ [BOB]: { groups: ['sre', 'oncall'] } });
  // Nor does an operator take what a rule may deny by.
  expect(await reasonOf(principals.change(OPERATOR, BOB, { groups: [], why }))).toBe('api_forbidden');
  await principals.change(OPERATOR, BOB, { ceiling: { maxDepth: 2 }, why });
  expect((await principals.get(BOB)).groups).toEqual(['sre', 'oncall']);
  await principals.remove(OPERATOR, BOB, why);
  expect(await grouped()).toBeUndefined();
  expect((await principals.add(ADMIN, { uri: BOB, keys: [], why })).groups).toEqual([]);
});

test('a principal from before there were groups has none', async () => {
  const { groups: _, ...old } = (await world.people.principals.get(ALICE)) as unknown as Record<
    string,
    unknown
  >;
  const key = `${PRINCIPAL.prefix}/${nameOf(ALICE)}`;
  await world.records.store.commit({
    put: [{ key, value: JSON.stringify(old) }],
    remove: [],
    expect: [],
    events: () => [],
  });
  expect((await world.people.principals.get(ALICE)).groups).toEqual([]);
});
