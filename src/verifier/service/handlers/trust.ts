/** What sidecars know, at the API. */
import type { trustEndpoints } from '../../../api/trust.ts';
import type { Authority } from '../../authority/authority.ts';
import type { Publication } from '../../publication/publication.ts';
import { spiffeBundleOf } from '../../publication/spiffe-bundle.ts';
import type { Handlers } from '../handler.ts';

export const trustHandlers = ({
  authority,
  publication,
}: {
  readonly authority: Authority;
  readonly publication: Publication;
}): Handlers<typeof trustEndpoints> => ({
  getRoles: () => ({ roles: authority.rolesText() }),
  getBundle: () => {
    const { epoch, seq, digest, packed } = publication.current;
    const { timestampOrNone: timestamp } = publication;
    return { tag: digest, answer: () => ({ epoch, seq, digest, packed, ...(timestamp && { timestamp }) }) };
  },
  getTimestamp: () => ({ timestamp: publication.timestamp }),
  streamTrust: ({ signal }) => publication.subscribers.subscribe(signal),
  getSpiffeBundle: () => spiffeBundleOf(authority.roles),
});
