/** What dialling beyond the mesh needs of the world: names to addresses, and connections to addresses. */
import { Resolver } from 'node:dns/promises';
import { connect, type Socket } from 'node:net';
import { ownAddresses } from './address-check.ts';

export interface EgressNetwork {
  /** All addresses of a name, IPv4 and IPv6; empty where it has none. Rejects where nobody can say. */
  resolve(host: string): Promise<readonly string[]>;
  /** Begins to connect to an address, never to a name. */
  connect(address: string, port: number): Socket;
  ownAddresses(): ReadonlySet<string>;
}

const DNS_TIMEOUT_MS = 2000;
const DNS_TRIES = 2;
/** That the name is there and has no address of this kind, or isn't there at all. */
const NONE = new Set(['ENODATA', 'ENOTFOUND']);

/**
 * The system's name servers (or `servers`, each `address:port`), asked directly: search lists would let whoever may make names in this cluster take the place of a
 * name outside, and the hosts file is this machine's. Not `dns.lookup`, which holds up a thread of the pool that also writes files.
 */
export const systemNetwork = (servers?: readonly string[]): EgressNetwork => ({
  async resolve(host) {
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
    if (servers !== undefined) resolver.setServers(servers);
    const asked = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const fault = asked.find((one) => one.status === 'rejected' && !NONE.has(codeOf(one.reason)));
    // One kind is enough; without any it matters whether there is none or nobody said.
    if (found.length === 0 && fault?.status === 'rejected') throw fault.reason;
    return found;
  },
  connect: (address, port) =>
    connect({ host: address, port, noDelay: true, autoSelectFamily: false, allowHalfOpen: true }),
  ownAddresses,
});

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
