/**
 * Names that we read, and names that another reader would take for them: `Name` for `name` (readers that don't heed case),
 * `task_id` for `taskId` (ProtoJSON takes both). Where one occurs that is not the very name, the message is ambiguous.
 */
import { caseFold } from '../encoding/case-fold.ts';
import type { Json, JsonObject } from '../encoding/json.ts';
import { isObject } from '../encoding/members.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';

/** Equal for names that one reader or another takes for the same. */
export const foldName = (name: string): string => caseFold(name).replace(/[_-]/g, '');

export interface ReadNames {
  readonly exact: ReadonlySet<string>;
  readonly folded: ReadonlySet<string>;
}

export const readNames = (...names: readonly string[]): ReadNames => ({
  exact: new Set(names),
  folded: new Set(names.map(foldName)),
});

/** Whether `name` is none of the names, but spelt like one. */
export const isMisspelt = (name: string, names: ReadNames): boolean =>
  !names.exact.has(name) && names.folded.has(foldName(name));

/** Refuses with `message_ambiguous`. */
export const misspelling = (object: JsonObject, names: ReadNames, what: string): Denial | undefined => {
  for (const name in object)
    if (isMisspelt(name, names))
      return deny('message_ambiguous', `a member of ${what} that some readers take for another`);
  return undefined;
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f]/;

/** A name that decides something: not empty, and without control characters, at which some readers cut. */
export const readName = (value: Json | undefined, what: string): Verdict<string> => {
  if (typeof value !== 'string' || value === '') return deny('message_malformed', `${what} is no name`);
  if (CONTROL.test(value)) return deny('message_ambiguous', `${what} has a control character`);
  return grant(value);
};

/** The same, or '' where it is absent, null or empty. */
export const readOptionalName = (value: Json | undefined, what: string): Verdict<string> =>
  value === undefined || value === null || value === '' ? grant('') : readName(value, what);

/** An object, or undefined where it is absent or null. */
export const readOptionalObject = (
  value: Json | undefined,
  what: string,
): Verdict<JsonObject | undefined> => {
  if (value === undefined || value === null) return grant(undefined);
  return isObject(value) ? grant(value) : deny('message_malformed', `${what} is no object`);
};
