/** Where requests are kept aside, if the configuration says so. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { Quarantine } from '../edge/store/quarantine.ts';
import { openQuarantine } from '../edge/store/quarantine-open.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { AuditPort, Clock, UseCounter } from '../ports.ts';
import type { Identities } from './identities.ts';

export interface QuarantineParts {
  readonly config: SidecarConfig['quarantine'];
  readonly directory: string;
  readonly fileAt: (name: string) => string;
  readonly audit: AuditPort;
  readonly uses: UseCounter;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly log: Logger;
}

export const makeQuarantine = ({
  config,
  directory,
  fileAt,
  audit,
  uses,
  identities,
  clock,
  log,
}: QuarantineParts): Quarantine | undefined => {
  if (config === undefined) return undefined;
  const { reviewers, retention, ...limits } = config;
  return openQuarantine({
    directory,
    reviewers: reviewers.map(fileAt),
    limits: { ...limits, retentionSeconds: retention },
    clock,
    audit,
    uses,
    sidecar: () => identities.current.id,
    onFailure: (error) => log.error({ err: error }, 'the quarantine could not be written'),
  });
};
