/**
 * Conditions of rules, in CEL: parsed and type-checked once, when a policy is read, and evaluated without side effects
 * (SPEC.md section 13). What fails at run time is an error and never a value.
 */
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { LRUCache } from 'lru-cache';
import { RE2JS } from 're2js';
import { upTo } from '../lru.ts';
import { type Attribute, ENVIRONMENT, type Lasts, NOW } from './environment.ts';

/** Values by variable; members are read only when a condition asks for them. */
export type Values = Readonly<Record<keyof typeof ENVIRONMENT, object>> & { readonly now: Date };

export interface Condition {
  /** Attributes that it reads, as `caller.score`; a variable alone where it is read whole. */
  readonly reads: ReadonlySet<string>;
  /** How long its answer holds: the least of what it reads. */
  readonly lasts: Lasts;
  /** Its value, or undefined when it has none: a key that is missing, a type that differs, a division by zero. */
  evaluate(values: Values): boolean | undefined;
}

/** Why a text is no condition, and where: `offset` counts characters of the text. */
export interface ConditionFault {
  readonly message: string;
  readonly offset: number;
}

export const MAX_CONDITION_CHARACTERS = 4096;
const LIMITS = {
  maxAstNodes: 1000,
  maxDepth: 64,
  maxListElements: 256,
  maxMapEntries: 64,
  maxCallArguments: 8,
};
/** Of the same length as `matches`, so that places in the text stay what they are. */
const LINEAR_MATCHES = 'reMatch';

/** Bounded by what policies in force say: only patterns that stand in a condition come here. */
const patterns = new LRUCache<string, RE2JS>(upTo(4096));
/** Characters times instructions of the pattern: half a second at worst. */
const MAX_MATCH_STEPS = 100_000_000;
const patternOf = (text: string): RE2JS => {
  const known = patterns.get(text);
  if (known !== undefined) return known;
  const compiled = RE2JS.compile(text);
  patterns.set(text, compiled);
  return compiled;
};

const schemaOf = (members: Readonly<Record<string, Attribute>>): Record<string, string> =>
  Object.fromEntries(Object.entries(members).map(([name, { type }]) => [name, type]));

const makeEnvironment = (): Environment => {
  const made = new Environment({ unlistedVariablesAreDyn: false, enableOptionalTypes: true, limits: LIMITS });
  for (const [name, members] of Object.entries(ENVIRONMENT))
    made.registerVariable({ name, schema: schemaOf(members) });
  made.registerVariable('now', NOW.type);
  // The library's own `matches` is a backtracking engine, which a sender's string could keep busy for hours.
  made.registerFunction(`string.${LINEAR_MATCHES}(string): bool`, (text: string, pattern: string) => {
    const compiled = patternOf(pattern);
    if (text.length * compiled.programSize() > MAX_MATCH_STEPS)
      throw new RangeError('too long for this pattern');
    return compiled.test(text);
  });
  return made;
};

let ready: Environment | undefined;
/** Made for the first condition: a policy may have none. */
const environment = (): Environment => {
  ready ??= makeEnvironment();
  return ready;
};

const ORDER: readonly Lasts[] = ['standing', 'request', 'operation'];
const shorter = (a: Lasts, b: Lasts): Lasts => (ORDER.indexOf(a) >= ORDER.indexOf(b) ? a : b);

const isNode = (value: unknown): value is ASTNode =>
  typeof value === 'object' && value !== null && 'op' in value && 'args' in value;

/** Comprehensions within comprehensions multiply; those over what a sender chose do so without bound. */
const MACROS = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const MOST_NESTED = 2;
const SENDERS = ['mcp', 'mcp.arguments', 'request', 'request.query', 'request.headers'];

interface Found {
  readonly reads: Set<string>;
  readonly matches: { readonly at: number }[];
  fault: ConditionFault | undefined;
  /** Comprehensions, one in the other. */
  nested: number;
}

const isVariable = (name: string): boolean => name === 'now' || Object.hasOwn(ENVIRONMENT, name);

const nameOf = (variable: string, member: string | undefined): string =>
  member === undefined ? variable : `${variable}.${member}`;

/** Whether a part of a condition reads what a sender may make long. */
const readsSender = (node: unknown): boolean => {
  if (Array.isArray(node)) return node.some(readsSender);
  if (!isNode(node)) return false;
  const { op, args } = node;
  if (op === 'id') return SENDERS.includes(args as string);
  if (op === '.' || op === '.?') {
    const [object, member] = args as [ASTNode, string];
    if (isNode(object) && object.op === 'id') return SENDERS.includes(nameOf(object.args as string, member));
  }
  return readsSender(args);
};

const walk = (node: unknown, text: string, found: Found, depth: number): void => {
  if (Array.isArray(node)) {
    for (const one of node) walk(one, text, found, depth);
    return;
  }
  if (!isNode(node)) return;
  const { op, args } = node;
  if (op === 'id') {
    found.reads.add(args as string);
    return;
  }
  if (op === '.' || op === '.?') {
    const [object, member] = args as [ASTNode, string];
    if (isNode(object) && object.op === 'id') {
      found.reads.add(nameOf(object.args as string, member));
      return;
    }
  }
  let inner = depth;
  if (op === 'rcall') {
    const [method, receiver, given] = args as [string, ASTNode, ASTNode[]];
    const [first, ...others] = given;
    if (MACROS.has(method)) {
      inner = depth + 1;
      // `list.all(x, x in list)` goes through the list for each of its elements, without a second comprehension.
      const goesTwice = readsSender(receiver) && readsSender(others);
      found.nested = Math.max(found.nested, goesTwice ? inner + 1 : inner);
    }
    // What a macro binds would hide an attribute, and what is read under its name would be misjudged.
    if (first?.op === 'id' && others.length > 0 && isVariable(first.args as string))
      found.fault ??= { message: `"${first.args}" is an attribute: bind another name`, offset: first.start };
    if (method === 'matches') checkPattern(node, text, found);
    else if (method === LINEAR_MATCHES)
      found.fault ??= { message: `there is no method ${method}`, offset: node.pos };
  }
  walk(args, text, found, inner);
};

const METHOD = /[\s).]*(?=matches\b)/y;

const checkPattern = (node: ASTNode, text: string, found: Found): void => {
  const [, receiver, [pattern, ...rest]] = node.args as [string, ASTNode, ASTNode[]];
  METHOD.lastIndex = receiver.end;
  const gap = METHOD.exec(text)?.[0];
  if (pattern?.op !== 'value' || typeof pattern.args !== 'string' || rest.length > 0) {
    found.fault ??= {
      message:
        'matches takes one pattern, written out here as a string, so that it is checked when the policy is read',
      offset: node.pos,
    };
    return;
  }
  try {
    patternOf(pattern.args);
    if (gap === undefined)
      found.fault ??= { message: 'a comment between a value and .matches', offset: node.pos };
    else found.matches.push({ at: receiver.end + gap.length });
  } catch (error) {
    found.fault ??= {
      message: `not a pattern of RE2: ${error instanceof Error ? error.message : 'unreadable'}`,
      offset: pattern.start,
    };
  }
};

/** Variables that are declared; names bound by macros are none of ours. */
const attributesOf = (reads: ReadonlySet<string>): ReadonlySet<string> =>
  new Set([...reads].filter((name) => isVariable(name.split('.')[0] ?? '')));

const lastsOf = (reads: ReadonlySet<string>): Lasts => {
  let lasts: Lasts = 'standing';
  for (const name of reads) {
    const [variable = '', member] = name.split('.');
    if (variable === 'now') {
      lasts = shorter(lasts, NOW.lasts);
      continue;
    }
    const members: Readonly<Record<string, Attribute>> = ENVIRONMENT[variable as keyof typeof ENVIRONMENT];
    const read = member === undefined ? Object.values(members) : [members[member]];
    for (const attribute of read) if (attribute !== undefined) lasts = shorter(lasts, attribute.lasts);
  }
  return lasts;
};

/** The first line of a fault of the library, and where it points. */
const faultOf = (error: unknown): ConditionFault => {
  const { message = '', range } = error as { message?: string; range?: { start: number } };
  return { message: message.split('\n')[0] || 'not an expression', offset: range?.start ?? 0 };
};

const compile = (text: string): Condition | ConditionFault => {
  if (text.length > MAX_CONDITION_CHARACTERS)
    return { message: `longer than ${MAX_CONDITION_CHARACTERS} characters`, offset: 0 };
  try {
    const found: Found = { reads: new Set(), matches: [], fault: undefined, nested: 0 };
    walk(environment().parse(text).ast, text, found, 0);
    if (found.fault !== undefined) return found.fault;
    const reads = attributesOf(found.reads);
    const most = SENDERS.some((name) => reads.has(name)) ? 1 : MOST_NESTED;
    if (found.nested > most)
      return {
        message: `more than ${most} comprehension${most === 1 ? '' : 's'} one in the other`,
        offset: 0,
      };
    let linear = text;
    for (const { at } of found.matches)
      linear = linear.slice(0, at) + LINEAR_MATCHES + linear.slice(at + LINEAR_MATCHES.length);
    const parsed = environment().parse(linear);
    const checked = parsed.check();
    if (!checked.valid) return faultOf(checked.error);
    if (checked.type !== 'bool' && checked.type !== 'dyn')
      return { message: `is of type ${checked.type}; a condition is bool`, offset: 0 };
    return {
      reads,
      lasts: lastsOf(reads),
      evaluate: (values) => {
        try {
          const value: unknown = parsed(values as unknown as Record<string, unknown>);
          return typeof value === 'boolean' ? value : undefined;
        } catch {
          return undefined;
        }
      },
    };
  } catch (error) {
    return faultOf(error);
  }
};

const compiled = new LRUCache<string, Condition | ConditionFault>(upTo(4096));

/** A condition, or why the text is none. Remembered by its text: policies change, most of their conditions don't. */
export const compileCondition = (text: string): Condition | ConditionFault => {
  const known = compiled.get(text);
  if (known !== undefined) return known;
  const made = compile(text);
  compiled.set(text, made);
  return made;
};

export const isCondition = (made: Condition | ConditionFault): made is Condition => 'evaluate' in made;
