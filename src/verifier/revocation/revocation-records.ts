/** What is kept of a revocation, under which name, and when one says more than another. */
import { z } from 'zod';
import { type Revoked, revocation } from '../../api/revocations.ts';
import { sha256Base64url } from '../../core/encoding/jws.ts';
import { type EventName, kind } from '../records.ts';

/** Never removed when its time is over, only left out of bundles: a key that was revoked gets no new credentials, ever. */
export const REVOCATION = kind('revocation', revocation);

/** Signed requests that were taken, by time and digest: none is taken twice. */
export const TAKEN_REQUEST = kind('revocation-request', z.strictObject({ exp: z.int() }));

/** `link/<id>`, `key/<thumbprint>`, `agent/<id>`, `task/<id>/<digest of its principal>`, `principal/<URI>`. */
export const nameOfRevoked = (revoked: Revoked): string => {
  if ('link' in revoked) return `link/${revoked.link}`;
  if ('key' in revoked) return `key/${revoked.key}`;
  if ('agent' in revoked) return `agent/${revoked.agent}`;
  if ('task' in revoked) return `task/${revoked.task}/${sha256Base64url(revoked.principal)}`;
  return `principal/${revoked.principal}`;
};

export const eventOf = (revoked: Revoked): EventName =>
  'link' in revoked
    ? 'link.revoked'
    : 'key' in revoked
      ? 'lost' in revoked
        ? 'key.lost'
        : 'key.revoked'
      : 'agent' in revoked
        ? 'agent.revoked'
        : 'task' in revoked
          ? 'task.revoked'
          : 'principal.revoked';

/** Whether `next` bars what `was`, of the same name, doesn't. */
export const saysMore = (next: Revoked, was: Revoked): boolean =>
  ('parent' in next && !('parent' in was)) ||
  ('key' in next && !('lost' in next) && 'lost' in was) ||
  ('before' in next && 'before' in was && next.before > was.before);
