/** Content rules made ready: which apply to a body, and what is wrong with one before it is in force. */
import { LRUCache } from 'lru-cache';
import { RE2JS } from 're2js';
import { type Callee, isOneOf } from '../policy/destination.ts';
import type { ContentRule } from '../policy/model.ts';
import { DETECTORS, detectorSet } from './detectors.ts';
import { foldText } from './fold.ts';
import type { Direction } from './model.ts';
import { flagsOf, PatternSet } from './pattern-set.ts';

export interface CompiledRule {
  readonly rule: ContentRule;
  /** Detectors and patterns of its own; empty: it goes by type and size alone. */
  readonly sets: readonly PatternSet[];
  /** It refuses or cuts; others are for the log. */
  readonly stops: boolean;
}

/** The rules for one kind of body, in the order of the policy. */
export interface ContentSelection {
  readonly rules: readonly CompiledRule[];
  /** Of all of them, each once. */
  readonly sets: readonly PatternSet[];
  /** Nothing goes on before it was looked at. */
  readonly hold: boolean;
  /** Octets that are held at most, of a body or of one event: the least that one of the rules allows. */
  readonly holdBytes: number;
}

const shadows = new WeakMap<ContentSelection, ContentSelection>();

/** The same rules, none of which stops anything: for a route that is observed only. */
export const inShadow = (selection: ContentSelection): ContentSelection => {
  const known = shadows.get(selection);
  if (known !== undefined) return known;
  const rules = selection.rules.map((compiled) => ({
    ...compiled,
    rule: { ...compiled.rule, shadow: true as const },
    stops: false,
  }));
  const made = { ...selection, rules, hold: false };
  shadows.set(selection, made);
  return made;
};

export interface CompiledContent {
  /** What applies; undefined where nothing does, which is known at once. */
  select(direction: Direction, callee: Callee, route: string): ContentSelection | undefined;
}

const PATTERN_SET = 'patterns';
const MOST_SELECTIONS = 1024;

const compileRule = (rule: ContentRule): CompiledRule => {
  const own = Object.entries(rule.patterns ?? {}).map(([name, source]) => ({
    id: `${PATTERN_SET}/${name}`,
    source: foldText(source),
    needs: [],
    caseMatters: true as const,
  }));
  return {
    rule,
    sets: [
      ...(rule.detectors ?? []).map(detectorSet).filter((set) => set !== undefined),
      ...(own.length === 0 ? [] : [new PatternSet(PATTERN_SET, own, true)]),
    ],
    stops: rule.action !== 'flag' && rule.shadow !== true,
  };
};

const selectionOf = (rules: readonly CompiledRule[]): ContentSelection => {
  const holding = rules.filter(
    ({ rule, sets, stops }) =>
      stops && rule.mode === 'hold' && (sets.length > 0 || rule.maxBytes !== undefined),
  );
  const looking = rules.filter(({ sets }) => sets.length > 0);
  const stopping = looking.filter(({ stops }) => stops);
  const bounding = [holding, stopping, looking].find(({ length }) => length > 0) ?? [];
  return {
    rules,
    sets: [...new Set(rules.flatMap(({ sets }) => sets))],
    hold: holding.length > 0,
    holdBytes: Math.min(...bounding.map(({ rule }) => rule.holdBytes), Number.MAX_SAFE_INTEGER),
  };
};

/** Rules that have no {@link contentRuleFault}. */
export const compileContent = (rules: readonly ContentRule[]): CompiledContent => {
  const compiled = rules.map(compileRule);
  const of = (direction: Direction): readonly CompiledRule[] =>
    compiled.filter(({ rule }) => rule.directions.includes(direction));
  const byDirection = { request: of('request'), response: of('response') };
  const anyRoute = (direction: Direction): boolean =>
    byDirection[direction].some(({ rule }) => rule.routes === undefined);
  const named = (direction: Direction): ReadonlySet<string> =>
    new Set(byDirection[direction].flatMap(({ rule }) => rule.routes ?? []));
  const open = { request: anyRoute('request'), response: anyRoute('response') };
  const routes = { request: named('request'), response: named('response') };
  const known = new LRUCache<string, { readonly selection: ContentSelection | undefined }>({
    max: MOST_SELECTIONS,
  });
  return {
    select(direction, callee, route) {
      if (!open[direction] && !routes[direction].has(route)) return undefined;
      const key = `${direction} ${callee} ${route}`;
      const before = known.get(key);
      if (before !== undefined) return before.selection;
      const applying = byDirection[direction].filter(
        ({ rule }) =>
          (rule.routes === undefined || rule.routes.includes(route)) &&
          (rule.callees === undefined || isOneOf(rule.callees, callee)),
      );
      const selection = applying.length === 0 ? undefined : selectionOf(applying);
      known.set(key, { selection });
      return selection;
    },
  };
};

const MAX_PATTERN_LENGTH = 2048;
/** Instructions of RE2's machine: what one character may cost at worst. */
const MAX_PROGRAM = 1000;
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]*\/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]*)$/;

/** Where in a pattern RE2 stumbled, as far as it says. */
const positionIn = (source: string, message: string): string => {
  const part = /`([^`]*)`/.exec(message)?.[1] ?? '';
  const at = part === '' ? -1 : source.indexOf(part);
  return at === -1 ? '' : ` (character ${at + 1})`;
};

const patternFault = (name: string, source: string): string | undefined => {
  if (!NAME.test(name)) return `pattern name "${name}" is not of a-z, 0-9 and "-"`;
  if (source.length > MAX_PATTERN_LENGTH)
    return `pattern "${name}" has more than ${MAX_PATTERN_LENGTH} characters`;
  let expression: RE2JS;
  try {
    expression = RE2JS.compile(foldText(source), flagsOf({ caseMatters: true }));
  } catch (error) {
    const message = error instanceof Error ? error.message : 'not an expression';
    return `pattern "${name}" is no RE2 expression: ${message}${positionIn(source, message)}`;
  }
  if (expression.programSize() > MAX_PROGRAM)
    return `pattern "${name}" is too large: write fewer or smaller counted repetitions`;
  return expression.test('') ? `pattern "${name}" matches empty text, and so every body` : undefined;
};

/** What is wrong with a content rule, as a sentence; `undefined` when nothing is. */
export const contentRuleFault = (rule: ContentRule): string | undefined => {
  const { directions, detectors = [], patterns = {}, types, maxBytes, action, mode, holdBytes } = rule;
  if (directions.length === 0) return 'directions names none of request and response';
  const looks = detectors.length > 0 || Object.keys(patterns).length > 0;
  if (!looks && types === undefined && maxBytes === undefined)
    return 'the rule looks for nothing: give detectors, patterns, types or maxBytes';
  const unknown = detectors.find((name) => !DETECTORS.some((one) => one.name === name));
  if (unknown !== undefined)
    return `no detector is called "${unknown}": there are ${DETECTORS.map(({ name }) => name).join(', ')}`;
  for (const [name, source] of Object.entries(patterns)) {
    const fault = patternFault(name, source);
    if (fault !== undefined) return fault;
  }
  const badType = types?.find((type) => type !== '*/*' && !TYPE.test(type));
  if (badType !== undefined) return `"${badType}" is no media type such as application/json or text/*`;
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes >= 0))
    return 'maxBytes is not a number of octets';
  if (!Number.isSafeInteger(holdBytes) || holdBytes <= 0)
    return 'holdBytes is not a number of octets above 0';
  if (action === 'flag' && mode === 'hold')
    return 'flag with hold makes everyone wait for what only goes to the log: say mode stream';
  if (action === 'quarantine' && mode === 'stream')
    return 'quarantine needs the body whole: what has gone on already can’t be kept aside; say mode hold';
  if (action === 'quarantine' && directions.includes('response'))
    return 'quarantine is for requests: nobody would wait for the release of a response';
  return undefined;
};
