/** The same Rego, asked over REST of a real OPA beside us, and in this process as a bundle. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decisionPoints } from '../../../src/config/decision-point-schema.ts';
import { openDecisionPoints } from '../../../src/edge/opa/decision-points.ts';
import { makeLogger } from '../../../src/edge/telemetry/log.ts';
import type { PointVerdict } from '../../../src/ports.ts';
import { MESH_POLICY, usualRequest } from '../../opa/mesh-policy.ts';
import { buildBundle, findOpa, OpaServer, writeKey } from '../../opa/opa-process.ts';

/** Microseconds of one decision, one at a time. */
export interface DecisionTimes {
  readonly p50: number;
  readonly p99: number;
}

export interface OpaTimes {
  readonly rest: DecisionTimes;
  readonly inProcess: DecisionTimes;
  /** `opa_rest_vs_inprocess`: medians. */
  readonly ratio: number;
}

const RULE = 'mesh/authz/decision';
/** REST and in process in turns, so that both see the same machine. */
const ROUNDS = 10;

const timesOf = (sorted: Float64Array): DecisionTimes => ({
  p50: sorted[Math.floor(sorted.length * 0.5)] ?? Number.NaN,
  p99: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
});

/** One that is asked again and again with the usual request; throws where it does not permit. */
export type Asked = (name: 'rest' | 'wasm') => void | Promise<void>;

/** The same Rego both ways, as long as `work` takes; undefined where there is no opa. */
const withPoints = async <T>(work: (ask: Asked) => Promise<T>): Promise<T | undefined> => {
  if (findOpa() === undefined) return undefined;
  const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-bench-opa-'));
  const socket = path.join(directory, 'opa.sock');
  const key = writeKey(directory, 'release');
  const file = buildBundle(directory, MESH_POLICY, key, '1');
  const server = new OpaServer(socket, [path.join(directory, 'policy')]);
  const points = openDecisionPoints({
    config: decisionPoints.parse({
      rest: { rest: { url: `unix:${socket}`, timeout: '10s' } },
      wasm: { bundle: { file, publicKeyFile: key.publicFile } },
    }),
    fileAt: (name) => name,
    stateDirectory: directory,
    log: makeLogger('silent'),
  });
  const expect = (name: string, verdict: PointVerdict | undefined): void => {
    if (verdict?.ok !== true) throw new Error(`${name} does not permit: ${verdict?.reason}`);
  };
  try {
    await server.start();
    await points.start();
    return await work((name) => {
      const answer = points.get(name)?.decide(RULE, usualRequest);
      if (answer instanceof Promise) return answer.then((verdict) => expect(name, verdict));
      expect(name, answer);
      return undefined;
    });
  } finally {
    await points.stop();
    await server.kill();
    rmSync(directory, { recursive: true });
  }
};

/** `each`: decisions of each kind. `beside` is what else is measured with the bundle at hand. */
export const measureOpa = <T>(
  each: number,
  beside: (askInProcess: () => void) => T,
): Promise<(OpaTimes & { readonly beside: T }) | undefined> =>
  withPoints(async (ask) => {
    const decide = async (name: 'rest' | 'wasm', taken: Float64Array): Promise<void> => {
      for (let index = 0; index < taken.length; index++) {
        const begun = performance.now();
        const answered = ask(name);
        if (answered instanceof Promise) await answered;
        taken[index] = (performance.now() - begun) * 1000;
      }
    };
    const [rest, inProcess] = [new Float64Array(each), new Float64Array(each)];
    const size = Math.ceil(each / ROUNDS);
    await decide('rest', new Float64Array(size));
    await decide('wasm', new Float64Array(size));
    for (let from = 0; from < each; from += size) {
      await decide('rest', rest.subarray(from, from + size));
      await decide('wasm', inProcess.subarray(from, from + size));
    }
    const [restTimes, processTimes] = [timesOf(rest.sort()), timesOf(inProcess.sort())];
    return {
      rest: restTimes,
      inProcess: processTimes,
      ratio: restTimes.p50 / processTimes.p50,
      beside: beside(() => void ask('wasm')),
    };
  });
