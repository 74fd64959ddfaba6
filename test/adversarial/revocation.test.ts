/** Who may revoke what, against a running verifier: strangers, siblings and descendants may not, and no word counts twice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { revocationEndpoints } from '../../src/api/revocations.ts';
import { serviceEndpoints } from '../../src/api/service.ts';
import { verifyChain } from '../../src/core/delegation/chain.ts';
import { admitKey } from '../../src/core/keys.ts';
import { makeSigningKey } from '../../src/edge/keys/signing-key.ts';
import { VerifierError } from '../../src/edge/verifier/client.ts';
import { LIMITS, permitted } from '../testkit/core-world.ts';
import { type Agent, ALICE, linkAt, MALLORY, RevocationWorld } from '../testkit/revocation-world.ts';
import { TRUST_DOMAIN } from '../testkit/running-verifier.ts';

let world: RevocationWorld;
beforeAll(async () => {
  world = await RevocationWorld.start();
});
afterAll(() => world.stop());

const refusal = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'ok';
  } catch (error) {
    if (error instanceof VerifierError) return error.reason;
    throw error;
  }
};
const why = 'a test';

/** What a sidecar says of a chain with the newest bundle. */
const verdictOf = (chain: string, holder: Agent): string => {
  const { anchors, issuers, revocations } = world.bundle();
  const key = permitted(admitKey(holder.key.x));
  const verified = permitted(
    verifyChain(
      chain,
      { id: holder.id, key },
      { now: world.now, trustDomain: TRUST_DOMAIN, anchors, issuers, limits: LIMITS },
    ),
  );
  return revocations.checkChain(verified)?.reason ?? 'ok';
};

const family = () => {
  const planner = world.agent('planner/1');
  const inventory = world.agent('inventory/1');
  const scanner = world.agent('scanner/1');
  return { planner, inventory, scanner, chain: world.chain(planner, [inventory, scanner]) };
};
const revokeAs = async (name: string, chain: string, link?: string): Promise<string> =>
  refusal(
    (await world.as(name)).call(revocationEndpoints.revoke, {
      body: { target: { chain, ...(link !== undefined && { link }) }, why },
    }),
  );

describe('a link', () => {
  test.each([
    ['its signer', 'inventory/1', 'ok'],
    ['an ancestor', 'planner/1', 'ok'],
    ['its own delegatee', 'scanner/1', 'api_forbidden'],
    ['a stranger who has the chain', 'audit/1', 'api_forbidden'],
    ['a sibling of its signer', 'inventory/2', 'api_forbidden'],
  ])('is revoked by %s: %s → %s', async (_who, name, expected) => {
    const { chain, scanner } = family();
    expect(verdictOf(chain, scanner)).toBe('ok');
    expect(await revokeAs(name, chain)).toBe(expected);
    // Answered is told: the bundle that is out has it.
    expect(verdictOf(chain, scanner)).toBe(expected === 'ok' ? 'revoked_link' : 'ok');
  });

  test('above: a descendant may not', async () => {
    const { chain, inventory } = family();
    const above = linkAt(chain, 1).id;
    expect(await revokeAs('scanner/1', chain, above)).toBe('api_forbidden');
    expect(await revokeAs('inventory/1', chain, above)).toBe('api_forbidden');
    expect(verdictOf(chain.split('~').slice(0, 2).join('~'), inventory)).toBe('ok');
  });

  test('that was revoked can’t be made again', async () => {
    const { inventory, scanner, chain } = family();
    expect(await revokeAs('inventory/1', chain)).toBe('ok');
    const parent = chain.split('~').slice(0, 2).join('~');
    const again = world.extend(parent, inventory, scanner);
    expect(linkAt(again, 2).id).not.toBe(linkAt(chain, 2).id);
    expect(verdictOf(again, scanner)).toBe('revoked_link');
    const other = world.agent('scanner/2');
    expect(verdictOf(world.extend(parent, inventory, other), other)).toBe('ok');
    const { revocations } = await world.local.call(revocationEndpoints.listRevocations, { query: {} });
    const mine = revocations.find((one) => 'link' in one.revoked && one.revoked.link === linkAt(chain, 2).id);
    expect(mine?.revoked).toEqual({
      link: linkAt(chain, 2).id,
      parent: linkAt(chain, 1).id,
      delegatee: scanner.id,
    });
    expect(mine?.until).toBe(linkAt(parent, 1).exp + 30);
  });

  test('that was made below a rebind can’t be made again below another rebind, or by the key before it', async () => {
    const { inventory, scanner, chain } = family();
    const granted = chain.split('~').slice(0, 2).join('~');
    const next = { ...inventory, key: makeSigningKey() };
    const rebound = (): string => world.rebind(granted, inventory, next.key);
    const first = world.extend(rebound(), next, scanner);
    expect(verdictOf(first, scanner)).toBe('ok');
    expect(await revokeAs('planner/1', first)).toBe('ok');
    expect(verdictOf(first, scanner)).toBe('revoked_link');
    expect(verdictOf(world.extend(rebound(), next, scanner), scanner)).toBe('revoked_link');
    expect(verdictOf(world.extend(granted, inventory, scanner), scanner)).toBe('revoked_link');
    const other = world.agent('scanner/2');
    expect(verdictOf(world.extend(rebound(), next, other), other)).toBe('ok');
  });

  test('in a chain whose signatures don’t hold proves nothing', async () => {
    const { chain } = family();
    const [first, second, third = ''] = chain.split('~');
    const other = world.chain(world.agent('planner/1'), [
      world.agent('inventory/1'),
      world.agent('scanner/1'),
    ]);
    const spliced = [first, second, other.split('~')[2]].join('~');
    expect(await revokeAs('planner/1', spliced)).toBe('link_parent');
    const bent = [first, second, `${third.slice(0, -8)}AAAAAAAA`].join('~');
    expect(await revokeAs('planner/1', bent)).not.toBe('ok');
  });

  test('by its bare id is an operator’s to revoke', async () => {
    const { chain, scanner } = family();
    const link = linkAt(chain, 2).id;
    const planner = await world.as('planner/1');
    expect(await refusal(planner.call(revocationEndpoints.revoke, { body: { target: { link }, why } }))).toBe(
      'api_forbidden',
    );
    expect(
      await refusal(world.local.call(revocationEndpoints.revoke, { body: { target: { link }, why } })),
    ).toBe('ok');
    expect(verdictOf(chain, scanner)).toBe('revoked_link');
  });

  test('that has expired is still barred, since its signer could make it again', async () => {
    const planner = world.agent('planner/1');
    const inventory = world.agent('inventory/1');
    const chain = world.chain(planner, [inventory], { ttlSeconds: 60 });
    world.running.clock.advanceSeconds(120);
    expect(await revokeAs('planner/1', chain)).toBe('ok');
  });
});

describe('an agent may not revoke', () => {
  test.each([
    ['an agent', { agent: `spiffe://${TRUST_DOMAIN}/agent/inventory/1` }],
    ['a key', { key: 'A'.repeat(43) }],
    ['a task', { task: 'A'.repeat(43), principal: ALICE }],
    ['a principal', { principal: ALICE }],
  ])('%s', async (_what, target) => {
    const planner = await world.as('planner/1');
    expect(await refusal(planner.call(revocationEndpoints.revoke, { body: { target, why } }))).toBe(
      'api_forbidden',
    );
  });
});

describe('who has no SVID', () => {
  test('may not revoke, whatever chain it shows', async () => {
    const { chain } = family();
    const nobody = world.running.client();
    expect(await refusal(nobody.call(revocationEndpoints.revoke, { body: { target: { chain }, why } }))).toBe(
      'api_unauthenticated',
    );
  });

  test('may bring a principal’s signed word', async () => {
    const { chain, scanner } = family();
    const request = world.request({ link: linkAt(chain, 2).id });
    const nobody = world.running.client();
    expect(
      await refusal(nobody.call(revocationEndpoints.requestRevocation, { body: { request, chain, why } })),
    ).toBe('ok');
    expect(verdictOf(chain, scanner)).toBe('revoked_link');
  });
});

describe('a principal’s signed word', () => {
  const bring = (request: string, chain?: string) =>
    refusal(
      world.local.call(revocationEndpoints.requestRevocation, {
        body: { request, why, ...(chain !== undefined && { chain }) },
      }),
    );

  test('counts once', async () => {
    const request = world.request({ before: world.now });
    expect(await bring(request)).toBe('ok');
    expect(await bring(request)).toBe('api_forbidden');
  });

  test('counts once, also when it comes twice at the same time', async () => {
    const request = world.request({ task: 'E'.repeat(43) });
    const outcomes = await Promise.all([bring(request), bring(request), bring(request)]);
    expect(outcomes.filter((one) => one === 'ok')).toHaveLength(1);
  });

  test('counts once in every spelling of its signature', async () => {
    const request = world.request({ task: 'I'.repeat(43) });
    expect(await bring(request)).toBe('ok');
    expect(await bring(`${request}=`)).not.toBe('ok');
  });

  test('does not reach another principal’s chain', async () => {
    const { chain } = family();
    const link = linkAt(chain, 2).id;
    const request = world.request({ link }, { principal: MALLORY }, world.mallory);
    expect(await bring(request, chain)).toBe('api_forbidden');
    expect(await bring(world.request({ link }, { principal: MALLORY }, world.mallory))).toBe('api_forbidden');
  });

  test('under another’s name is nobody’s', async () => {
    expect(await bring(world.request({ before: world.now }, { principal: ALICE }, world.mallory))).toBe(
      'api_forbidden',
    );
  });

  test('can’t revoke another principal’s key, nor an agent’s', async () => {
    for (const key of [world.alice.thumbprint, world.agent('planner/1').key.thumbprint])
      expect(await bring(world.request({ key }, { principal: MALLORY }, world.mallory))).toBe(
        'api_forbidden',
      );
  });

  test('old, early, or for another verifier is none', async () => {
    const target = { before: world.now };
    expect(await bring(world.request(target, { iat: world.now - 61 }))).toBe('api_forbidden');
    expect(await bring(world.request(target, { iat: world.now + 61 }))).toBe('api_forbidden');
    expect(await bring(world.request(target, { aud: 'spiffe://partner.org/verifier' }))).toBe(
      'api_forbidden',
    );
  });

  test('ends what it granted until now and nothing that it grants from then on', async () => {
    const planner = world.agent('planner/9');
    const old = world.chain(planner);
    expect(verdictOf(old, planner)).toBe('ok');
    expect(await bring(world.request({ before: world.now + 1 }))).toBe('ok');
    expect(verdictOf(old, planner)).toBe('revoked_principal');
    world.running.clock.advanceSeconds(2);
    expect(verdictOf(world.chain(planner), planner)).toBe('ok');
  });

  test('ends its own key, and with that key nothing more', async () => {
    const key = world.mallory.thumbprint;
    const planner = world.agent('planner/8');
    const chain = world.chain(planner, [], { by: world.mallory, principal: MALLORY });
    expect(await bring(world.request({ key }, { principal: MALLORY }, world.mallory))).toBe('ok');
    expect(verdictOf(chain, planner)).toBe('revoked_key');
  });
});

describe('an operator', () => {
  test('revokes an agent, who is nobody from then on, and an admin lets it come back', async () => {
    const agent = `spiffe://${TRUST_DOMAIN}/agent/rogue/1`;
    const rogue = await world.as('rogue/1');
    const { chain } = family();
    const call = () => refusal(rogue.call(revocationEndpoints.revoke, { body: { target: { chain }, why } }));
    expect(await call()).toBe('api_forbidden');
    const done = await world.local.call(revocationEndpoints.revoke, { body: { target: { agent }, why } });
    expect(done.until).toBeNull();
    expect(world.bundle().seq).toBeGreaterThanOrEqual(done.bundle.seq);
    expect(await call()).not.toBe('ok');
    expect(await call()).not.toBe('api_forbidden');
    await world.local.call(revocationEndpoints.liftRevocation, { body: { agent, why } });
    expect(await call()).toBe('api_forbidden');
  });

  test('who repeats it changes nothing', async () => {
    const agent = `spiffe://${TRUST_DOMAIN}/agent/rogue/2`;
    const revoke = () => world.local.call(revocationEndpoints.revoke, { body: { target: { agent }, why } });
    expect((await revoke()).isNew).toBe(true);
    expect((await revoke()).isNew).toBe(false);
  });

  test('can’t revoke what is still to come', async () => {
    const target = { principal: ALICE, before: world.now + 3600 };
    expect(await refusal(world.local.call(revocationEndpoints.revoke, { body: { target, why } }))).toBe(
      'api_malformed',
    );
  });
});

test('each revocation is in the ledger, with who and why', async () => {
  const { events } = await world.local.call(serviceEndpoints.listEvents, { query: { limit: 1000 } });
  const lines = events.map(({ line }) => JSON.parse(line) as { event: string; why: string; actor: string });
  const revoked = lines.filter(({ event }) => event.endsWith('.revoked'));
  expect(revoked.length).toBeGreaterThan(8);
  expect(revoked.every((line) => line.why === why && line.actor !== '')).toBe(true);
});

test('an agent that fills bundles is told to ask an operator', async () => {
  const planner = world.agent('planner/7');
  const client = await world.as('planner/7');
  const outcomes = new Set<string>();
  for (let count = 0; count < 205; count++) {
    const chain = world.chain(planner, [world.agent(`scanner/${count}`)]);
    outcomes.add(
      await refusal(client.call(revocationEndpoints.revoke, { body: { target: { chain }, why } })),
    );
    if (outcomes.has('api_busy')) break;
  }
  expect([...outcomes]).toEqual(['ok', 'api_busy']);
}, 60_000);
