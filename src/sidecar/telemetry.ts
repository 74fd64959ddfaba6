/** Traces and logs over OTLP, where the configuration names a receiver: what speaks to it is loaded only then. */
import type { TelemetryConfig } from '../config/telemetry-schema.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import type { Logger, LogTap } from '../edge/telemetry/log.ts';
import type { DeliveryFigures } from '../edge/telemetry/otlp/delivery.ts';
import type { OpenOtlp } from '../edge/telemetry/otlp/open.ts';
import type { TracePort } from '../ports.ts';

/** For what waits when the sidecar ends. */
const CLOSE_MS = 2000;

export interface SidecarTelemetryOptions {
  readonly config: TelemetryConfig;
  readonly fileAt: (name: string) => string;
  readonly version: string;
  readonly log: Logger;
  readonly tap: LogTap | undefined;
}

export class SidecarTelemetry {
  private readonly options: SidecarTelemetryOptions;
  private otlp: OpenOtlp | undefined;
  private closing: Promise<void> | undefined;

  constructor(options: SidecarTelemetryOptions) {
    this.options = options;
  }

  /** Undefined where nobody traces, and before the start. */
  get tracer(): TracePort | undefined {
    return this.otlp?.tracer;
  }

  figures(): Readonly<Record<string, DeliveryFigures>> {
    return this.otlp?.figures() ?? {};
  }

  /** Throws with a sentence about the file at fault. */
  async start(id: AgentId): Promise<void> {
    const { tap } = this.options;
    const otlp = await this.open(id);
    if (otlp === undefined) return;
    if (this.closing !== undefined) {
      await otlp.close(0);
      return;
    }
    this.otlp = otlp;
    if (tap !== undefined) tap.line = otlp.line;
  }

  private async open(id: AgentId): Promise<OpenOtlp | undefined> {
    const { config, fileAt, version, log } = this.options;
    if (config.otlp === undefined) return undefined;
    const { openOtlp } = await import('../edge/telemetry/otlp/open.ts');
    return openOtlp({ config: config.otlp, fileAt, id, version, log });
  }

  /** What is only read at the start. Throws with a sentence about the file at fault. */
  async check(): Promise<void> {
    const otlp = await this.open(NOBODY);
    await otlp?.close(0);
  }

  /** Delivers what waits, and ends. */
  close(): Promise<void> {
    const { otlp } = this;
    const { tap } = this.options;
    if (tap !== undefined) tap.line = undefined;
    this.closing ??= otlp === undefined ? Promise.resolve() : otlp.close(CLOSE_MS);
    return this.closing;
  }
}

/** Whose files are read, and nothing else. */
const NOBODY = 'spiffe://example.org/agent/nobody/1' as AgentId;
