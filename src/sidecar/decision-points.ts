/** Other decision points, where the configuration names any: what speaks to them is loaded only then. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { OpenDecisionPoints } from '../edge/opa/decision-points.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock, DecisionPoint, DecisionPoints } from '../ports.ts';
import type { Prepare } from './config-in-force.ts';

type PointsConfig = SidecarConfig['decisionPoints'];

export interface SidecarPointsOptions {
  readonly config: PointsConfig;
  readonly fileAt: (name: string) => string;
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Nobody who was asked before is still thinking after this. */
const LEAVE_MS = 60_000;

export class SidecarPoints implements DecisionPoints {
  private readonly options: SidecarPointsOptions;
  private points: OpenDecisionPoints | undefined;
  /** Replaced by others, and asked by requests that came before. */
  private readonly leaving = new Map<OpenDecisionPoints, NodeJS.Timeout>();
  private stopped = false;

  constructor(options: SidecarPointsOptions) {
    this.options = options;
  }

  /** Undefined before the start, and for a name that the configuration has not. */
  get(point: string): DecisionPoint | undefined {
    return this.points?.get(point);
  }

  /** How they do, by name; none before the start. */
  states(): ReturnType<OpenDecisionPoints['states']> {
    return this.points?.states() ?? new Map();
  }

  /** Reads the files that the configuration names, and asks nobody. Throws with a sentence about the file at fault. */
  async open(): Promise<void> {
    if (this.points !== undefined) return;
    const points = await this.make(this.options.config);
    if (!this.stopped) this.points = points;
  }

  private async make(config: PointsConfig): Promise<OpenDecisionPoints | undefined> {
    if (Object.keys(config).length === 0) return undefined;
    const { openDecisionPoints } = await import('../edge/opa/decision-points.ts');
    return openDecisionPoints({ ...this.options, config });
  }

  /** As {@link open}, and then they can be asked. */
  async start(): Promise<void> {
    await this.open();
    await this.points?.start();
  }

  /** Others, as another configuration names them; asked from the moment of its commit. */
  readonly prepare: Prepare = async (next, before) => {
    if (next.decisionPoints === before.decisionPoints) return undefined;
    const made = await this.make(next.decisionPoints);
    await made?.start();
    return {
      abort: () => void made?.stop(),
      commit: () => {
        const old = this.points;
        this.points = made;
        if (this.stopped) void made?.stop();
        else if (old !== undefined) this.leave(old);
      },
    };
  };

  private leave(points: OpenDecisionPoints): void {
    const timer = setTimeout(() => {
      this.leaving.delete(points);
      void points.stop();
    }, LEAVE_MS).unref();
    this.leaving.set(points, timer);
  }

  stop(): void {
    this.stopped = true;
    void this.points?.stop();
    for (const [points, timer] of this.leaving) {
      clearTimeout(timer);
      void points.stop();
    }
  }
}
