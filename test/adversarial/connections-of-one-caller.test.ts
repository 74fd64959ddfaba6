/** One agent that holds connections open must not shut the others out, with or without a chain. */
import { afterEach, expect, it } from 'vitest';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';
import { connectTlsTo, frame, openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

let mesh: Mesh;
const open: RawPeer[] = [];
afterEach(() => {
  for (const peer of open.splice(0)) peer.close();
  mesh.stop();
});

it('refuses one agent a further connection, lets another in, and the first again when it has let go', async () => {
  mesh = await makeMesh({
    domain: { agents: ['planning/abc123', 'planning/xyz789', 'inventory/def456'] },
    config: { limits: { connections: 4, connectionsPerCaller: 2 } },
  });
  const target = await mesh.start('inventory/def456');
  const greedy = mesh.domain.agent('planning/abc123');
  const other = mesh.domain.agent('planning/xyz789');
  for (let held = 0; held < 2; held++) open.push(await openSession(target, greedy));

  const refused = await connectTlsTo(target, { cert: greedy.svidPem, key: greedy.svidKeyPem });
  open.push(refused);
  expect(await refused.readFrame()).toEqual(frame(4, [Buffer.of(1), 'hs_busy']));

  const peer = await openSession(target, other);
  open.push(peer);
  const chain = forgeChain(mesh.domain, [other], { scope: ['cloud:read'] });
  expect((await peer.ask(requestText({ chain }))).status).toBe(200);

  open[0]?.close();
  await expect
    .poll(() => openSession(target, greedy).then((again) => open.push(again)), { timeout: 5000 })
    .toBeGreaterThan(0);
});

it('a client that is refused another protocol, and does not hang up, has no place any more', async () => {
  mesh = await makeMesh({
    domain: { agents: ['planning/abc123', 'inventory/def456'] },
    config: { limits: { connections: 4, connectionsPerCaller: 2 } },
  });
  const target = await mesh.start('inventory/def456');
  const caller = mesh.domain.agent('planning/abc123');
  const headers = ['Upgrade: websocket', 'Connection: upgrade'];
  for (let refused = 0; refused < 4; refused++) {
    // The door's end of the connection before may close a moment after ours.
    await expect
      .poll(() => openSession(target, caller).then((peer) => open.push(peer)), { timeout: 5000 })
      .toBe(refused + 1);
    const peer = open.at(-1) as RawPeer;
    peer.socket.allowHalfOpen = true;
    expect((await peer.ask(requestText({ headers }))).code).toBe('chain_missing');
    await peer.ended();
  }
});
