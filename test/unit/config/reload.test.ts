import { describe, expect, it } from 'vitest';
import { generateFiles } from '../../../config/generate.ts';
import { changedFields, isLive, keepSame, LIVE_FIELDS } from '../../../src/config/reload.ts';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

describe('what of a configuration changes under a running sidecar', () => {
  it('names fields that there are', () => {
    const schema = JSON.parse(generateFiles()['sidecar.schema.json'] ?? '') as Schema;
    for (const field of LIVE_FIELDS) {
      const found = field
        .split('.')
        .reduce<Schema | undefined>((within, key) => within?.properties?.[key], schema);
      expect(found, field).toBeDefined();
    }
  });

  it('never lets what it does not name', () => {
    for (const path of [['identity', 'svid'], ['inbound', 'listen'], ['limits'], ['log'], ['made-up'], []])
      expect(isLive(path), path.join('.')).toBe(false);
    expect(isLive(['limits', 'bodyBytes'])).toBe(true);
    // A field whose name begins like that of a live one.
    expect(isLive(['decisionPointsToo'])).toBe(false);
  });
});

describe('two configurations', () => {
  const before = {
    a: { listen: { host: '127.0.0.1', port: 1 }, routes: [{ host: 'x', n: [1] }, { host: 'y' }] },
    b: 1,
  };

  it('differ in their deepest fields; lists and addresses are one', () => {
    const after = { a: { listen: { host: '127.0.0.1', port: 2 }, routes: [] }, b: 1, c: {} };
    expect(changedFields(before, after)).toEqual([['a', 'listen'], ['a', 'routes'], ['c']]);
    expect(changedFields(before, structuredClone(before))).toEqual([]);
    expect(changedFields({ b: 1 }, { b: undefined })).toEqual([['b']]);
  });

  it('share what they have in common', () => {
    const after = structuredClone({ ...before, b: 2 });
    after.a.routes.reverse();
    const kept = keepSame(before, after);
    expect(kept).toEqual(after);
    expect(kept.a.listen).toBe(before.a.listen);
    expect(kept.a.routes[1]).toBe(before.a.routes[0]);
    expect(keepSame(before, structuredClone(before))).toBe(before);
  });
});
