/** Closed objects: which members there may be, which there must be, and what each may hold (SPEC.md section 2). */
import { MAX_TIME } from '../limits.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import type { Json, JsonObject } from './json.ts';

export type Is = (value: Json) => boolean;
/** A member is mandatory unless its test is marked with {@link optional}. */
export type Members = Readonly<Record<string, Is | { readonly optional: Is }>>;

export const optional = (is: Is): { readonly optional: Is } => ({ optional: is });

/** Refuses with `claim_unknown`, `claim_missing`, `claim_invalid`, in this order. */
export const checkMembers = (object: JsonObject, members: Members, what: string): Verdict<JsonObject> => {
  for (const name in object) {
    if (!Object.hasOwn(members, name))
      return deny('claim_unknown', `${what} has a member that is not listed`);
  }
  for (const name in members) {
    if (typeof members[name] === 'function' && object[name] === undefined)
      return deny('claim_missing', `${what} lacks ${name}`);
  }
  for (const name in object) {
    const test = members[name];
    const is = typeof test === 'function' ? test : test?.optional;
    if (is === undefined || !is(object[name] as Json))
      return deny('claim_invalid', `${name} of ${what} has no valid value`);
  }
  return grant(object);
};

const JTI = /^[A-Za-z0-9_-]{16,64}$/;
const ID43 = /^[A-Za-z0-9_-]{43}$/;

export const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isString: Is = (value) => typeof value === 'string';
export const isTime: Is = (value) => typeof value === 'number' && value > 0 && value <= MAX_TIME;
export const isJti: Is = (value) => typeof value === 'string' && JTI.test(value);
export const isBoolean: Is = (value) => typeof value === 'boolean';
/** A SHA-256, base64url: link ids, thumbprints, record hashes. The last character carries four bits. */
export const isDigest: Is = (value) =>
  typeof value === 'string' && ID43.test(value) && 'AEIMQUYcgkosw048'.includes(value.charAt(42));
export const isInteger =
  (least: number, most: number): Is =>
  (value) =>
    typeof value === 'number' && value >= least && value <= most;
/** An array of `least`–`most` distinct strings, each of which passes `is`. */
export const isListOf =
  (is: Is, least: number, most: number): Is =>
  (value) =>
    Array.isArray(value) &&
    value.length >= least &&
    value.length <= most &&
    value.every((item) => typeof item === 'string' && is(item)) &&
    new Set(value).size === value.length;
