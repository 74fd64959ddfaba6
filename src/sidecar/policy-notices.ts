/** What an operator should hear of a policy that comes in force: what it lets through, and what it wants that is not here. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { Policy } from '../core/policy/model.ts';
import type { HeldTrust } from '../edge/store/trust-state.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock } from '../ports.ts';
import type { ConfigInForce } from './config-in-force.ts';

const when = (seconds: number): string => new Date(seconds * 1000).toISOString();

const quarantines = ({ rules, content = [] }: Policy): boolean =>
  rules.some(({ effect, shadow }) => effect === 'quarantine' && shadow !== true) ||
  content.some(({ action, shadow }) => action === 'quarantine' && shadow !== true);

/** Sentences, each with what it is about; none where all is as it should be. */
export const noticesOf = (
  policy: Policy,
  { decisionPoints, quarantine, outbound }: Pick<SidecarConfig, 'decisionPoints' | 'quarantine' | 'outbound'>,
  nowSeconds: number,
): readonly { readonly about: object; readonly text: string }[] => {
  const { revision, routes } = policy;
  const observed = routes.filter(({ observeUntil }) => (observeUntil ?? 0) > nowSeconds);
  const unknown = (policy.decisionPoints ?? []).filter(
    ({ point }) => !Object.hasOwn(decisionPoints ?? {}, point),
  );
  const signed = new Set((policy.egress ?? []).map(({ destination, mode }) => `${mode} ${destination}`));
  const shut = (outbound?.egress ?? []).filter(
    ({ destination, mode }) => !signed.has(`${mode} ${destination}`),
  );
  return [
    ...shut.map(({ destination, mode }) => ({
      about: { revision, destination, mode },
      text: 'outbound.egress of this sidecar’s configuration names what policy does not list so: it stays shut (route_unmatched)',
    })),
    ...observed.map(({ name, observeUntil = 0 }) => ({
      about: { revision, route: name, until: when(observeUntil) },
      text: 'this route is observed only: what policy would deny goes on, and is on record',
    })),
    ...[...new Set(unknown.map(({ point }) => point))].map((point) => ({
      about: { revision, point },
      text: 'policy asks a decision point that this sidecar’s configuration does not know: its requests are denied (opa_unavailable)',
    })),
    ...(quarantine === undefined && quarantines(policy)
      ? [
          {
            about: { revision },
            text: 'policy quarantines requests and this sidecar’s configuration has no quarantine: they are refused and not kept (quarantine_unavailable)',
          },
        ]
      : []),
  ];
};

/** Says them once for each revision. */
export class PolicyNotices {
  private readonly log: Logger;
  private readonly config: () => SidecarConfig;
  private said: string | undefined;

  constructor(config: () => SidecarConfig, log: Logger) {
    this.config = config;
    this.log = log;
  }

  /** Says what there is to say now, and at each change of either. */
  watch(trust: HeldTrust, configs: ConfigInForce, clock: Clock): void {
    const hear = (): void => this.hear(trust.last.policy.policy, Math.floor(clock.now() / 1000));
    hear();
    trust.onChange(hear);
    configs.onChange(() => {
      this.again();
      hear();
    });
  }

  /** What is configured is something else now: what was said may be so no more. */
  again(): void {
    this.said = undefined;
  }

  hear(policy: Policy, nowSeconds: number): void {
    if (policy.revision === this.said) return;
    this.said = policy.revision;
    for (const { about, text } of noticesOf(policy, this.config(), nowSeconds)) this.log.warn(about, text);
  }
}
