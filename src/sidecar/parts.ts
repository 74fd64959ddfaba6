/** What the doors of one sidecar share. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { EgressNetwork } from '../edge/egress/network.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { HeldTrust } from '../edge/store/trust-state.ts';
import type { ConnectionMeter } from '../edge/telemetry/connection-meter.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { OwnSide } from '../hop/handshake.ts';
import type { Path } from '../hop/path.ts';
import type { TracePort } from '../ports.ts';
import type { ClockAlarm } from './clock-alarm.ts';
import type { Contexts } from './contexts.ts';
import type { DoorGuard } from './door-guard.ts';
import type { Identities } from './identities.ts';
import type { Rebinding } from './rebinding.ts';
import type { TaskEnds } from './task-ends.ts';
import type { TaskLabels } from './task-labels.ts';

export interface Parts {
  readonly config: SidecarConfig;
  readonly log: Logger;
  readonly path: Path;
  readonly trust: HeldTrust;
  readonly contexts: Contexts;
  readonly labels: TaskLabels;
  readonly identities: Identities;
  readonly rebinding: Rebinding;
  readonly taskEnds: TaskEnds;
  /** The identity of now; renewals replace it. */
  readonly identity: () => SidecarIdentity;
  /** Undefined where nobody traces. */
  readonly tracer: () => TracePort | undefined;
  /** Undefined where nobody counts. */
  readonly handshakes: ConnectionMeter | undefined;
  readonly clockAlarm: ClockAlarm;
  /** Of the door in. */
  readonly guard: DoorGuard;
  readonly isDraining: () => boolean;
  /** A file that the configuration names. */
  readonly fileAt: (name: string) => string;
  /** Beyond the mesh. */
  readonly network: EgressNetwork;
}

export const ownSide = (identity: SidecarIdentity): OwnSide => ({
  id: identity.id,
  key: identity.key,
  certificate: identity.certificate,
  wit: identity.wit,
  sign: identity.sign,
  notAfter: identity.notAfter,
});

export const nowSeconds = ({ path }: Pick<Parts, 'path'>): number => Math.floor(path.clock.now() / 1000);
