/** What a command that delegates must know, from the verifier: the bundle under its root, with the policy in it. */

import { delegateeEndpoints } from '../api/delegatees.ts';
import { trustEndpoints } from '../api/trust.ts';
import { thumbprintOf } from '../core/keys.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { type Bundle, verifyBundle } from '../core/trust/bundle.ts';
import { parseRoles } from '../core/trust/roles.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { unpackBundle } from '../edge/verifier/packed-bundle.ts';
import { CommandError } from './command.ts';
import type { KnownTrust } from './known-trust.ts';

export interface VerifierTrust extends KnownTrust {
  readonly bundle: { readonly ok: true; readonly value: Bundle };
  readonly bundleText: string;
  readonly root: string;
  readonly trustDomain: string;
}

/** Who answers has been proven by the connection, so its own root is the one to hold the bundle against. */
export const fetchTrust = async (client: VerifierClient, now: number): Promise<VerifierTrust> => {
  const { roles: text } = await client.call(trustEndpoints.getRoles, {});
  const roles = parseRoles(text);
  if (!roles.ok) throw new CommandError(`the verifier's roles: ${roles.reason}: ${roles.detail}`);
  const { trustDomain } = roles.value.roles;
  const root = thumbprintOf(roles.value.roles.root);
  const tagged = await client.callTagged(trustEndpoints.getBundle, {});
  const bundleText = tagged === undefined ? undefined : await unpackBundle(tagged.answer.packed);
  if (bundleText === undefined) throw new CommandError('the verifier answers with no bundle');
  const bundle = verifyBundle(bundleText, { last: { epoch: 0, seq: 0 }, trustDomain, root, now });
  if (!bundle.ok) throw new CommandError(`the verifier's bundle: ${bundle.reason}: ${bundle.detail}`);
  return {
    dir: undefined,
    state: undefined,
    bundle,
    bundleText,
    root,
    trustDomain,
    policy: bundle.value.policy,
  };
};

/** The public agent key of a live agent, base64url of 32 octets. */
export const fetchAgentKey = async (client: VerifierClient, id: AgentId): Promise<string> =>
  (await client.call(delegateeEndpoints.getAgentKey, { params: { id } })).x;
