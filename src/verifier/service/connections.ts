/**
 * How many connections there may be: in total, of strangers, of strangers from one source, of one member. Full means refuse; but a
 * source that has more than its share gives one up, so that nobody fills the door for all others.
 */
import type { Socket } from 'node:net';
import { networkOf } from '../../edge/network-of.ts';

export interface ConnectionLimits {
  readonly connections: number;
  readonly strangers: number;
  readonly strangersPerSource: number;
  /** Of one SPIFFE ID. */
  readonly perMember: number;
  /** Requests on one connection that are not answered yet. */
  readonly pipelined: number;
  /** The same of a stranger: what it brings may be dear to look at, and is counted only when it was found wrong. */
  readonly pipelinedByStranger: number;
}

const nameOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;

export class Connections {
  private readonly limits: ConnectionLimits;
  /** Who has not shown an SVID yet, by source and by connection, the oldest first. */
  private readonly strangers = new Map<string, Map<string, Socket>>();
  private readonly sources = new Map<string, string>();
  /** Names of the connections of each member. */
  private readonly members = new Map<string, Set<string>>();
  private readonly underWay = new WeakMap<Socket, number>();
  private open = 0;

  constructor(limits: ConnectionLimits) {
    this.limits = limits;
  }

  /** A TCP connection has come; false when it must go. */
  enter(socket: Socket): boolean {
    const { connections, strangers, strangersPerSource } = this.limits;
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) return false;
    const source = networkOf(remoteAddress);
    const mine = this.strangers.get(source)?.size ?? 0;
    if (this.open >= connections || mine >= strangersPerSource) return false;
    if (this.sources.size >= strangers && !this.makeRoomFor(mine)) return false;
    const name = nameOf(socket);
    this.open++;
    this.sources.set(name, source);
    const ours = this.strangers.get(source) ?? new Map<string, Socket>();
    this.strangers.set(source, ours.set(name, socket));
    socket.once('close', () => {
      this.open--;
      this.forget(name);
    });
    return true;
  }

  /** A connection has shown a valid SVID: it doesn't count as a stranger's any more. False when this member has too many. */
  prove(socket: Socket, member: string): boolean {
    const name = nameOf(socket);
    const held = this.members.get(member) ?? new Set<string>();
    if (held.has(name)) return true;
    if (held.size >= this.limits.perMember) return false;
    this.forget(name);
    this.members.set(member, held.add(name));
    socket.once('close', () => {
      held.delete(name);
      if (held.size === 0 && this.members.get(member) === held) this.members.delete(member);
    });
    return true;
  }

  /** Ends the oldest connection of the source that has most, if that is more than whoever comes would have. */
  private makeRoomFor(mine: number): boolean {
    let most: ReadonlyMap<string, Socket> = new Map();
    for (const sockets of this.strangers.values()) if (sockets.size > most.size) most = sockets;
    const [oldest] = most;
    if (oldest === undefined || most.size <= mine + 1) return false;
    const [name, socket] = oldest;
    this.forget(name);
    socket.destroy();
    return true;
  }

  private forget(name: string): void {
    const source = this.sources.get(name);
    if (source === undefined) return;
    this.sources.delete(name);
    const ours = this.strangers.get(source);
    ours?.delete(name);
    if (ours?.size === 0) this.strangers.delete(source);
  }

  /** A request has come; false when too many wait on this connection. */
  begin(socket: Socket): boolean {
    const count = (this.underWay.get(socket) ?? 0) + 1;
    this.underWay.set(socket, count);
    const { pipelined, pipelinedByStranger } = this.limits;
    return count <= (this.sources.has(nameOf(socket)) ? pipelinedByStranger : pipelined);
  }

  end(socket: Socket): void {
    this.underWay.set(socket, (this.underWay.get(socket) ?? 1) - 1);
  }
}
