/** What a person can do about a refused delegation. */
import { canonicalJson } from '../core/encoding/json.ts';
import type { ReasonCode } from '../core/reasons.ts';
import { layoutOf } from '../verifier/local/layout.ts';
import type { KnownTrust } from './known-trust.ts';
import { shellWord } from './shell-word.ts';
import { describeDuration } from './time-words.ts';

/** One sentence on what would help; `undefined` where the detail says it all. */
export const delegateHint = (reason: ReasonCode, trust: KnownTrust, key: string): string | undefined => {
  const { dir, policy } = trust;
  const anchor = trust.bundle?.ok === true ? trust.bundle.value.anchors.get(key) : undefined;
  const raise = (what: string): string =>
    dir === undefined
      ? 'whoever signs the bundle can raise it'
      : `or raise ceiling.${what} in ${layoutOf(dir).state} and run "hopgate init ${shellWord(dir)} --renew"`;
  switch (reason) {
    case 'anchor_scope':
      return `This key may grant ${canonicalJson(anchor?.scope ?? [])}: ask for less, ${raise('scope')}.`;
    case 'anchor_ttl':
      return `This key may grant for ${describeDuration(anchor?.maxTtlSeconds ?? 0)}: take a shorter --ttl, ${raise('maxTtlSeconds')}.`;
    case 'anchor_depth':
      return `This key may grant chains of ${anchor?.maxDepth} links: take a smaller --depth, ${raise('maxDepth')}.`;
    case 'anchor_unknown':
      return `The bundle knows no such key.${dir === undefined ? '' : ` Its principals are ${Object.keys(trust.state?.principals ?? {}).join(', ')}.`}`;
    case 'anchor_principal':
      return `This key speaks for ${anchor?.principals.join(', ')}.`;
    case 'anchor_delegatee':
      return `This key may delegate to ${anchor?.delegatees.join(', ')}.`;
    case 'anchor_domain':
    case 'chain_aud':
      return `This key may grant into ${anchor?.domains.join(', ')}; the bundle is that of ${trust.bundle?.ok === true ? trust.bundle.value.trustDomain : 'another'}.`;
    case 'link_ttl':
      return `The policy allows ${describeDuration(policy?.limits.linkTtlSeconds ?? 7200)}: take a shorter --ttl.`;
    case 'scope_invalid': {
      const sets = Object.keys(policy?.scopeSets ?? {});
      const known = sets.length === 0 ? '' : ` Scope sets of the policy: ${sets.join(', ')}.`;
      return `A scope is a literal (cloud:read), a prefix (ec2:Describe*) or all below (cloud:*).${known}`;
    }
    case 'bundle_expired':
      return dir === undefined
        ? 'Get the current bundle.'
        : `Renew it: "hopgate init ${shellWord(dir)} --renew".`;
    case 'caveat_unknown':
    case 'caveat_invalid':
      return 'Caveats: {"type":"callee","ids":[…]}, resource/paths, tool/names, before/time, approval/token, max_uses/uses+at.';
    case 'approval_required':
      return 'An approver decides with "hopgate approve grant --id=ID --as KEY"; then run this again with --approval=ID. With --approval each, every request waits for an approval of its own.';
    default:
      return undefined;
  }
};
