/** Where requests are kept aside, if the configuration says so; what seals them is loaded only then. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { Quarantine } from '../edge/store/quarantine.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { AuditPort, Clock, UseCounter } from '../ports.ts';
import type { Identities } from './identities.ts';

export interface QuarantineParts {
  readonly directory: string;
  readonly fileAt: (name: string) => string;
  readonly audit: AuditPort;
  readonly uses: UseCounter;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly log: Logger;
}

export type MakeQuarantine = (parts: QuarantineParts) => Quarantine;

export const loadQuarantine = async ({ quarantine }: SidecarConfig): Promise<MakeQuarantine | undefined> => {
  if (quarantine === undefined) return undefined;
  const { reviewers, retention, ...limits } = quarantine;
  const { openQuarantine } = await import('../edge/store/quarantine-open.ts');
  return ({ directory, fileAt, audit, uses, identities, clock, log }) =>
    openQuarantine({
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
