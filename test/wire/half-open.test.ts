/** What strangers can make a sidecar keep: two thousand connections that have shown a certificate and prove nothing. */
import { connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { residentMiB } from '../bench/world.ts';
import { SlowWorld } from './slow-world.ts';

const CONNECTIONS = 2000;
/** Of TLS, of the largest frame, and of what Node keeps with a socket. */
const MOST_KIB_EACH = 128;

let slow: SlowWorld;
afterEach(() => slow.stop());

it.each(['half-open', 'half-frames'] as const)('%s: each costs a bounded part of memory', async (way) => {
  slow = await SlowWorld.start({
    handshakes: 2 * CONNECTIONS,
    handshakesPerSource: 2 * CONNECTIONS,
    handshakesPerSecond: 100_000,
    handshakeTimeout: '10m',
  });
  // What the first ones make it load is not theirs.
  await (await slow.slowPeers(way, 100)).stop();
  const before = residentMiB(slow.pid);
  const peers = await slow.slowPeers(way, CONNECTIONS);
  const each = ((residentMiB(slow.pid) - before) * 1024) / CONNECTIONS;
  console.log(JSON.stringify({ [`${way.replace('-', '_')}_connection_kib`]: Number(each.toFixed(1)) }));
  expect(await peers.stop()).toBe(0);
  expect(each).toBeLessThanOrEqual(MOST_KIB_EACH);
});

it('and with the bounds that are there by default, one source has sixty-four of them', async () => {
  slow = await SlowWorld.start({});
  const before = residentMiB(slow.pid);
  const sockets = Array.from({ length: CONNECTIONS }, () => {
    const socket = connect(slow.port, '127.0.0.1');
    socket.on('error', () => socket.destroy());
    socket.resume();
    return socket;
  });
  const isOpen = () => sockets.filter(({ destroyed, pending }) => !destroyed && !pending).length;
  await expect.poll(isOpen, { timeout: 10_000 }).toBe(64);
  expect(residentMiB(slow.pid) - before).toBeLessThan(32);
  for (const socket of sockets) socket.destroy();
});
