/** A trust bundle: whose it is, until when, who may start chains and how far. */
import { X509Certificate } from 'node:crypto';
import { parseJws, type UnverifiedJws } from '../core/encoding/jws.ts';
import { type AgentJwk, thumbprintOf } from '../core/keys.ts';
import { type Bundle, verifyBundle } from '../core/trust/bundle.ts';
import type { Verdict } from '../core/verdict.ts';
import { ORDER_FREE } from '../verifier/local/files.ts';
import {
  expiryRow,
  type Inspection,
  issuedRow,
  type Section,
  sound,
  timesData,
  unreadable,
  unverified,
} from './inspection.ts';
import type { KnownTrust } from './known-trust.ts';
import { describeDuration, describeMoment, formatTime } from './time-words.ts';

const KIND = 'trust bundle';

/** The root that a bundle names itself; only the reader knows whether it is theirs. */
const namedRoot = (outer: UnverifiedJws): Verdict<string> => {
  const roles = parseJws(String(outer.payload.roles), 'roles+jwt');
  if (!roles.ok) return roles;
  const root = roles.value.payload.root as unknown as AgentJwk | undefined;
  return { ok: true, value: thumbprintOf(String(root?.x)) };
};

export const inspectBundle = (text: string, { root, state }: KnownTrust, now: number): Inspection => {
  const outer = parseJws(text, 'bundle+jwt');
  if (!outer.ok) return unreadable(KIND, outer);
  const named = namedRoot(outer.value);
  if (!named.ok) return unreadable(KIND, named);
  const trustDomain = state?.trustDomain ?? String(outer.value.payload.trust_domain);
  const expected = { ...ORDER_FREE, trustDomain, root: root ?? named.value, now };
  const bundle = verifyBundle(text, expected);
  // What has expired can still be looked at: at the moment of its making it held.
  const iat = outer.value.payload.iat;
  const shown =
    bundle.ok || bundle.reason !== 'bundle_expired' || typeof iat !== 'number'
      ? bundle
      : verifyBundle(text, { ...expected, now: iat });
  return {
    kind: KIND,
    sections: shown.ok ? describe(shown.value, named.value, now) : [],
    result: !bundle.ok
      ? bundle
      : root === undefined
        ? unverified(
            `it holds under the root that it names; compare that root with yours, or name it with --root`,
          )
        : sound(`signed for ${trustDomain} under root ${root}`),
    notes: [],
    data: shown.ok ? bundleData(shown.value, named.value) : {},
  };
};

const certificateEnd = (der: Buffer): number => {
  try {
    return Math.floor(new X509Certificate(der).validToDate.getTime() / 1000);
  } catch {
    return Number.NaN;
  }
};

const describe = (bundle: Bundle, root: string, now: number): Section[] => [
  {
    heading: `bundle ${bundle.epoch}.${bundle.seq} of ${bundle.trustDomain}`,
    rows: [
      ['root', root],
      issuedRow(bundle.iat, now),
      expiryRow(bundle.exp, now),
      ['revoked', `${bundle.revocations.size}`],
    ],
  },
  ...[...bundle.authorities].map(
    ([name, certificates]): Section => ({
      heading: `domain ${name}`,
      rows: [
        ...certificates
          .map(certificateEnd)
          .map((end): readonly [string, string] => [
            'SVID CA',
            Number.isNaN(end) ? 'not a certificate' : `ends ${describeMoment(end, now)} (${formatTime(end)})`,
          ]),
        ...[...(bundle.issuers.get(name)?.keys() ?? [])].map((kid): readonly [string, string] => [
          'WIT issuer',
          `key ${kid}`,
        ]),
      ],
    }),
  ),
  ...[...bundle.anchors].map(
    ([thumbprint, anchor]): Section => ({
      heading: `${anchor.human ? 'human' : 'non-human'} anchor ${anchor.principals.join(' ')}`,
      rows: [
        ['key', thumbprint],
        ['delegates to', anchor.delegatees.join('  ')],
        ['scope', anchor.scope.join('  ')],
        ['valid in', anchor.domains.join('  ')],
        ['at most', `${describeDuration(anchor.maxTtlSeconds)}, chains of ${anchor.maxDepth} links`],
      ],
    }),
  ),
];

const bundleData = (bundle: Bundle, root: string) => ({
  trustDomain: bundle.trustDomain,
  epoch: bundle.epoch,
  seq: bundle.seq,
  root,
  ...timesData(bundle.iat, bundle.exp),
  revoked: bundle.revocations.size,
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
