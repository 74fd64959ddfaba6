/**
 * Which addresses may be dialled for an agent: those that are public, and private ones that policy opens for a destination.
 * Registries: IANA IPv4 and IPv6 Special-Purpose Address Spaces (RFC 6890).
 */
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

type Range = readonly [address: string, bits: number];

/** Whatever policy says: this machine, this link, metadata services, and what is no one's address. */
const NEVER_IPV4: readonly Range[] = [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // Metadata services outside of link-local space: Alibaba Cloud, Azure.
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
];

const PRIVATE_IPV4: readonly Range[] = [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
];

/** The parts of IPv6 that are anybody's: global and unique local. All outside of them is special: IPv4 in disguise, loopback, links. */
const PRIVATE_IPV6: Range = ['fc00::', 7];
const GIVEN_IPV6: readonly Range[] = [['2000::', 3], PRIVATE_IPV6];
/** In it: protocol assignments (Teredo among them), documentation, and 6to4, which is an IPv4 address in disguise. */
const NEVER_IPV6: readonly Range[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  // In private space: what EC2 has at its machines (metadata, pod identities), and the metadata of Google Cloud and Scaleway.
  ['fd00:ec2::', 32],
  ['fd20:ce::254', 128],
  ['fd00:42::42', 128],
];

const listOf = (...families: readonly (readonly [family: 'ipv4' | 'ipv6', ranges: readonly Range[]])[]) => {
  const list = new BlockList();
  for (const [family, ranges] of families)
    for (const [address, bits] of ranges) list.addSubnet(address, bits, family);
  return list;
};

const NEVER = listOf(['ipv4', NEVER_IPV4], ['ipv6', NEVER_IPV6]);
const PRIVATE = listOf(['ipv4', PRIVATE_IPV4], ['ipv6', [PRIVATE_IPV6]]);
const GIVEN = listOf(['ipv6', GIVEN_IPV6]);

/** Addresses of this machine, on whatever network. */
export const ownAddresses = (): ReadonlySet<string> =>
  new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)));

/**
 * What is wrong with an address, as half a sentence; undefined when it may be dialled. `allowed`: private ranges in CIDR form,
 * `own`: addresses of this machine, behind which our own agent listens, or our neighbours.
 */
export const addressFault = (
  address: string,
  allowed: readonly string[],
  own: ReadonlySet<string>,
): string | undefined => {
  const version = isIP(address);
  // A zone (`fe80::1%eth0`) names a link of this machine.
  if (version === 0 || address.includes('%')) return 'is no address';
  const family = version === 4 ? 'ipv4' : 'ipv6';
  // First of all: a list of IPv4 ranges matches the same addresses mapped into IPv6.
  if (version === 6 && !GIVEN.check(address, family)) return 'is a special address';
  if (NEVER.check(address, family)) return 'is a loopback, link-local, metadata or reserved address';
  if (own.has(address)) return 'is an address of this machine';
  if (!PRIVATE.check(address, family)) return undefined;
  const open = new BlockList();
  for (const range of allowed) {
    const [base = '', bits] = range.split('/');
    open.addSubnet(base, Number(bits), isIP(base) === 4 ? 'ipv4' : 'ipv6');
  }
  return open.check(address, family) ? undefined : 'is a private address that policy does not open for it';
};
