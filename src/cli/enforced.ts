/** Where something new is enforced already, and where not yet: from what sidecars report. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Enforced, policyEndpoints } from '../api/policy.ts';
import { parseDuration } from '../config/forms.ts';
import { type VerifierClient, VerifierError } from '../edge/verifier/client.ts';
import { usageError } from './command-faults.ts';
import { printable } from './terminal.ts';
import { describeMoment, nowSeconds } from './time-words.ts';

export interface WhereEnforced {
  /** Sidecars that have reported lately. */
  readonly live: number;
  readonly enforcing: number;
  readonly behind: readonly Enforced[];
}

const POLL_MS = 200;
const MOST_NAMED = 10;

/** For yargs. */
export const WAIT_OPTIONS = {
  wait: {
    type: 'boolean',
    default: true,
    describe: 'Wait until sidecars report that they enforce it; --no-wait: until the bundle is out',
  },
  timeout: { type: 'string', default: '30s', requiresArg: true, describe: 'How long to wait for them' },
} as const;

export interface WaitOptions {
  readonly wait: boolean;
  readonly timeout: string;
}

/** The bundle that a sidecar has in force is this one or a later one. */
export const hasBundle =
  ({ epoch, seq }: { readonly epoch: number; readonly seq: number }) =>
  ({ bundle }: Enforced): boolean =>
    bundle.epoch > epoch || (bundle.epoch === epoch && bundle.seq >= seq);

/** Undefined when who asks may not know. */
const look = async (
  client: VerifierClient,
  isDone: (sidecar: Enforced) => boolean,
): Promise<WhereEnforced | undefined> => {
  try {
    const { sidecars } = await client.call(policyEndpoints.getEnforcement, {});
    const behind = sidecars.filter((one) => !isDone(one));
    return { live: sidecars.length, enforcing: sidecars.length - behind.length, behind };
  } catch (error) {
    if (error instanceof VerifierError && error.reason === 'api_forbidden') return undefined;
    throw error;
  }
};

/** Looks until all live sidecars are done, or the time is over; with `--no-wait` once. */
export const whereEnforced = async (
  client: VerifierClient,
  isDone: (sidecar: Enforced) => boolean,
  { wait, timeout }: WaitOptions,
): Promise<WhereEnforced | undefined> => {
  const seconds = parseDuration(timeout);
  if (seconds === undefined) throw usageError(`--timeout ${timeout}: a duration such as 30s`);
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const where = await look(client, isDone);
    if (where === undefined || where.behind.length === 0 || !wait || performance.now() >= deadline)
      return where;
    await delay(POLL_MS);
  }
};

const saysWhat = ({ sidecar, policy, bundle, at }: Enforced): string =>
  `  ${printable(sidecar)}: policy ${printable(policy?.revision ?? 'none')}, bundle ${bundle.epoch}.${bundle.seq}, as of its report ${describeMoment(at, nowSeconds())}`;

/** For people, no more than is known. */
export const describeEnforced = (where: WhereEnforced | undefined): string => {
  if (where === undefined)
    return 'The bundle that carries it is out; where it is enforced is for operators to see.';
  const { live, enforcing, behind } = where;
  if (live === 0)
    return 'The bundle that carries it is out. No sidecar has reported lately, so nobody can say whether one enforces it.';
  if (behind.length === 0)
    return `Enforced by ${enforcing} of ${live} sidecars that report. Of those that don’t report nothing is known.`;
  const named = behind.slice(0, MOST_NAMED).map(saysWhat);
  const more = behind.length > MOST_NAMED ? [`  and ${behind.length - MOST_NAMED} more`] : [];
  return [
    `Enforced by ${enforcing} of ${live} sidecars that report; not yet, by their last report:`,
    ...named,
    ...more,
  ].join('\n');
};
