/** How many connections there may be: in total, of strangers, and of strangers from one source. Full means refuse. */
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  readonly connections: number;
  readonly strangers: number;
  readonly strangersPerSource: number;
  /** Requests on one connection behind an unanswered one. */
  readonly pipelined: number;
}

const nameOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;

export class Connections {
  private readonly limits: ConnectionLimits;
  /** Who has not shown an SVID yet: connection to source. */
  private readonly strangers = new Map<string, string>();
  private readonly bySource = new Map<string, number>();
  private readonly underWay = new WeakMap<Socket, number>();
  private open = 0;

  constructor(limits: ConnectionLimits) {
    this.limits = limits;
  }

  /** A TCP connection has come; false when it must go. */
  enter(socket: Socket): boolean {
    const { connections, strangers, strangersPerSource } = this.limits;
    const source = socket.remoteAddress;
    if (source === undefined) return false;
    const mine = this.bySource.get(source) ?? 0;
    if (this.open >= connections || this.strangers.size >= strangers || mine >= strangersPerSource)
      return false;
    const name = nameOf(socket);
    this.open++;
    this.strangers.set(name, source);
    this.bySource.set(source, mine + 1);
    socket.once('close', () => {
      this.open--;
      this.forget(name);
    });
    return true;
  }

  /** A connection has shown a valid SVID: it doesn't count as a stranger's any more. */
  prove(socket: Socket): void {
    this.forget(nameOf(socket));
  }

  private forget(name: string): void {
    const source = this.strangers.get(name);
    if (source === undefined) return;
    this.strangers.delete(name);
    const rest = (this.bySource.get(source) ?? 1) - 1;
    if (rest === 0) this.bySource.delete(source);
    else this.bySource.set(source, rest);
  }

  /** A request has come; false when too many wait on this connection. */
  begin(socket: Socket): boolean {
    const count = (this.underWay.get(socket) ?? 0) + 1;
    this.underWay.set(socket, count);
    return count <= this.limits.pipelined;
  }

  end(socket: Socket): void {
    this.underWay.set(socket, (this.underWay.get(socket) ?? 1) - 1);
  }
}
