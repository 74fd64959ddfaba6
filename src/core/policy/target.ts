/**
 * Canonical request targets (SPEC.md section 12). A target that two readers could read as two paths is refused and
 * never rewritten: what was decided is byte for byte what is forwarded.
 */
import { deny, grant, type Verdict } from '../verdict.ts';

const SEGMENT = /^(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-F]{2})+$/;
// Each segment ends at a slash, so that there is one way to read a path: time stays linear in its length.
const PLAIN_PATH = /^\/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*\/)*(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*)?$/;
const QUERY = /^[!"$-[\]-~]*$/;
const ESCAPE = /%([0-9A-F]{2})/g;
/** Octets that may stand escaped: none that is allowed bare, no separator, no `%`, no control character. */
const BARE = /[A-Za-z0-9._~!$&'()*+,=:@/\\;%-]/;

const isEscapable = (hex: string): boolean => {
  const octet = Number.parseInt(hex, 16);
  return octet > 0x1f && octet !== 0x7f && (octet > 0x7f || !BARE.test(String.fromCharCode(octet)));
};

export const isCanonicalPath = (path: string): boolean => {
  if (PLAIN_PATH.test(path)) return true;
  if (!path.startsWith('/')) return false;
  const segments = path.slice(1).split('/');
  if (segments.at(-1) === '') segments.pop();
  return segments.every((segment) => {
    if (segment === '.' || segment === '..' || !SEGMENT.test(segment)) return false;
    for (const [, hex] of segment.matchAll(ESCAPE)) if (!isEscapable(hex ?? '')) return false;
    return true;
  });
};

export interface Target {
  readonly path: string;
  /** The target as received: what is forwarded. */
  readonly target: string;
}

/** An origin-form target (RFC 9112 §3.2.1). Refuses with `target_not_canonical`. */
export const parseTarget = (target: string): Verdict<Target> => {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  if (!isCanonicalPath(path))
    return deny(
      'target_not_canonical',
      'the path has an empty or dot segment, an escape that isn’t needed, or a character that isn’t allowed',
    );
  if (mark !== -1 && !QUERY.test(target.slice(mark + 1)))
    return deny('target_not_canonical', 'the query has a character that isn’t allowed');
  return grant({ path, target });
};
