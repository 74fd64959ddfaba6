import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressFault, ownAddresses } from '../../../../src/edge/egress/address-check.ts';

const NOBODY: ReadonlySet<string> = new Set();
/** As wide as policy can open them. */
const ALL_PRIVATE = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/8',
  'fd00::/8',
];

describe('an address that is dialled for an agent', () => {
  it.each([
    '93.184.216.34',
    '1.1.1.1',
    '8.8.8.8',
    '172.15.255.255',
    '172.32.0.0',
    '11.0.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '169.253.1.1',
    '192.167.1.1',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00:1450:4001:800::200e',
    '2001:4860:4860::8888',
  ])('%s is public', (address) => {
    expect(addressFault(address, [], NOBODY)).toBeUndefined();
  });
  it.each([
    '127.0.0.1',
    '127.1.2.3',
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '192.0.2.1',
    '198.18.0.1',
    '203.0.113.7',
    '224.0.0.1',
    '239.255.255.250',
    '240.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:8.8.8.8',
    '::ffff:10.0.0.1',
    '::ffff:a00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::808:808',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    'fd00:42::42',
    '5f00::1',
  ])('%s is refused, whatever policy opens', (address) => {
    expect(isIP(address.replace(/%.*/, ''))).not.toBe(0);
    expect(addressFault(address, ALL_PRIVATE, NOBODY)).toBeDefined();
  });
  it.each([
    '10.0.0.1',
    '10.255.255.255',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    'fd12:3456::1',
    'fc00::1',
  ])('%s is private: refused unless policy opens it', (address) => {
    expect(addressFault(address, [], NOBODY)).toContain('private');
    expect(addressFault(address, ALL_PRIVATE, NOBODY)).toBeUndefined();
  });
  it('outside of the range that is opened stays shut', () => {
    expect(addressFault('10.2.3.4', ['10.2.0.0/16'], NOBODY)).toBeUndefined();
    expect(addressFault('10.3.3.4', ['10.2.0.0/16'], NOBODY)).toBeDefined();
    expect(addressFault('fd12:3456::1', ['10.2.0.0/16'], NOBODY)).toBeDefined();
  });
  it('of this machine is refused, public or opened as it may be', () => {
    expect(addressFault('93.184.216.34', [], new Set(['93.184.216.34']))).toContain('this machine');
    expect(addressFault('10.2.3.4', ALL_PRIVATE, new Set(['10.2.3.4']))).toContain('this machine');
    expect(ownAddresses().has('127.0.0.1')).toBe(true);
  });
  it.each(['', 'localhost', '2130706433', '0x7f.1', '127.1', '1.2.3', '1.2.3.4 ', '[::1]', '1.2.3.4:80'])(
    '"%s" is none',
    (text) => {
      expect(addressFault(text, ALL_PRIVATE, NOBODY)).toBe('is no address');
    },
  );
  it('in IPv6 clothes is refused for every IPv4 address', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(addressFault(`::ffff:${address}`, ALL_PRIVATE, NOBODY)).toBeDefined();
        expect(addressFault(`::${address}`, ALL_PRIVATE, NOBODY)).toBeDefined();
        expect(addressFault(`64:ff9b::${address}`, ALL_PRIVATE, NOBODY)).toBeDefined();
      }),
    );
  });
});
