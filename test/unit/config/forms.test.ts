/** Durations, sizes and addresses: what they come to, and what they are not. */
import { describe, expect, test } from 'vitest';
import {
  bytes,
  duration,
  formatAddress,
  listenAddress,
  localAddress,
  localListenAddress,
  parseAddress,
  parseDuration,
  peerAddress,
} from '../../../src/config/forms.ts';

describe('durations', () => {
  test.each([
    ['1s', 1],
    ['90s', 90],
    ['15m', 900],
    ['2h', 7200],
    ['24d', 2_073_600],
  ])('%s is %d seconds', (text, seconds) => {
    expect(duration.parse(text)).toBe(seconds);
    expect(parseDuration(text)).toBe(seconds);
    // Past this a timer fires at once.
    expect(seconds * 1000).toBeLessThan(2 ** 31);
  });

  test.each([
    '',
    '0s',
    '01s',
    '-1s',
    '1.5h',
    '1h30m',
    '10',
    's',
    '10 s',
    '10S',
    '5ms',
    '1w',
    '25d',
    '577h',
    '99999999999s',
    '１s',
  ])('"%s" is none', (text) => {
    expect(duration.safeParse(text).success).toBe(false);
  });
});

describe('sizes', () => {
  test.each<[string | number, number]>([
    [1, 1],
    [1_048_576, 1_048_576],
    ['1048576', 1_048_576],
    ['8KiB', 8192],
    ['1MiB', 1_048_576],
    ['2GiB', 2_147_483_648],
  ])('%s is %d octets', (given, octets) => {
    expect(bytes.parse(given)).toBe(octets);
  });

  test.each([
    0,
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e15,
    '0',
    '',
    '1kb',
    '1MB',
    '1 MiB',
    '1.5MiB',
    '-1',
    true,
    null,
  ])('%s is none', (given) => {
    expect(bytes.safeParse(given).success).toBe(false);
  });
});

describe('addresses', () => {
  test.each([
    ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
    ['[::1]:14443', { host: '::1', port: 14_443 }],
    [
      'inventory.agents.svc.cluster.local:14443',
      { host: 'inventory.agents.svc.cluster.local', port: 14_443 },
    ],
    ['unix:/run/hopgate/agent.sock', { path: '/run/hopgate/agent.sock' }],
  ])('%s', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
    expect(formatAddress(address)).toBe(text);
  });

  test.each([
    '',
    ':80',
    'host',
    'host:',
    'host:65536',
    'host:99999',
    'host:080',
    'host:-1',
    'host:80x',
    '::1:80',
    '[::1]',
    '[::g]:80',
    '[1:2]:80',
    '[127.0.0.1]:80',
    '10.0.0.256:80',
    '1.2.3:80',
    '-host:80',
    'host-:80',
    'a..b:80',
    '.a:80',
    'a.:80',
    'a_b:80',
    'http://a:80',
    'a:80/',
    ' a:80',
    'unix:',
    'unix:/',
    'unix:relative.sock',
    'unix:/a\0b',
    `unix:/${'é'.repeat(54)}`,
  ])('"%s" is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('only loopback and unix sockets are local', () => {
    for (const text of ['127.0.0.1:1', '127.9.9.9:1', '[::1]:1', 'unix:/run/a.sock'])
      expect(localAddress.safeParse(text).success, text).toBe(true);
    for (const text of [
      '0.0.0.0:1',
      '[::]:1',
      'localhost:1',
      '10.0.0.1:1',
      '127.evil.com:1',
      '[::ffff:10.0.0.1]:1',
      '128.0.0.1:1',
    ])
      expect(localAddress.safeParse(text).success, text).toBe(false);
  });

  test('port 0 is for listening alone', () => {
    expect(listenAddress.safeParse('127.0.0.1:0').success).toBe(true);
    expect(localListenAddress.safeParse('127.0.0.1:0').success).toBe(true);
    expect(peerAddress.safeParse('127.0.0.1:0').success).toBe(false);
    expect(localAddress.safeParse('127.0.0.1:0').success).toBe(false);
  });
});
