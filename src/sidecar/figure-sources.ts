/** Where the figures of one sidecar are read from. */
import type { AuditLog } from '../edge/store/audit-log.ts';
import type { Quarantine } from '../edge/store/quarantine.ts';
import type { ConfigState } from './config-in-force.ts';
import type { Doors } from './doors.ts';
import type { FigureSources } from './figures.ts';
import type { McpSessions } from './mcp-sessions.ts';
import type { SidecarMetrics } from './metrics.ts';
import { nowSeconds, type Parts } from './parts.ts';
import type { SidecarTelemetry } from './telemetry.ts';

export interface Measured {
  readonly version: string;
  readonly parts: Parts;
  readonly doors: Pick<Doors, 'counts'>;
  readonly audit: AuditLog;
  readonly sessions: McpSessions;
  readonly quarantine: Quarantine | undefined;
  readonly metrics: SidecarMetrics;
  readonly telemetry: SidecarTelemetry;
  readonly configuration: () => ConfigState;
  readonly isLeaving: () => boolean;
}

export const figureSources = ({
  version,
  parts,
  doors,
  audit,
  sessions,
  quarantine,
  metrics,
  telemetry,
  configuration,
  isLeaving,
}: Measured): FigureSources => {
  const { identities, trust, contexts, labels } = parts;
  const { chains, live } = parts.path;
  return {
    version,
    now: () => nowSeconds(parts),
    identity: () => identities.newest,
    trust: () => trust.known,
    isTrustUsable: () => trust.current().ok,
    isDraining: isLeaving,
    configuration: () => {
      const { loadedAt, refused } = configuration();
      return { loadedAt, isRefused: refused !== undefined };
    },
    isAgentThere: () => parts.guard.agent.state === 'closed',
    audit,
    caches: () => ({
      chain: { hits: chains.hits, misses: chains.misses },
      decision: metrics.hops.decisions,
    }),
    connections: () => doors.counts,
    held: () => ({
      liveHops: live.size,
      heldBytes: parts.guard.heldBytes,
      contexts: contexts.size,
      mcpSessions: sessions.size,
      labelledTasks: labels.size,
    }),
    quarantine: () => quarantine?.figures(),
    telemetry: () => telemetry.figures(),
  };
};
