/** Who may revoke what: operators anything, agents what they or those below them gave, principals what is theirs. */
import type { Revoked } from '../../api/revocations.ts';
import type { RequestedTarget } from '../../core/trust/revocation-request.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import type { Actor } from '../actor.ts';
import type { PresentedLink } from './presented-chain.ts';

const isOperator = ({ roles, kind }: Actor): boolean =>
  kind === 'system' || roles.has('admin') || roles.has('operator');

/** `presented` where the target is a link and came with its chain. Refuses with `api_forbidden`. */
export const checkActor = (
  actor: Actor,
  revoked: Revoked,
  presented: PresentedLink | undefined,
): Denial | undefined => {
  if (isOperator(actor)) return undefined;
  // The human behind a session, as a login or a registration has proven it, may end what is that human's.
  const owner = presented?.principal ?? ('principal' in revoked ? revoked.principal : undefined);
  if (owner !== undefined && owner === actor.principal) return undefined;
  if (presented === undefined)
    return deny('api_forbidden', 'only an operator may revoke this; an agent revokes links, by their chain');
  // The signer is the delegatee of the parent; names above it gave what the link was cut from. Names, not keys: keys rotate.
  if (actor.id !== undefined && presented.ancestors.includes(actor.id)) return undefined;
  return deny('api_forbidden', 'a link is revoked by who signed it, by an ancestor or by an operator');
};

/** Refuses with `api_forbidden`. */
export const checkPrincipal = (
  principal: string,
  target: RequestedTarget,
  presented: PresentedLink | undefined,
  ownKeys: (thumbprint: string) => boolean,
): Denial | undefined => {
  if ('link' in target) {
    if (presented === undefined)
      return deny('api_forbidden', 'to show that the link is yours, give the chain that it stands in');
    return presented.principal === principal
      ? undefined
      : deny('api_forbidden', `the chain starts from ${presented.principal}`);
  }
  if ('key' in target && !ownKeys(target.key))
    return deny(
      'api_forbidden',
      `the key is none of ${principal}; an agent’s key is an operator’s to revoke`,
    );
  // A task is named together with the principal, and all else is its own by form.
  return undefined;
};
