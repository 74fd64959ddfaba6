import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectProblem, recordsOf } from '../testkit/attack.ts';
import { forgeChain } from '../testkit/forge.ts';
import { BODY_LIMIT, type HttpDoors, startHttpDoors } from '../testkit/http-doors.ts';
import { openSession, type RawPeer, type RawRequest, requestText } from '../testkit/raw-peer.ts';

let doors: HttpDoors;
beforeAll(async () => {
  doors = await startHttpDoors();
});
beforeEach(() => {
  doors.wire.text = '';
});
afterAll(() => doors.stop());

const planning = () => doors.mesh.domain.agent('planning/abc123');
const chain = (): string =>
  forgeChain(doors.mesh.domain, [planning()], { scope: ['cloud:read', 'cloud:write'] });
const ask = (request: RawRequest): string => requestText({ chain: chain(), ...request });

describe('pipelining', () => {
  const hopsOf = (peer: RawPeer) =>
    doors.target.log().filter(({ kind, hop }) => kind === 'decision' && String(hop).startsWith(peer.session));

  it('each request is decided on its own and answered in its place', async () => {
    const peer = await openSession(doors.target, planning());
    const texts = [
      ask({}),
      requestText({}),
      ask({ target: '/a/../b' }),
      ask({ method: 'POST', headers: ['Content-Length: 2'], body: 'ab' }),
      ask({ target: '/last' }),
    ];
    peer.write(texts.join(''));
    const codes = [];
    for (const _ of texts) codes.push((await peer.readResponse()).code ?? 'ok');
    expect(codes).toEqual(['ok', 'chain_missing', 'target_not_canonical', 'ok', 'ok']);
    expect(hopsOf(peer).map(({ hop, reason }) => [hop, reason])).toEqual(
      codes.map((code, index) => [`${peer.session}.${index + 1}`, code]),
    );
    peer.close();
  });

  it('garbage behind a request that is not answered yet is not answered in its place', async () => {
    const peer = await openSession(doors.target, planning());
    peer.write(`${ask({})}GARBAGE\r\n\r\n`);
    expect(await peer.readResponse()).toMatchObject({ status: 200 });
    expect(await peer.readResponse()).toMatchObject({ status: 400, code: 'http_malformed' });
    await peer.ended();
    expect(hopsOf(peer).map(({ reason }) => reason)).toEqual(['ok', 'http_malformed']);
  });

  it('CONNECT behind a request that is not answered yet neither', async () => {
    const peer = await openSession(doors.target, planning());
    peer.write(`${ask({})}CONNECT evil:80 HTTP/1.1\r\nHost: evil\r\n\r\n`);
    expect(await peer.readResponse()).toMatchObject({ status: 200 });
    expect(await peer.readResponse()).toMatchObject({ status: 501, code: 'http_upgrade' });
    await peer.ended();
    expect(hopsOf(peer).map(({ reason }) => reason)).toEqual(['ok', 'http_upgrade']);
  });

  it('a refused body is not read as the next request', async () => {
    const peer = await openSession(doors.witness, planning());
    const inner = ask({ target: '/inner' });
    peer.write(requestText({ method: 'POST', headers: [`Content-Length: ${inner.length}`], body: inner }));
    expect((await peer.readResponse()).code).toBe('chain_missing');
    expect(recordsOf(doors.witness, `${peer.session}.2`)).toEqual([]);
    expect(doors.wire.text).toBe('');
    peer.close();
  });
});

describe('bodies and clocks', () => {
  it('a chunked body over the limit', async () => {
    const peer = await openSession(doors.target, planning());
    peer.requests++;
    const chunk = `1000\r\n${'x'.repeat(0x1000)}\r\n`;
    peer.write(ask({ method: 'POST', headers: ['Transfer-Encoding: chunked'], body: chunk }));
    peer.write(`${chunk}0\r\n\r\n`);
    expectProblem(await peer.readResponse(), 'http_body_too_large');
    await expect
      .poll(() => recordsOf(doors.target, peer.hop))
      .toMatchObject([
        { verdict: 'permit' },
        { kind: 'outcome', result: 'http_body_too_large', status: 413 },
      ]);
    peer.close();
  });

  it('a body of just the limit passes', async () => {
    const peer = await openSession(doors.target, planning());
    expect(
      (
        await peer.ask(
          ask({ method: 'POST', headers: [`Content-Length: ${BODY_LIMIT}`], body: 'x'.repeat(BODY_LIMIT) }),
        )
      ).status,
    ).toBe(200);
    peer.close();
  });

  it('headers that come one octet at a time', async () => {
    const peer = await openSession(doors.target, planning());
    const text = ask({});
    let sent = 0;
    const timer = setInterval(() => peer.write(text.slice(sent, ++sent)), 40);
    const answer = await peer.readResponse();
    clearInterval(timer);
    expectProblem(answer, 'http_timeout');
    expect(recordsOf(doors.target, `${peer.session}.1`)).toMatchObject([
      { verdict: 'deny', reason: 'http_timeout' },
    ]);
    await peer.ended();
  });

  it('a body that stands still', async () => {
    const peer = await openSession(doors.target, planning());
    peer.requests++;
    peer.write(ask({ method: 'POST', headers: ['Content-Length: 10'], body: 'abc' }));
    expectProblem(await peer.readResponse(), 'http_timeout');
    await expect
      .poll(() => recordsOf(doors.target, peer.hop))
      .toMatchObject([{ verdict: 'permit' }, { kind: 'outcome', result: 'http_timeout' }]);
    await peer.ended();
  });

  it('Expect: 100-continue is answered after the decision, and only then', async () => {
    const peer = await openSession(doors.target, planning());
    peer.requests++;
    peer.write(ask({ method: 'POST', headers: ['Content-Length: 3', 'Expect: 100-continue'] }));
    expect((await peer.readResponse()).status).toBe(100);
    expect(recordsOf(doors.target, peer.hop)).toMatchObject([{ verdict: 'permit' }]);
    peer.write('abc');
    expect((await peer.readResponse()).status).toBe(200);
    const before = doors.target.seen.length;
    expectProblem(
      await peer.ask(requestText({ method: 'POST', headers: ['Content-Length: 3', 'Expect: 100-continue'] })),
      'chain_missing',
    );
    await peer.ended();
    expect(doors.target.seen).toHaveLength(before);
  });
});
