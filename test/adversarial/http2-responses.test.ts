/**
 * Node's HTTP/2 throws at what HTTP/1.1 lets pass, or what another HTTP/2 does. Thrown in the middle of a response, it would end the
 * sidecar: whoever answers, or asks, would have a switch for it. (An exception that nobody catches fails the run.)
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import {
  END_STREAM,
  type Field,
  type H2Answer,
  h2Frame,
  openH2,
  requestFields,
  TYPE,
  uint32,
} from '../testkit/raw-h2.ts';
import { headersFrame, RawH2Agent } from '../testkit/raw-h2-agent.ts';
import { eachRequest, type RawUpstream, rawUpstream } from '../testkit/raw-upstream.ts';

let mesh: Mesh;
let overH1: MeshAgent;
let overH2: MeshAgent;
let upstream: RawUpstream;
let h1Answer = '';
const h1Requests: string[] = [];
let h2Answer: (stream: number) => Buffer[] = () => [];

const h2Agent = new RawH2Agent(({ type, flags, stream }, socket) => {
  if (type === TYPE.headers || type === TYPE.data)
    if ((flags & END_STREAM) !== 0) socket.write(Buffer.concat(h2Answer(stream)));
});

beforeAll(async () => {
  mesh = await makeMesh({ domain: { agents: ['planning/abc123', 'inventory/def456', 'security/s1'] } });
  upstream = await rawUpstream((socket) =>
    eachRequest(socket, (text) => {
      h1Requests.push(text);
      socket.write(h1Answer, 'latin1');
    }),
  );
  overH1 = await mesh.start('inventory/def456', { agentPort: upstream.port });
  overH2 = await mesh.start('security/s1', {
    agentPort: await h2Agent.listen(),
    config: { inbound: { agentHttp: 'h2c' } },
  });
});
afterAll(async () => {
  mesh.stop();
  h2Agent.close();
  await upstream.close();
});

const caller = () => mesh.domain.agent('planning/abc123');
const chain = (): string => forgeChain(mesh.domain, [caller()], { scope: ['cloud:read', 'cloud:write'] });

const ask = async (target: MeshAgent, method = 'GET'): Promise<H2Answer> => {
  const peer = await openH2(target, caller());
  try {
    return await peer.ask(requestFields({ chain: chain(), method }));
  } finally {
    peer.close();
  }
};

const lastOutcome = async (target: MeshAgent): Promise<unknown> => target.log().at(-1)?.result;

describe('an agent that answers over HTTP/1.1, asked over HTTP/2', () => {
  it.each([
    ['two dates', 'HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\nContent-Length: 2\r\n\r\nok'],
    ['a header of the other version', 'HTTP/1.1 200 OK\r\nHTTP2-Settings: AA\r\nContent-Length: 2\r\n\r\nok'],
    [
      'an interim response with two ages',
      'HTTP/1.1 103 Early Hints\r\nAge: 1\r\nAge: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    ],
    [
      'trailers with two ages',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nAge: 1\r\nAge: 2\r\n\r\n',
    ],
    ['__proto__', 'HTTP/1.1 200 OK\r\n__proto__: a\r\n__PROTO__: b\r\nContent-Length: 2\r\n\r\nok'],
  ])('sends %s and is heard', async (_, answer) => {
    h1Answer = answer;
    expect(await ask(overH1)).toMatchObject({ status: 200, body: 'ok', whole: true });
  });
});

describe('an agent that answers over HTTP/2', () => {
  const head = (stream: number, fields: readonly Field[], ends = true): Buffer =>
    headersFrame(stream, fields, ends);

  it.each<[string, readonly Field[]]>([
    [
      'two etags',
      [
        ['etag', 'a'],
        ['etag', 'b'],
      ],
    ],
    ['a header of an upgrade', [['http2-settings', 'AA']]],
  ])('sends %s as headers, hints and trailers, and is heard', async (_, fields) => {
    h2Answer = (stream) => [
      head(stream, [[':status', '103'], ...fields], false),
      head(stream, [[':status', '200'], ...fields], false),
      h2Frame(TYPE.data, 0, stream, 'ok'),
      head(stream, fields),
    ];
    expect(await ask(overH2)).toMatchObject({ status: 200, body: 'ok', whole: true });
  });

  it.each(['000', '099', '600', '999'])('sends the status %s, which is none', async (status) => {
    h2Answer = (stream) => [head(stream, [[':status', status]])];
    expect(await ask(overH2)).toMatchObject({ status: 502, code: 'upstream_failed' });
  });

  it('ends what has no body in a frame of its own', async () => {
    h2Answer = (stream) => [
      head(
        stream,
        [
          [':status', '200'],
          ['content-length', '5'],
        ],
        false,
      ),
      h2Frame(TYPE.data, END_STREAM, stream),
    ];
    expect(await ask(overH2, 'HEAD')).toMatchObject({ status: 200, whole: true });
    h2Answer = (stream) => [
      head(stream, [[':status', '204']], false),
      h2Frame(TYPE.data, END_STREAM, stream),
    ];
    expect(await ask(overH2)).toMatchObject({ status: 204, whole: true });
    expect(await lastOutcome(overH2)).toBe('ok');
  });

  it('sends interim responses without end and is cut off', async () => {
    h2Answer = (stream) => Array.from({ length: 300 }, () => head(stream, [[':status', '103']], false));
    expect(await ask(overH2)).toMatchObject({ status: 502, code: 'upstream_failed' });
  });
});

describe('a caller that sends trailers', () => {
  const post = async (target: MeshAgent, fields: readonly Field[]): Promise<H2Answer> => {
    const peer = await openH2(target, caller());
    const stream = peer.newStream();
    peer.write(
      headersFrame(stream, requestFields({ chain: chain(), method: 'POST' })),
      h2Frame(TYPE.data, 0, stream, 'body'),
      headersFrame(stream, fields, true),
    );
    const answer = await peer.answerOn(stream);
    peer.close();
    return answer;
  };

  it.each<[string, readonly Field[]]>([
    ['of an upgrade', [['http2-settings', 'AA']]],
    [
      'twice',
      [
        ['user-agent', 'a'],
        ['user-agent', 'b'],
      ],
    ],
  ])('%s ends nothing', async (_, fields) => {
    h2Answer = (stream) => [headersFrame(stream, [[':status', '200']], true)];
    expect(await post(overH2, fields)).toMatchObject({ status: 200, whole: true });
  });

  it('that would be an identity to an agent over HTTP/1.1 has them dropped', async () => {
    h1Answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    const spoofed = ['hopgate-principal', 'hopgate_caller', 'x-forwarded-client-cert', 'transfer_encoding'];
    const fields = [...spoofed.map((name) => [name, 'a'] as const), ['x-sum', '1'] as const];
    expect(await post(overH1, fields)).toMatchObject({ status: 200, whole: true });
    expect(h1Requests.at(-1)).toMatch(/\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n$/);
  });
});

describe('a caller that takes no answer', () => {
  it('has each refused stream taken from it', async () => {
    const peer = await openH2(overH1, caller());
    const noRoom = Buffer.concat([Buffer.of(0, 4), uint32(0)]);
    peer.write(h2Frame(TYPE.settings, 0, 0, noRoom));
    const streams = Array.from({ length: 20 }, () => peer.newStream());
    for (const stream of streams) peer.write(headersFrame(stream, requestFields({ method: 'POST' })));
    for (const stream of streams)
      expect(await peer.answerOn(stream)).toMatchObject({ status: 401, whole: false, reset: 2 });
    peer.close();
  });
});
