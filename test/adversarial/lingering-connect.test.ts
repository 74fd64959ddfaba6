/** A process without the secret must not hold sockets of the door out for ever. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

it('a refused CONNECT whose sender does not hang up loses its socket', async () => {
  mesh = await makeMesh();
  const { proxyUrl } = await mesh.start('planning/abc123');
  const socket = connect({
    host: '127.0.0.1',
    port: Number(new URL(proxyUrl).port),
    // Its own side stays open when the sidecar has said all it has to say.
    allowHalfOpen: true,
  });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  socket.on('error', () => undefined);
  socket.write('CONNECT inventory.mesh:80 HTTP/1.1\r\nHost: inventory.mesh\r\n\r\n');
  await once(socket, 'end');
  expect(text).toContain('agent_unauthenticated');
  // Writing shows that the other side is gone.
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const probe = setInterval(() => socket.write('x'), 100);
  await closed;
  clearInterval(probe);
}, 5000);
