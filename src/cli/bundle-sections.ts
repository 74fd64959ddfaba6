/** What a trust bundle says, for people and for programs: who has which role, what is allowed, who may start chains and how far. */

import { X509Certificate } from 'node:crypto';
import { thumbprintOf } from '../core/keys.ts';
import type { PolicyLists } from '../core/policy/model.ts';
import type { Bundle } from '../core/trust/bundle.ts';
import { expiryRow, issuedRow, type Section, timesData } from './inspection.ts';
import { countWords } from './policy-counts.ts';
import { describeDuration, describeMoment, formatTime } from './time-words.ts';

type Row = Section['rows'][number];

const certificateEnd = (der: Buffer): number => {
  try {
    return Math.floor(new X509Certificate(der).validToDate.getTime() / 1000);
  } catch {
    return Number.NaN;
  }
};

const caRows = (certificates: readonly Buffer[], now: number): Row[] =>
  certificates
    .map(certificateEnd)
    .map((end) => [
      'SVID CA',
      Number.isNaN(end) ? 'not a certificate' : `ends ${describeMoment(end, now)} (${formatTime(end)})`,
    ]);
const keyRows = (label: string, keys: Iterable<string>): Row[] =>
  [...keys].map((kid) => [label, `key ${kid}`]);

const SHOWN = 5;
/** Of agents, and of principals, in a report for people. */
const MOST_ATTRIBUTED = 20;
/** A list that may be long, in a line. */
const some = (list: readonly string[]): string =>
  list.length <= SHOWN
    ? list.join('  ')
    : `${list.slice(0, SHOWN).join('  ')}  and ${list.length - SHOWN} more`;

const rolesSection = ({ roles }: Bundle, root: string, now: number): Section => ({
  heading: `roles of epoch ${roles.epoch}`,
  rows: [
    ['root', root],
    issuedRow(roles.iat, now),
    expiryRow(roles.exp, now),
    ...keyRows('policy', roles.policy.map(thumbprintOf)),
    ...(roles.timestamp.length === 0
      ? [['timestamp', 'no key: a bundle is as fresh as it is old'] as const]
      : keyRows('timestamp', roles.timestamp.map(thumbprintOf))),
    ...keyRows('WIT issuer', roles.issuers.map(thumbprintOf)),
    ...keyRows('root issuer', roles.rootIssuers.map(thumbprintOf)),
    ...caRows(roles.x509, now),
  ],
});

const listRows = (label: string, lists: PolicyLists | undefined): Row[] =>
  lists === undefined
    ? []
    : [
        [
          label,
          `${lists.allowAgents.length === 0 ? 'no allowlist' : `${lists.allowAgents.length} allowed`}, ` +
            `${lists.blockAgents.length} agents and ${lists.blockPrincipals.length} principals blocked`,
        ],
      ];

const policySection = ({ policy, policyDigest, lists }: Bundle): Section[] => {
  if (policy === undefined && lists === undefined) return [];
  return [
    {
      heading: policy === undefined ? 'no policy' : `policy ${policy.revision}`,
      rows: [
        ...(policyDigest === undefined ? [] : [['digest', policyDigest] as const]),
        ...(policy === undefined ? [] : [['holds', countWords(policy)] as const]),
        ...listRows('its lists', policy?.lists),
        ...listRows('lists besides', lists),
      ],
    },
  ];
};

const peopleSections = ({ approvers, anchors }: Bundle): Section[] => [
  ...(approvers.size === 0
    ? []
    : [
        {
          heading: 'approvers',
          rows: [...approvers].map(([kid, { principal }]): Row => [principal, `key ${kid}`]),
        },
      ]),
  ...[...anchors].map(
    ([thumbprint, anchor]): Section => ({
      heading: `${anchor.human ? 'human' : 'non-human'} anchor ${some(anchor.principals)}`,
      rows: [
        ['key', thumbprint],
        ...(anchor.kind === 'root-issuer' ? [['signs', 'for whom the verifier has logged in'] as const] : []),
        ['delegates to', some(anchor.delegatees)],
        ['scope', anchor.scope.join('  ')],
        ['valid in', some(anchor.domains)],
        ['at most', `${describeDuration(anchor.maxTtlSeconds)}, chains of ${anchor.maxDepth} links`],
      ],
    }),
  ),
];

const scoreRows = ({ scores }: Bundle): Row[] =>
  scores.size === 0 && scores.decay.baseline === 0
    ? []
    : [
        [
          'scores',
          `${scores.size} listed; of others ${scores.decay.baseline}; half-life ${describeDuration(scores.decay.halfLife)}`,
        ],
      ];

/** A pattern or an ID a row, with its attributes; then people with their groups. */
const attributeSections = ({ attributes }: Bundle): Section[] => {
  const { agents, principals } = attributes.listed();
  if (agents.length + principals.length === 0) return [];
  const words = (map: Readonly<Record<string, string>>): string =>
    Object.entries(map)
      .map(([name, value]) => `${name}=${value}`)
      .join('  ') || 'none, whatever stands at its type';
  const isCut = agents.length > MOST_ATTRIBUTED || principals.length > MOST_ATTRIBUTED;
  return [
    {
      heading: `attributes of ${attributes.agentCount} agents and types, groups of ${attributes.principalCount} principals`,
      rows: [
        ...agents.slice(0, MOST_ATTRIBUTED).map(([id, map]): Row => [id, words(map)]),
        ...principals.slice(0, MOST_ATTRIBUTED).map(([uri, groups]): Row => [uri, some(groups)]),
        ...(isCut ? [['and more', '--json has all of them'] as const] : []),
      ],
    },
  ];
};

export const bundleSections = (bundle: Bundle, root: string, now: number): Section[] => [
  {
    heading: `bundle ${bundle.epoch}.${bundle.seq} of ${bundle.trustDomain}`,
    rows: [
      issuedRow(bundle.iat, now),
      expiryRow(bundle.exp, now),
      ['revoked', `${bundle.revocations.size}`],
      ...scoreRows(bundle),
    ],
  },
  rolesSection(bundle, root, now),
  ...policySection(bundle),
  ...[...bundle.authorities]
    .filter(([name]) => name !== bundle.trustDomain)
    .map(
      ([name, certificates]): Section => ({
        heading: `foreign domain ${name}`,
        rows: [
          ...caRows(certificates, now),
          ...keyRows('WIT issuer', bundle.issuers.get(name)?.keys() ?? []),
        ],
      }),
    ),
  ...peopleSections(bundle),
  ...attributeSections(bundle),
];

const listsData = (lists: PolicyLists | undefined) =>
  lists && {
    allowAgents: lists.allowAgents.length,
    blockAgents: lists.blockAgents.length,
    blockPrincipals: lists.blockPrincipals.length,
  };

export const bundleData = (bundle: Bundle, root: string) => ({
  trustDomain: bundle.trustDomain,
  epoch: bundle.epoch,
  seq: bundle.seq,
  root,
  ...timesData(bundle.iat, bundle.exp),
  roles: {
    epoch: bundle.roles.epoch,
    ...timesData(bundle.roles.iat, bundle.roles.exp),
    policy: bundle.roles.policy.map(thumbprintOf),
    timestamp: bundle.roles.timestamp.map(thumbprintOf),
    issuers: bundle.roles.issuers.map(thumbprintOf),
    rootIssuers: bundle.roles.rootIssuers.map(thumbprintOf),
    authorities: bundle.roles.x509.length,
  },
  revoked: bundle.revocations.size,
  policy: bundle.policy && { revision: bundle.policy.revision, digest: bundle.policyDigest },
  lists: listsData(bundle.lists),
  scores: { agents: bundle.scores.size, ...bundle.scores.decay },
  attributes: {
    agents: Object.fromEntries(bundle.attributes.listed().agents),
    principals: Object.fromEntries(
      bundle.attributes.listed().principals.map(([uri, groups]) => [uri, { groups }]),
    ),
  },
  approvers: [...bundle.approvers].map(([thumbprint, { principal }]) => ({ thumbprint, principal })),
  domains: Object.fromEntries(
    [...bundle.authorities].map(([name, certificates]) => [
      name,
      { authorities: certificates.length, issuers: [...(bundle.issuers.get(name)?.keys() ?? [])] },
    ]),
  ),
  anchors: [...bundle.anchors].map(([thumbprint, anchor]) => ({
    thumbprint,
    kind: anchor.kind,
    principals: anchor.principals,
    human: anchor.human,
    delegatees: anchor.delegatees,
    domains: anchor.domains,
    scope: anchor.scope,
    maxTtlSeconds: anchor.maxTtlSeconds,
    maxDepth: anchor.maxDepth,
  })),
});
