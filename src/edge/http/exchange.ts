/** A request streamed to an undici dispatcher and its response streamed back: nothing is buffered, each side's slowness is the other's. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Transform } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { ReasonCode } from '../../core/reasons.ts';
import { deny } from '../../core/verdict.ts';
import type { Exchange, ExchangeResult } from '../../ports.ts';
import { sendProblem } from './problem.ts';
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
  /** Added to the response. */
  readonly responseHeaders: readonly string[];
}

class Cut extends Error {
  readonly reason: ReasonCode;
  constructor(reason: ReasonCode) {
    super(reason);
    this.reason = reason;
  }
}

/** Up to here, octets through a Latin-1 string (which keeps each of them) are cheaper than a second piece. */
const ONE_WRITE_BYTES = 4096;

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

/** Counts a chunked body, whose length nobody announced. */
class BodyLimit extends Transform {
  octets = 0;
  private readonly most: number;
  constructor(most: number) {
    super();
    this.most = most;
  }
  override _transform(
    chunk: Buffer,
    _encoding: string,
    next: (error: Error | null, chunk?: Buffer) => void,
  ): void {
    this.octets += chunk.length;
    if (this.octets > this.most) next(new Cut('http_body_too_large'));
    else next(null, chunk);
  }
}

export const httpExchange = (options: ExchangeOptions): Exchange => ({
  start: (done) => new RunningExchange(options, done).begin(),
});

class RunningExchange implements Dispatcher.DispatchHandler {
  private readonly options: ExchangeOptions;
  private readonly done: (result: ExchangeResult) => void;
  private controller: Dispatcher.DispatchController | undefined;
  private limit: BodyLimit | undefined;
  private cutReason: ReasonCode | undefined;
  private ended = false;
  private sent = 0;
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

  private body(): IncomingMessage | Transform | Buffer | null {
    const { request, hasBody, contentLength, body, maxBodyBytes, requestTimeoutMs } = this.options;
    if (!hasBody) return null;
    if (body !== undefined) return body;
    request.setTimeout(requestTimeoutMs, () => this.cut('http_timeout'));
    request.once('end', () => request.setTimeout(0));
    if (contentLength !== undefined) return request;
    this.limit = new BodyLimit(maxBodyBytes);
    request.once('error', (error) => this.limit?.destroy(error));
    return request.pipe(this.limit);
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
    const { response, responseHeaders } = this.options;
    const { headers, contentLength } = readResponseHeaders((controller.rawHeaders ?? []) as Buffer[]);
    headers.push(...responseHeaders);
    this.expected = contentLength;
    this.status = statusCode;
    response.sendDate = false;
    response.writeHead(statusCode, headers);
    // A stream's reader wants its headers now, not with the first event.
    if (contentLength === undefined) response.flushHeaders();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.options;
    this.sent += chunk.length;
    // A small body that is whole goes out in one string with its head: one write, where a buffer makes a list of two.
    if (this.sent === this.expected && chunk.length === this.sent && chunk.length <= ONE_WRITE_BYTES) {
      response.end(chunk.toString('latin1'), 'latin1');
      return;
    }
    if (response.write(chunk)) return;
    controller.pause();
    response.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    const { response } = this.options;
    if (!response.writableEnded) response.end();
    this.finish('ok');
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

  private finish(reason: ReasonCode | 'ok'): void {
    if (this.ended) return;
    this.ended = true;
    const { response, contentLength, hop, trusted } = this.options;
    response.off('close', this.onClientClose);
    if (reason !== 'ok') {
      // Half a response must not look like a whole one.
      if (response.headersSent) response.destroy();
      else {
        const denial = deny(reason, 'the exchange was not completed');
        sendProblem(response, denial, hop, trusted);
        this.status = response.headersSent ? response.statusCode : 0;
      }
    }
    this.done({
      status: this.status,
      result: reason,
      received: this.limit?.octets ?? this.options.body?.length ?? contentLength ?? 0,
      sent: this.sent,
    });
  }
}
