/** The same Rego gives the same verdict, whether OPA is asked over REST or the bundle in this process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decisionPoints } from '../../src/config/decision-point-schema.ts';
import { type OpenDecisionPoints, openDecisionPoints } from '../../src/edge/opa/decision-points.ts';
import { makeLogger } from '../../src/edge/telemetry/log.ts';
import type { PointVerdict } from '../../src/ports.ts';
import { MESH_POLICY, requests } from './mesh-policy.ts';
import { buildBundle, OpaServer, writeKey } from './opa-process.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-opa-'));
const socket = path.join(directory, 'opa.sock');
let server: OpaServer;
let points: OpenDecisionPoints;

beforeAll(async () => {
  const key = writeKey(directory, 'release');
  const file = buildBundle(directory, MESH_POLICY, key, '1');
  server = new OpaServer(socket, [path.join(directory, 'policy')]);
  await server.start();
  points = openDecisionPoints({
    config: decisionPoints.parse({
      rest: { rest: { url: `unix:${socket}`, timeout: '10s' } },
      wasm: { bundle: { file, publicKeyFile: key.publicFile } },
    }),
    fileAt: (name) => name,
    stateDirectory: directory,
    log: makeLogger('silent'),
  });
  await points.start();
});

afterAll(async () => {
  await points?.stop();
  await server?.kill();
  rmSync(directory, { recursive: true });
});

const ask = async (point: string, rule: string, input: Record<string, unknown>): Promise<PointVerdict> => {
  const verdict = await points.get(point)?.decide(rule, input);
  if (verdict === undefined) throw new Error(`no point ${point}`);
  return verdict;
};

/** Without what only one of the two has. */
const same = (verdict: PointVerdict): string =>
  verdict.ok ? 'ok' : `${verdict.reason}: ${verdict.reason === 'opa_denied' ? verdict.detail : ''}`;

test('on 1,000 generated requests and every rule', async () => {
  const counted = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(requests, async (input) => {
      for (const rule of MESH_POLICY.entrypoints) {
        const [rest, wasm] = [await ask('rest', rule, input), await ask('wasm', rule, input)];
        expect(same(wasm), rule).toBe(same(rest));
        const kind = `${rule} ${rest.ok ? 'ok' : rest.reason}`;
        counted.set(kind, (counted.get(kind) ?? 0) + 1);
        if (rest.ok) expect(rest.decisionId).toMatch(/^[0-9a-f-]{36}$/);
        expect(wasm.revision).toBe('1');
      }
    }),
    { numRuns: 1000, seed: 4 },
  );
  console.log(
    [...counted]
      .sort()
      .map(([kind, count]) => `${kind}: ${count}`)
      .join('\n'),
  );
  // A comparison of denials alone would show nothing.
  for (const kind of [
    'mesh/authz/allow ok',
    'mesh/authz/decision ok',
    'mesh/authz/office_hours opa_undefined',
  ])
    expect(counted.get(kind), kind).toBeGreaterThan(50);
});
