/** What counts as one source: whoever has one address of a network of this size has all of them. */
import { isIPv6 } from 'node:net';

/** An IPv4 address as it is; of an IPv6 address its /64, which a host has to itself; anything else as it is. */
export const networkOf = (source: string): string => {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(source)?.[1];
  if (mapped !== undefined || !isIPv6(source)) return mapped ?? source;
  const [head = '', tail] = source.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
};
