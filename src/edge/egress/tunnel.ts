/**
 * A tunnel out of the mesh: permitted whole when it is opened, dialled after that is on record, and cut when what permitted it
 * ends. Nothing in it is read but, where policy wants it, the name in the first octets of TLS.
 */
import type { Socket } from 'node:net';
import type { ReasonCode } from '../../core/reasons.ts';
import { type Denial, deny, type Verdict } from '../../core/verdict.ts';
import type { Exchange, ExchangeResult } from '../../ports.ts';
import { carry, endSoon } from '../carry.ts';
import { acceptConnect, refuseConnect } from '../http/connect-answer.ts';
import { readClientHello } from './client-hello.ts';

export interface TunnelOptions {
  /** The agent's socket behind its CONNECT, paused. */
  readonly agent: Socket;
  /** What the agent sent behind the head of its CONNECT. */
  readonly head: Buffer;
  readonly hop: string;
  /** A socket to the destination. Refuses with `egress_*`. */
  readonly dial: (signal: AbortSignal) => Promise<Verdict<Socket>>;
  /** The host that TLS in it has to name; undefined: nothing is looked at. */
  readonly serverName: string | undefined;
  /** Nothing either way for so long, and it ends. */
  readonly idleMs: number;
  /** Until the name has come. */
  readonly helloMs: number;
  /** It is open: octets go both ways from here. */
  readonly onOpen?: (() => void) | undefined;
}

export const tunnelExchange = (options: TunnelOptions): Exchange => ({
  start: (done) => new RunningTunnel(options, done).begin(),
});

/** A fatal `access_denied` (RFC 8446 §6.2): a TLS client says so, where a bare end would read like a fault of the network. */
const ACCESS_DENIED = Buffer.from([21, 3, 3, 0, 2, 2, 49]);
/** An honest client sends its hello in a few: each is a look at all that has come. */
const MOST_PIECES = 64;
const CUT = 'the tunnel was ended while it was being opened';

class RunningTunnel {
  private readonly options: TunnelOptions;
  private readonly done: (result: ExchangeResult) => void;
  private readonly dialling = new AbortController();
  private other: Socket | undefined;
  private held: Buffer[] = [];
  private helloTimer: NodeJS.Timeout | undefined;
  private ended = false;
  private isAccepted = false;
  private received = 0;
  private sent = 0;

  constructor(options: TunnelOptions, done: (result: ExchangeResult) => void) {
    this.options = options;
    this.done = done;
  }

  begin(): (reason: ReasonCode) => void {
    const { agent, dial } = this.options;
    if (agent.destroyed) {
      this.finish('client_aborted');
      return this.cut;
    }
    agent.on('error', () => this.finish('client_aborted'));
    agent.once('close', () => this.finish(this.isAccepted ? 'ok' : 'client_aborted'));
    dial(this.dialling.signal).then(
      (dialled) => {
        if (!dialled.ok) this.refuse(dialled);
        else if (this.ended) dialled.value.destroy();
        else this.accept(dialled.value);
      },
      () => this.refuse(deny('internal', 'a fault in the sidecar')),
    );
    return this.cut;
  }

  /** Ends it for a reason of ours: a revocation, an expiry, a shutdown. */
  private readonly cut = (reason: ReasonCode): void => {
    if (this.isAccepted) this.finish(reason);
    else this.refuse(deny(reason, CUT));
  };

  private refuse(denial: Denial): void {
    if (this.ended) return;
    const { agent, hop } = this.options;
    this.finish(denial.reason, refuseConnect(agent, denial, hop));
  }

  private accept(other: Socket): void {
    const { agent, head, hop, serverName, idleMs, helloMs, onOpen } = this.options;
    this.other = other;
    this.isAccepted = true;
    other.on('error', () => this.finish('egress_failed'));
    other.once('close', () => this.finish('ok'));
    agent.setTimeout(idleMs, () => this.finish('egress_idle'));
    acceptConnect(agent, hop);
    onOpen?.();
    if (head.length > 0) agent.unshift(head);
    if (serverName === undefined) this.join();
    else {
      this.helloTimer = setTimeout(() => this.finish('egress_idle'), helloMs);
      agent.on('data', this.onHello);
      agent.once('end', this.onNoHello);
      agent.resume();
    }
  }

  /** Nothing of it reaches the destination before it is known to be for it. */
  private readonly onHello = (chunk: Buffer): void => {
    const { serverName = '' } = this.options;
    this.held.push(chunk);
    const hello = readClientHello(this.held.length === 1 ? chunk : Buffer.concat(this.held));
    if (hello.state === 'partial' && this.held.length < MOST_PIECES) return;
    const isGood =
      hello.state === 'whole' && !hello.isEncrypted && hello.serverName?.toLowerCase() === serverName;
    if (isGood) this.join();
    else this.refuseHello();
  };

  private readonly onNoHello = (): void => this.refuseHello();

  private refuseHello(): void {
    this.stopHello();
    const { agent } = this.options;
    agent.write(ACCESS_DENIED);
    this.finish('egress_sni');
  }

  private stopHello(): void {
    clearTimeout(this.helloTimer);
    const { agent } = this.options;
    agent.off('data', this.onHello);
    agent.off('end', this.onNoHello);
  }

  /** Each side's slowness is the other's, and its end too. */
  private join(): void {
    const { agent } = this.options;
    const { other } = this;
    if (other === undefined) return;
    this.stopHello();
    for (const chunk of this.held) this.pass(chunk, other);
    this.held = [];
    agent.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
    });
    other.on('data', (chunk: Buffer) => {
      this.sent += chunk.length;
    });
    carry(agent, other);
    carry(other, agent);
  }

  private pass(chunk: Buffer, other: Socket): void {
    this.received += chunk.length;
    other.write(chunk);
  }

  private finish(result: ReasonCode | 'ok', status = this.isAccepted ? 200 : 0): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.helloTimer);
    this.dialling.abort();
    const { agent } = this.options;
    // What one side said last is still to reach the other; what was cut is not.
    const isGentle = result === 'ok' || result === 'egress_sni';
    if (this.isAccepted)
      for (const socket of [agent, this.other])
        if (socket !== undefined && isGentle) endSoon(socket);
        else socket?.destroy();
    this.done({ status, result, received: this.received, sent: this.sent });
  }
}
