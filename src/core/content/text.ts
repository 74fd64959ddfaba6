/** What is looked at of a body: its text as whoever gets it may read it, decoded and folded, whatever chunks it comes in. */
import { foldText } from './fold.ts';
import type { BodyHead } from './model.ts';
import { Unescape } from './unescape.ts';

/**
 * How a body is read. `json`: strings and member names, decoded. `text`: as it is. `form`: names and values of
 * application/x-www-form-urlencoded. `events`: an event stream, event by event. `octets`: what looks like text in whatever it is.
 */
export type BodyKind = 'json' | 'text' | 'form' | 'events' | 'octets';

export interface BodyReading {
  readonly kind: BodyKind;
  readonly charset: 'utf-8' | 'latin1';
  /** It may hold what is no text, such as a file. */
  readonly mayBreak: boolean;
}

const TEXT_TYPES = new Set(
  'xml javascript ecmascript x-javascript yaml x-yaml toml sql graphql x-sh x-python markdown'.split(' '),
);
const JSON_TYPES = new Set('json x-ndjson ndjson jsonl json-seq json5 csp-report'.split(' '));
const UTF8 = new Set(['', 'utf-8', 'utf8', 'us-ascii', 'ascii']);
const LATIN1 = new Set(['iso-8859-1', 'latin1', 'windows-1252']);

/** Lower-case and without parameters; '' where there is none. */
export const mediaTypeOf = (contentType: string | undefined): string =>
  (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

/** '' where there is none; undefined where there are several, of which readers take one or the other. */
const charsetOf = (contentType: string): string | undefined => {
  const [first, ...others] = contentType.matchAll(/;\s*charset\s*=\s*"?([^\s";]{0,40})/gi);
  return others.length > 0 ? undefined : (first?.[1]?.toLowerCase() ?? '');
};

/** How a body of this head is read; undefined where it can't be: a content coding, a charset that isn't ASCII's heir. */
export const readingOf = ({ contentType, contentEncoding }: BodyHead): BodyReading | undefined => {
  const coding = (contentEncoding ?? '').trim().toLowerCase();
  if (coding !== '' && coding !== 'identity') return undefined;
  const media = mediaTypeOf(contentType);
  // Two types: readers take one or the other.
  if (media.includes(',')) return undefined;
  const kind = kindOf(media);
  const mayBreak = kind === 'octets' || media.startsWith('multipart/');
  if (kind === 'octets') return { kind, charset: 'utf-8', mayBreak };
  const charset = charsetOf(contentType ?? '');
  if (charset === undefined) return undefined;
  if (UTF8.has(charset)) return { kind, charset: 'utf-8', mayBreak };
  // Readers of JSON and of events know UTF-8 alone; what another charset makes of them is anybody's guess.
  return kind === 'text' && LATIN1.has(charset) ? { kind, charset: 'latin1', mayBreak } : undefined;
};

/** What white space and byte order marks are, in any of the charsets. */
const BLANK = new Set([0x00, 0x09, 0x0a, 0x0d, 0x20, 0xef, 0xbb, 0xbf, 0xfe, 0xff]);
const JSON_STARTS = new Set([...'{["'].map((sign) => sign.charCodeAt(0)));

/**
 * Whether a body that is not said to be JSON may be read as such, by how it begins; undefined while it has not begun. It is looked at
 * both ways then: as text, quotes between words part nothing, and as JSON, escapes in it are none.
 */
export const mayBeJson = (octets: Uint8Array): boolean | undefined => {
  const first = octets.find((octet) => !BLANK.has(octet));
  return first === undefined ? undefined : JSON_STARTS.has(first);
};

const kindOf = (media: string): BodyKind => {
  if (media === 'text/event-stream') return 'events';
  if (media === 'application/x-www-form-urlencoded') return 'form';
  const [top = '', sub = ''] = media.split('/');
  if (JSON_TYPES.has(sub) || sub.endsWith('+json')) return 'json';
  // A body without a type is read by many as what it looks like.
  if (media === '') return 'text';
  // Of multipart all is one text, heads of parts included: where parts begin, readers don't agree on.
  if (top === 'text' || top === 'multipart' || top === 'message') return 'text';
  return TEXT_TYPES.has(sub) || sub.endsWith('+xml') || sub.endsWith('+yaml') ? 'text' : 'octets';
};

/** Octets to text, in order. */
class Decoder {
  /** Whether octets came that the charset doesn't know, where that matters. */
  broken = false;
  private readonly reading: BodyReading;
  /** Made when there is something to decode: text that is decoded already needs none, and events are many. */
  private lenient: TextDecoder | undefined;
  private strict: TextDecoder | undefined;

  constructor(reading: BodyReading) {
    this.reading = reading;
  }

  push(octets: Uint8Array, last: boolean): string {
    if (this.lenient === undefined) {
      if (octets.length === 0) return '';
      const { charset, mayBreak } = this.reading;
      this.lenient = new TextDecoder(charset, { ignoreBOM: true });
      if (charset === 'utf-8' && !mayBreak)
        this.strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    }
    try {
      this.strict?.decode(octets, { stream: !last });
    } catch {
      this.broken = true;
      this.strict = undefined;
    }
    return this.lenient.decode(octets, { stream: !last });
  }
}

const PERCENT = 0x25;
const hexValue = (octet: number | undefined): number => {
  if (octet === undefined) return -1;
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
};

/** Percent signs and plus undone, over octets; LF between one name or value and the next. */
class FormOctets {
  private rest = new Uint8Array(0);

  push(octets: Uint8Array, last: boolean): Uint8Array {
    const whole = new Uint8Array(this.rest.length + octets.length);
    whole.set(this.rest);
    whole.set(octets, this.rest.length);
    const out = new Uint8Array(whole.length);
    let [at, length] = [0, 0];
    for (; at < whole.length; at++) {
      let octet = whole[at] as number;
      if (octet === PERCENT) {
        if (!last && at + 2 >= whole.length) break;
        const [high, low] = [hexValue(whole[at + 1]), hexValue(whole[at + 2])];
        if (high !== -1 && low !== -1) {
          octet = high * 16 + low;
          at += 2;
        }
        // An LF of the value parts nothing.
        if (octet === 0x0a || octet === 0x0d) octet = 0x20;
      } else if (octet === 0x26) octet = 0x0a;
      else if (octet === 0x2b || octet === 0x0a || octet === 0x0d) octet = 0x20;
      out[length++] = octet;
    }
    this.rest = whole.slice(at);
    return out.subarray(0, length);
  }
}

/** Reads one body, or one event, into the text that is looked at. LF stands between strings, a single space for all other white space. */
export class TextReader {
  private readonly reading: BodyReading;
  private readonly decoder: Decoder;
  private readonly form: FormOctets | undefined;
  private readonly escapes: readonly Unescape[];
  /** The first half of a pair, whose second is yet to come. */
  private half = '';
  private afterSpace = true;

  constructor(reading: BodyReading) {
    this.reading = reading;
    this.decoder = new Decoder(reading);
    this.form = reading.kind === 'form' ? new FormOctets() : undefined;
    const { kind, mayBreak } = reading;
    this.escapes =
      kind === 'json'
        ? [new Unescape('json'), new Unescape('inner')]
        : // Parts and values may be JSON; plain text has paths with backslashes.
          [new Unescape(mayBreak || kind === 'form' ? 'inner' : 'unicode')];
  }

  get broken(): boolean {
    return this.decoder.broken;
  }

  push(octets: Uint8Array): string {
    return this.pushText(this.decoder.push(this.form?.push(octets, false) ?? octets, false));
  }

  /** Text that was decoded before. */
  pushText(text: string): string {
    return this.fold(this.undo(text, false));
  }

  end(): string {
    const none = new Uint8Array(0);
    return this.fold(this.undo(this.decoder.push(this.form?.push(none, true) ?? none, true), true));
  }

  private undo(decoded: string, last: boolean): string {
    const { kind, mayBreak } = this.reading;
    let text = kind === 'text' || kind === 'octets' ? decoded.replace(/[\t\n\v\f\r]/g, ' ') : decoded;
    // Of a file, what lies between two texts parts them.
    if (mayBreak && text.includes('\ufffd')) text = text.replace(/\ufffd+/g, '\n');
    for (const stage of this.escapes) text = stage.push(text) + (last ? stage.end() : '');
    return text;
  }

  private fold(given: string): string {
    let text = this.half + given;
    this.half = '';
    const code = text.charCodeAt(text.length - 1);
    if (code >= 0xd800 && code <= 0xdbff) {
      this.half = text.slice(-1);
      text = text.slice(0, -1);
    }
    let folded = foldText(text).replace(/ {2,}/g, ' ');
    if (this.afterSpace && folded.charCodeAt(0) === 0x20) folded = folded.slice(1);
    if (folded !== '') this.afterSpace = folded.charCodeAt(folded.length - 1) === 0x20;
    return folded;
  }
}

/** The same of text that is decoded already and whole: the data of an event. */
export const readWhole = (text: string, kind: 'json' | 'text'): string => {
  const reader = new TextReader({ kind, charset: 'utf-8', mayBreak: false });
  return reader.pushText(text) + reader.end();
};
