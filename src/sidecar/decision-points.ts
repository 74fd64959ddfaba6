/** Other decision points, where the configuration names any: what speaks to them is loaded only then. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { OpenDecisionPoints } from '../edge/opa/decision-points.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock, DecisionPoint, DecisionPoints } from '../ports.ts';

export interface SidecarPointsOptions {
  readonly config: SidecarConfig['decisionPoints'];
  readonly fileAt: (name: string) => string;
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class SidecarPoints implements DecisionPoints {
  private readonly options: SidecarPointsOptions;
  private points: OpenDecisionPoints | undefined;
  private stopped = false;

  constructor(options: SidecarPointsOptions) {
    this.options = options;
  }

  /** Undefined before the start, and for a name that the configuration has not. */
  get(point: string): DecisionPoint | undefined {
    return this.points?.get(point);
  }

  /** Reads the files that the configuration names, and asks nobody. Throws with a sentence about the file at fault. */
  async open(): Promise<void> {
    const { config, ...rest } = this.options;
    if (config === undefined || Object.keys(config).length === 0 || this.points !== undefined) return;
    const { openDecisionPoints } = await import('../edge/opa/decision-points.ts');
    if (!this.stopped) this.points = openDecisionPoints({ config, ...rest });
  }

  /** As {@link open}, and then they can be asked. */
  async start(): Promise<void> {
    await this.open();
    await this.points?.start();
  }

  stop(): void {
    this.stopped = true;
    void this.points?.stop();
  }
}
