import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as undici from 'undici';
import { expect, it } from 'vitest';
import { Client, Pool, request } from '../../../../src/edge/http/undici.ts';

it('loads the dispatchers that undici exports, and no copies of them', () => {
  expect(Client).toBe(undici.Client);
  expect(Pool).toBe(undici.Pool);
});

it('makes requests as undici does', async () => {
  const server = createServer((asked, answer) => answer.end(`${asked.method} ${asked.url}`)).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const client = new Client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const { statusCode, body } = await request(client, { method: 'GET', path: '/there' });
    expect([statusCode, await body.text()]).toEqual([200, 'GET /there']);
  } finally {
    await client.close();
    server.close();
  }
});
