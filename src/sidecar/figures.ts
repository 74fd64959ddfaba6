/** What a sidecar says of itself when somebody scrapes it: read from what it holds anyway. No label names who or what is behind it. */

import type { AuditLog } from '../edge/store/audit-log.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { Quarantine } from '../edge/store/quarantine.ts';
import type { DeliveryFigures } from '../edge/telemetry/otlp/delivery.ts';
import { type Family, histogramFamily, labelled, type Put, readFamily } from '../edge/telemetry/series.ts';
import type { TrustSnapshot } from '../ports.ts';

/** Caches, by what was found in them and what was not. */
export interface Lookups {
  readonly hits: number;
  readonly misses: number;
}

/** Connections of a door, by what they are doing. */
export type Connections = Readonly<Record<string, number>>;

/** Each is asked at every scrape, from before there are trust and identity. */
export interface FigureSources {
  readonly version: string;
  /** Seconds. */
  readonly now: () => number;
  readonly identity: () => SidecarIdentity | undefined;
  readonly trust: () => TrustSnapshot | undefined;
  /** Whether it can be decided by it. */
  readonly isTrustUsable: () => boolean;
  readonly isDraining: () => boolean;
  /** When the configuration in force was loaded, in seconds, and whether its file now says something that was refused. */
  readonly configuration: () => { readonly loadedAt: number; readonly isRefused: boolean };
  /** Whether the agent answers on its port. */
  readonly isAgentThere: () => boolean;
  readonly audit: Pick<AuditLog, 'figures' | 'isWritable' | 'lagSeconds' | 'lostNotes' | 'waitingRecords'>;
  readonly caches: () => Readonly<Record<string, Lookups>>;
  readonly connections: () => Readonly<Record<'inbound' | 'outbound' | 'agent', Connections>>;
  readonly held: () => {
    readonly liveHops: number;
    readonly heldBytes: number;
    readonly contexts: number;
    readonly mcpSessions: number;
    readonly labelledTasks: number;
  };
  readonly quarantine: () => ReturnType<Quarantine['figures']> | undefined;
  /** By signal; nothing where there is no receiver. */
  readonly telemetry: () => Readonly<Record<string, DeliveryFigures>>;
}

const yes = (value: boolean): number => (value ? 1 : 0);

const ofSelf = ({ version, isDraining, configuration, identity }: FigureSources): readonly Family[] => [
  readFamily('gauge', 'hopgate_build_info', 'Always 1: the version that runs.', ['version'], (put) =>
    put(1, labelled({ version })),
  ),
  readFamily('gauge', 'hopgate_draining', '1 while it shuts down.', [], (put) => put(yes(isDraining()))),
  readFamily(
    'gauge',
    'hopgate_config_last_reload_successful',
    '0 while the configuration file says something that was refused, and the last good one is in force.',
    [],
    (put) => put(yes(!configuration().isRefused)),
  ),
  readFamily(
    'gauge',
    'hopgate_config_loaded_timestamp_seconds',
    'When the configuration in force was loaded, since 1970.',
    [],
    (put) => put(configuration().loadedAt),
  ),
  readFamily(
    'gauge',
    'hopgate_credential_expiry_timestamp_seconds',
    'When the SVID and the WIT in use end, since 1970: renewed at half of their life.',
    ['credential'],
    (put) => {
      const own = identity();
      if (own === undefined) return;
      put(own.svidNotAfter, labelled({ credential: 'svid' }));
      put(own.witExp, labelled({ credential: 'wit' }));
    },
  ),
];

/** Of the snapshot in force; nothing before there is one. */
const trustGauge = (
  { trust }: FigureSources,
  name: string,
  help: string,
  labels: readonly string[],
  write: (put: Put, snapshot: TrustSnapshot) => void,
): Family =>
  readFamily('gauge', name, help, labels, (put) => {
    const snapshot = trust();
    if (snapshot !== undefined) write(put, snapshot);
  });

const ofTrust = (sources: FigureSources): readonly Family[] => {
  const { now, isTrustUsable } = sources;
  return [
    readFamily(
      'gauge',
      'hopgate_trust_usable',
      '1 if there are bundle and policy by which it can be decided; at 0 everything is denied.',
      [],
      (put) => put(yes(isTrustUsable())),
    ),
    trustGauge(sources, 'hopgate_bundle_epoch', 'Epoch of the bundle in force.', [], (put, { bundle }) =>
      put(bundle.epoch),
    ),
    trustGauge(
      sources,
      'hopgate_bundle_seq',
      'Number of the bundle in force within its epoch.',
      [],
      (put, { bundle }) => put(bundle.seq),
    ),
    trustGauge(
      sources,
      'hopgate_bundle_expiry_timestamp_seconds',
      'When the bundle in force ends, since 1970.',
      [],
      (put, { bundle }) => put(bundle.exp),
    ),
    trustGauge(
      sources,
      'hopgate_trust_age_seconds',
      'Since the verifier last said that nothing newer exists.',
      [],
      (put, { freshAt }) => put(now() - freshAt),
    ),
    trustGauge(
      sources,
      'hopgate_trust_max_age_seconds',
      'The most that it may be; a scope may demand less.',
      [],
      (put, { maxStalenessSeconds }) => put(maxStalenessSeconds),
    ),
    trustGauge(
      sources,
      'hopgate_policy_revision_info',
      'Always 1: the policy in force, by its revision and digest. The digest is empty where policy comes from a file.',
      ['revision', 'digest'],
      (put, { policy, bundle }) =>
        put(1, labelled({ revision: policy.policy.revision, digest: bundle.policyDigest ?? '' })),
    ),
    trustGauge(
      sources,
      'hopgate_observed_routes',
      'Routes that are only observed now: what policy would deny goes on.',
      [],
      (put, snapshot) => put(observedEnds(snapshot, now()).length),
    ),
    trustGauge(
      sources,
      'hopgate_observation_expiry_timestamp_seconds',
      'When the first of them is enforced again, since 1970; absent where there is none.',
      [],
      (put, snapshot) => {
        const ends = observedEnds(snapshot, now());
        if (ends.length > 0) put(Math.min(...ends));
      },
    ),
    trustGauge(sources, 'hopgate_revocations', 'Revocations in force.', [], (put, { bundle }) =>
      put(bundle.revocations.size),
    ),
  ];
};

const observedEnds = ({ policy }: TrustSnapshot, now: number): readonly number[] =>
  policy.policy.routes.flatMap(({ observeUntil = 0 }) => (observeUntil > now ? [observeUntil] : []));

const ofAudit = ({ audit }: FigureSources): readonly Family[] => [
  readFamily('counter', 'hopgate_audit_records_total', 'Records written to the decision log.', [], (put) =>
    put(audit.figures.records),
  ),
  readFamily('counter', 'hopgate_audit_written_bytes_total', 'Their octets.', [], (put) =>
    put(audit.figures.bytes),
  ),
  readFamily(
    'counter',
    'hopgate_audit_write_failures_total',
    'Writes that failed: whatever waited for them was denied.',
    [],
    (put) => put(audit.figures.failures),
  ),
  readFamily(
    'counter',
    'hopgate_audit_lost_records_total',
    'Outcomes that could not be written, after a decision that was.',
    [],
    (put) => put(audit.lostNotes),
  ),
  readFamily(
    'gauge',
    'hopgate_audit_writable',
    '0 while the log can’t be written: everything is denied.',
    [],
    (put) => put(yes(audit.isWritable)),
  ),
  readFamily('gauge', 'hopgate_audit_queue_records', 'Records that wait to be written.', [], (put) =>
    put(audit.waitingRecords),
  ),
  readFamily('gauge', 'hopgate_audit_lag_seconds', 'For how long the oldest of them has waited.', [], (put) =>
    put(audit.lagSeconds),
  ),
  histogramFamily(
    'hopgate_audit_write_duration_seconds',
    'From the first record of a batch until the batch is written, durable as configured: what every request waits for.',
    [],
    () => [['', audit.figures.waits] as const],
  ),
  readFamily(
    'counter',
    'hopgate_early_refusals_total',
    'Refusals before anybody had proven who they are, by reason code.',
    ['reason'],
    (put) => {
      for (const [reason, count] of audit.figures.refusals) put(count, labelled({ reason }));
    },
  ),
];

const ofWork = ({
  caches,
  connections,
  held,
  isAgentThere,
  quarantine,
}: FigureSources): readonly Family[] => {
  const holding = (name: string, help: string, what: keyof ReturnType<FigureSources['held']>): Family =>
    readFamily('gauge', name, help, [], (put) => put(held()[what]));
  const quarantined = (
    name: string,
    help: string,
    what: keyof NonNullable<ReturnType<FigureSources['quarantine']>>,
  ): Family =>
    readFamily('gauge', name, help, [], (put) => {
      const figures = quarantine();
      if (figures !== undefined) put(figures[what]);
    });
  return [
    readFamily(
      'counter',
      'hopgate_cache_lookups_total',
      'What was known already (hit): verified chains, and decisions about them.',
      ['cache', 'result'],
      (put) => {
        for (const [cache, { hits, misses }] of Object.entries(caches())) {
          put(hits, labelled({ cache, result: 'hit' }));
          put(misses, labelled({ cache, result: 'miss' }));
        }
      },
    ),
    readFamily(
      'gauge',
      'hopgate_connections',
      'Connections of the door in and the door out with other sidecars, and with the agent: open (proven), handshaking, connecting; waiting are requests without one.',
      ['door', 'state'],
      (put) => {
        for (const [door, states] of Object.entries(connections()))
          for (const [state, count] of Object.entries(states)) put(count, labelled({ door, state }));
      },
    ),
    readFamily(
      'gauge',
      'hopgate_agent_up',
      '0 while the agent does not answer on its port and is left alone: requests for it are refused.',
      [],
      (put) => put(yes(isAgentThere())),
    ),
    holding(
      'hopgate_held_body_bytes',
      'Bodies in memory, since policy reads them before it decides.',
      'heldBytes',
    ),
    holding('hopgate_live_hops', 'Requests and streams under way.', 'liveHops'),
    holding('hopgate_contexts', 'Contexts: inbound requests and tasks that may act onward.', 'contexts'),
    holding('hopgate_mcp_sessions', 'MCP sessions of the agent.', 'mcpSessions'),
    holding('hopgate_labelled_tasks', 'Tasks that have touched labelled data.', 'labelledTasks'),
    quarantined('hopgate_quarantine_items', 'Requests that are kept aside.', 'items'),
    quarantined('hopgate_quarantine_bytes', 'Their files.', 'octets'),
    quarantined('hopgate_quarantine_max_bytes', 'The most that they may be; more is refused.', 'maxBytes'),
  ];
};

const ofTelemetry = ({ telemetry }: FigureSources): readonly Family[] => [
  readFamily(
    'counter',
    'hopgate_telemetry_items_total',
    'Spans (traces) and log records (logs): delivered to the receiver of OTLP, dropped since too many waited, or failed.',
    ['signal', 'result'],
    (put) => {
      for (const [signal, { delivered, dropped, failed }] of Object.entries(telemetry()))
        for (const [result, count] of Object.entries({ delivered, dropped, failed }))
          put(count, labelled({ signal, result }));
    },
  ),
  readFamily(
    'gauge',
    'hopgate_telemetry_queue_items',
    'Spans and log records that wait for delivery.',
    ['signal'],
    (put) => {
      for (const [signal, { waiting }] of Object.entries(telemetry())) put(waiting, labelled({ signal }));
    },
  ),
];

/** In the order in which docs/metrics.md has them. */
export const sidecarFamilies = (sources: FigureSources): readonly Family[] => [
  ...ofSelf(sources),
  ...ofTrust(sources),
  ...ofAudit(sources),
  ...ofWork(sources),
  ...ofTelemetry(sources),
];
