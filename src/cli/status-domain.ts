/** `hopgate status` of the trust domain and of one agent, from the verifier. */
import { policyEndpoints } from '../api/policy.ts';
import { registryEndpoints } from '../api/registry.ts';
import { scoreEndpoints } from '../api/scores.ts';
import { statusEndpoints, type VerifierStatus } from '../api/status.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { wordsOf } from './agents-report.ts';
import { printAttention } from './status-sidecar.ts';
import { paint, print, printable, printJson, table } from './terminal.ts';
import { describeDuration, describeExpiry, describeMoment } from './time-words.ts';

type Row = readonly [name: string, value: string];

const printRows = (rows: readonly Row[]): void => {
  for (const [name, value] of rows) print(`${name.padEnd(13)}${printable(value)}`);
};

const domainRows = (status: VerifierStatus): readonly Row[] => {
  const { trustDomain, root, bundle, policy, sidecars, agents, revocations, approvals, now } = status;
  const drift = sidecars.drifting === 0 ? '' : `, ${sidecars.drifting} enforce another`;
  const examples = sidecars.examples.length === 0 ? '' : ` (${sidecars.examples.join(', ')})`;
  return [
    ['trust domain', trustDomain],
    [
      'root',
      `${root.thumbprint}, ${root.here ? 'here' : 'elsewhere'}; what it signed ${describeExpiry(root.rolesExp, now)}`,
    ],
    ['bundle', `${bundle.epoch}.${bundle.seq}${bundle.stamped ? '' : ', without a timestamp'}`],
    ['policy', policy === null ? 'none' : `${policy.revision} (revision ${policy.n})`],
    ['sidecars', `${sidecars.reporting} report${drift}${examples}`],
    [
      'agents',
      `${agents.live} live, ${agents.expiring} late in renewing, ${agents.expired} expired, ${agents.retired} retired`,
    ],
    ['revocations', String(revocations)],
    [
      'approvals',
      approvals.pending === 0 ? 'none waits' : `${approvals.pending} wait: "hopgate approve list"`,
    ],
  ];
};

/** Whether something needs attention. */
export const showDomain = async (client: VerifierClient, json: boolean): Promise<boolean> => {
  const status = await client.call(statusEndpoints.getStatus, {});
  const { keys, alarms, attention, now } = status;
  if (json) {
    printJson({ ok: true, ...status });
    return attention.length > 0;
  }
  printRows(domainRows(status));
  print('');
  print(
    table(
      ['KEY', 'STATE', 'THUMBPRINT', 'MADE', 'ENDS'],
      keys.map(({ role, state, thumbprint, since, until }) => [
        role,
        state === 'active' ? state : paint('yellow', state),
        thumbprint,
        describeMoment(since, now),
        until === null ? '-' : describeMoment(until, now),
      ]),
    ),
  );
  if (alarms.length > 0) {
    print('');
    print(
      table(
        ['ALARM', 'ABOUT', 'BY', 'WHEN'],
        alarms.map(({ event, about, actor, at }) => [
          paint('red', event),
          printable(about),
          printable(actor),
          describeMoment(at, now),
        ]),
      ),
    );
  }
  print('');
  printAttention(attention);
  return attention.length > 0;
};

/** Whether something needs attention: the agent has no valid credentials, or enforces another policy. */
export const showAgent = async (client: VerifierClient, id: AgentId, json: boolean): Promise<boolean> => {
  const { now } = await client.call(statusEndpoints.getStatus, {});
  const agent = await client.call(registryEndpoints.getAgent, { params: { id } });
  const { attributes } = await client.call(registryEndpoints.getEntry, { params: { name: agent.entry } });
  const score = await client.call(scoreEndpoints.getScore, { params: { id } });
  const { sidecars } = await client.call(policyEndpoints.getEnforcement, {});
  const report = sidecars.find(({ sidecar }) => sidecar === id);
  const attention = [
    ...(agent.state === 'revoked' ? ['it, or its key, was revoked: "hopgate revoke list"'] : []),
    ...(agent.state === 'expired' ? ['it has no valid SVID: is its sidecar running?'] : []),
    ...(report?.drifts === true ? ['its sidecar enforces another policy than the one in force'] : []),
    ...(agent.state === 'live' && report === undefined ? ['its sidecar has not reported lately'] : []),
  ];
  if (json) {
    printJson({ ok: true, agent, attributes, score, report: report ?? null, attention });
    return attention.length > 0;
  }
  printRows([
    ['agent', agent.id],
    ['state', agent.state],
    ['SVID', describeExpiry(agent.svidNotAfter, now)],
    ['key', agent.thumbprint],
    ['enrolled', `${describeMoment(agent.enrolledAt, now)} by ${agent.attestor}, entry ${agent.entry}`],
    ['renewed', describeMoment(agent.renewedAt, now)],
    ...(Object.keys(attributes).length === 0 ? [] : [['attributes', wordsOf(attributes)] as const]),
    [
      'score',
      `${score.score} ± ${score.uncertainty}, ${score.trend}; published ${score.published}; baseline ${score.baseline}, half-life ${describeDuration(score.halfLife)}`,
    ],
    ...score.reasons.map(
      ({ reason, class: kind, count }, index): Row => [
        index === 0 ? 'why' : '',
        `${reason} (${kind}): ${Math.round(count)}`,
      ],
    ),
    ...score.reporters.map(
      ({ reporter, stake }, index): Row => [
        index === 0 ? 'by' : '',
        `${reporter}: ${stake > 0 ? '+' : ''}${stake}, at most ${score.mostOfOne}`,
      ],
    ),
    [
      'last report',
      report === undefined
        ? 'none lately'
        : `${describeMoment(report.at, now)}: policy ${report.policy?.revision ?? 'none'}, bundle ${report.bundle.epoch}.${report.bundle.seq}, hopgate ${report.version}`,
    ],
  ]);
  print('');
  printAttention(attention);
  return attention.length > 0;
};
