/**
 * A WebSocket between two sockets: permitted whole, or not at all. What it carries is not looked at; its octets are counted,
 * and it ends when either side does or what permitted it. http-proxy-3 is not used for it: it rewrites targets, and takes the
 * socket before the decision.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse as Response } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { ReasonCode } from '../../core/reasons.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import type { Exchange, ExchangeResult } from '../../ports.ts';
import { ServerResponse } from './node-http.ts';
import { sendProblem } from './problem.ts';
import type { RequestHeaders } from './request-headers.ts';

/** A request that asks for another protocol, with what came behind its head. */
export interface UpgradeRequest {
  readonly socket: Duplex;
  readonly head: Buffer;
}

export interface UpgradeOptions {
  readonly upgrade: UpgradeRequest;
  /** Of this request: for refusals. */
  readonly response: Response;
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  readonly target: string;
  /** Name, value …; without hop-by-hop headers. */
  readonly headers: string[];
  readonly hop: string;
  readonly trusted: boolean;
  readonly failures: { readonly unreachable: ReasonCode; readonly broken: ReasonCode };
  readonly responseHeaders: () => readonly string[];
  /** Hears what the other sidecar says of the data. Refuses what it can't read. */
  readonly onLabels?: ((labels: string | undefined) => Denial | undefined) | undefined;
}

export const upgradeExchange = (options: UpgradeOptions): Exchange => ({
  start: (done) => new RunningUpgrade(options, done).begin(),
});

/** What is wrong with a request that asks for another protocol, or comes as one that does. */
export const upgradeFault = (
  { method }: IncomingMessage,
  { upgrade, hasBody }: Pick<RequestHeaders, 'upgrade' | 'hasBody'>,
  isUpgrade: boolean,
): Denial | undefined => {
  if (upgrade === undefined && !isUpgrade) return undefined;
  // Without `Connection: upgrade` the header asks for nothing, and an agent may think otherwise.
  if (upgrade !== 'websocket' || !isUpgrade)
    return deny('http_upgrade', 'WebSocket alone may be upgraded to');
  return method === 'GET' && !hasBody
    ? undefined
    : deny('http_malformed', 'a WebSocket begins with a GET without a body');
};

/** A response on a socket that Node took from its parser: for a refusal, as any other request would get. */
export const responseOn = (request: IncomingMessage, socket: Duplex): Response => {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  response.once('finish', () => socket.end());
  return response;
};

/** Of the answer: the rest is between the agent and its sidecar. */
const SENT_BACK = ['sec-websocket-accept', 'sec-websocket-protocol', 'sec-websocket-extensions'];

class RunningUpgrade implements Dispatcher.DispatchHandler {
  private readonly options: UpgradeOptions;
  private readonly done: (result: ExchangeResult) => void;
  private controller: Dispatcher.DispatchController | undefined;
  private other: Duplex | undefined;
  private ended = false;
  private received = 0;
  private sent = 0;

  constructor(options: UpgradeOptions, done: (result: ExchangeResult) => void) {
    this.options = options;
    this.done = done;
  }

  begin(): (reason: ReasonCode) => void {
    const { upgrade, dispatcher, origin, target, headers } = this.options;
    const { socket } = upgrade;
    if (socket.destroyed) {
      this.finish('client_aborted');
      return this.cut;
    }
    socket.on('error', () => this.finish('client_aborted'));
    socket.once('close', () => this.finish(this.other === undefined ? 'client_aborted' : 'ok'));
    dispatcher.dispatch(
      { origin, path: target, method: 'GET', headers, upgrade: 'websocket', bodyTimeout: 0 },
      this,
    );
    return this.cut;
  }

  private readonly cut = (reason: ReasonCode): void => this.finish(reason);

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.ended) controller.abort(new Error('ended'));
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: IncomingHttpHeaders,
    other: Duplex,
  ): void {
    this.other = other;
    const { socket, head } = this.options.upgrade;
    other.on('error', () => this.finish(this.options.failures.broken));
    if (this.ended || statusCode !== 101 || String(headers.upgrade).toLowerCase() !== 'websocket') {
      this.finish(this.options.failures.broken);
      return;
    }
    const labels = headers['delegation-labels'];
    const unreadable = this.options.onLabels?.(Array.isArray(labels) ? labels.join('  ') : labels);
    if (unreadable !== undefined) {
      this.finish(unreadable.reason);
      return;
    }
    other.once('close', () => this.finish('ok'));
    const lines = ['HTTP/1.1 101 Switching Protocols', 'connection: upgrade', 'upgrade: websocket'];
    for (const name of SENT_BACK) {
      const value = headers[name];
      if (typeof value === 'string') lines.push(`${name}: ${value}`);
    }
    const added = this.options.responseHeaders();
    for (let at = 0; at < added.length; at += 2) lines.push(`${added[at]}: ${added[at + 1]}`);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    if (head.length > 0) {
      this.received += head.length;
      other.write(head);
    }
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
    });
    other.on('data', (chunk: Buffer) => {
      this.sent += chunk.length;
    });
    // Each side's slowness is the other's, and its end too.
    socket.pipe(other);
    other.pipe(socket);
  }

  /** The agent answers and does not upgrade: which is an answer, but none that goes on as a WebSocket. */
  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number): void {
    if (statusCode < 200) return;
    controller.abort(new Error('not upgraded'));
    this.finish(this.options.failures.broken);
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    this.finish(this.options.failures.broken);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const { failures } = this.options;
    const { code = '' } = error as NodeJS.ErrnoException;
    this.finish(code === 'ECONNREFUSED' || code === 'ENOENT' ? failures.unreachable : failures.broken);
  }

  private finish(reason: ReasonCode | 'ok'): void {
    if (this.ended) return;
    this.ended = true;
    const { response, upgrade, hop, trusted } = this.options;
    const upgraded = this.other !== undefined;
    if (upgraded) {
      // What one side said last is still to reach the other; what was cut is not.
      for (const socket of [this.other, upgrade.socket] as readonly (Socket | undefined)[])
        if (reason === 'ok') socket?.destroySoon();
        else socket?.destroy();
    } else {
      if (reason !== 'ok')
        sendProblem(response, deny(reason, 'the connection was not upgraded'), hop, trusted);
      this.controller?.abort(new Error('ended'));
      upgrade.socket.end();
    }
    this.done({
      status: upgraded ? 101 : response.headersSent ? response.statusCode : 0,
      result: reason,
      received: this.received,
      sent: this.sent,
    });
  }
}
