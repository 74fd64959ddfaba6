/**
 * A strict JSON reader (RFC 8259, narrowed by SPEC.md section 2) and canonical JSON (RFC 8785).
 * `JSON.parse` keeps the last of two equal members and reads 1.0 and 1e0 as 1: two readers of one
 * signed text could then see two different authorities.
 */
import { MAX_JSON_DEPTH } from '../limits.ts';
import type { ReasonCode } from '../reasons.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { caseFold } from './case-fold.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** Has no prototype, so that no member name means anything to the language. */
export interface JsonObject {
  readonly [member: string]: Json;
}

type JsonFault = 'utf8' | 'surrogate' | 'syntax' | 'number' | 'depth' | 'containers' | 'member';

/** How strictly a text is read, and which reason each fault is. */
export interface JsonRules {
  readonly maxDepth: number;
  /** Most objects and arrays of a text of so many characters; any number, if left out. */
  readonly maxContainers?: (characters: number) => number;
  /**
   * integers: `0` or `-?[1-9][0-9]*`, safe. same: whatever every reader takes for the same number, so no integer beyond the
   * safe range, no negative zero, nothing that overflows to infinity or underflows to zero. finite: all but what overflows.
   */
  readonly numbers: 'integers' | 'same' | 'finite';
  /**
   * distinct: no two members of one object are equal. same: nor are they when their case is folded, since some readers
   * match names that way (Go's encoding/json); nor is any called `__proto__` or does it hold U+0000, which some drop or cut.
   */
  readonly names: 'distinct' | 'same';
  readonly reasons: Readonly<Record<JsonFault, ReasonCode>>;
}

/** Our own documents. */
const STRICT: JsonRules = {
  maxDepth: MAX_JSON_DEPTH,
  numbers: 'integers',
  names: 'distinct',
  reasons: {
    utf8: 'json_utf8',
    surrogate: 'json_utf8',
    syntax: 'json_syntax',
    number: 'json_number',
    depth: 'json_depth',
    containers: 'json_depth',
    member: 'json_duplicate_member',
  },
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Fault {
  readonly denial: Denial;
  constructor(denial: Denial) {
    this.denial = denial;
  }
}

/** UTF-8 octets to one JSON value of any kind, by the rules given and refused with their reasons. */
export const readJson = (octets: Uint8Array, rules: JsonRules): Verdict<Json> => {
  let text: string;
  try {
    text = utf8.decode(octets);
  } catch {
    return deny(rules.reasons.utf8, 'payload is not UTF-8');
  }
  return readJsonText(text, rules);
};

/** The same for text that has been decoded already. */
export const readJsonText = (text: string, rules: JsonRules): Verdict<Json> => {
  if (text.charCodeAt(0) === 0xfeff) return deny(rules.reasons.utf8, 'payload starts with a byte order mark');
  const reader = new Reader(text, rules);
  try {
    return grant(reader.document());
  } catch (fault) {
    if (fault instanceof Fault) return fault.denial;
    throw fault;
  }
};

const objectOf = (read: Verdict<Json>): Verdict<JsonObject> => {
  if (!read.ok) return read;
  const { value } = read;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return deny('json_syntax', 'payload is not an object');
  return grant(value as JsonObject);
};

/** UTF-8 octets to one JSON object of ours. Refuses with `json_*`. */
export const parseStrictObject = (octets: Uint8Array): Verdict<JsonObject> =>
  objectOf(readJson(octets, STRICT));

/** The same for text that has been decoded already. */
export const parseStrictObjectText = (text: string): Verdict<JsonObject> =>
  objectOf(readJsonText(text, STRICT));

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const INTEGER = /^(?:0|-?[1-9][0-9]*)$/;
// The mantissa of a number that is not zero as written.
const NOT_ZERO = /^-?[0.]*[1-9]/;
// A run of characters that need no further look: no quote, backslash, control character or surrogate.
const PLAIN = /[ !#-[\]-\ud7ff\ue000-\uffff]*/y;

class Reader {
  private readonly text: string;
  private readonly rules: JsonRules;
  private at = 0;
  /** Objects and arrays that may still open. */
  private room: number;

  constructor(text: string, rules: JsonRules) {
    this.text = text;
    this.rules = rules;
    this.room = rules.maxContainers?.(text.length) ?? Number.POSITIVE_INFINITY;
  }

  document(): Json {
    const value = this.value(1);
    this.space();
    if (this.at !== this.text.length) this.fail('syntax', 'something follows the value');
    return value;
  }

  private fail(fault: JsonFault, what: string): never {
    throw new Fault(deny(this.rules.reasons[fault], `${what} (character ${this.at + 1})`));
  }

  private space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at++;
    }
  }

  private value(depth: number): Json {
    this.space();
    switch (this.text.charCodeAt(this.at)) {
      case 0x7b:
        return this.object(depth);
      case 0x5b:
        return this.array(depth);
      case 0x22:
        return this.string();
      case 0x74:
        return this.word('true', true);
      case 0x66:
        return this.word('false', false);
      case 0x6e:
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail('syntax', 'unexpected character');
    this.at += word.length;
    return value;
  }

  private number(): number {
    return this.smallNumber() ?? this.anyNumber();
  }

  /** Digits alone, few enough to be safe: most numbers, without an expression. */
  private smallNumber(): number | undefined {
    let [at, value] = [this.at, 0];
    let code = this.text.charCodeAt(at);
    if (code === 0x30) return undefined;
    for (; code >= 0x30 && code <= 0x39; code = this.text.charCodeAt(++at)) value = value * 10 + code - 0x30;
    const digits = at - this.at;
    // A point or an exponent follows.
    if (digits === 0 || digits > 15 || code === 0x2e || (code | 0x20) === 0x65) return undefined;
    this.at = at;
    return value;
  }

  private anyNumber(): number {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (match === null) this.fail('syntax', 'unexpected character');
    const value = Number(match[0]);
    const fault = this.numberFault(match[0], value);
    if (fault !== undefined) this.fail('number', fault);
    this.at += match[0].length;
    return value;
  }

  private numberFault(text: string, value: number): string | undefined {
    const isInteger = INTEGER.test(text);
    if (isInteger && Number.isSafeInteger(value)) return undefined;
    switch (this.rules.numbers) {
      case 'integers':
        return 'not a safe integer';
      case 'same':
        if (isInteger) return 'an integer that not every reader keeps';
        // Readers of integers take -0 for 0; others keep the sign.
        if (Object.is(value, -0)) return 'a negative zero';
        if (value === 0 && NOT_ZERO.test(text)) return 'a number too small for some readers';
    }
    return Number.isFinite(value) ? undefined : 'a number too large for some readers';
  }

  private string(): string {
    this.at++;
    let out = '';
    for (;;) {
      PLAIN.lastIndex = this.at;
      const run = PLAIN.exec(this.text)?.[0] ?? '';
      out += run;
      this.at += run.length;
      const code = this.text.charCodeAt(this.at);
      if (code === 0x22) {
        this.at++;
        // Escapes can spell a lone surrogate that well-formed UTF-8 can't.
        if (!out.isWellFormed()) this.fail('surrogate', 'lone surrogate');
        return out;
      }
      if (code === 0x5c) out += this.escape();
      else if (code >= 0xd800 && code <= 0xdfff) out += this.text.charAt(this.at++);
      else this.fail('syntax', 'unfinished string or control character');
    }
  }

  private escape(): string {
    const letter = this.text.charAt(this.at + 1);
    const simple = ESCAPES[letter];
    if (simple !== undefined) {
      this.at += 2;
      return simple;
    }
    const hex = this.text.slice(this.at + 2, this.at + 6);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(hex)) this.fail('syntax', 'unknown escape');
    this.at += 6;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  /** At the bracket of an object or array. */
  private open(depth: number): void {
    if (depth > this.rules.maxDepth) this.fail('depth', 'nested too deep');
    if (--this.room < 0) this.fail('containers', 'more objects and arrays than its size explains');
    this.at++;
  }

  private object(depth: number): JsonObject {
    this.open(depth);
    const object: Record<string, Json> = Object.create(null);
    const folded = this.rules.names === 'same' ? new Set<string>() : undefined;
    this.space();
    if (this.text.charCodeAt(this.at) === 0x7d) {
      this.at++;
      return object;
    }
    for (;;) {
      this.space();
      if (this.text.charCodeAt(this.at) !== 0x22) this.fail('syntax', 'expected a member name');
      const name = this.string();
      if (name in object) this.fail('member', 'member occurs twice');
      if (folded !== undefined) this.checkName(name, folded);
      this.space();
      if (this.text.charCodeAt(this.at) !== 0x3a) this.fail('syntax', 'expected a colon');
      this.at++;
      object[name] = this.value(depth + 1);
      this.space();
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x2c && code !== 0x7d) this.fail('syntax', 'expected a comma or the end of the object');
      this.at++;
      if (code === 0x7d) return object;
    }
  }

  private checkName(name: string, folded: Set<string>): void {
    if (name === '__proto__' || name.includes('\u0000'))
      this.fail('member', 'a member name that some readers drop or cut');
    const same = caseFold(name);
    if (folded.has(same)) this.fail('member', 'two members that differ in case alone');
    folded.add(same);
  }

  private array(depth: number): Json[] {
    this.open(depth);
    const array: Json[] = [];
    this.space();
    if (this.text.charCodeAt(this.at) === 0x5d) {
      this.at++;
      return array;
    }
    for (;;) {
      array.push(this.value(depth + 1));
      this.space();
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x2c && code !== 0x5d) this.fail('syntax', 'expected a comma or the end of the array');
      this.at++;
      if (code === 0x5d) return array;
    }
  }
}

const ESCAPES: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
});

/**
 * RFC 8785: members sorted by UTF-16 code units, `JSON.stringify` for the rest (which is what RFC 8785 §3.2.2
 * prescribes for strings and numbers). Members that are `undefined` are left out.
 */
export const canonicalJson = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const object = value as Readonly<Record<string, unknown>>;
  let members = '';
  // Without a comparison of its own, `sort` is by UTF-16 code units. A bundle has tens of thousands of members.
  for (const name of Object.keys(object).sort()) {
    const member = object[name];
    if (member === undefined) continue;
    members += `${members === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`;
  }
  return `{${members}}`;
};
