/** The role keys at the API. */
import type { KeysAnswer, keyEndpoints } from '../../../api/keys.ts';
import type { Authority } from '../../authority/authority.ts';
import type { Publication } from '../../publication/publication.ts';
import type { Handlers } from '../handler.ts';

const answer = (authority: Authority): KeysAnswer => ({
  root: {
    thumbprint: authority.rootThumbprint,
    here: authority.isRootHere,
    awaited: authority.isRootAwaited,
  },
  epoch: authority.roles.epoch,
  rolesExp: authority.roles.exp,
  keys: authority.keys().map(({ public: _, longestSeconds: __, atOnce: ___, ...key }) => key),
});

/** A change is answered when the bundle that tells sidecars of it is out. */
export const keyHandlers = ({
  authority,
  publication,
}: {
  readonly authority: Authority;
  readonly publication: Publication;
}): Handlers<typeof keyEndpoints> => {
  const told = async (change: Promise<void>): Promise<KeysAnswer> => {
    await change;
    await publication.whenRolesPublished();
    return answer(authority);
  };
  return {
    listKeys: () => answer(authority),
    rotateKey: ({ actor, body: { why, ...request } }) => told(authority.rotate(request, actor, why)),
    getRolesRequest: ({ query }) => authority.request({ newEpoch: query.newEpoch === 'true' }),
    installRoles: ({ actor, body }) => told(authority.install(body.roles, actor, body.why)),
    beginEpoch: ({ actor, body }) => told(authority.beginEpoch(actor, body.why)),
  };
};
