/** Attributes as a bundle carries them: read strictly, asked in constant time, and silence is nothing. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../../src/core/encoding/json.ts';
import { parseStrictObjectText } from '../../../../src/core/encoding/json.ts';
import type { AgentId, IdPattern } from '../../../../src/core/spiffe-id.ts';
import { idMatches } from '../../../../src/core/spiffe-id.ts';
import { Attributes } from '../../../../src/core/trust/attributes.ts';
import { permitted, reasonOf } from '../../../testkit/core-world.ts';

const INVENTORY = 'spiffe://company.com/agent/inventory/1' as AgentId;
const TYPE = 'spiffe://company.com/agent/inventory/*';
const OTHER = 'spiffe://company.com/agent/other/1' as AgentId;
const ALICE = 'mailto:alice@company.com';

const parse = (agents: unknown, principals: unknown = {}) =>
  Attributes.parse(permitted(parseStrictObjectText(JSON.stringify({ agents, principals }))));
const read = (agents: unknown, principals: unknown = {}): Attributes => permitted(parse(agents, principals));

describe('what is said of an agent', () => {
  test('stands at its ID, else at its type, and is never merged', () => {
    const attributes = read({ [TYPE]: { env: 'prod', owner: 'ops' }, [INVENTORY]: { env: 'test' } });
    expect({ ...attributes.agent(INVENTORY) }).toEqual({ env: 'test' });
    expect({ ...attributes.agent('spiffe://company.com/agent/inventory/2' as AgentId) }).toEqual({
      env: 'prod',
      owner: 'ops',
    });
    expect({ ...attributes.agent(OTHER) }).toEqual({});
    expect(attributes.agentCount).toBe(2);
  });

  test('nothing at the ID keeps what its type has from it', () => {
    expect({ ...read({ [TYPE]: { env: 'prod' }, [INVENTORY]: {} }).agent(INVENTORY) }).toEqual({});
  });

  test('is the same whichever way one asks: as idMatches has it', () => {
    const segment = fc.stringMatching(/^[a-c.-]{1,2}$/).filter((text) => !/^\.+$/.test(text));
    const id = fc.tuple(segment, segment).map(([type, name]) => `spiffe://d.e/agent/${type}/${name}`);
    const pattern = fc.oneof(
      id,
      id.map((one) => `${one.slice(0, one.lastIndexOf('/'))}/*`),
    );
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 8 }), id, (patterns, asked) => {
        const attributes = read(Object.fromEntries(patterns.map((one) => [one, { is: one }])));
        const expected = patterns.includes(asked)
          ? asked
          : patterns.find((one) => idMatches(one as IdPattern, asked as AgentId));
        expect(attributes.agent(asked as AgentId).is).toBe(expected);
      }),
    );
  });

  test('has no member that nobody gave it, and can’t be changed', () => {
    for (const attributes of [Attributes.none, read({ [INVENTORY]: { env: 'prod' } })]) {
      const said = attributes.agent(INVENTORY) as Record<string, string>;
      for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty'])
        expect(said[name]).toBeUndefined();
      expect(() => {
        said.team = 'finance';
      }).toThrow(TypeError);
    }
    expect(Attributes.none.agent(OTHER).team).toBeUndefined();
    expect({ ...read({ [INVENTORY]: { constructor: 'x' } }).agent(INVENTORY) }).toEqual({ constructor: 'x' });
  });

  test('costs the same among a hundred thousand: a look at two maps', () => {
    const agents = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, index) => [
        `spiffe://company.com/agent/t${index % 100}/${index}`,
        { env: 'prod' },
      ]),
    );
    const attributes = read(agents);
    expect(attributes.agentCount).toBe(100_000);
    expect(attributes.agent('spiffe://company.com/agent/t7/7' as AgentId).env).toBe('prod');
    expect(reasonOf(parse({ ...agents, [INVENTORY]: {} }))).toBe('claim_invalid');
  });
});

test('groups of a principal, and of one that is not listed', () => {
  const attributes = read({}, { [ALICE]: { groups: ['sre', 'oncall'] } });
  expect(attributes.groups(ALICE)).toEqual(['sre', 'oncall']);
  expect(attributes.groups('mailto:bob@company.com')).toEqual([]);
  for (const name of ['__proto__', 'constructor']) expect(attributes.groups(name)).toEqual([]);
  expect(() => (attributes.groups(ALICE) as string[]).push('admins')).toThrow(TypeError);
  expect(attributes.principalCount).toBe(1);
});

test('names that the language knows are no agents and no principals', () => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    const text = `{"agents":{"${name}":{"env":"prod"}},"principals":{}}`;
    expect(reasonOf(Attributes.parse(permitted(parseStrictObjectText(text))))).toBe('claim_invalid');
    expect(reasonOf(parse({}, { [name]: { groups: ['sre'] } }))).toBe('claim_invalid');
  }
  const proto = `{"agents":{"${INVENTORY}":{"__proto__":"x"}},"principals":{}}`;
  expect(reasonOf(Attributes.parse(permitted(parseStrictObjectText(proto))))).toBe('claim_invalid');
});

test('whatever is listed is what was read', () => {
  const agents = { [TYPE]: { env: 'prod' }, [INVENTORY]: {} };
  const principals = { [ALICE]: { groups: ['sre'] } };
  const { agents: said, principals: grouped } = read(agents, principals).listed();
  expect(Object.fromEntries(said.map(([id, map]) => [id, { ...map }]))).toEqual(agents);
  expect(Object.fromEntries(grouped)).toEqual({ [ALICE]: ['sre'] });
});

test('no octets make it throw', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (agents, principals) => {
      const value = { agents, principals } as unknown as JsonObject;
      const parsed = Attributes.parse(value);
      expect(typeof parsed.ok).toBe('boolean');
    }),
  );
});
