/** What the bench has found, for people or for programs. */
import { table } from '../../../src/cli/terminal.ts';
import type { Distribution } from './distribution.ts';
import { type Enforcement, worstP99 } from './enforcement.ts';
import type { Size } from './size.ts';

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));
const cells = ({ count, p50, p90, p99, max }: Distribution): string[] => [
  String(count),
  ...[p50, p90, p99, max].map((value) => value.toFixed(1)),
];

const rowsOf = (what: string, one: Enforcement): string[][] => [
  [`${what}: light clients have verified it`, ...cells(one.lightClients)],
  [`${what}: streams are cut at the agent`, ...cells(one.streams)],
  [`${what}: A’s sidecar refuses`, ...cells(one.requestsOut)],
  [`${what}: B’s sidecar refuses`, ...cells(one.requestsIn)],
  [`${what}: the call itself`, ...cells(one.call)],
];

export const report = ({
  revocation,
  policy,
  size,
  asJson,
}: {
  readonly revocation: Enforcement;
  readonly policy: Enforcement;
  readonly size: Size;
  readonly asJson: boolean;
}): void => {
  const ratios = {
    revoke_p99_ms: round(worstP99(revocation)),
    publish_p99_ms: round(worstP99(policy)),
    bundle_mb_100k_agents: round(size.bundleMb, 3),
    bundle_build_ms: round(size.build.p50),
    sidecar_growth_mb: round(size.sidecarAfter - size.sidecarBefore),
    verifier_start_ms: round(size.startMs.p50),
  };
  if (asJson) {
    process.stdout.write(`${JSON.stringify({ ratios, details: { revocation, policy, size } })}\n`);
    return;
  }
  const times = [
    ...rowsOf('revoke', revocation),
    ...rowsOf('policy publish', policy),
    ['large: the bundle is built and pushed', ...cells(size.build)],
    ['large: of that, until it is signed and verified', ...cells(size.compose)],
    ['large: a whole call of revoke', ...cells(size.call)],
    ['large: a sidecar enforces it', ...cells(size.enforced)],
    ['large: the verifier starts', ...cells(size.startMs)],
  ];
  const logs = (one: Enforcement): string => `${one.logs.found} of ${one.logs.expected} logs say why`;
  const figures = [
    [
      'revoke_p99_ms',
      ratios.revoke_p99_ms,
      '≤ 250',
      `the worst row; ${revocation.rounds} rounds; ${logs(revocation)}`,
    ],
    [
      'publish_p99_ms',
      ratios.publish_p99_ms,
      '≤ 2000',
      `the worst row; ${policy.rounds} rounds; ${logs(policy)}`,
    ],
    [
      'bundle_mb_100k_agents',
      ratios.bundle_mb_100k_agents,
      '≤ 1',
      `gzip; ${size.agents} agents, ${size.revocations} live revocations`,
    ],
    ['bundle_build_ms', ratios.bundle_build_ms, '≤ 200', 'median'],
    [
      'sidecar_growth_mb',
      ratios.sidecar_growth_mb,
      '≤ 20',
      `from ${round(size.sidecarBefore)} to ${round(size.sidecarAfter)} MiB, started as image and unit do; the verifier has ${round(size.verifierMb)}`,
    ],
    ['verifier_start_ms', ratios.verifier_start_ms, '≤ 3000', 'median; from the process’s start to /readyz'],
  ].map((row) => row.map(String));
  process.stdout.write(
    `Milliseconds after the call has returned (before it: negative), by CLOCK_MONOTONIC, one machine:\n${table(['what', 'n', 'p50', 'p90', 'p99', 'max'], times)}\n\n${table(['figure', 'value', 'aim', 'how'], figures)}\n`,
  );
};
