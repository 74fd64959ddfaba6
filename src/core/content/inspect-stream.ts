/** Looks at one body as it goes by, in either direction: what may go on, and when it is cut. No clock, no I/O; octets in, octets out. */

import { Gathered } from '../encoding/gathered.ts';
import { Base64Text } from './base64-text.ts';
import type { ContentSelection } from './compile.ts';
import { EventStream, type StreamPiece } from './event-stream.ts';
import { Judgement } from './judgement.ts';
import type { BodyHead, ContentDenial, Finding } from './model.ts';
import type { PatternSet } from './pattern-set.ts';
import { Scanner, SightingCount } from './scanner.ts';
import { type BodyReading, mayBeJson, readingOf, readWhole, TextReader } from './text.ts';

/** What goes on now, octet for octet as it came; with a denial, nothing goes on after it. */
export interface ContentStep {
  readonly pass: readonly Uint8Array[];
  readonly denial?: ContentDenial | undefined;
}

/** One for each text, so that neither depends on how far the other has come. */
type Counts = Readonly<Record<Finding['view'], SightingCount>>;

/** A text and what its base64 says, looked at together. */
class TextScan {
  private readonly base64 = new Base64Text();
  private readonly text: Scanner;
  private readonly said: Scanner;

  constructor(sets: readonly PatternSet[], counts: Counts) {
    this.text = new Scanner(sets, 'text', counts.text);
    this.said = new Scanner(sets, 'base64', counts.base64);
  }

  push(text: string) {
    const said = this.base64.push(text);
    return [...this.text.push(text), ...(said === '' ? [] : this.said.push(said))];
  }

  end() {
    return [...this.text.end(), ...this.said.push(this.base64.end()), ...this.said.end()];
  }

  glance() {
    const found = this.text.glance() ?? this.said.glance();
    return found === undefined ? [] : [found];
  }
}

const newCounts = (): Counts => ({ text: new SightingCount(), base64: new SightingCount() });

/** The data of an event, or what stands besides: JSON where it is that; what only begins so is read as text as well. */
const readEvent = (data: string): readonly string[] => {
  if (!/^\s*[{["]/.test(data)) return [readWhole(data, 'text')];
  const asJson = readWhole(data, 'json');
  return isJson(data) ? [asJson] : [asJson, readWhole(data, 'text')];
};

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

export interface InspectOptions {
  /** The body is in hand already, so that no bound on what is held applies. */
  readonly whole?: boolean;
}

export class ContentInspector {
  private readonly head: BodyHead;
  private readonly judgement: Judgement;
  private readonly counts = newCounts();
  private readonly sets: readonly PatternSet[];
  private readonly holdBytes: number;
  private readonly reading: BodyReading | undefined;
  private readonly hold: boolean;
  private readonly stopping: boolean;
  /** Octets of the largest body that goes on. */
  private readonly mostBytes: number;
  private readonly events: EventStream | undefined;
  private readonly reader: TextReader | undefined;
  private readonly scan: TextScan;
  /** The same body as JSON, where its type leaves that open. */
  private asJson:
    | { readonly reader: TextReader; readonly scan: TextScan; readonly counts: Counts }
    | undefined;
  private held = new Gathered();
  private octets = 0;
  private eventCount = 0;
  private begun = false;
  private begunJson: boolean | undefined;
  private refusal: ContentDenial | undefined;

  constructor(selection: ContentSelection, head: BodyHead, { whole = false }: InspectOptions = {}) {
    this.head = head;
    this.judgement = new Judgement(selection);
    const { sets } = selection;
    this.reading = sets.length === 0 ? undefined : readingOf(head);
    this.sets = this.reading?.kind === 'octets' ? sets.filter((set) => set.inOctets) : sets;
    this.holdBytes = whole ? Number.MAX_SAFE_INTEGER : selection.holdBytes;
    this.hold = selection.hold;
    this.events =
      this.reading?.kind === 'events'
        ? new EventStream({ maxEventBytes: this.holdBytes, tooLarge: 'content_too_large' })
        : undefined;
    const stopping = selection.rules.filter(({ stops }) => stops);
    this.stopping = stopping.length > 0;
    this.mostBytes = Math.min(
      ...stopping.map(({ rule }) => rule.maxBytes ?? Number.MAX_SAFE_INTEGER),
      this.holdsAll ? this.holdBytes : Number.MAX_SAFE_INTEGER,
    );
    this.reader =
      this.reading === undefined || this.events !== undefined ? undefined : new TextReader(this.reading);
    this.scan = new TextScan(this.sets, this.counts);
    if (this.reading?.kind === 'text' || this.reading?.kind === 'octets') {
      const counts = newCounts();
      this.asJson = {
        reader: new TextReader({ ...this.reading, kind: 'json' }),
        scan: new TextScan(this.sets, counts),
        counts,
      };
    }
  }

  /** What was found so far, whether or not it stops the body. */
  get findings(): readonly Finding[] {
    return this.judgement.findings;
  }

  /**
   * What the head alone says, so that a body need not begin: a body that has a length, or a type. Refuses with `content_type`,
   * `content_too_large`, `content_unreadable`. To be called at most once, before `push`; without it the first octet says the same.
   */
  open(): ContentDenial | undefined {
    const { contentLength, contentType } = this.head;
    if (contentLength === 0 || (contentLength === undefined && contentType === undefined)) return undefined;
    return this.begin();
  }

  /** Refuses with `content_type`, `content_too_large`, `content_unreadable`, `content_denied`. The chunk is not to be written to again. */
  push(chunk: Uint8Array): ContentStep {
    if (this.refusal !== undefined) return this.cut();
    if (chunk.length === 0) return { pass: [] };
    if (this.begin() !== undefined) return this.cut();
    const room = this.mostBytes - this.octets;
    if (chunk.length <= room) return this.pushPart(chunk);
    // What is within the limit goes its way, wherever the chunk ends.
    const { pass, denial } =
      room > 0 ? this.pushPart(chunk.subarray(0, room)) : { pass: [], denial: undefined };
    if (denial !== undefined) return { pass, denial };
    this.judgement.size(this.octets + 1);
    if (this.holdsAll && this.octets + 1 > this.holdBytes) this.judgement.unheld('a body');
    this.settle();
    return { ...this.cut(), pass };
  }

  /** The end of the body. */
  end(): ContentStep {
    if (this.refusal !== undefined) return this.cut();
    if (this.octets === 0) return { pass: [] };
    if (this.events !== undefined) {
      const pieces = this.events.end();
      return pieces.ok ? this.passPieces(pieces.value) : this.cutLongEvent(new Uint8Array(0));
    }
    if (this.reader !== undefined) {
      this.see(this.scan.push(this.reader.end()));
      this.see(this.scan.end());
      if (this.asJson !== undefined) {
        this.see(this.asJson.scan.push(this.asJson.reader.end()));
        this.see(this.asJson.scan.end());
      }
      this.readable(this.reader.broken);
    }
    if (this.settle() !== undefined) return this.cut();
    const { held } = this;
    this.held = new Gathered();
    return { pass: held.size === 0 ? [] : [held.whole()] };
  }

  /** What holds of the body before any of it was looked at; told once. */
  private begin(): ContentDenial | undefined {
    if (this.begun) return undefined;
    this.begun = true;
    this.judgement.type(this.head);
    const { contentLength } = this.head;
    if (contentLength !== undefined) this.judgement.size(contentLength);
    if (this.sets.length > 0 && this.reading === undefined)
      this.judgement.unreadable('a content coding or a charset that it can’t read');
    if (this.holdsAll && (contentLength ?? 0) > this.holdBytes) this.judgement.unheld('a body');
    return this.settle();
  }

  private pushPart(chunk: Uint8Array): ContentStep {
    this.octets += chunk.length;
    this.judgement.size(this.octets);
    return this.events === undefined ? this.pushPlain(chunk) : this.pushEvents(this.events, chunk);
  }

  private pushPlain(chunk: Uint8Array): ContentStep {
    if (this.reader !== undefined) {
      this.see(this.scan.push(this.reader.push(chunk)));
      this.pushAsJson(chunk);
      this.readable(this.reader.broken);
      for (const scan of [this.scan, this.asJson?.scan])
        if (!this.hold && this.stopping && this.judgement.denial === undefined)
          this.see(scan?.glance() ?? []);
    }
    if (!this.hold) return this.settle() === undefined ? { pass: [chunk] } : this.cut();
    // All is looked at before anything is said of it, so that what is said does not depend on the chunks.
    this.held.push(chunk);
    return { pass: [] };
  }

  private pushAsJson(chunk: Uint8Array): void {
    if (!this.begunJson) this.begunJson = mayBeJson(chunk);
    if (this.begunJson === false) this.asJson = undefined;
    if (this.asJson !== undefined) this.see(this.asJson.scan.push(this.asJson.reader.push(chunk)));
  }

  private pushEvents(events: EventStream, chunk: Uint8Array): ContentStep {
    const pieces = events.push(chunk);
    if (!pieces.ok) return this.cutLongEvent(chunk);
    const step = this.passPieces(pieces.value);
    return this.hold || step.denial !== undefined ? step : { pass: [chunk] };
  }

  private cutLongEvent(chunk: Uint8Array): ContentStep {
    this.judgement.unheld('an event');
    // Rules that mark alone cut nothing: what they can’t read goes by.
    return this.settle() === undefined ? { pass: [chunk] } : this.cut();
  }

  /** Event by event: those before the first that is stopped go on. */
  private passPieces(pieces: readonly StreamPiece[]): ContentStep {
    const pass: Uint8Array[] = [];
    for (const piece of pieces) {
      this.lookAt(piece);
      if (this.settle() !== undefined) return { ...this.cut(), pass: this.hold ? pass : [] };
      pass.push(piece.octets);
    }
    return { pass: this.hold ? pass : [] };
  }

  private lookAt({ data, besides, broken }: StreamPiece): void {
    this.readable(broken);
    const number = data === undefined ? this.eventCount : this.eventCount++;
    const texts = [...(data ? readEvent(data) : []), ...(besides === '' ? [] : readEvent(besides))].filter(
      (text) => text !== '',
    );
    if (texts.length === 0) return;
    const scan = new TextScan(this.sets, this.counts);
    const found = [...scan.push(texts.join('\n')), ...scan.end()];
    this.judgement.see(found, number);
    this.bounded();
  }

  private see(found: Parameters<Judgement['see']>[0]): void {
    if (found.length > 0) this.judgement.see(found);
    this.bounded();
  }

  private bounded(): void {
    const counts = [this.counts, this.asJson?.counts ?? this.counts];
    if (counts.some(({ text, base64 }) => text.exhausted || base64.exhausted))
      this.judgement.unreadable(
        'text that is made of what patterns look for, and can’t be looked at within bounds',
      );
  }

  private readable(broken: boolean): void {
    if (broken) this.judgement.unreadable('text that is not of its charset');
  }

  /** The body as a whole is held, and not event by event. */
  private get holdsAll(): boolean {
    return this.hold && this.events === undefined;
  }

  /** The denial, from now on. */
  private settle(): ContentDenial | undefined {
    this.refusal ??= this.judgement.denial;
    return this.refusal;
  }

  private cut(): ContentStep {
    this.held = new Gathered();
    return { pass: [], denial: this.refusal };
  }
}
