/** The role keys, as the API tells of them. */
import type { KeysAnswer } from '../../api/keys.ts';
import type { Authority } from './authority.ts';

export const keysAnswer = (authority: Authority): KeysAnswer => ({
  root: {
    thumbprint: authority.rootThumbprint,
    here: authority.isRootHere,
    awaited: authority.isRootAwaited,
  },
  epoch: authority.roles.epoch,
  rolesExp: authority.roles.exp,
  keys: authority.keys().map(({ public: _, longestSeconds: __, atOnce: ___, ...key }) => key),
});
