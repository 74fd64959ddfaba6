/** What the doors of one sidecar share, put together. */
import { systemNetwork } from '../edge/egress/network.ts';
import type { AuditLog } from '../edge/store/audit-log.ts';
import type { Quarantine } from '../edge/store/quarantine.ts';
import type { VerifierLink } from '../edge/verifier/verifier-link.ts';
import type { LiveHops } from '../hop/forward.ts';
import { ToolWatch } from '../hop/tool-watch.ts';
import { ChainVerifier } from '../hop/verify-chain.ts';
import type { UseCounter } from '../ports.ts';
import { ClockAlarm } from './clock-alarm.ts';
import type { ConfigInForce } from './config-in-force.ts';
import type { Contexts } from './contexts.ts';
import { guardDoor } from './door-guard.ts';
import type { Evidence } from './evidence.ts';
import type { Identities } from './identities.ts';
import type { McpSessions } from './mcp-sessions.ts';
import type { SidecarMetrics } from './metrics.ts';
import type { Parts } from './parts.ts';
import { Rebinding } from './rebinding.ts';
import type { SidecarOptions } from './sidecar-options.ts';
import type { Source } from './source.ts';
import { TaskEnds } from './task-ends.ts';
import { TaskLabels } from './task-labels.ts';
import type { SidecarTelemetry } from './telemetry.ts';

export interface PartsNeeds {
  readonly options: SidecarOptions;
  readonly configs: ConfigInForce;
  readonly source: Source;
  /** Undefined without a verifier. */
  readonly link: VerifierLink | undefined;
  readonly identities: Identities;
  readonly audit: AuditLog;
  readonly uses: UseCounter;
  readonly quarantine: Quarantine | undefined;
  readonly metrics: SidecarMetrics;
  readonly telemetry: SidecarTelemetry;
  readonly sessions: McpSessions;
  readonly contexts: Contexts;
  readonly live: LiveHops;
  readonly evidence: Evidence | undefined;
  readonly isDraining: () => boolean;
  readonly fileAt: (name: string) => string;
}

export const makeParts = ({
  options,
  configs,
  source,
  link,
  identities,
  audit,
  uses,
  quarantine,
  metrics,
  telemetry,
  sessions,
  contexts,
  live,
  evidence,
  isDraining,
  fileAt,
}: PartsNeeds): Parts => {
  const { clock, log } = options;
  const { trust, approvals } = source;
  return {
    get config() {
      return configs.current;
    },
    log,
    trust,
    contexts,
    labels: new TaskLabels(),
    path: {
      clock,
      trust,
      audit,
      chains: new ChainVerifier(),
      uses,
      live,
      evidence,
      meter: metrics.hopsIfOn,
      approvals: options.approvals ?? approvals,
      quarantine,
      points: metrics.pointsIfOn,
      sessions,
      turn: () => new Promise((resolve) => setImmediate(resolve)),
      tools: new ToolWatch(),
      get signedBodyBytes() {
        return configs.current.limits.signedBodyBytes;
      },
      onFault: (error, what) => log.error({ err: error }, what),
    },
    identities,
    rebinding: new Rebinding(contexts, identities, trust),
    taskEnds: new TaskEnds({ link, contexts, live, clock, log }),
    identity: () => identities.current,
    tracer: () => telemetry.tracer,
    handshakes: metrics.handshakesIfOn,
    clockAlarm: new ClockAlarm({ clock, log, facts: () => source.clockFacts() }),
    guard: guardDoor(() => configs.current, clock, log),
    isDraining,
    fileAt,
    network: options.network ?? systemNetwork(),
  };
};
