/**
 * A process of its own: a peer with many connections, slow on purpose. Told what to do in one message; says `ready` when all are
 * there, and how many ended meanwhile when it is told to stop.
 */
import { createPrivateKey, sign } from 'node:crypto';
import type { TestAgent } from '../testkit/domain.ts';
import type { MeshAgent } from '../testkit/mesh.ts';
import { connectTlsTo, openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

export type Way = 'headers' | 'bodies' | 'half-open' | 'half-frames';

export interface SlowTask {
  readonly port: number;
  readonly way: Way;
  readonly count: number;
  readonly chain: string;
  readonly agent: Pick<TestAgent, 'id' | 'thumbprint' | 'svidPem' | 'svidKeyPem' | 'wit'>;
  /** PEM. */
  readonly agentKey: string;
  readonly target: Pick<TestAgent, 'id' | 'thumbprint' | 'svidPem'>;
}

const AT_ONCE = 32;
/** Each connection says something once in this time; a part of them at each tick: nobody has them all speak at once. */
const ROUND_MS = 2000;
const TICKS = 1000;

const peers: RawPeer[] = [];

const start = async ({
  port,
  way,
  count,
  chain,
  agent,
  agentKey,
  target: callee,
}: SlowTask): Promise<void> => {
  const key = createPrivateKey(agentKey);
  const slow = { ...agent, sign: (message: Buffer) => sign(null, message, key) } as unknown as TestAgent;
  const target = {
    addresses: { inbound: { host: '127.0.0.1', port } },
    agent: callee,
  } as unknown as MeshAgent;
  const open = async (): Promise<RawPeer> => {
    if (way === 'half-open' || way === 'half-frames') {
      const peer = await connectTlsTo(target, { cert: agent.svidPem, key: agent.svidKeyPem });
      // A frame of the largest size, but for its last octet.
      if (way === 'half-frames') peer.write(Buffer.concat([Buffer.of(1, 0, 0x30, 0), Buffer.alloc(12_287)]));
      return peer;
    }
    const peer = await openSession(target, slow);
    peer.write(
      way === 'headers'
        ? 'GET / HTTP/1.1\r\nHost: cloud.mesh\r\nX-Slow: '
        : requestText({ method: 'POST', chain, headers: ['Content-Length: 1000000'], body: 'x' }),
    );
    return peer;
  };
  let left = count;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left--;
      peers.push(await open());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  let tick = 0;
  if (way === 'headers' || way === 'bodies')
    setInterval(() => {
      for (let at = tick++ % TICKS; at < peers.length; at += TICKS)
        if (peers[at]?.socket.writable === true) peers[at]?.write('x');
    }, ROUND_MS / TICKS);
  process.send?.({ ready: peers.length });
};

process.on('message', (message: SlowTask | 'stop') => {
  if (message !== 'stop') {
    start(message).catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
    return;
  }
  process.send?.({ ended: peers.filter(({ closed }) => closed).length }, () => process.exit(0));
});
process.on('disconnect', () => process.exit(0));
