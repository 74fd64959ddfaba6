/** The figures of one sidecar for Prometheus: what is counted, what is read, and the door where they are had. */
import { formatAddress } from '../config/forms.ts';
import type { MetricsConfig } from '../config/telemetry-schema.ts';
import { MetricsDoor } from '../edge/http/metrics-door.ts';
import { MeteredPoints, type WatchedPoints } from '../edge/opa/metered-points.ts';
import { ConnectionMeter } from '../edge/telemetry/connection-meter.ts';
import { HopMeter } from '../edge/telemetry/hop-meter.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import { ProcessFigures } from '../edge/telemetry/process-figures.ts';
import { CONTENT_TYPE, type Family, textOf } from '../edge/telemetry/series.ts';
import type { Clock, DecisionPoints } from '../ports.ts';
import { type FigureSources, sidecarFamilies } from './figures.ts';

export interface SidecarMetricsOptions {
  readonly config: MetricsConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly points: WatchedPoints;
}

export class SidecarMetrics {
  readonly hops = new HopMeter();
  readonly connections = new ConnectionMeter();
  readonly points: MeteredPoints;
  private readonly options: SidecarMetricsOptions;
  private door: MetricsDoor | undefined;
  private ofProcess: ProcessFigures | undefined;
  private address: string | undefined;

  constructor(options: SidecarMetricsOptions) {
    this.options = options;
    this.points = new MeteredPoints(options.points, options.clock);
  }

  /** What the path counts by: nothing where nobody can read it. */
  get hopsIfOn(): HopMeter | undefined {
    return this.isOn ? this.hops : undefined;
  }

  get handshakesIfOn(): ConnectionMeter | undefined {
    return this.isOn ? this.connections : undefined;
  }

  get pointsIfOn(): DecisionPoints {
    return this.isOn ? this.points : this.options.points;
  }

  private get isOn(): boolean {
    return this.options.config.listen !== 'off';
  }

  /** Less those of the process. */
  families(sources: FigureSources): readonly Family[] {
    return [
      ...this.hops.families,
      ...this.connections.families,
      ...this.points.families,
      ...sidecarFamilies(sources),
    ];
  }

  /** `host:port`; undefined where they are off, or before the start. Throws when the address can't be listened on. */
  async listen(sources: FigureSources): Promise<string | undefined> {
    const { config, log } = this.options;
    const { listen } = config;
    if (listen === 'off' || this.door !== undefined) return this.address;
    const ofProcess = new ProcessFigures();
    this.ofProcess = ofProcess;
    const families = [...this.families(sources), ...ofProcess.families];
    this.door = new MetricsDoor({
      text: async () => textOf(families),
      contentType: CONTENT_TYPE,
      log,
    });
    try {
      this.address = formatAddress({ ...listen, port: (await this.door.listen(listen)).port });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new Error(
        `can't listen on ${formatAddress(listen)} for metrics (${code}): set another metrics.listen, or off`,
      );
    }
    return this.address;
  }

  stop(): void {
    this.ofProcess?.stop();
    void this.door?.close();
  }
}
