/**
 * Field lines of an HTTP/1.1 message (RFC 9112 §5), read from octets. Strict: CRLF alone ends a line, names are tokens, values
 * have no control characters but HTAB, and no line is folded.
 */

export const CR = 0x0d;
export const LF = 0x0a;
const HTAB = 0x09;
const SP = 0x20;
const COLON = 0x3a;
const DEL = 0x7f;

/** Of one message, its trailer section apart. */
export const MAX_FIELDS = 200;
export const TOO_MANY_FIELDS = `more than ${MAX_FIELDS} fields`;

const TOKEN_TEXT = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const table = (allowed: (octet: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, octet) => (allowed(octet) ? 1 : 0));

/** `tchar` (RFC 9110 §5.6.2). */
export const IS_TOKEN = table((octet) => TOKEN_TEXT.includes(String.fromCharCode(octet)));
/** HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5). */
export const IS_TEXT = table((octet) => octet === HTAB || (octet >= SP && octet !== DEL));

/**
 * Reads the lines in `octets` from `from` up to `to`, where the last CRLF ends, and adds name, value … to `into`; names keep
 * their spelling, values lose the white space around them. Returns what is wrong with them.
 */
export const readFields = (
  octets: Uint8Array,
  from: number,
  to: number,
  text: string,
  into: string[],
): string | undefined => {
  let at = from;
  while (at < to) {
    const nameAt = at;
    while (IS_TOKEN[octets[at] as number] === 1) at++;
    if (at === nameAt) return 'a line that begins with no field name';
    if (octets[at] !== COLON) return 'a field name that is no token';
    const nameEnd = at++;
    while (octets[at] === SP || octets[at] === HTAB) at++;
    const valueAt = at;
    while (IS_TEXT[octets[at] as number] === 1) at++;
    if (octets[at] !== CR || octets[at + 1] !== LF) return 'a control character in a field value';
    let valueEnd = at;
    while (valueEnd > valueAt && (octets[valueEnd - 1] === SP || octets[valueEnd - 1] === HTAB)) valueEnd--;
    at += 2;
    if (into.length === 2 * MAX_FIELDS) return TOO_MANY_FIELDS;
    into.push(text.slice(nameAt - from, nameEnd - from), text.slice(valueAt - from, valueEnd - from));
  }
  return undefined;
};

const LOWER_CASE = 0x20;

/** Whether `name` is `known`, which is in lower case and of the same length; `usual` is how most servers spell it. */
const is = (name: string, known: string, usual: string): boolean =>
  name === usual ||
  name === known ||
  // A first letter is enough to tell most others of the length, as User-Agent.
  ((name.charCodeAt(0) | LOWER_CASE) === known.charCodeAt(0) && name.toLowerCase() === known);

/** How the body of a response ends, and whether the connection outlives it (RFC 9112 §6, §9). */
export interface Framing {
  /** Octets; -1 where none is announced. */
  contentLength: number;
  chunked: boolean;
  close: boolean;
  /** Whether `Connection` says that it switches. */
  switches: boolean;
  /** Seconds that the server says it keeps an idle connection; -1 where it doesn't say. */
  keepAliveSeconds: number;
  /** The last `Keep-Alive` that was read, and its seconds; kept from one response to the next. */
  keepAlive: string;
  keepAliveHint: number;
  /** What it switches to, in lower case. */
  upgrade: string | undefined;
}

const DIGITS = /^[0-9]{1,15}$/;
const CLOSE = /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i;
const UPGRADE = /(?:^|,)[ \t]*upgrade[ \t]*(?:,|$)/i;
const TIMEOUT = /(?:^|[,\s])timeout\s*=\s*"?([0-9]{1,9})/i;

const readOne = (framing: Framing, name: string, value: string): string | undefined => {
  // Most names have another length than these, and are not looked at further.
  switch (name.length) {
    case 7:
      if (!is(name, 'upgrade', 'Upgrade')) return undefined;
      framing.upgrade = framing.upgrade === undefined ? value.toLowerCase() : `${framing.upgrade}, ${value}`;
      return undefined;
    case 10:
      if (is(name, 'connection', 'Connection')) {
        if (value === 'keep-alive') return undefined;
        if (CLOSE.test(value)) framing.close = true;
        if (UPGRADE.test(value)) framing.switches = true;
      } else if (is(name, 'keep-alive', 'Keep-Alive')) {
        // One server says the same each time.
        if (value !== framing.keepAlive) {
          framing.keepAlive = value;
          framing.keepAliveHint = Number(TIMEOUT.exec(value)?.[1] ?? -1);
        }
        framing.keepAliveSeconds = framing.keepAliveHint;
      }
      return undefined;
    case 14:
      if (!is(name, 'content-length', 'Content-Length')) return undefined;
      if (framing.contentLength !== -1) return 'two Content-Length fields';
      if (!DIGITS.test(value)) return 'a Content-Length that is no number';
      framing.contentLength = Number(value);
      return undefined;
    case 17:
      if (!is(name, 'transfer-encoding', 'Transfer-Encoding')) return undefined;
      if (framing.chunked) return 'two Transfer-Encoding fields';
      if (value !== 'chunked' && value.toLowerCase() !== 'chunked')
        return 'a transfer coding other than chunked';
      framing.chunked = true;
      return undefined;
    default:
      return undefined;
  }
};

// RFC 9110 §5.6.3 lets a tab be white space; Node's parser (llhttp) reads `chunked` and a tab as another coding than chunked.
const TAB_IN_FRAMING = /^(?:transfer-encoding|content-length|connection|upgrade):.*\t/im;

/** Takes from `fields`, whose lines are `text`, what frames the message. Returns what is wrong with it. */
export const readFraming = (
  fields: readonly string[],
  text: string,
  framing: Framing,
): string | undefined => {
  if (text.includes('\t') && TAB_IN_FRAMING.test(text)) return 'a tab in a field that frames the message';
  framing.contentLength = -1;
  framing.chunked = false;
  framing.close = false;
  framing.switches = false;
  framing.keepAliveSeconds = -1;
  framing.upgrade = undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const fault = readOne(framing, fields[at] as string, fields[at + 1] as string);
    if (fault !== undefined) return fault;
  }
  return framing.chunked && framing.contentLength !== -1
    ? 'both Content-Length and Transfer-Encoding'
    : undefined;
};

const NOT_IN_TRAILERS = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What a trailer section must not say (RFC 9110 §6.5.1): nothing of how the message is framed or the connection used. */
export const faultInTrailers = (fields: readonly string[]): string | undefined => {
  for (let at = 0; at < fields.length; at += 2)
    if (NOT_IN_TRAILERS.has((fields[at] as string).toLowerCase())) return 'a trailer that frames the message';
  return undefined;
};
