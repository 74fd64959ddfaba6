/** A connection to a destination beyond the mesh: its name is resolved once, every address checked, and a checked one dialled. */
import { isIPv4, type Socket } from 'node:net';
import type { Destination } from '../../core/policy/destination.ts';
import { splitDestination } from '../../core/policy/destination.ts';
import { type Denial, deny, grant, type Verdict } from '../../core/verdict.ts';
import { addressFault } from './address-check.ts';
import type { EgressNetwork } from './network.ts';

export interface DialOptions {
  readonly network: EgressNetwork;
  /** Private ranges that policy opens for it. */
  readonly allowPrivate: readonly string[];
  /** For all of it: the name, and each address that is tried. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Of what a name resolves to; more is not looked at. */
const MOST_ADDRESSES = 64;
/** So many are tried. */
const MOST_TRIED = 4;

/**
 * The addresses of a name, if all of them may be dialled: one that may not is the work of whoever wants to be reached inside,
 * and the others with it. Refuses with `egress_unresolved`, `egress_address_forbidden`.
 */
export const resolveChecked = async (
  host: string,
  { network, allowPrivate }: Pick<DialOptions, 'network' | 'allowPrivate'>,
): Promise<Verdict<readonly string[]>> => {
  let found: readonly string[];
  try {
    found = await network.resolve(host);
  } catch (error) {
    const { code = 'no code' } = error as NodeJS.ErrnoException;
    return deny('egress_unresolved', `${host} can't be resolved: ${code}`);
  }
  if (found.length === 0) return deny('egress_unresolved', `${host} has no address`);
  if (found.length > MOST_ADDRESSES)
    return deny('egress_unresolved', `${host} has more than ${MOST_ADDRESSES} addresses`);
  const own = network.ownAddresses();
  for (const address of found) {
    const fault = addressFault(address, allowPrivate, own);
    if (fault !== undefined)
      return deny('egress_address_forbidden', `${host} resolves to ${address}, which ${fault}`);
  }
  return grant(alternating(found));
};

/** IPv4 and IPv6 in turn: a machine may have only one of them. */
const alternating = (addresses: readonly string[]): readonly string[] => {
  const [four, six] = [addresses.filter(isIPv4), addresses.filter((one) => !isIPv4(one))];
  return addresses.flatMap((_, at) => [four[at], six[at]]).filter((one) => one !== undefined);
};

/** A connected socket. Refuses with `egress_unresolved`, `egress_address_forbidden`, `egress_unreachable`; never rejects. */
export const dial = async (destination: Destination, options: DialOptions): Promise<Verdict<Socket>> => {
  const { host, port } = splitDestination(destination);
  const late = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  const resolved = await Promise.race([resolveChecked(host, options), whenAborted(late, host)]);
  if (!resolved.ok) return resolved;
  let denial: Denial = deny('egress_unreachable', `${destination} does not answer`);
  for (const address of resolved.value.slice(0, MOST_TRIED)) {
    // INVARIANT: what is dialled is the address that was checked, and not the name again, which may resolve otherwise now.
    const connected = await connectTo(options.network, address, port, late);
    if (connected.ok) return connected;
    denial = connected;
    if (late.aborted) break;
  }
  return denial;
};

const whenAborted = (signal: AbortSignal, host: string): Promise<Denial> =>
  new Promise((resolve) => {
    const tell = (): void => resolve(deny('egress_unresolved', `${host} was not resolved in time`));
    if (signal.aborted) tell();
    else signal.addEventListener('abort', tell, { once: true });
  });

const connectTo = (
  network: EgressNetwork,
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<Verdict<Socket>> =>
  new Promise((resolve) => {
    const fail = (why: string): void => {
      signal.removeEventListener('abort', onAbort);
      resolve(deny('egress_unreachable', `${address} does not answer: ${why}`));
    };
    if (signal.aborted) {
      fail('no connection in time');
      return;
    }
    const socket = network.connect(address, port);
    const onAbort = (): void => {
      socket.destroy();
      fail('no connection in time');
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? 'no code');
    signal.addEventListener('abort', onAbort, { once: true });
    // Stays: a socket without anybody who hears of its error would end the process.
    socket.on('error', onError);
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.on('error', () => socket.destroy());
      resolve(grant(socket));
    });
  });
