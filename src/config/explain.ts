/** What the schema library found wrong, in our words: what is wanted, never what was given. */
import { z } from 'zod';
import type { Path } from './fault.ts';
import { nearest } from './nearest.ts';

export interface Explained {
  readonly path: Path;
  readonly message: string;
}

/** `"a", "b" or "c"`. */
const oneOf = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

const KINDS: Readonly<Record<string, string>> = {
  object: 'a map (lines of "key: value")',
  record: 'a map (lines of "key: value")',
  array: 'a list (lines that begin with "- ", or [a, b])',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

/** Explains every issue of a failed parse of `value`. */
export const explainIssues = (
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  schema: z.ZodType,
): Explained[] => {
  const stranger = explainKind(issues, value, schema);
  if (stranger !== undefined) return [stranger];
  return issues.flatMap((issue) => explainIssue(issue, value, schema));
};

/** A document of another kind gets that one sentence, and no list of keys that it lacks. */
const explainKind = (
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  schema: z.ZodType,
): Explained | undefined => {
  if (!issues.some(({ path }) => path.length === 1 && path[0] === 'kind')) return undefined;
  const wanted = shapeAt(schema, ['kind'])?.const;
  const given = valueAt(value, ['kind']);
  if (typeof given !== 'string' || !/^[A-Z][A-Za-z]{0,31}$/.test(given)) return undefined;
  return { path: ['kind'], message: `this is kind ${given}, and kind ${wanted} is wanted here` };
};

const explainIssue = (issue: z.core.$ZodIssue, value: unknown, schema: z.ZodType): Explained[] => {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(shapeAt(schema, path)?.properties ?? {});
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(key, known) }));
  }
  const given = valueAt(value, path);
  if (given === undefined) return [{ path, message: 'is missing' }];
  if (given === null)
    return [
      {
        path,
        message: path.length === 0 ? 'the file is empty' : 'has no value: give it one, or take the line out',
      },
    ];
  return [{ path, message: wantedBy(issue, given) }];
};

const unknownKey = (key: string, known: readonly string[]): string => {
  const meant = nearest(key, known);
  return meant === undefined
    ? `unknown key; known here: ${known.join(', ')}`
    : `unknown key; did you mean "${meant}"?`;
};

const wantedBy = (issue: z.core.$ZodIssue, given: unknown): string => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.startsWith('Invalid input')
        ? `must be ${KINDS[issue.expected] ?? issue.expected}${issue.expected === 'string' && isScalarValue(given) ? ': put it in quotes' : ''}`
        : issue.message;
    case 'invalid_value':
      return `must be ${oneOf(issue.values.map((one) => JSON.stringify(one)))}`;
    case 'too_small':
      return issue.origin === 'array'
        ? `must have ${issue.minimum} entry or more: an empty list is never read as "all"`
        : `must be ${issue.minimum} or more`;
    case 'too_big':
      return `must be ${issue.maximum} or less`;
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message;
    default:
      return issue.message;
  }
};

const isScalarValue = (value: unknown): boolean => typeof value === 'number' || typeof value === 'boolean';

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (at, step) =>
      typeof at === 'object' && at !== null && Object.hasOwn(at, step)
        ? (at as Record<string | number, unknown>)[step]
        : undefined,
    value,
  );

/** The JSON Schema of what stands at a path. */
const shapeAt = (schema: z.ZodType, path: Path): z.core.JSONSchema.BaseSchema | undefined => {
  let shape: z.core.JSONSchema._JSONSchema | undefined = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
  });
  for (const step of path) {
    if (typeof shape !== 'object') return undefined;
    shape =
      typeof step === 'number'
        ? (shape.items as z.core.JSONSchema._JSONSchema | undefined)
        : (shape.properties?.[step] ?? (shape.additionalProperties as z.core.JSONSchema._JSONSchema));
  }
  return typeof shape === 'object' ? shape : undefined;
};
