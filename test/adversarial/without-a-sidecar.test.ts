/** Clients without a sidecar take no places of others, and what they have under way ends as everybody's does. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { recordsOf } from '../testkit/attack.ts';
import { type Mesh, type MeshAgent, makeMesh, TEST_SCOPE } from '../testkit/mesh.ts';
import { openPlainTo, signedText } from '../testkit/plain-client.ts';
import { openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe('places', () => {
  it('who has an SVID and no agent key does not take those of the sidecar of that agent', async () => {
    const mine = await makeMesh({
      domain: { agents: [PLANNING, INVENTORY], anchor: { scope: TEST_SCOPE } },
      policy: { withoutSidecar: [{ name: 'planners', callerTypes: ['planning'] }] },
      config: { limits: { connectionsPerCaller: 2, peerConnections: 2 } },
    });
    const target = await mine.start(INVENTORY);
    const agent = mine.domain.agent(PLANNING);
    const plain = [await openPlainTo(target, agent), await openPlainTo(target, agent)];
    const third = await openPlainTo(target, agent);
    await third.ended();
    const peer = await openSession(target, agent);
    expect(peer.session).not.toBe('');
    for (const one of [...plain, third, peer]) one.close();
    mine.stop();
  });
});

describe('what ends while it goes on', () => {
  const cutBy = async (change: (own: Mesh, target: MeshAgent) => void): Promise<unknown> => {
    const own = await makeMesh({
      domain: { agents: [PLANNING, INVENTORY], anchor: { scope: TEST_SCOPE } },
      policy: { withoutSidecar: [{ name: 'planners', callerTypes: ['planning'] }] },
      bundle: { epoch: 2, seq: 5 },
    });
    const target = await own.start(INVENTORY, {
      handler: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: one\n\n');
      },
    });
    const agent = own.domain.agent(PLANNING);
    const peer = await openPlainTo(target, agent);
    const held = own.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
    peer.requests++;
    peer.write(signedText(peer, target, agent, { chain: held }));
    await peer.until(() => peer.pending.includes('data: one'));
    change(own, target);
    target.sidecar.reload();
    await peer.ended();
    const code = recordsOf(target, peer.hop).find(({ kind }) => kind === 'outcome')?.result;
    own.stop();
    return code;
  };

  it('a revoked key cuts a stream', async () => {
    const code = await cutBy((own) =>
      own.writeBundle({ epoch: 2, seq: 6, revoked: [{ key: own.domain.agent(PLANNING).thumbprint }] }),
    );
    expect(code).toBe('revoked_key');
  });

  it('so does a revoked agent', async () => {
    const code = await cutBy((own) =>
      own.writeBundle({ epoch: 2, seq: 6, revoked: [{ agent: own.domain.agent(PLANNING).id }] }),
    );
    expect(code).toBe('revoked_agent');
  });

  it('so does a configuration that takes nobody without a sidecar any more', async () => {
    const code = await cutBy((_, { directory }) => {
      const file = path.join(directory, 'sidecar.yaml');
      const document = parse(readFileSync(file, 'utf8')) as { inbound: Record<string, unknown> };
      document.inbound.withoutSidecar = false;
      writeFileSync(file, stringify(document));
    });
    expect(code).toBe('request_proof_not_allowed');
  });

  it('so does a policy that lets nobody come so any more', async () => {
    expect(await cutBy((own) => own.writePolicy({ revision: 'test-2' }))).toBe('request_proof_not_allowed');
  });
});

describe('a WebSocket without a sidecar', () => {
  it('begins with a signed request, and with no other', async () => {
    const sockets: Duplex[] = [];
    const agent = createServer();
    agent.on('upgrade', (_request, socket) => {
      sockets.push(socket);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n');
      socket.pipe(socket);
    });
    await new Promise<void>((ready) => agent.listen(0, '127.0.0.1', ready));
    const own = await makeMesh({
      domain: { agents: [PLANNING, INVENTORY], anchor: { scope: TEST_SCOPE } },
      policy: {
        routes: [{ name: 'chat', path: '/chat', protocol: 'websocket', scopes: ['cloud:read'] }],
        withoutSidecar: [{ name: 'planners', callerTypes: ['planning'] }],
      },
    });
    const target = await own.start(INVENTORY, { agentPort: (agent.address() as AddressInfo).port });
    const planning = own.domain.agent(PLANNING);
    const chain = own.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
    const upgrade = ['Connection: upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const ask = async (lines: (peer: RawPeer) => string): Promise<RawPeer> => {
      const peer = await openPlainTo(target, planning);
      peer.requests++;
      peer.write(lines(peer));
      await peer.until(() => peer.pending.includes('\r\n\r\n'));
      return peer;
    };
    const good = await ask((peer) =>
      signedText(peer, target, planning, {
        chain,
        target: '/chat',
        tamper: (sent) => ({ ...sent, lines: [...sent.lines, ...upgrade] }),
      }),
    );
    expect(good.pending.toString('latin1')).toContain('101 Switching Protocols');
    good.write('octets');
    await good.until(() => good.pending.includes('octets'));
    expect(recordsOf(target, good.hop)).toMatchObject([{ verdict: 'permit', proof: 'request' }]);
    const bad = await ask(() => requestText({ chain, target: '/chat', headers: upgrade }));
    expect(bad.pending.toString('latin1')).toContain('request_proof_missing');
    expect(sockets).toHaveLength(1);
    for (const peer of [good, bad]) peer.close();
    for (const socket of sockets) socket.destroy();
    agent.close();
    own.stop();
  });
});
