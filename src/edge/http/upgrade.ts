/**
 * A WebSocket between two sockets: permitted whole, or not at all. What it carries is not looked at; its octets are counted,
 * and it ends when either side does or what permitted it.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ReasonCode } from '../../core/reasons.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import type { Exchange, ExchangeResult } from '../../ports.ts';
import { carry, endSoon } from '../carry.ts';
import { readCompactly } from '../compact-reading.ts';
import type { Call } from './call.ts';
import { sendProblem } from './problem.ts';
import { type RequestHeaders, readResponseHeaders } from './request-headers.ts';
import { WebSocketEdge } from './stream-edge.ts';
import type { Upstream, UpstreamExchange, UpstreamFailure, UpstreamHandler } from './upstream.ts';
import { sayGoodbye } from './websocket-goodbye.ts';

/** A request that asks for another protocol, with what came behind its head. */
export interface UpgradeRequest {
  readonly socket: Duplex;
  readonly head: Buffer;
}

export interface UpgradeOptions {
  readonly upgrade: UpgradeRequest;
  /** For refusals. */
  readonly call: Call;
  readonly upstream: Upstream;
  readonly target: string;
  /** Name, value …; without hop-by-hop headers. */
  readonly headers: string[];
  readonly headersTimeoutMs: number;
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
  { method }: Pick<Call, 'method'>,
  { upgrade, hasBody }: Pick<RequestHeaders, 'upgrade' | 'hasBody'>,
  isUpgrade: boolean,
): Denial | undefined => {
  if (method === 'CONNECT') return deny('http_upgrade', 'CONNECT is not for peers');
  if (upgrade === undefined && !isUpgrade) return undefined;
  // Without `Connection: upgrade` the header asks for nothing, and an agent may think otherwise.
  if (upgrade !== 'websocket' || !isUpgrade)
    return deny('http_upgrade', 'WebSocket alone may be upgraded to');
  return method === 'GET' && !hasBody
    ? undefined
    : deny('http_malformed', 'a WebSocket begins with a GET without a body');
};

/** Milliseconds in which both ends may answer a goodbye. */
const GOODBYE_MS = 1000;

/** Of the answer: the rest is between the agent and its sidecar. */
const SENT_BACK = new Set(['sec-websocket-accept', 'sec-websocket-protocol', 'sec-websocket-extensions']);

const ignore = (): void => {};

class RunningUpgrade implements UpstreamHandler {
  private readonly options: UpgradeOptions;
  private readonly done: (result: ExchangeResult) => void;
  private running: UpstreamExchange | undefined;
  private other: Duplex | undefined;
  private ended = false;
  private received = 0;
  private sent = 0;
  private readonly toAgent = new WebSocketEdge();
  private readonly toClient = new WebSocketEdge();
  /** End what is carried to the agent, and to the client. */
  private stops: readonly [() => void, () => void] = [ignore, ignore];
  /** Both ends hear that it is over. */
  private isLeaving = false;

  constructor(options: UpgradeOptions, done: (result: ExchangeResult) => void) {
    this.options = options;
    this.done = done;
  }

  begin(): (reason: ReasonCode) => void {
    const { upgrade, upstream, target, headers, headersTimeoutMs } = this.options;
    const { socket } = upgrade;
    if (socket.destroyed) {
      this.finish('client_aborted');
      return this.cut;
    }
    readCompactly(socket, false);
    socket.on('error', () => this.finish('client_aborted'));
    socket.once('close', () => this.finish(this.other === undefined ? 'client_aborted' : 'ok'));
    this.running = upstream.send(
      { method: 'GET', target, headers, body: null, headersTimeoutMs, upgrade: true },
      this,
    );
    return this.cut;
  }

  private readonly cut = (reason: ReasonCode): void => {
    if (reason === 'draining' && this.other !== undefined && !this.isLeaving && !this.ended) this.leave();
    else this.finish(reason);
  };

  private leave(): void {
    const { other } = this;
    const { socket } = this.options.upgrade;
    if (other === undefined) return;
    this.isLeaving = true;
    const [stopToAgent, stopToClient] = this.stops;
    sayGoodbye({ from: socket, to: other, edge: this.toAgent, toClient: false, stop: stopToAgent });
    sayGoodbye({ from: other, to: socket, edge: this.toClient, toClient: true, stop: stopToClient });
    setTimeout(() => this.finish('draining'), GOODBYE_MS).unref();
  }

  onUpgrade(raw: readonly string[], other: Duplex, behind: Buffer): void {
    this.other = other;
    const { socket, head } = this.options.upgrade;
    other.on('error', () => this.finish(this.options.failures.broken));
    const upgraded = raw.find((_, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === 'upgrade');
    if (this.ended || upgraded?.toLowerCase() !== 'websocket') {
      other.destroy();
      this.finish(this.options.failures.broken);
      return;
    }
    const { headers, labels } = readResponseHeaders(raw);
    const unreadable = this.options.onLabels?.(labels);
    if (unreadable !== undefined) {
      this.finish(unreadable.reason);
      return;
    }
    other.once('close', () => this.finish('ok'));
    const lines = ['HTTP/1.1 101 Switching Protocols', 'connection: upgrade', 'upgrade: websocket'];
    const added = this.options.responseHeaders();
    for (let at = 0; at < headers.length; at += 2)
      if (SENT_BACK.has((headers[at] as string).toLowerCase()))
        lines.push(`${headers[at]}: ${headers[at + 1]}`);
    for (let at = 0; at < added.length; at += 2) lines.push(`${added[at]}: ${added[at + 1]}`);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    if (head.length > 0) {
      this.received += head.length;
      this.toAgent.push(head);
      other.write(head);
    }
    if (behind.length > 0) {
      this.sent += behind.length;
      this.toClient.push(behind);
      socket.write(behind);
    }
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
      if (!this.isLeaving) this.toAgent.push(chunk);
    });
    other.on('data', (chunk: Buffer) => {
      this.sent += chunk.length;
      if (!this.isLeaving) this.toClient.push(chunk);
    });
    this.stops = [carry(socket, other), carry(other, socket)];
  }

  onInformation(): void {}

  /** The agent answers and does not upgrade: which is an answer, but none that goes on as a WebSocket. */
  onHead(): void {
    this.running?.abort();
    this.finish(this.options.failures.broken);
  }

  onData(): void {}

  onEnd(): void {
    this.finish(this.options.failures.broken);
  }

  onFailure({ kind }: UpstreamFailure): void {
    const { failures } = this.options;
    if (kind === 'timeout') this.finish('upstream_timeout');
    else this.finish(kind === 'unreachable' ? failures.unreachable : failures.broken);
  }

  private finish(end: ReasonCode | 'ok'): void {
    if (this.ended) return;
    const reason = this.isLeaving && end === 'ok' ? 'draining' : end;
    this.ended = true;
    const { call, upgrade, hop, trusted } = this.options;
    const upgraded = this.other !== undefined;
    if (upgraded) {
      // What one side said last is still to reach the other; what was cut is not.
      for (const socket of [this.other, upgrade.socket] as readonly (Socket | undefined)[])
        if (socket !== undefined && (reason === 'ok' || this.isLeaving)) endSoon(socket);
        else socket?.destroy();
    } else {
      if (reason !== 'ok') sendProblem(call, deny(reason, 'the connection was not upgraded'), hop, trusted);
      this.running?.abort();
      // Nothing reads it any more: it would never hear its client hang up.
      upgrade.socket.end(() => upgrade.socket.destroy());
    }
    this.done({
      status: upgraded ? 101 : call.status,
      result: reason,
      received: this.received,
      sent: this.sent,
    });
  }
}
