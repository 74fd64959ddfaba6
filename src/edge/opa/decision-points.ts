/** All decision points of a sidecar, by name. */
import path from 'node:path';
import type { DecisionPointsConfig } from '../../config/decision-point-schema.ts';
import type { Clock, DecisionPoint, DecisionPoints } from '../../ports.ts';
import { systemClock } from '../clock.ts';
import type { Logger } from '../telemetry/log.ts';
import { BundlePoint, type BundlePointState } from './bundle-point.ts';
import { RestPoint, type RestPointState } from './rest-point.ts';

export interface DecisionPointsOptions {
  readonly config: DecisionPointsConfig;
  /** A file as the configuration names it, from its own folder. */
  readonly fileAt: (name: string) => string;
  /** The sidecar's state directory; bundles are kept in `opa` below it. */
  readonly stateDirectory: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

export type PointState = RestPointState | BundlePointState;

export interface OpenDecisionPoints extends DecisionPoints {
  /**
   * Bundles that were kept are in force when it resolves, first ones as far as they can be had: what isn't denies. Rejects only
   * when the state directory can't be written.
   */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** For metrics and `status`. */
  states(): ReadonlyMap<string, PointState>;
}

const FILES = ['file', 'publicKeyFile', 'tokenFile', 'caFile'] as const;
type Files = { readonly [name in (typeof FILES)[number]]?: string | undefined };

const withFiles = <T extends Files>(config: T, fileAt: (name: string) => string): T => {
  const given = FILES.flatMap((name) => (config[name] === undefined ? [] : [[name, fileAt(config[name])]]));
  return { ...config, ...Object.fromEntries(given) };
};

/** Starts nothing. Throws for files (CA, token, key) that can't be read. */
export const openDecisionPoints = ({
  config,
  fileAt,
  stateDirectory,
  log,
  clock = systemClock,
}: DecisionPointsOptions): OpenDecisionPoints => {
  const points = new Map<string, RestPoint | BundlePoint>();
  for (const [name, { rest, bundle }] of Object.entries(config)) {
    if (rest !== undefined)
      points.set(name, new RestPoint({ name, config: withFiles(rest, fileAt), clock, log }));
    if (bundle !== undefined)
      points.set(
        name,
        new BundlePoint({
          name,
          config: withFiles(bundle, fileAt),
          log,
          clock,
          directory: path.join(stateDirectory, 'opa'),
        }),
      );
  }
  const stop = async (): Promise<void> => {
    await Promise.all([...points.values()].map((point) => point.stop()));
  };
  return {
    get: (point: string): DecisionPoint | undefined => points.get(point),
    start: async () => {
      await Promise.all([...points.values()].map((point) => point.start()));
    },
    stop,
    states: () => new Map([...points].map(([name, point]) => [name, point.state])),
  };
};
