/** The quarterly infrastructure review as data: who takes part, on whose authority, who may what, and how much each does. */
import type { CeilingWish } from '../../api/principals.ts';
import { agentIdIn } from '../../verifier/local/layout.ts';

export const TRUST_DOMAIN = 'company.com';
export const ALICE = { name: 'alice', uri: 'mailto:alice@company.com' } as const;
export const PURPOSE = 'prepare quarterly infrastructure review';
/** The name that Alice thinks in; minting expands it. */
export const REVIEW = 'infrastructure:review';

export const AGENTS = {
  planning: 'planning/abc123',
  inventory: 'inventory/def456',
  security: 'security/ghi789',
  cost: 'cost/jkl012',
  report: 'report/mno345',
} as const;
export type AgentRole = keyof typeof AGENTS;
export const AGENT_ROLES = Object.keys(AGENTS) as readonly AgentRole[];
export type WorkerRole = Exclude<AgentRole, 'planning'>;

export const APIS = {
  cloud: 'cloud/1',
  vulnerability: 'vulnerability/1',
  billing: 'billing/1',
  documents: 'documents/1',
} as const;
export type ApiRole = keyof typeof APIS;
export const API_ROLES = Object.keys(APIS) as readonly ApiRole[];

/** Workloads of the mesh that an attacker has taken over: with identities like all others, and no sidecar of ours. */
export const TAKEN = { inventory: 'inventory/pqr678', contractor: 'contractor/stu901' } as const;

export const idOf = (name: string) => agentIdIn(TRUST_DOMAIN, name);
const typeOf = (role: string): string => `spiffe://${TRUST_DOMAIN}/agent/${role}/*`;

/** An action is one permitted request that an agent sends. */
export const ACTIONS: Readonly<Record<AgentRole, number>> = {
  planning: 15,
  inventory: 234,
  security: 89,
  cost: 12,
  report: 3,
};
export const ALL_NAMES = [...Object.values(AGENTS), ...Object.values(APIS), ...Object.values(TAKEN)] as const;
export const ALL_ACTIONS = Object.values(ACTIONS).reduce((sum, count) => sum + count, 0);

export const hostOf = (role: AgentRole | ApiRole): string => `${role}.mesh`;
/** A second inventory agent, which planning knows and which isn't what it seems. */
export const TAKEN_HOST = 'inventory-2.mesh';

export const CARD_PATH = '/.well-known/agent-card.json';
export const RPC_PATH = '/a2a/jsonrpc';

/** What each agent may do for the review, as scope of its grant. */
export const GRANTED: Readonly<Record<WorkerRole, string>> = {
  inventory: 'cloud:inventory',
  security: 'vulnerability:check',
  cost: 'billing:read',
  report: 'reports:write',
};

/** Which API an agent works with. */
export const API_OF: Readonly<Record<WorkerRole, ApiRole>> = {
  inventory: 'cloud',
  security: 'vulnerability',
  cost: 'billing',
  report: 'documents',
};
export const WORKER_ROLES = Object.keys(API_OF) as readonly WorkerRole[];

/** The most that Alice may grant at all. */
export const CEILING: CeilingWish = {
  scope: [
    'cloud:*',
    'ec2:*',
    's3:*',
    'vulnerability:*',
    'billing:*',
    'reports:*',
    ...WORKER_ROLES.map((role) => `${role}:ask`),
  ],
  maxTtlSeconds: 7200,
  maxDepth: 4,
};

const CLOUD = ['cloud:read', 'ec2:Describe*', 's3:List*'];

const a2aRoutes = (role: WorkerRole) => [
  {
    name: `${role}-card`,
    callees: [typeOf(role)],
    methods: ['GET'],
    path: CARD_PATH,
    scopes: [`${role}:ask`],
  },
  {
    name: `${role}-rpc`,
    callees: [typeOf(role)],
    methods: ['POST'],
    path: RPC_PATH,
    scopes: [`${role}:ask`],
  },
];

/** `kind: Policy`, the same for every sidecar. */
export const POLICY = {
  apiVersion: 'hopgate.dev/v1',
  kind: 'Policy',
  revision: 'review-1',
  limits: { maxDepth: 4, linkTtl: '2h', humanRoot: 'required' },
  scopeSets: {
    'cloud:inventory': CLOUD,
    [REVIEW]: [
      'cloud:inventory',
      'vulnerability:check',
      'billing:read',
      'reports:write',
      ...WORKER_ROLES.map((role) => `${role}:ask`),
    ],
  },
  routes: [
    ...WORKER_ROLES.flatMap(a2aRoutes),
    { name: 'ec2', callees: [typeOf('cloud')], path: '/ec2/{action}', scopes: ['ec2:{action}'] },
    { name: 's3', callees: [typeOf('cloud')], path: '/s3/{action}', scopes: ['s3:{action}'] },
    { name: 'cloud', callees: [typeOf('cloud')], methods: ['GET'], path: '/*', scopes: ['cloud:read'] },
    {
      name: 'checks',
      callees: [typeOf('vulnerability')],
      methods: ['GET'],
      path: '/checks/{check}',
      scopes: ['vulnerability:check'],
    },
    {
      name: 'costs',
      callees: [typeOf('billing')],
      methods: ['GET'],
      path: '/costs/{month}',
      scopes: ['billing:read'],
    },
    {
      name: 'documents',
      callees: [typeOf('documents')],
      methods: ['POST'],
      path: '/documents',
      scopes: ['reports:write'],
    },
  ],
  rules: [
    {
      name: 'planning-asks',
      effect: 'allow',
      callers: [typeOf('planning')],
      scopes: WORKER_ROLES.map((role) => `${role}:ask`),
    },
    { name: 'inventory-reads', effect: 'allow', callers: [typeOf('inventory')], scopes: CLOUD },
    {
      name: 'security-checks',
      effect: 'allow',
      callers: [typeOf('security')],
      scopes: ['vulnerability:check'],
    },
    { name: 'cost-reads', effect: 'allow', callers: [typeOf('cost')], scopes: ['billing:read'] },
    { name: 'report-writes', effect: 'allow', callers: [typeOf('report')], scopes: ['reports:write'] },
  ],
} as const;

/** In place of a reason, where nothing was refused. */
export const ACCEPTED = 'accepted';
