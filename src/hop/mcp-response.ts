/** What an MCP server's messages come in: one JSON answer, a stream of events, or nothing. */
import { EventStream, type StreamPiece } from '../core/content/event-stream.ts';
import { Gathered } from '../core/encoding/gathered.ts';
import { isMessageText } from '../core/message/mcp-server.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { BodyInspector, BodyStep } from '../ports.ts';
import type { McpWatch } from './mcp-watch.ts';

const NOTHING: BodyStep = { pass: [] };
const utf8 = new TextDecoder('utf-8', { fatal: true });
const lenient = new TextDecoder();

/** One JSON answer: held until it is whole. */
export class McpJson implements BodyInspector {
  private readonly watch: McpWatch;
  private readonly mostBytes: number;
  private readonly isError: boolean;
  private readonly held = new Gathered();

  /** `isError`: of an answer with an error status, which may be no message at all. */
  constructor(watch: McpWatch, mostBytes: number, isError: boolean) {
    this.watch = watch;
    this.mostBytes = mostBytes;
    this.isError = isError;
  }

  push(chunk: Uint8Array): BodyStep {
    if (this.held.size + chunk.length > this.mostBytes) return { pass: [], denial: tooLarge(this.mostBytes) };
    this.held.push(chunk);
    return NOTHING;
  }

  end(): BodyStep {
    if (this.held.size === 0) return NOTHING;
    const octets = this.held.whole();
    // The page of an error, which no client reads as a message.
    if (this.isError && !isMessageText(lenient.decode(octets))) return { pass: [octets] };
    const text = decode(octets);
    if (text === undefined) return { pass: [], denial: NOT_UTF8 };
    const passed = this.watch.pass(text);
    if (!passed.ok) return { pass: [], denial: passed };
    return { pass: [passed.value === text ? octets : Buffer.from(passed.value)] };
  }
}

/** What is neither JSON nor a stream says nothing to a client. Beside an acceptance (202) some servers send a word; it is left out. */
export class McpNothing implements BodyInspector {
  private readonly octets: 'drop' | 'refuse';
  constructor(octets: 'drop' | 'refuse') {
    this.octets = octets;
  }

  push(chunk: Uint8Array): BodyStep {
    return chunk.length === 0 || this.octets === 'drop' ? NOTHING : { pass: [], denial: NEITHER };
  }

  end(): BodyStep {
    return NOTHING;
  }
}

/** A stream of them: an event goes on when it was looked at, octet for octet as it came unless something is left out of it. */
export class McpEvents implements BodyInspector {
  private readonly watch: McpWatch;
  private readonly events: EventStream;

  constructor(watch: McpWatch, mostBytes: number) {
    this.watch = watch;
    this.events = new EventStream({ maxEventBytes: mostBytes, tooLarge: 'response_malformed' });
  }

  push(chunk: Uint8Array): BodyStep {
    this.watch.next();
    return this.step(this.events.push(chunk));
  }

  end(): BodyStep {
    this.watch.next();
    return this.step(this.events.end());
  }

  private step(pieces: Verdict<readonly StreamPiece[]>): BodyStep {
    if (!pieces.ok) return { pass: [], denial: pieces };
    const pass: Uint8Array[] = [];
    for (const piece of pieces.value) {
      const passed = this.piece(piece);
      if (!passed.ok) return { pass, denial: passed };
      pass.push(passed.value);
    }
    return { pass };
  }

  private piece({ data, octets, broken, besides }: StreamPiece): Verdict<Uint8Array> {
    if (broken) return NOT_UTF8;
    if (besides !== '' && hasOddLine(besides)) return ODD_LINE;
    // Comments, ids and events without data say nothing to a client of MCP.
    if (data === undefined || data === '') return grant(octets);
    const passed = this.watch.pass(data);
    if (!passed.ok) return passed;
    if (passed.value === data) return grant(octets);
    return grant(Buffer.from(`${besides === '' ? '' : `${besides}\n`}data: ${passed.value}\n\n`));
  }
}

/** Of a stream, what is no data by the standard: readers that are kinder take it for data all the same. */
const LIKE_DATA = /^\s*(?:data\s*(?::|$)|[{[])/im;
// Python's `splitlines`, by which some clients read, ends a line at each of these.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const LINE_ENDS = /[\v\f\x1c-\x1e\x85\u2028\u2029]/;

const hasOddLine = (besides: string): boolean => LINE_ENDS.test(besides) || LIKE_DATA.test(besides);

const ODD_LINE = deny('response_malformed', 'a line of the stream that some clients take for data');
const NEITHER = deny('response_malformed', 'the server sends neither JSON nor an event stream');
const NOT_UTF8 = deny('response_malformed', 'what the server sends is not UTF-8');
const tooLarge = (most: number): Denial =>
  deny('response_malformed', `larger than ${most} octets, so that it can’t be read`);

const decode = (octets: Uint8Array): string | undefined => {
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
};
