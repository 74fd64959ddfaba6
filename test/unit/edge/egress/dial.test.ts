import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Destination } from '../../../../src/core/policy/destination.ts';
import { type DialOptions, dial } from '../../../../src/edge/egress/dial.ts';
import { Outside, PUBLIC } from '../../../testkit/outside.ts';

const HOME = 'db.partner.example:5432' as Destination;

describe('a connection to a destination', () => {
  let server: Server;
  let outside: Outside;
  const options = (more: Partial<DialOptions> = {}): DialOptions => ({
    network: outside,
    allowPrivate: [],
    timeoutMs: 5000,
    signal: new AbortController().signal,
    ...more,
  });
  beforeAll(async () => {
    server = createServer((socket: Socket) => socket.on('error', () => undefined).end('there'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => server.close());
  beforeEach(() => {
    outside = new Outside();
  });

  it('is made to the address that was checked, and the name is asked for once', async () => {
    outside.put('db.partner.example', 5432, server);
    const dialled = await dial(HOME, options());
    expect(dialled.ok).toBe(true);
    if (dialled.ok) dialled.value.destroy();
    expect(outside.resolved).toEqual(['db.partner.example']);
    expect(outside.dialled).toEqual([`${PUBLIC}:5432`]);
  });
  it('is not led elsewhere by a name that resolves otherwise the second time', async () => {
    outside.put('db.partner.example', 5432, server);
    const answers = [[PUBLIC], ['127.0.0.1']];
    outside.names.set('db.partner.example', () => answers.shift() ?? []);
    const dialled = await dial(HOME, options());
    expect(dialled.ok).toBe(true);
    if (dialled.ok) dialled.value.destroy();
    const again = await dial(HOME, options());
    expect(again).toMatchObject({ reason: 'egress_address_forbidden' });
    expect(outside.dialled).toEqual([`${PUBLIC}:5432`]);
  });
  it.each([
    ['127.0.0.1'],
    ['10.0.0.1'],
    ['169.254.169.254'],
    ['fd00:ec2::254'],
    ['::ffff:127.0.0.1'],
    ['::1'],
    ['192.168.7.7'],
    [PUBLIC, '10.0.0.1'],
    ['10.0.0.1', PUBLIC],
    [PUBLIC, '8.8.8.8', '::1'],
    ['not-an-address'],
  ])('is not made where the name resolves to %s %s %s', async (...addresses) => {
    outside.names.set('db.partner.example', addresses);
    outside.servers.set(`${PUBLIC}:5432`, 1);
    expect(await dial(HOME, options())).toMatchObject({ reason: 'egress_address_forbidden' });
    expect(outside.dialled).toEqual([]);
  });
  it('is made to a private address in a range that policy opens, and to no other', async () => {
    outside.put('db.partner.example', 5432, server, '10.2.0.9');
    const dialled = await dial(HOME, options({ allowPrivate: ['10.2.0.0/16'] }));
    expect(dialled.ok).toBe(true);
    if (dialled.ok) dialled.value.destroy();
    expect(await dial(HOME, options({ allowPrivate: ['10.3.0.0/16'] }))).toMatchObject({
      reason: 'egress_address_forbidden',
    });
  });
  it('is tried at further addresses when one does not answer', async () => {
    outside.put('db.partner.example', 5432, server, '1.1.1.1');
    outside.names.set('db.partner.example', ['8.8.8.8', '1.1.1.1', '2606:4700::1111']);
    const dialled = await dial(HOME, options());
    expect(dialled.ok).toBe(true);
    if (dialled.ok) dialled.value.destroy();
    expect(outside.dialled).toEqual([
      '8.8.8.8:5432',
      '[2606:4700::1111]:5432'.replace(/[[\]]/g, ''),
      '1.1.1.1:5432',
    ]);
  });
  it('has its own words for a name that nobody knows, that has no address, and that has too many', async () => {
    expect(await dial(HOME, options())).toMatchObject({ reason: 'egress_unresolved' });
    outside.names.set('db.partner.example', []);
    expect(await dial(HOME, options())).toMatchObject({ reason: 'egress_unresolved' });
    outside.names.set(
      'db.partner.example',
      Array.from({ length: 65 }, (_, at) => `8.8.4.${at}`),
    );
    expect(await dial(HOME, options())).toMatchObject({ reason: 'egress_unresolved' });
  });
  it('is given up when nobody answers, at the name and at the address', async () => {
    outside.names.set('db.partner.example', () => new Promise<never>(() => undefined));
    expect(await dial(HOME, options({ timeoutMs: 20 }))).toMatchObject({ reason: 'egress_unresolved' });
    outside.names.set('db.partner.example', [PUBLIC]);
    expect(await dial(HOME, options())).toMatchObject({ reason: 'egress_unreachable' });
  });
  it('is not begun when it was called off before', async () => {
    outside.put('db.partner.example', 5432, server);
    const signal = AbortSignal.abort();
    expect((await dial(HOME, options({ signal }))).ok).toBe(false);
    expect(outside.dialled).toEqual([]);
  });
});
