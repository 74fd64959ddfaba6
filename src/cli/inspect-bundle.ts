/** A trust bundle: whose it is, until when, who may start chains and how far. */
import { parseJws, type UnverifiedJws } from '../core/encoding/jws.ts';
import { type AgentJwk, thumbprintOf } from '../core/keys.ts';
import { verifyBundle } from '../core/trust/bundle.ts';
import type { Verdict } from '../core/verdict.ts';
import { ORDER_FREE } from '../verifier/local/files.ts';
import { bundleData, bundleSections } from './bundle-sections.ts';
import { type Inspection, sound, unreadable, unverified } from './inspection.ts';
import type { KnownTrust } from './known-trust.ts';

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
    sections: shown.ok ? bundleSections(shown.value, named.value, now) : [],
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
