/** The role keys at the API. */
import type { KeysAnswer, keyEndpoints } from '../../../api/keys.ts';
import type { Authority } from '../../authority/authority.ts';
import { keysAnswer } from '../../authority/keys-answer.ts';
import type { Publication } from '../../publication/publication.ts';
import type { Handlers } from '../handler.ts';

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
    return keysAnswer(authority);
  };
  return {
    listKeys: () => keysAnswer(authority),
    rotateKey: ({ actor, body: { why, ...request } }) => told(authority.rotate(request, actor, why)),
    getRolesRequest: ({ query }) => authority.request({ newEpoch: query.newEpoch === 'true' }),
    installRoles: ({ actor, body }) => told(authority.install(body.roles, actor, body.why)),
    beginEpoch: ({ actor, body }) => told(authority.beginEpoch(actor, body.why)),
  };
};
