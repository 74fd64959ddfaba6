/** A world beyond the mesh in this process: names and public addresses of its own, behind which servers of the test answer. */
import { connect, type Server, Socket } from 'node:net';
import type { EgressNetwork } from '../../src/edge/egress/network.ts';

/** A public address, as good as any. */
export const PUBLIC = '93.184.216.34';

export class Outside implements EgressNetwork {
  /** Host to its addresses; a list of lists is one answer after the other. */
  readonly names = new Map<
    string,
    readonly string[] | (() => readonly string[] | Promise<readonly string[]>)
  >();
  /** `address:port` to the port on this machine that stands for it. */
  readonly servers = new Map<string, number>();
  /** What was asked and what was dialled, in order. */
  readonly resolved: string[] = [];
  readonly dialled: string[] = [];

  /** A name with a public address, answered by a server of the test. */
  put(host: string, port: number, server: Server | number, address = PUBLIC): void {
    this.names.set(host, [address]);
    const own = typeof server === 'number' ? server : portOf(server);
    this.servers.set(`${address}:${port}`, own);
  }

  async resolve(host: string): Promise<readonly string[]> {
    this.resolved.push(host);
    const known = this.names.get(host);
    if (known === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return typeof known === 'function' ? known() : known;
  }

  connect(address: string, port: number): Socket {
    this.dialled.push(`${address}:${port}`);
    const own = this.servers.get(`${address}:${port}`);
    if (own !== undefined)
      return connect({ host: '127.0.0.1', port: own, noDelay: true, allowHalfOpen: true });
    const socket = new Socket();
    process.nextTick(() => socket.destroy(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })));
    return socket;
  }

  ownAddresses(): ReadonlySet<string> {
    return new Set(['192.168.7.7']);
  }
}

const portOf = (server: Server): number => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return address.port;
};
