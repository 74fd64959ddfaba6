import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EgressNetwork, systemNetwork } from '../../../../src/edge/egress/network.ts';

const [A, AAAA] = [1, 28];
type Records = Readonly<Record<string, Partial<Record<'A' | 'AAAA', readonly number[][]>>>>;
const NXDOMAIN = 3;
const SERVFAIL = 2;

/** A name server, as small as one can be: what it is asked it answers from a table. */
const answer = (query: Buffer, records: Records, failing: ReadonlySet<string>, asked: string[]): Buffer => {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const name = labels.join('.').toLowerCase();
  const type = query.readUInt16BE(at + 1);
  asked.push(name);
  const kind = type === A ? 'A' : 'AAAA';
  const known = records[name];
  const found = (type === A || type === AAAA ? known?.[kind] : undefined) ?? [];
  const code = failing.has(`${name} ${kind}`) ? SERVFAIL : known === undefined ? NXDOMAIN : 0;
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180 | code, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(code === 0 ? found.length : 0, 6);
  const rest = found.map((octets) => {
    const record = Buffer.alloc(12 + octets.length);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(60, 6);
    record.writeUInt16BE(octets.length, 10);
    Buffer.from(octets).copy(record, 12);
    return record;
  });
  return Buffer.concat([head, query.subarray(12, at + 5), ...(code === 0 ? rest : [])]);
};

describe('a name beyond the mesh', () => {
  let server: Socket;
  let network: EgressNetwork;
  const asked: string[] = [];
  const SIX = [0x26, 0x06, 0x47, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11, 0x11];
  const records: Records = {
    'both.example': {
      A: [
        [1, 1, 1, 1],
        [10, 0, 0, 1],
      ],
      AAAA: [SIX],
    },
    'four.example': { A: [[1, 1, 1, 1]] },
    'six.example': { AAAA: [SIX] },
    'none.example': {},
    'half.example': { A: [[1, 1, 1, 1]] },
  };
  const failing = new Set(['half.example AAAA', 'broken.example A', 'broken.example AAAA']);
  beforeAll(async () => {
    server = createSocket('udp4');
    server.on('message', (query, { port, address }) =>
      server.send(answer(query, records, failing, asked), port, address),
    );
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    network = systemNetwork([`127.0.0.1:${server.address().port}`]);
  });
  afterAll(() => server.close());

  it('has all of its addresses, of both kinds', async () => {
    expect(await network.resolve('both.example')).toEqual(['1.1.1.1', '10.0.0.1', '2606:4700::1111']);
    expect(await network.resolve('four.example')).toEqual(['1.1.1.1']);
    expect(await network.resolve('six.example')).toEqual(['2606:4700::1111']);
  });
  it('may have none, and that is no fault', async () => {
    expect(await network.resolve('none.example')).toEqual([]);
    expect(await network.resolve('unknown.example')).toEqual([]);
  });
  it('has those that are known when the other kind can’t be asked, and a fault when neither can', async () => {
    expect(await network.resolve('half.example')).toEqual(['1.1.1.1']);
    await expect(network.resolve('broken.example')).rejects.toMatchObject({ code: 'ESERVFAIL' });
  });
  it('is asked for as it is: no search list, no hosts file', async () => {
    asked.length = 0;
    await network.resolve('short');
    await network.resolve('localhost.localdomain').catch(() => []);
    expect(new Set(asked.filter((name) => !name.startsWith('localhost')))).toEqual(new Set(['short']));
  });
});
