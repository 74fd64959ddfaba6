import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import {
  connectTlsTo,
  frame,
  helloFields,
  openSession,
  type RawPeer,
  requestText,
  shake,
} from '../testkit/raw-peer.ts';

const PER_SOURCE = 4;
const IN_FLIGHT = 6;
const SOURCES_TOLD_APART = 8;

let mesh: Mesh;
let target: MeshAgent;
const silent: Socket[] = [];
/** What this file has caused, by source and reason. */
const caused = new Map<string, number>();

beforeAll(async () => {
  mesh = await makeMesh({
    config: {
      limits: { handshakes: IN_FLIGHT, handshakesPerSource: PER_SOURCE, handshakeTimeout: '1s' },
      audit: { refusalSources: SOURCES_TOLD_APART },
    },
  });
  target = await mesh.start('inventory/def456');
});
afterEach(() => {
  for (const socket of silent.splice(0)) socket.destroy();
});
afterAll(() => mesh.stop());

const planning = () => mesh.domain.agent('planning/abc123');
const cause = (source: string, reason: string, times = 1): void => {
  const row = `${source} ${reason}`;
  caused.set(row, (caused.get(row) ?? 0) + times);
};

/** A TCP connection that says nothing. */
const openSilent = (localAddress: string): Promise<{ socket: Socket; closed: Promise<void> }> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: target.addresses.inbound?.port ?? 0, localAddress });
    silent.push(socket);
    const closed = new Promise<void>((done) => socket.once('close', () => done()));
    socket.on('error', reject);
    socket.once('connect', () => {
      socket.resume();
      resolve({ socket, closed });
    });
  });

const asPeer = (localAddress: string) =>
  connectTlsTo(target, { cert: planning().svidPem, key: planning().svidKeyPem, localAddress });

const expectServed = async (localAddress: string): Promise<void> => {
  const peer = await asPeer(localAddress);
  expect((await shake(peer, target, planning())).status).toBe('accepted');
  expect((await peer.ask(requestText({ chain: forgeChain(mesh.domain, [planning()]) }))).status).toBe(200);
  peer.close();
};

const expectTurnedAway = async (localAddress: string): Promise<void> => {
  await expect(asPeer(localAddress)).rejects.toBeInstanceOf(Error);
  cause(localAddress, 'hs_busy');
};

describe('connections that never speak', () => {
  it('take the places of their own source, then of all; whoever has sessions goes on; and time sets them free', async () => {
    const session = await openSession(target, planning());
    const held = await Promise.all(Array.from({ length: PER_SOURCE }, () => openSilent('127.0.0.1')));
    await expectTurnedAway('127.0.0.1');
    await expectServed('127.0.0.2');
    const others = await Promise.all(
      Array.from({ length: IN_FLIGHT - PER_SOURCE }, () => openSilent('127.0.0.3')),
    );
    await expectTurnedAway('127.0.0.2');
    // A proven session needs no place any more.
    expect((await session.ask(requestText({ chain: forgeChain(mesh.domain, [planning()]) }))).status).toBe(
      200,
    );
    session.close();
    await Promise.all([...held, ...others].map(({ closed }) => closed));
    cause('127.0.0.1', 'hs_timeout', PER_SOURCE);
    cause('127.0.0.3', 'hs_timeout', IN_FLIGHT - PER_SOURCE);
    await expectServed('127.0.0.1');
    await expectServed('127.0.0.2');
  });

  it('give their places back when they leave by themselves', async () => {
    for (let round = 0; round < 5; round++) {
      const held = await Promise.all(Array.from({ length: PER_SOURCE }, () => openSilent('127.0.0.1')));
      for (const { socket } of held) socket.resetAndDestroy();
      await Promise.all(held.map(({ closed }) => closed));
      await expectServedSoon('127.0.0.1');
    }
  });

  it('five hundred at once: all but the first few are hung up on, and little is kept of them', async () => {
    const held = await Promise.all(Array.from({ length: PER_SOURCE }, () => openSilent('127.0.0.4')));
    const rest = await Promise.all(
      Array.from({ length: 500 }, () => openSilent('127.0.0.4').catch(() => undefined)),
    );
    await Promise.all(rest.map((one) => one?.closed));
    await Promise.all(held.map(({ closed }) => closed));
    flooded = true;
  });
});

let flooded = false;
/** A reset takes a moment to be seen; until then the places are taken, and the peer counted. */
const expectServedSoon = async (localAddress: string): Promise<void> => {
  for (let attempt = 0; ; attempt++) {
    try {
      await expectServed(localAddress);
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      cause(localAddress, 'hs_busy');
    }
  }
};

describe('a handshake that goes slowly', () => {
  const drip = (peer: RawPeer, octets: Buffer): NodeJS.Timeout => {
    let sent = 0;
    return setInterval(() => {
      if (sent < octets.length) peer.write(octets.subarray(sent, ++sent));
    }, 50);
  };

  it('one octet at a time ends at the deadline', async () => {
    const peer = await asPeer('127.0.0.1');
    const timer = drip(peer, frame(1, helloFields(planning(), Buffer.alloc(32, 1))));
    expect(await peer.readFrame()).toEqual(frame(4, [Buffer.of(1), 'hs_timeout']));
    await peer.ended();
    clearInterval(timer);
    peer.close();
    cause('127.0.0.1', 'hs_timeout');
  });

  it('nothing after TLS ends at the deadline', async () => {
    const peer = await asPeer('127.0.0.1');
    expect(await peer.readFrame()).toEqual(frame(4, [Buffer.of(1), 'hs_timeout']));
    await peer.ended();
    cause('127.0.0.1', 'hs_timeout');
  });

  it('F1 and then nothing ends at the deadline', async () => {
    const peer = await asPeer('127.0.0.1');
    peer.write(frame(1, helloFields(planning(), Buffer.alloc(32, 2))));
    expect((await peer.readFrame())?.[0]).toBe(2);
    expect(await peer.readFrame()).toEqual(frame(4, [Buffer.of(1), 'hs_timeout']));
    await peer.ended();
    cause('127.0.0.1', 'hs_timeout');
  });

  it('half a ClientHello ends at the deadline', async () => {
    const { socket, closed } = await openSilent('127.0.0.1');
    socket.write(Buffer.from('16030100fa010000f60303', 'hex'));
    await closed;
    cause('127.0.0.1', 'hs_timeout');
  });

  it('a peer that reads nothing is left behind all the same', async () => {
    const peer = await asPeer('127.0.0.1');
    peer.socket.pause();
    peer.write(frame(1, helloFields(planning(), Buffer.alloc(32, 3))));
    const served = expectServed('127.0.0.2');
    await served;
    peer.socket.resume();
    await peer.ended();
    cause('127.0.0.1', 'hs_timeout');
  });
});

describe('the log', () => {
  it('has one row for a source and reason, however often; and a bounded number of rows', async () => {
    expect(flooded).toBe(true);
    // More sources than are told apart.
    for (let last = 20; last < 40; last++) {
      const peer = await connectTlsTo(target, { localAddress: `127.0.0.${last}` });
      await peer.ended();
    }
    target.sidecar.stop('counting');
    const rows = target
      .log()
      .filter(({ kind }) => kind === 'refusals')
      .flatMap(({ sources }) => sources as { source: string; reason: string; count: number }[]);
    expect(rows.length).toBeLessThanOrEqual(2 * (SOURCES_TOLD_APART + 3));
    const counted = (source: string, reason: string): number =>
      rows
        .filter((row) => row.source === source && row.reason === reason)
        .reduce((sum, { count }) => sum + count, 0);
    for (const [row, times] of caused) {
      const [source = '', reason = ''] = row.split(' ');
      expect({ row, times: counted(source, reason) }).toEqual({ row, times });
    }
    const total = (reason: string): number =>
      rows.filter((row) => row.reason === reason).reduce((sum, { count }) => sum + count, 0);
    expect(total('tls_no_certificate')).toBe(20);
    expect(counted('other', 'tls_no_certificate')).toBeGreaterThan(0);
    // A slow machine takes longer for them than the first few may wait.
    const waited = counted('127.0.0.4', 'hs_timeout');
    expect(waited).toBeGreaterThanOrEqual(PER_SOURCE);
    expect(waited).toBeLessThan(50);
    expect(counted('127.0.0.4', 'hs_busy') + waited).toBe(500 + PER_SOURCE);
  });
});
