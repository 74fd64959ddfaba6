import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { expectAllowed, expectProblem, recordsOf } from '../testkit/attack.ts';
import { forgeChain } from '../testkit/forge.ts';
import { type HttpDoors, startHttpDoors } from '../testkit/http-doors.ts';
import { openSession, type RawRequest, requestText } from '../testkit/raw-peer.ts';

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

describe('targets', () => {
  it.each([
    '/pub/../admin',
    '/pub/..',
    '/..',
    '/./',
    '/pub/./x',
    '/pub/%2e%2e/admin',
    '/pub/%2E%2E/admin',
    '/pub/.%2e/admin',
    '/pub%2f..%2fadmin',
    '/pub\\..\\admin',
    '/pub%5c..%5cadmin',
    '//admin',
    '/pub//admin',
    '/pub/;/admin',
    '/pub;x=1',
    '/pub%3b',
    '/pub%00',
    '/pub%00.html',
    '/%',
    '/%2',
    '/%zz',
    '/%41',
    '/pub%20x%2fy',
    '/pub#x',
    '/pub?a#b',
    '/pub?a\\b',
    '/p%0d%0aX: 1',
    '/pub|x',
    '/pub"x',
    '/<pub>',
    '/{pub}',
    '/pub^',
    '/pub`',
    'http://inventory.mesh/vpcs',
    'https://evil.example/',
    '*',
    'vpcs',
    '?x',
    '.',
    'inventory.mesh:80',
    '/pub\u00e9',
    '/%C3%a9',
  ])('%s', async (path) => {
    const peer = await openSession(doors.witness, planning());
    const answer = await peer.ask(ask({ target: path }));
    const reason = answer.code as ReasonCode;
    expect(['target_not_canonical', 'http_malformed']).toContain(reason);
    expectProblem(answer, reason);
    expect(recordsOf(doors.witness, peer.hop)).toMatchObject([{ verdict: 'deny', reason }]);
    expect(doors.wire.text).toBe('');
    peer.close();
  });

  it.each(['/', '/a/b/', '/a.b/-_~', '/x?y=/../z&u=http://e/', '/%20%C3%A9', "/a:b@c!$&'()*+,="])(
    '%s goes on octet for octet',
    async (path) => {
      await openSession(doors.witness, planning()).then(async (peer) => {
        expect((await peer.ask(ask({ target: path }))).status).toBe(200);
        peer.close();
      });
      expect(doors.wire.text.split('\r\n')[0]).toBe(`GET ${path} HTTP/1.1`);
    },
  );

  it('no query comes into the log', async () => {
    await expectAllowed(doors.target, planning(), { chain: chain(), target: '/vpcs?token=secret-in-query' });
    expect(JSON.stringify(doors.target.log())).not.toContain('secret-in-query');
  });
});
