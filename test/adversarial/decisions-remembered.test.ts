/** A caller chooses its targets and makes its own grants: what is remembered of them must not fill memory. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { forgeChain } from '../testkit/forge.ts';
import { type HttpDoors, startHttpDoors } from '../testkit/http-doors.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';

let doors: HttpDoors;
beforeAll(async () => {
  doors = await startHttpDoors();
});
afterAll(() => doors.stop());

it.each([
  ['a short target is remembered', '/vpcs?page=2', [false, true]],
  ['a long one is decided anew each time', `/vpcs?filter=${'x'.repeat(8_192)}`, [false, false]],
])('%s', async (_, target, cached) => {
  const planning = doors.mesh.domain.agent('planning/abc123');
  const chain = forgeChain(doors.mesh.domain, [planning], { scope: ['cloud:read'] });
  const peer = await openSession(doors.target, planning);
  for (const expected of cached) {
    expect((await peer.ask(requestText({ chain, target }))).status).toBe(200);
    expect(doors.target.log().findLast(({ kind }) => kind === 'decision')).toMatchObject({
      verdict: 'permit',
      cached: expected,
    });
  }
  peer.close();
});
