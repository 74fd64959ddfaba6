/** Attributes in the registry: who may say them, of whom they hold, and what of them stands in a bundle. */
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Entry } from '../../../../src/api/registry.ts';
import { attributesSource } from '../../../../src/verifier/principals/attributes.ts';
import { Refusal } from '../../../../src/verifier/refusal.ts';
import {
  OPERATOR as ADMIN,
  DOMAIN,
  idOf,
  makeRegistryWorld,
  type RegistryWorld,
  wish,
} from '../../../testkit/registry-world.ts';

const OPERATOR = { ...ADMIN, roles: new Set(['operator'] as const) };
const PODS = `spiffe://${DOMAIN}/agent/inventory/{pod}`;
const TYPE = `spiffe://${DOMAIN}/agent/inventory/*`;
const ONE = idOf('inventory/1');
const NS = ['k8s:ns=prod', 'k8s:sa=inventory'];
const why = 'a test';

let world: RegistryWorld;
beforeEach(async () => {
  world = await makeRegistryWorld();
  onTestFinished(() => world.close());
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

type Attributes = Readonly<Record<string, string>>;
const add = (
  id: string,
  attributes?: Attributes,
  { by = ADMIN, name, selectors }: { by?: typeof ADMIN; name?: string; selectors?: readonly string[] } = {},
): Promise<Entry> =>
  world.registry.entries.add(
    by,
    {
      id,
      ...wish(selectors ?? (id.endsWith('}') ? NS : [`join:id=${id}`])),
      ...(attributes && { attributes }),
      ...(name !== undefined && { name }),
    },
    why,
  );
const change = async (entry: Entry, set: Attributes, remove: readonly string[] = [], by = ADMIN) =>
  (await world.registry.entries.changeAttributes(by, entry.name, { set, remove }, why)).entry.attributes;
const published = async (): Promise<unknown> =>
  (await attributesSource(world.records).read(world.clock.seconds))?.agents ?? {};

describe('what is said', () => {
  test('of an agent is published under its ID, changed by name, and nobody else adds to a bundle', async () => {
    const entry = await add(idOf('planning/1'), { team: 'finance', env: 'prod' });
    await add(idOf('planning/2'));
    expect(await published()).toEqual({ [idOf('planning/1')]: { team: 'finance', env: 'prod' } });
    expect(await change(entry, { team: 'legal' }, ['env'])).toEqual({ team: 'legal' });
    expect(await published()).toEqual({ [idOf('planning/1')]: { team: 'legal' } });
    expect((await world.events()).at(-1)).toMatchObject({
      event: 'entry.attributes_changed',
      data: { id: idOf('planning/1'), attributes: { team: 'legal' }, were: { team: 'finance', env: 'prod' } },
    });
    await change(entry, {}, ['team']);
    expect(await attributesSource(world.records).read(world.clock.seconds)).toBeUndefined();
  });

  test('stays when an entry is updated without a word of it', async () => {
    const entry = await add(idOf('planning/1'), { team: 'finance' });
    const { entries } = world.registry;
    const hinted = await entries.update(ADMIN, entry.name, wish(entry.selectors, { hint: 'a note' }), why);
    expect(hinted.attributes).toEqual({ team: 'finance' });
    await entries.update(ADMIN, entry.name, wish(entry.selectors, { attributes: { team: 'red' } }), why);
    expect(await published()).toEqual({ [idOf('planning/1')]: { team: 'red' } });
  });

  test('of a template holds for its pattern, and not for an agent with an entry of its own', async () => {
    const before = await add(ONE);
    await add(PODS, { env: 'prod' });
    expect(await published()).toEqual({ [TYPE]: { env: 'prod' }, [ONE]: {} });
    const after = await add(idOf('inventory/2'));
    expect(await published()).toEqual({ [TYPE]: { env: 'prod' }, [ONE]: {}, [idOf('inventory/2')]: {} });
    await change(before, { env: 'test' });
    await world.registry.agents.retireEntry(ADMIN, after.name, why);
    expect(await published()).toEqual({ [TYPE]: { env: 'prod' }, [ONE]: { env: 'test' } });
    await change(before, {}, ['env']);
    expect(await published()).toEqual({ [TYPE]: { env: 'prod' }, [ONE]: {} });
  });

  test('of a template that says nothing any more leaves nothing behind', async () => {
    await add(ONE);
    const pods = await add(PODS, { env: 'prod' });
    await change(pods, {}, ['env']);
    expect(await published()).toEqual({});
    await change(pods, { env: 'prod' });
    expect(await published()).toEqual({ [TYPE]: { env: 'prod' }, [ONE]: {} });
    await world.registry.agents.retireEntry(ADMIN, pods.name, why);
    expect(await published()).toEqual({});
  });

  test('at the same time as an agent of that type is registered, is not said of it', async () => {
    await Promise.all([add(PODS, { env: 'prod' }), add(ONE), add(idOf('inventory/2'))]);
    expect(await published()).toEqual({ [TYPE]: { env: 'prod' }, [ONE]: {}, [idOf('inventory/2')]: {} });
  });
});

describe('entries of one name, or of one template, have the same', () => {
  test('however the placeholder is spelled', async () => {
    const first = await add(PODS, { env: 'prod' });
    const other = PODS.replace('{pod}', '{sa}');
    const selectors = ['k8s:ns=test', 'k8s:sa=inventory'];
    expect(await reasonOf(add(other, { env: 'test' }, { name: 'other', selectors }))).toBe('api_conflict');
    expect(await reasonOf(add(other, {}, { name: 'other', selectors }))).toBe('api_conflict');
    const second = await add(other, undefined, { name: 'other', selectors });
    expect(second.attributes).toEqual({ env: 'prod' });
    await change(second, { env: 'test' });
    expect((await world.registry.entries.get(first.name)).attributes).toEqual({ env: 'test' });
    await world.registry.agents.retireEntry(ADMIN, first.name, why);
    expect(await published()).toEqual({ [TYPE]: { env: 'test' } });
    await world.registry.agents.retireEntry(ADMIN, second.name, why);
    expect(await published()).toEqual({});
  });
});

describe('an operator', () => {
  test('gives no attributes, takes none, and changes none', async () => {
    expect(await reasonOf(add(ONE, { env: 'prod' }, { by: OPERATOR }))).toBe('api_forbidden');
    const entry = await add(ONE, undefined, { by: OPERATOR });
    expect(await reasonOf(change(entry, { env: 'prod' }, [], OPERATOR))).toBe('api_forbidden');
    const { entries } = world.registry;
    const wider = wish(entry.selectors, { attributes: { env: 'prod' } });
    expect(await reasonOf(entries.update(OPERATOR, entry.name, wider, why))).toBe('api_forbidden');
    await change(entry, { env: 'test' });
    expect(await reasonOf(change(entry, {}, ['env'], OPERATOR))).toBe('api_forbidden');
    expect(await published()).toEqual({ [ONE]: { env: 'test' } });
  });

  test('lets nobody become an agent that has some', async () => {
    const pods = await add(PODS, { env: 'prod' });
    const { entries } = world.registry;
    const mine = ['k8s:ns=mine', 'k8s:sa=inventory'];
    for (const id of [PODS, PODS.replace('{pod}', '{sa}'), PODS.replace('{pod}', '{sub}')])
      expect(
        await reasonOf(
          add(id, undefined, {
            by: OPERATOR,
            name: 'mine',
            selectors: id.endsWith('{sub}') ? ['oidc:iss=https://i', 'oidc:client_id=mine'] : mine,
          }),
        ),
      ).toBe('api_forbidden');
    expect(await reasonOf(entries.update(OPERATOR, pods.name, wish(mine), why))).toBe('api_forbidden');
    expect(await reasonOf(entries.checkRegistrar(OPERATOR, ONE))).toBe('done');
    const one = await add(ONE, undefined, { by: OPERATOR });
    expect(one.attributes).toEqual({});
    expect(await published()).toEqual({ [TYPE]: { env: 'prod' }, [ONE]: {} });
    await change(one, { env: 'test' });
    expect(await reasonOf(entries.checkRegistrar(OPERATOR, ONE))).toBe('api_forbidden');
  });
});

describe('refused', () => {
  test('attributes of all clients, which everybody who logs in would have', async () => {
    const clients = `spiffe://${DOMAIN}/client/{sub}`;
    const selectors = ['oidc:iss=https://i', 'oidc:client_id=c'];
    expect(await reasonOf(add(clients, { device: 'managed' }, { selectors }))).toBe('api_malformed');
    const entry = await add(clients, undefined, { selectors });
    expect(await reasonOf(change(entry, { device: 'managed' }))).toBe('api_malformed');
    expect(await published()).toEqual({});
    const alice = await add(`spiffe://${DOMAIN}/client/alice`, { device: 'managed' });
    expect(alice.attributes).toEqual({ device: 'managed' });
  });

  test('more than an agent may have, in one change or two', async () => {
    const entry = await add(ONE);
    const many = (from: number, count: number): Attributes =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${from + index}`, 'x']));
    await change(entry, many(0, 20));
    expect(await reasonOf(change(entry, many(20, 13)))).toBe('api_malformed');
    await change(entry, many(20, 12));
    expect(
      await reasonOf(
        change(entry, { a0: 'x'.repeat(256), a1: 'x'.repeat(256), a2: 'x'.repeat(256), a3: 'x'.repeat(256) }),
      ),
    ).toBe('api_malformed');
  });

  test('attributes of a retired entry', async () => {
    const entry = await add(ONE);
    await world.registry.agents.retireEntry(ADMIN, entry.name, why);
    expect(await reasonOf(change(entry, { env: 'prod' }))).toBe('id_retired');
  });
});
