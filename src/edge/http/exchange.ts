/** A request streamed to an upstream and its response streamed back: nothing is buffered, each side's slowness is the other's. */
import type { Duplex } from 'node:stream';
import type { ReasonCode } from '../../core/reasons.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import type {
  BodyInspector,
  BodyStep,
  Exchange,
  ExchangeResult,
  OpenResponse,
  ResponseNotes,
  ResponseWatch,
} from '../../ports.ts';
import { BodyGate, Cut, look } from './body-gate.ts';
import type { Call } from './call.ts';
import { problemOf, sendProblem } from './problem.ts';
import { readResponseHeaders, readTrailers } from './request-headers.ts';
import { edgeOf, type StreamEdge } from './stream-edge.ts';
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from './upstream.ts';

export interface ExchangeOptions {
  readonly call: Call;
  readonly upstream: Upstream;
  /** What goes on: byte for byte what was decided. */
  readonly target: string;
  /** Name, value …; without hop-by-hop headers. */
  readonly headers: string[];
  /** Whether the client reads trailers. */
  readonly readsTrailers?: boolean | undefined;
  readonly hasBody: boolean;
  readonly contentLength: number | undefined;
  /** The body, where it was read before: exactly these octets go on. */
  readonly body?: Buffer | undefined;
  readonly maxBodyBytes: number;
  readonly headersTimeoutMs: number;
  /** A request body that stands still for so long ends the exchange. */
  readonly requestTimeoutMs: number;
  readonly hop: string;
  /** Place among the streams of an HTTP/2 upstream. */
  readonly ordinal?: number | undefined;
  /** Whether the response goes to the local agent, which may see every reason. */
  readonly trusted: boolean;
  /** Reasons for an upstream that does not answer, and for one that breaks off. */
  readonly failures: { readonly unreachable: ReasonCode; readonly broken: ReasonCode };
  /** Added to the response; asked for when its head comes. */
  readonly responseHeaders: () => readonly string[];
  /** Hears what the other sidecar says of the data, when the head comes. Refuses what it can't read. */
  readonly onLabels?: ((labels: string | undefined) => Denial | undefined) | undefined;
  /** The other sidecar wants no more requests on this connection. */
  readonly onRetire?: (() => void) | undefined;
  /** Looks at the request's body as it goes by. */
  readonly inspector?: (BodyInspector & { readonly notes: () => ResponseNotes }) | undefined;
  /** Looks at the response. */
  readonly watch?: ResponseWatch | undefined;
}

interface Head {
  readonly status: number;
  readonly headers: readonly string[];
  readonly contentLength: number | undefined;
  readonly isWhole: boolean;
}

const withoutLength = (headers: readonly string[]): readonly string[] =>
  headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== 'content-length');

/** Cut by us, and not for a reason that its reader would hear. */
const SILENT = new Set<ReasonCode>(['client_aborted', 'draining']);
/** Another instance may be there by then, or this one again. */
const RETRY_AFTER_SECONDS = 1;
/** Milliseconds that the last octets of a cut response have. */
const LINGER_MS = 1000;

const denialOf = (reason: ReasonCode): Denial => {
  const denial = deny(reason, 'the exchange was not completed');
  return reason === 'draining' ? { ...denial, retryAfterSeconds: RETRY_AFTER_SECONDS } : denial;
};

export const httpExchange = (options: ExchangeOptions): Exchange => ({
  start: (done) => new RunningExchange(options, done).begin(),
});

class RunningExchange implements UpstreamHandler {
  private readonly options: ExchangeOptions;
  private readonly done: (result: ExchangeResult) => void;
  private running: UpstreamExchange | undefined;
  private gate: BodyGate | undefined;
  private cutReason: ReasonCode | undefined;
  /** Of a stream that may end early: where. */
  private edge: StreamEdge | undefined;
  /** It is to end as soon as it may. */
  private isLeaving = false;
  private report: (() => void) | undefined;
  private ended = false;
  /** For the client to take what it was sent. */
  private waiting = false;
  private sent = 0;
  /** Of the response, while it waits to be sent. */
  private head: Head | undefined;
  private open: OpenResponse | undefined;
  private denial: Denial | undefined;
  /** Octets of body that the response announced. */
  private expected: number | undefined;
  private status = 0;

  constructor(options: ExchangeOptions, done: (result: ExchangeResult) => void) {
    this.options = options;
    this.done = done;
  }

  begin(): (reason: ReasonCode) => void {
    const { call, upstream, target, headers, headersTimeoutMs, ordinal, readsTrailers } = this.options;
    // Who left while the decision was written is not heard leaving again.
    if (call.isClosed) {
      this.finish('client_aborted');
      return this.cut;
    }
    const found = this.lookAtHeld();
    if (found !== undefined) {
      this.denial = found;
      this.finish(found.reason);
      return this.cut;
    }
    call.onClose(this.onClientClose);
    this.running = upstream.send(
      { method: call.method, target, headers, body: this.body(), headersTimeoutMs, ordinal, readsTrailers },
      this,
    );
    return this.cut;
  }

  /** A body that is in hand is looked at before any of it goes on. */
  private lookAtHeld(): Denial | undefined {
    const { body, inspector } = this.options;
    if (body === undefined || inspector === undefined) return undefined;
    return look(() => inspector.push(body)).denial ?? look(() => inspector.end()).denial;
  }

  private body(): UpstreamRequest['body'] {
    const { call, hasBody, contentLength, body, maxBodyBytes, requestTimeoutMs, inspector } = this.options;
    if (!hasBody) return null;
    if (body !== undefined) return body;
    if (call.waits) call.sendContinue();
    call.watchBody(requestTimeoutMs, () => this.cut('http_timeout'));
    call.body.once('end', () => call.watchBody(0));
    const trailers = (): readonly string[] => readTrailers(call.trailers());
    if (contentLength !== undefined && inspector === undefined) return { stream: call.body, trailers };
    const gate = new BodyGate(maxBodyBytes, inspector);
    this.gate = gate;
    gate.once('error', (error) => this.cut(error instanceof Cut ? error.reason : 'client_aborted'));
    call.body.once('error', () => this.cut('client_aborted'));
    call.body.pipe(gate);
    return { stream: gate, trailers };
  }

  /** Ends the exchange for a reason of ours: a revocation, an expiry, a shutdown. */
  private readonly cut = (reason: ReasonCode): void => {
    if (this.ended) {
      this.report?.();
      return;
    }
    this.cutReason = reason;
    if (reason === 'draining' && this.leaves()) return;
    this.running?.abort();
    this.finish(reason);
  };

  /** A shutdown asks a stream to end, so that its reader sees an end and no fault; asked again, it is cut like all else. */
  private leaves(): boolean {
    if (this.edge === undefined || this.isLeaving) return false;
    this.isLeaving = true;
    if (this.edge.isBetween) this.leave();
    return true;
  }

  private leave(): void {
    this.running?.abort();
    this.finish('draining');
  }

  private readonly onClientClose = (): void => {
    if (this.ended || this.options.call.isAnswered) return;
    this.cut('client_aborted');
  };

  onInformation(status: number, headers: readonly string[]): void {
    // What is to be looked at before any of it goes on has nothing going on before it.
    if (this.ended || this.options.watch !== undefined) return;
    this.options.call.sendInformation(status, readResponseHeaders(headers).headers);
  }

  onHead(status: number, raw: readonly string[], isWhole: boolean): void {
    if (this.ended) return;
    const { watch, onLabels, onRetire } = this.options;
    const { headers, contentLength, labels, retires } = readResponseHeaders(raw);
    if (retires) onRetire?.();
    const unreadable = onLabels?.(labels);
    if (unreadable !== undefined) {
      this.refuse(unreadable);
      return;
    }
    this.head = { status, headers, contentLength, isWhole };
    const opened = watch?.open(status, headers, contentLength);
    if (opened?.ok === false) {
      this.refuse(opened);
      return;
    }
    this.open = opened?.value;
    if (this.open === undefined || this.open.headNow) this.sendHead();
  }

  /** The head goes before the first octet, and not before what was to be looked at first. */
  private sendHead(): void {
    if (this.head === undefined) return;
    const { call, responseHeaders, failures } = this.options;
    const { status, headers, contentLength, isWhole } = this.head;
    this.head = undefined;
    const keepsLength = this.open?.keepsLength ?? true;
    const hasBody = !isWhole && status !== 304 && call.method !== 'HEAD';
    this.expected = keepsLength && hasBody ? contentLength : undefined;
    this.status = status;
    const sent = [...(keepsLength ? headers : withoutLength(headers)), ...responseHeaders()];
    if (!call.sendHead(status, sent, isWhole && this.open === undefined)) {
      this.running?.abort();
      this.finish(failures.broken);
      return;
    }
    if (this.expected === undefined && hasBody) this.edge = edgeOf(sent);
    // A stream's reader wants its headers now, not with the first event.
    if (this.expected === undefined && !isWhole) call.flush();
  }

  onData(chunk: Buffer): void {
    if (this.ended) return;
    if (this.open === undefined) this.pass(chunk);
    else {
      const { inspector } = this.open;
      this.passStep(look(() => inspector.push(chunk)));
    }
  }

  /** Whether all of it may go on. */
  private passStep(step: BodyStep): boolean {
    const { pass, denial } = step;
    if (denial !== undefined && pass.length === 0) {
      this.refuse(denial);
      return false;
    }
    for (const octets of pass) {
      this.sendHead();
      if (this.ended) return false;
      this.pass(octets);
    }
    if (denial !== undefined) this.refuse(denial);
    return denial === undefined;
  }

  private pass(chunk: Uint8Array): void {
    if (this.ended) return;
    if (this.isLeaving && this.edge !== undefined) {
      const end = this.edge.until(chunk);
      this.send(end === undefined ? chunk : chunk.subarray(0, end));
      if (end !== undefined) this.leave();
      return;
    }
    this.edge?.push(chunk);
    this.send(chunk);
  }

  private send(chunk: Uint8Array): void {
    const { call } = this.options;
    this.sent += chunk.length;
    // A small body that is whole goes out with its head. HTTP/2 may have trailers behind it.
    if (this.sent === this.expected && chunk.length === this.sent && call.version !== '2') {
      call.end(chunk);
      return;
    }
    if (call.write(chunk) || this.waiting) return;
    // Once, however many events one chunk held.
    this.waiting = true;
    this.running?.pause();
    call.onDrain(() => {
      this.waiting = false;
      this.running?.resume();
    });
  }

  onEnd(trailers: readonly string[]): void {
    if (this.ended) return;
    const { call, failures } = this.options;
    const inspector = this.open?.inspector;
    if (inspector !== undefined && !this.passStep(look(() => inspector.end()))) return;
    // HTTP/2 can end a stream short of what it announced.
    if (this.expected !== undefined && this.sent < this.expected) {
      this.finish(failures.broken);
      return;
    }
    this.sendHead();
    if (this.ended) return;
    // INVARIANT: an answer has a head, or there is none. Node would make one up.
    if (!call.isHeadSent && !call.isClosed) {
      this.finish(failures.broken);
      return;
    }
    this.stopBody();
    call.end(undefined, trailers.length === 0 ? trailers : readTrailers(trailers));
    this.finish('ok');
  }

  onUpgrade(_headers: readonly string[], socket: Duplex): void {
    socket.destroy();
    this.finish(this.options.failures.broken);
  }

  onFailure({ kind }: UpstreamFailure): void {
    if (this.ended) return;
    const { failures } = this.options;
    if (kind === 'timeout') this.finish('upstream_timeout');
    else this.finish(kind === 'unreachable' ? failures.unreachable : failures.broken);
  }

  /** What was found in the response ends the exchange. */
  private refuse(denial: Denial): void {
    this.denial = denial;
    this.cut(denial.reason);
  }

  private notes(): ResponseNotes | undefined {
    const { inspector, watch } = this.options;
    const [asked, answered] = [inspector?.notes(), watch?.notes];
    if (asked === undefined || answered === undefined) return asked ?? answered;
    return { content: [...asked.content, ...answered.content], tools: answered.tools };
  }

  /** Half a response must not look like a whole one. */
  private breakOff(): void {
    const { call, watch, hop, trusted } = this.options;
    const why = this.cutReason;
    // Where it may end it looks whole, and is.
    const leaves = this.isLeaving && this.edge?.isBetween === true;
    // Within a length that was announced there is no room for a word of ours.
    const isSilent = why === undefined || this.expected !== undefined || (SILENT.has(why) && !leaves);
    const denial = isSilent ? undefined : (this.denial ?? deny(why, 'it was cut'));
    const last = denial && watch?.closing(problemOf(denial, hop, trusted).body);
    if (last === undefined && !leaves) {
      call.abort();
      return;
    }
    const late = setTimeout(() => call.abort(), LINGER_MS).unref();
    call.onClose(() => clearTimeout(late));
    call.end(last, leaves ? this.edge?.trailers : undefined);
  }

  private finish(reason: ReasonCode | 'ok'): void {
    if (this.ended) return;
    this.ended = true;
    const { call, contentLength, hop, trusted } = this.options;
    call.offClose(this.onClientClose);
    this.stopBody();
    if (reason !== 'ok') {
      if (call.isHeadSent) this.breakOff();
      else {
        sendProblem(call, this.denial ?? denialOf(reason), hop, trusted);
        this.status = call.status;
      }
    }
    const result: ExchangeResult = {
      status: this.status,
      result: reason,
      received: this.gate?.octets ?? this.options.body?.length ?? contentLength ?? 0,
      sent: this.sent,
      notes: this.notes(),
    };
    if (reason !== 'draining' || call.isClosed) {
      this.done(result);
      return;
    }
    // The process ends when nothing is under way: the last words are, until they are sent.
    this.report = () => {
      this.report = undefined;
      this.done(result);
    };
    call.onClose(() => this.report?.());
  }

  private stopBody(): void {
    const { call, body, hasBody } = this.options;
    if (!hasBody || body !== undefined || call.body.readableEnded) return;
    if (this.gate !== undefined) {
      call.body.unpipe(this.gate);
      this.gate.destroy();
    }
    // An answer may come before all was asked: what nobody read is in the way of the connection's next request.
    call.body.resume();
  }
}
