/** An entry of a policy with everything in it that is nested said in words, so that two can be compared line by line. */
import type { ContentRule, OperationRule, RouteRule } from '../../core/policy/model.ts';

/** Members that choose: without them it is for any. All else, left out, is not there. */
const CHOOSES = new Set([
  'callees',
  'callers',
  'callerTypes',
  'from',
  'fromDomains',
  'fromTypes',
  'methods',
  'principals',
  'routes',
  'scopes',
  'to',
  'toDomains',
  'toTypes',
]);

/** What it means that a member was left out. */
export const absent = (name: string): string => (CHOOSES.has(name) ? 'any' : 'none');

/** ` of read_*, list`; nothing where there is nothing. */
export const of = (word: string, list: readonly string[] | undefined): string =>
  list === undefined ? '' : ` ${word} ${list.join(', ')}`;

const operationWords = ({ methods, names, scopes }: OperationRule): string =>
  `${methods?.join(', ') ?? 'any operation'}${of('of', names)} requires ${scopes.join(' and ') || 'nothing more'}`;

type Members = Readonly<Record<string, unknown>>;

const WORDS: Readonly<Record<string, (value: never) => Members>> = {
  operations: (operations: NonNullable<RouteRule['operations']>) => ({
    operations: operations.map(operationWords),
  }),
  labels: ({ request, response }: NonNullable<RouteRule['labels']>) => ({
    'labels of requests': request,
    'labels of responses': response,
  }),
  tools: ({ approved, ...rest }: NonNullable<RouteRule['tools']>) => ({
    ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [`tools ${name}`, value])),
    'tools approved': Object.entries(approved).map(([name, digest]) => `${name} (${digest})`),
  }),
  patterns: (patterns: NonNullable<ContentRule['patterns']>) => ({
    patterns: Object.entries(patterns).map(([name, pattern]) => `${name} = ${pattern}`),
  }),
  observeUntil: (seconds: number) => ({ observeUntil: new Date(seconds * 1000).toISOString() }),
};

export const flatEntry = (entry: object): Members => {
  const flat: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(entry)) {
    const words = Object.hasOwn(WORDS, name) ? WORDS[name] : undefined;
    if (words === undefined || value === undefined) flat[name] = value;
    else Object.assign(flat, words(value as never));
  }
  return flat;
};
