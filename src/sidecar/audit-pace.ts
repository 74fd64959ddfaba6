/** How often the log is signed and summed up, as the configuration has it. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { AuditPace } from '../edge/store/audit-log.ts';

export const paceIn = ({ audit }: SidecarConfig): AuditPace => ({
  checkpointRecords: audit.checkpointRecords,
  checkpointIntervalMs: audit.checkpointInterval * 1000,
  refusalIntervalMs: audit.refusalInterval * 1000,
  refusalSources: audit.refusalSources,
  denialsPerCaller: audit.denialsPerCaller,
});
