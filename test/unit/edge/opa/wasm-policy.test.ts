/** A policy in this process: what it says, and that nothing it does can stop the process. */
import { describe, expect, test } from 'vitest';
import { readBundle } from '../../../../src/edge/opa/bundle.ts';
import { meterModule } from '../../../../src/edge/opa/wasm-metering.ts';
import { WasmPolicy } from '../../../../src/edge/opa/wasm-policy.ts';
import { ALLOWED, FIXTURE, fixtureFiles, RULES } from '../../../testkit/opa/bundles.ts';

const files = await fixtureFiles();
const wasm = Buffer.from(files['policy.wasm'] ?? '');
const data = Buffer.from(files['data.json'] ?? '');
const load = (rules = RULES) => WasmPolicy.load(wasm, data, rules);
const policy = await load();
const path = (rule: string): string => `hopgate/authz/${rule}`;

describe('a rule', () => {
  test.each([
    ['allow', ALLOWED, true],
    ['allow', { ...ALLOWED, chain: { depth: 4 } }, false],
    ['decision', ALLOWED, { allow: true }],
    [
      'decision',
      { ...ALLOWED, chain: { depth: 4 } },
      { allow: false, reason: 'mailto:alice@company.com may not GET' },
    ],
    ['odd', ALLOWED, 2],
    ['guest', ALLOWED, undefined],
    ['guest', { principal: { id: 'mailto:carol@partner.org' } }, true],
  ])('%s', (rule, input, result) => {
    expect(policy.evaluate(path(rule), input)).toEqual({ kind: 'result', result });
  });

  test('that loops is ended, and the next request is answered as ever', () => {
    expect(policy.evaluate(path('spin'), {})).toEqual({ kind: 'exhausted' });
    expect(policy.evaluate(path('allow'), ALLOWED)).toEqual({ kind: 'result', result: true });
  });

  test('that takes more memory than there is fails, and the next request is answered as ever', async () => {
    const patient = await load({ ...RULES, maxSteps: 1_000_000_000 });
    expect(patient.evaluate(path('hoard'), { megabytes: 2 })).toEqual({ kind: 'result', result: 2 });
    expect(patient.evaluate(path('hoard'), { megabytes: 200_000 })).toEqual({ kind: 'failed' });
    // What broke off is gone, and its memory with it.
    expect(patient.memoryBytes).toBe(0);
    expect(patient.evaluate(path('allow'), ALLOWED)).toEqual({ kind: 'result', result: true });
  });

  test('that is given more than fits fails', () => {
    expect(policy.evaluate(path('allow'), { ...ALLOWED, body: 'x'.repeat(40_000_000) })).toEqual({
      kind: 'failed',
    });
    expect(policy.evaluate(path('allow'), ALLOWED)).toEqual({ kind: 'result', result: true });
  });

  test('sees nothing of the request before', () => {
    const secret = { principal: { id: 'mailto:carol@partner.org' } };
    expect(policy.evaluate(path('guest'), secret)).toMatchObject({ result: true });
    expect(policy.evaluate(path('guest'), {})).toEqual({ kind: 'result', result: undefined });
  });
});

test('a step is the same step each time', async () => {
  const { entrypoints } = await readBundle(FIXTURE, { ...RULES, maxSteps: 1000 });
  const small = entrypoints.get(path('allow'));
  for (let round = 0; round < 3; round++)
    expect(small?.evaluate(path('allow'), { ...ALLOWED, body: 'x'.repeat(5000) })).toEqual({
      kind: 'exhausted',
    });
});

test('what was kept of debugging is left out, and the rest compiles', async () => {
  const { octets } = meterModule(wasm);
  await expect(WebAssembly.compile(octets)).resolves.toBeDefined();
});

describe('a module is refused', () => {
  /** A module of one section with these octets. */
  const module = (...octets: number[]): Buffer => Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...octets]);
  const text = (name: string): number[] => [name.length, ...Buffer.from(name)];
  const code = (...body: number[]): Buffer => {
    const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];
    const whole = [0, ...body, 0x0b];
    return module(
      ...section(1, 1, 0x60, 0, 0),
      ...section(3, 1, 0),
      ...section(6, 0),
      ...section(7, 0),
      ...section(10, 1, whole.length, ...whole),
    );
  };
  const imports = (name: string, from = 'env', kind = [0, 0]): Buffer => {
    const entry = [1, ...text(from), ...text(name), ...kind];
    return module(2, entry.length, ...entry);
  };
  test.each([
    ['without code', module(), 'no code'],
    ['that ends within a section', module(1, 5, 0), 'ends too early'],
    ['that wants to print', imports('opa_println'), 'wants opa_println'],
    ['that wants something of another host', imports('memory', 'wasi_snapshot_preview1'), 'wants memory'],
    ['with a shared memory', imports('memory', 'env', [2, 3, 1, 1]), 'shared'],
    ['with an imported table', imports('memory', 'env', [1, 0x70, 0, 1]), 'table'],
    ['with code before globals', module(10, 1, 0), 'no globals'],
    ['that copies memory in one step', code(0xfc, 10, 0, 0), '0xfc'],
    ['that calls by tail', code(0x12, 0), '0x12'],
    ['with vectors', code(0xfd, 12), '0xfd'],
    ['with atomics', code(0xfe, 0), '0xfe'],
    ['that is wrong besides', code(0x6a), 'no valid WebAssembly'],
    ['that is none of OPA’s', code(0x01), 'none of OPA’s'],
  ])('%s', async (_what, octets, fault) => {
    await expect(WasmPolicy.load(octets, data, RULES)).rejects.toThrow(fault);
  });

  test('with built-in functions that nobody gives it, by name', async () => {
    // The list of the host's functions is text in the module: one name for another of the same length.
    const octets = Buffer.from(wasm);
    const at = octets.indexOf('sprintf\0');
    expect(at).toBeGreaterThan(0);
    octets.write('spooler', at);
    await expect(WasmPolicy.load(octets, data, RULES)).rejects.toThrow('not there in WebAssembly: spooler');
  });
});
