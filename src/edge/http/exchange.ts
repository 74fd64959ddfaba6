/** A request streamed to an undici dispatcher and its response streamed back: nothing is buffered, each side's slowness is the other's. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Transform } from 'node:stream';
import type { Dispatcher } from 'undici';
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
import { problemOf, sendProblem } from './problem.ts';
import { readResponseHeaders } from './request-headers.ts';

export interface ExchangeOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  /** What goes on: byte for byte what was decided. */
  readonly target: string;
  /** Name, value …; without hop-by-hop headers. */
  readonly headers: string[];
  readonly hasBody: boolean;
  readonly contentLength: number | undefined;
  /** The body, where it was read before: exactly these octets go on. */
  readonly body?: Buffer | undefined;
  readonly maxBodyBytes: number;
  readonly headersTimeoutMs: number;
  /** A request body that stands still for so long ends the exchange. */
  readonly requestTimeoutMs: number;
  readonly hop: string;
  /** Whether the response goes to the local agent, which may see every reason. */
  readonly trusted: boolean;
  /** Reasons for a dispatcher that does not answer, and for one that breaks off. */
  readonly failures: { readonly unreachable: ReasonCode; readonly broken: ReasonCode };
  /** Added to the response; asked for when its head comes. */
  readonly responseHeaders: () => readonly string[];
  /** Hears what the other sidecar says of the data, when the head comes. Refuses what it can't read. */
  readonly onLabels?: ((labels: string | undefined) => Denial | undefined) | undefined;
  /** Looks at the request's body as it goes by. */
  readonly inspector?: (BodyInspector & { readonly notes: () => ResponseNotes }) | undefined;
  /** Looks at the response. */
  readonly watch?: ResponseWatch | undefined;
}

interface Head {
  readonly status: number;
  readonly headers: readonly string[];
  readonly contentLength: number | undefined;
}

const withoutLength = (headers: readonly string[]): readonly string[] =>
  headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== 'content-length');

class Cut extends Error {
  readonly reason: ReasonCode;
  constructor(reason: ReasonCode) {
    super(reason);
    this.reason = reason;
  }
}

/** Up to here, octets through a Latin-1 string (which keeps each of them) are cheaper than a second piece. */
const ONE_WRITE_BYTES = 4096;

/** Cut by us, and not for a reason that its reader would hear. */
const SILENT = new Set<ReasonCode>(['client_aborted', 'draining']);
/** Milliseconds that the last octets of a cut response have. */
const LINGER_MS = 1000;

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const FAULT: BodyStep = { pass: [], denial: deny('internal', 'a fault in what looks at bodies') };
/** INVARIANT: what could not be looked at does not go on, and takes nothing but its exchange with it. */
const look = (at: () => BodyStep): BodyStep => {
  try {
    return at();
  } catch {
    return FAULT;
  }
};

/** Counts a body whose length nobody announced, and shows it to whoever looks at it as it goes by. */
class BodyGate extends Transform {
  octets = 0;
  private readonly most: number;
  private readonly inspector: BodyInspector | undefined;
  constructor(most: number, inspector: BodyInspector | undefined) {
    super();
    this.most = most;
    this.inspector = inspector;
  }
  override _transform(chunk: Buffer, _encoding: string, next: (error?: Error | null) => void): void {
    this.octets += chunk.length;
    if (this.octets > this.most) next(new Cut('http_body_too_large'));
    else
      this.pass(
        look(() => this.inspector?.push(chunk) ?? { pass: [chunk] }),
        next,
      );
  }
  override _flush(next: (error?: Error | null) => void): void {
    this.pass(
      look(() => this.inspector?.end() ?? { pass: [] }),
      next,
    );
  }
  private pass({ pass, denial }: BodyStep, next: (error?: Error | null) => void): void {
    for (const chunk of pass) this.push(chunk);
    next(denial === undefined ? null : new Cut(denial.reason));
  }
}

export const httpExchange = (options: ExchangeOptions): Exchange => ({
  start: (done) => new RunningExchange(options, done).begin(),
});

class RunningExchange implements Dispatcher.DispatchHandler {
  private readonly options: ExchangeOptions;
  private readonly done: (result: ExchangeResult) => void;
  private controller: Dispatcher.DispatchController | undefined;
  private gate: BodyGate | undefined;
  private cutReason: ReasonCode | undefined;
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
    const { request, response, dispatcher, origin, target, headers, headersTimeoutMs } = this.options;
    // Who left while the decision was written is not heard leaving again.
    if (response.destroyed) {
      this.finish('client_aborted');
      return this.cut;
    }
    const found = this.lookAtHeld();
    if (found !== undefined) {
      this.denial = found;
      this.finish(found.reason);
      return this.cut;
    }
    response.once('close', this.onClientClose);
    dispatcher.dispatch(
      {
        origin,
        path: target,
        method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
        headers,
        body: this.body(),
        headersTimeout: headersTimeoutMs,
        // A stream may be silent for as long as it likes; what ends it is the permit, not a clock of ours.
        bodyTimeout: 0,
      },
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

  private body(): IncomingMessage | Transform | Buffer | null {
    const { request, hasBody, contentLength, body, maxBodyBytes, requestTimeoutMs, inspector } = this.options;
    if (!hasBody) return null;
    if (body !== undefined) return body;
    request.setTimeout(requestTimeoutMs, () => this.cut('http_timeout'));
    request.once('end', () => request.setTimeout(0));
    if (contentLength !== undefined && inspector === undefined) return request;
    this.gate = new BodyGate(maxBodyBytes, inspector);
    request.once('error', (error) => this.gate?.destroy(error));
    return request.pipe(this.gate);
  }

  /** Ends the exchange for a reason of ours: a revocation, an expiry, a shutdown. */
  private readonly cut = (reason: ReasonCode): void => {
    if (this.ended) return;
    this.cutReason = reason;
    if (this.controller === undefined) this.finish(reason);
    else this.controller.abort(new Cut(reason));
  };

  private readonly onClientClose = (): void => {
    if (this.ended || this.options.response.writableFinished) return;
    this.cut('client_aborted');
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.cutReason !== undefined) controller.abort(new Cut(this.cutReason));
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number): void {
    // 1xx are between the two of them; the final response is what goes back.
    if (statusCode < 200) return;
    const { watch, onLabels } = this.options;
    const { headers, contentLength, labels } = readResponseHeaders((controller.rawHeaders ?? []) as Buffer[]);
    const unreadable = onLabels?.(labels);
    if (unreadable !== undefined) {
      this.refuse(unreadable);
      return;
    }
    this.head = { status: statusCode, headers, contentLength };
    const opened = watch?.open(statusCode, headers, contentLength);
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
    const { response, responseHeaders } = this.options;
    const { status, headers, contentLength } = this.head;
    this.head = undefined;
    const keepsLength = this.open?.keepsLength ?? true;
    this.expected = keepsLength ? contentLength : undefined;
    this.status = status;
    response.sendDate = false;
    response.writeHead(status, [...(keepsLength ? headers : withoutLength(headers)), ...responseHeaders()]);
    // A stream's reader wants its headers now, not with the first event.
    if (this.expected === undefined) response.flushHeaders();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.ended) return;
    if (this.open === undefined) this.pass(controller, chunk);
    else {
      const { inspector } = this.open;
      this.passStep(
        controller,
        look(() => inspector.push(chunk)),
      );
    }
  }

  /** Whether all of it may go on. */
  private passStep(controller: Dispatcher.DispatchController | undefined, step: BodyStep): boolean {
    const { pass, denial } = step;
    if (denial !== undefined && pass.length === 0) {
      this.refuse(denial);
      return false;
    }
    for (const octets of pass) {
      this.sendHead();
      this.pass(controller, Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength));
    }
    if (denial !== undefined) this.refuse(denial);
    return denial === undefined;
  }

  private pass(controller: Dispatcher.DispatchController | undefined, chunk: Buffer): void {
    const { response } = this.options;
    this.sent += chunk.length;
    // A small body that is whole goes out in one string with its head: one write, where a buffer makes a list of two.
    if (this.sent === this.expected && chunk.length === this.sent && chunk.length <= ONE_WRITE_BYTES) {
      response.end(chunk.toString('latin1'), 'latin1');
      return;
    }
    if (response.write(chunk) || controller === undefined || this.waiting) return;
    // Once, however many events one chunk held.
    this.waiting = true;
    controller.pause();
    response.once('drain', () => {
      this.waiting = false;
      controller.resume();
    });
  }

  onResponseEnd(): void {
    const { response } = this.options;
    const inspector = this.open?.inspector;
    if (
      inspector !== undefined &&
      !this.passStep(
        undefined,
        look(() => inspector.end()),
      )
    )
      return;
    this.sendHead();
    if (!response.writableEnded) response.end();
    this.finish('ok');
  }

  /** What was found in the response ends the exchange. */
  private refuse(denial: Denial): void {
    this.denial = denial;
    this.cut(denial.reason);
    this.finish(denial.reason);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const reason = this.cutReason ?? this.reasonOf(error);
    this.finish(reason);
  }

  private reasonOf(error: Error): ReasonCode {
    const cause = error instanceof Cut ? error : error.cause instanceof Cut ? error.cause : undefined;
    if (cause !== undefined) return cause.reason;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (TIMEOUTS.has(code)) return 'upstream_timeout';
    if (this.options.request.destroyed && !this.options.request.complete) return 'client_aborted';
    return UNREACHABLE.has(code) ? this.options.failures.unreachable : this.options.failures.broken;
  }

  private notes(): ResponseNotes | undefined {
    const { inspector, watch } = this.options;
    const [asked, answered] = [inspector?.notes(), watch?.notes];
    if (asked === undefined || answered === undefined) return asked ?? answered;
    return { content: [...asked.content, ...answered.content], tools: answered.tools };
  }

  /** Half a response must not look like a whole one. */
  private breakOff(): void {
    const { response, watch, hop, trusted } = this.options;
    const why = this.cutReason;
    const denial =
      why === undefined || SILENT.has(why) ? undefined : (this.denial ?? deny(why, 'it was cut'));
    const last = denial && watch?.closing(problemOf(denial, hop, trusted).body);
    if (last === undefined) {
      response.destroy();
      return;
    }
    const late = setTimeout(() => response.destroy(), LINGER_MS).unref();
    response.once('close', () => clearTimeout(late));
    response.end(last);
  }

  private finish(reason: ReasonCode | 'ok'): void {
    if (this.ended) return;
    this.ended = true;
    const { response, contentLength, hop, trusted } = this.options;
    response.off('close', this.onClientClose);
    if (reason !== 'ok') {
      if (response.headersSent) this.breakOff();
      else {
        const denial = this.denial ?? deny(reason, 'the exchange was not completed');
        sendProblem(response, denial, hop, trusted);
        this.status = response.headersSent ? response.statusCode : 0;
      }
    }
    this.done({
      status: this.status,
      result: reason,
      received: this.gate?.octets ?? this.options.body?.length ?? contentLength ?? 0,
      sent: this.sent,
      notes: this.notes(),
    });
  }
}
