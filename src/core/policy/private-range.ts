/** Ranges of private addresses that policy may open for one destination (RFC 1918, RFC 6598, RFC 4193). */

const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = new RegExp(`^(${OCTET})\\.(${OCTET})\\.(${OCTET})\\.(${OCTET})/(3[0-2]|[12]?[0-9])$`);
/** A unique local prefix, written with its groups and `::` behind them. */
const IPV6 = /^(f[cd][0-9a-f]{2}(?::[0-9a-f]{1,4}){0,6})::\/([1-9][0-9]{0,2})$/;

const PRIVATE: readonly (readonly [first: number, bits: number])[] = [
  [0x0a_00_00_00, 8],
  [0xac_10_00_00, 12],
  [0xc0_a8_00_00, 16],
  [0x64_40_00_00, 10],
];

const prefixOf = (address: number, bits: number): number =>
  bits === 0 ? 0 : Math.floor(address / 2 ** (32 - bits));

const isPrivateIpv4 = ([, a, b, c, d, length]: RegExpExecArray): boolean => {
  const address = ((Number(a) * 256 + Number(b)) * 256 + Number(c)) * 256 + Number(d);
  const bits = Number(length);
  // Octets behind the prefix would say something that doesn't hold.
  if (prefixOf(address, bits) * 2 ** (32 - bits) !== address) return false;
  return PRIVATE.some(
    ([first, least]) => bits >= least && prefixOf(address, least) === prefixOf(first, least),
  );
};

const isUniqueLocal = ([, groups = '', length]: RegExpExecArray): boolean => {
  const bits = Number(length);
  return bits >= 8 && bits <= 128 && groups.split(':').length * 16 < bits + 16;
};

/** `10.2.0.0/16`, `fd12:3456::/32`; never loopback, link-local or anything public. */
export const isPrivateRange = (text: unknown): text is string => {
  if (typeof text !== 'string') return false;
  const ipv4 = IPV4.exec(text);
  if (ipv4 !== null) return isPrivateIpv4(ipv4);
  const ipv6 = IPV6.exec(text);
  return ipv6 !== null && isUniqueLocal(ipv6);
};
