/** What the four agents do that planning asks: each calls one API, so and so many times. */
import { callApi, currentContext } from './agent-fetch.ts';
import { ACTIONS, API_OF, hostOf, type WorkerRole } from './story.ts';

/** One request to an API; a body makes it a POST. */
interface Call {
  readonly target: string;
  readonly body?: unknown;
}

const ACCOUNT_PATHS = [
  '/accounts',
  '/regions',
  '/organizations',
  '/quotas',
  '/contacts',
  '/support/plan',
] as const;

const REGIONS = [
  'eu-west-1',
  'eu-west-2',
  'eu-west-3',
  'eu-central-1',
  'eu-north-1',
  'eu-south-1',
  'us-east-1',
  'us-east-2',
  'us-west-1',
  'us-west-2',
  'ca-central-1',
  'sa-east-1',
  'ap-south-1',
  'ap-southeast-1',
  'ap-southeast-2',
  'ap-northeast-1',
  'ap-northeast-2',
  'af-south-1',
] as const;

const EC2_ACTIONS = [
  'DescribeInstances',
  'DescribeVpcs',
  'DescribeSubnets',
  'DescribeSecurityGroups',
  'DescribeVolumes',
  'DescribeSnapshots',
  'DescribeAddresses',
  'DescribeRouteTables',
  'DescribeNatGateways',
  'DescribeKeyPairs',
  'DescribeImages',
  'DescribeNetworkInterfaces',
] as const;

const BUCKETS = [
  'logs',
  'backups',
  'assets',
  'exports',
  'state',
  'audit',
  'models',
  'mail',
  'web',
  'lake',
  'tmp',
];

const MONTHS = [
  '2025-12',
  ...Array.from({ length: 11 }, (_, month) => `2026-${String(month + 1).padStart(2, '0')}`),
];

const DOCUMENTS = ['Executive summary', 'Inventory and findings', 'Cost outlook'] as const;

const CALLS: Readonly<Record<WorkerRole, readonly Call[]>> = {
  // 6 + 18 × 12 + 1 + 11 = 234
  inventory: [
    ...ACCOUNT_PATHS.map((target) => ({ target })),
    ...REGIONS.flatMap((region) =>
      EC2_ACTIONS.map((action) => ({ target: `/ec2/${action}?region=${region}` })),
    ),
    { target: '/s3/ListBuckets' },
    ...BUCKETS.map((bucket) => ({ target: `/s3/ListObjectsV2?bucket=${bucket}` })),
  ],
  security: Array.from({ length: ACTIONS.security }, (_, index) => ({
    target: `/checks/CIS-${Math.floor(index / 10) + 1}.${(index % 10) + 1}`,
  })),
  cost: MONTHS.map((month) => ({ target: `/costs/${month}` })),
  report: DOCUMENTS.map((title) => ({ target: '/documents', body: { title, quarter: '2026-Q3' } })),
};

/** Requests under way at once. */
const CONCURRENCY = 8;

/** An instruction that came in data, with the context of the work in which it came. */
export interface Injected {
  readonly url: string;
  readonly context: string | undefined;
}

/** What a gullible agent would do next, if anybody made it. */
let injected: Injected | undefined;
export const lastInjected = (): Injected | undefined => injected;

const INSTRUCTION = /\bPOST (\/[\w/]+)/;

/** Makes all calls of a role; `onProgress` hears after each tenth of them. Says in a sentence what came of it. */
export const doWork = async (
  role: WorkerRole,
  onProgress: (done: number, of: number) => void,
): Promise<string> => {
  const calls = CALLS[role];
  const origin = `http://${hostOf(API_OF[role])}`;
  const step = Math.ceil(calls.length / 10);
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let call = calls[next++]; call !== undefined; call = calls[next++]) {
      const answer = await callApi(`${origin}${call.target}`, call.body);
      const [, target] = INSTRUCTION.exec(JSON.stringify(answer)) ?? [];
      if (target !== undefined) injected = { url: `${origin}${target}`, context: currentContext() };
      if (++done % step === 0) onProgress(done, calls.length);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return `${done} requests to ${hostOf(API_OF[role])} answered`;
};
