/** Tasks: renewed while their principal stands and policy gives them time, ended by whom they concern. */
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { mintRootLink } from '../../../../src/core/delegation/mint.ts';
import { sha256Base64url } from '../../../../src/core/encoding/jws.ts';
import { parseAgentId } from '../../../../src/core/spiffe-id.ts';
import { mintRevocationRequest, verifierIdOf } from '../../../../src/core/trust/revocation-request.ts';
import { makeSigningKey, type SigningKey } from '../../../../src/edge/keys/signing-key.ts';
import { makeTokenId } from '../../../../src/verifier/authority/tokens.ts';
import { nameOf, TASK } from '../../../../src/verifier/principals/kinds.ts';
import { Edit } from '../../../../src/verifier/records.ts';
import { Refusal } from '../../../../src/verifier/refusal.ts';
import { must } from '../../../testkit/domain.ts';
import {
  ADMIN,
  ALICE,
  ALICE_SUB,
  LIMITS,
  NOBODY,
  OPERATOR,
  type OpenSession,
  PeopleWorld,
} from '../../../testkit/people.ts';

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

const planning = must({ ok: true as const, value: parseAgentId('spiffe://company.com/agent/planning/1') });
const agent = { ...NOBODY, kind: 'agent' as const };
const sessionActor = ({ id }: OpenSession) => ({
  ...agent,
  name: id,
  id: parseAgentId(id),
  principal: ALICE,
});
const ended = { outcome: 'ended', why: 'a test' } as const;

/** An L0 by a key of Alice's. */
const rootLink = (
  key: SigningKey,
  renews?: { task: string; start: number },
  x = makeSigningKey().x,
): string =>
  must(
    mintRootLink(
      {
        anchorX: key.x,
        principal: ALICE,
        delegatee: { id: planning ?? ('' as never), x },
        aud: ['company.com'],
        scope: ['cloud:read'],
        maxDepth: 3,
        ttlSeconds: 3600,
        now: world.clock.seconds,
        jti: makeTokenId(),
        ...(renews !== undefined && { renews }),
      },
      key.sign,
    ),
  );

test('a session goes on with its task until the task is too old; start and id stay', async () => {
  const first = await world.login();
  const wish = { task: first.task ?? '', principal: ALICE, wish: {} };
  world.clock.advanceSeconds(1800);
  const { task } = await world.people.tasks.renew(sessionActor(first), wish);
  expect(task).toMatchObject({ task: first.task, renewals: 1, start: world.clock.seconds - 1800 });
  world.clock.advanceSeconds(1800);
  expect(await reasonOf(world.people.tasks.renew(sessionActor(first), wish))).toBe('standing_lost');
  // A new login may, till the end of the day that policy gives it.
  const second = await world.login({ renews: first.task ?? '' });
  expect(second.task).toBe(first.task);
  world.clock.advanceSeconds((LIMITS.maxTaskAgeSeconds ?? 0) - 3600 - 60);
  const last = await world.login({ renews: first.task ?? '' });
  const [, payload = ''] = (last.link ?? '').split('.');
  const { exp, task_start: start } = JSON.parse(Buffer.from(payload, 'base64url').toString());
  expect(exp - start).toBe(LIMITS.maxTaskAgeSeconds);
  world.clock.advanceSeconds(60);
  expect(await reasonOf(world.login({ renews: first.task ?? '' }))).toBe('task_too_old');
});

test('standing is looked at with every renewal', async () => {
  const session = await world.login();
  const wish = { task: session.task ?? '', principal: ALICE, wish: {} };
  await world.trust({ reviewers: { scope: ['s3:List*'], maxTtlSeconds: 60, maxDepth: 4 } });
  const narrower = await world.people.tasks
    .renew(sessionActor(session), wish)
    .catch((error: Refusal) => error);
  expect(narrower).not.toBeInstanceOf(Refusal);
  expect(
    await reasonOf(
      world.people.tasks.renew(sessionActor(session), { ...wish, wish: { scope: ['cloud:read'] } }),
    ),
  ).toBe('anchor_scope');
  await world.people.issuers.removeSubject(ADMIN, world.provider.issuer, ALICE_SUB, 'left');
  expect(await reasonOf(world.people.tasks.renew(sessionActor(session), wish))).toBe('standing_lost');
});

test('a key of the principal renews, as long as it is one', async () => {
  const key = makeSigningKey();
  await world.people.principals.addKey(ADMIN, ALICE, { x: key.x, name: 'laptop', why: 'a test' });
  const { task, start } = await world.people.tasks.register(NOBODY, rootLink(key));
  world.clock.advanceSeconds(600);
  const renewal = (link: string) =>
    world.people.tasks.renew(NOBODY, { task, principal: ALICE, link, wish: {} });
  expect((await renewal(rootLink(key, { task, start }))).task.renewals).toBe(1);
  expect(await reasonOf(renewal(rootLink(key, { task, start: start + 1 })))).toBe('claim_invalid');
  expect(await reasonOf(renewal(rootLink(key)))).toBe('api_malformed');
  expect(await reasonOf(renewal(rootLink(makeSigningKey(), { task, start })))).toBe('anchor_unknown');
  await world.people.principals.removeKey(ADMIN, ALICE, key.thumbprint, 'stolen');
  expect(await reasonOf(renewal(rootLink(key, { task, start })))).toBe('anchor_unknown');
});

test('a stranger’s chain has no list of all people read anew; a change of them has', async () => {
  const { store } = world.records;
  const list = store.list.bind(store);
  let readings = 0;
  store.list = (prefix, page) => {
    if (prefix === 'principal/') readings++;
    return list(prefix, page);
  };
  const stranger = makeSigningKey();
  for (let n = 0; n < 20; n++)
    expect(await reasonOf(world.people.tasks.register(NOBODY, rootLink(stranger)))).toBe('anchor_unknown');
  expect(readings).toBe(1);
  await world.people.principals.addKey(ADMIN, ALICE, { x: stranger.x, name: 'key', why: 'a test' });
  expect(await reasonOf(world.people.tasks.register(NOBODY, rootLink(stranger)))).toBe('done');
  await world.people.principals.removeKey(ADMIN, ALICE, stranger.thumbprint, 'a test');
  expect(await reasonOf(world.people.tasks.register(NOBODY, rootLink(stranger)))).toBe('anchor_unknown');
});

test('of one principal are so many on record and no more', async () => {
  const key = makeSigningKey();
  await world.people.principals.addKey(ADMIN, ALICE, { x: key.x, name: 'key', why: 'a test' });
  const now = world.clock.seconds;
  const edit = new Edit();
  for (let n = 0; n < 10_000; n++) {
    const task = sha256Base64url(`task ${n}`);
    const record = { task, principal: ALICE, start: now, exp: now + 60, renewals: 0, parties: [] };
    edit.set(TASK, nameOf(ALICE, task), record, null);
  }
  await world.records.commit({ event: 'task.registered', actor: ADMIN, why: 'a test', data: {} }, edit);
  expect(await reasonOf(world.people.tasks.register(NOBODY, rootLink(key)))).toBe('api_busy');
});

test('ends by an operator, the principal’s key, its session and its first agent; by nobody else, and once', async () => {
  const key = makeSigningKey();
  await world.people.principals.addKey(ADMIN, ALICE, { x: key.x, name: 'laptop', why: 'a test' });
  const begin = async () => (await world.people.tasks.register(NOBODY, rootLink(key))).task;
  const proof = (task: string, signer = key, iat = world.clock.seconds) =>
    mintRevocationRequest(
      { aud: verifierIdOf('company.com'), principal: ALICE, target: { task }, iat, jti: makeTokenId() },
      signer.x,
      signer.sign,
    );
  const { tasks } = world.people;
  const task = await begin();
  const end = { ...ended, task, principal: ALICE };
  const other = { ...agent, name: 'x', id: parseAgentId('spiffe://company.com/agent/inventory/1') };
  expect(await reasonOf(tasks.end(NOBODY, end))).toBe('api_forbidden');
  expect(await reasonOf(tasks.end(other, end))).toBe('api_forbidden');
  expect(await reasonOf(tasks.end(NOBODY, { ...end, proof: proof(task, makeSigningKey()) }))).toBe(
    'api_forbidden',
  );
  expect(await reasonOf(tasks.end(NOBODY, { ...end, proof: proof(await begin()) }))).toBe('api_forbidden');
  expect(
    await reasonOf(tasks.end(NOBODY, { ...end, proof: proof(task, key, world.clock.seconds - 61) })),
  ).toBe('api_forbidden');
  expect(world.revoked).toEqual([]);

  expect((await tasks.end(NOBODY, { ...end, proof: proof(task) })).ended?.by).toBe(ALICE);
  await tasks.end(OPERATOR, end);
  expect(world.revoked).toEqual([`${ALICE} ${task}`]);
  expect(
    await reasonOf(
      tasks.renew(NOBODY, {
        task,
        principal: ALICE,
        link: rootLink(key, { task, start: world.clock.seconds }),
        wish: {},
      }),
    ),
  ).toBe('revoked_task');

  const second = await begin();
  expect(
    (
      await tasks.end(
        { ...agent, name: 'planning', id: planning },
        { ...ended, task: second, principal: ALICE, outcome: 'idle' },
      )
    ).ended?.outcome,
  ).toBe('idle');
  const session = await world.login();
  await tasks.end(sessionActor(session), { ...ended, task: session.task ?? '', principal: ALICE });
  expect(world.revoked).toHaveLength(3);
  expect(await reasonOf(world.login({ renews: session.task ?? '' }))).toBe('revoked_task');
});
