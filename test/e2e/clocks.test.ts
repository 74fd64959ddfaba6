/**
 * One clock of three is wrong, by a minute or an hour, ahead or behind: what must be refused is, and the log of who refuses it says
 * both times, and whose clock it is. What TLS itself looks at is the machine's clock, which is right here.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Answer, sendThrough } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PATIENCE = { timeout: 10_000 };
type Side = 'caller' | 'callee';

let mesh: VerifiedMesh;
let planning: VerifiedMember;
let inventory: VerifiedMember;
let context: string;
/** Of the sidecar that is wrong, or of both where the verifier is. */
let own: TestClock;
afterEach(() => mesh.stop());

const start = async (wrong: readonly Side[]): Promise<void> => {
  mesh = await makeVerifiedMesh();
  own = new TestClock(mesh.clock.now());
  const clockOf = (side: Side) => (wrong.includes(side) ? { clock: own } : {});
  inventory = await mesh.start('inventory/1', clockOf('callee'));
  planning = await mesh.start('planning/1', {
    ...clockOf('caller'),
    routes: { 'inventory.mesh': 'inventory/1' },
  });
  context = await mesh.startTask('planning/1', mesh.mintRoot(planning));
};
const ask = (): Promise<Answer> => sendThrough(planning, 'http://inventory.mesh/vpcs', { context });
const lineOf = ({ said }: VerifiedMember, text: RegExp) => said.find(({ msg }) => text.test(String(msg)));
const wordsFor = (seconds: number): RegExp =>
  new RegExp(
    `^this machine’s clock is (${[-1, 0, 1].map((off) => Math.abs(seconds) + off).join('|')}) s ${seconds > 0 ? 'ahead of' : 'behind'} the verifier’s$`,
  );

describe.each<[Side, number, string | undefined, Side]>([
  // The grant that it signs is from the future.
  ['caller', 60, 'link_not_yet_valid', 'callee'],
  ['caller', -60, 'wit_not_yet_valid', 'caller'],
  ['caller', -3600, 'svid_expired', 'caller'],
  // Nothing that it is shown is from the future, and nothing has ended.
  ['callee', 60, undefined, 'callee'],
  ['callee', -60, 'wit_not_yet_valid', 'callee'],
  ['callee', 3600, 'svid_expired', 'callee'],
  ['callee', -3600, 'svid_expired', 'callee'],
])('the %s’s clock, by %d s', (wrong, seconds, reason, refuser) => {
  it(`ends in ${reason ?? 'nothing'}`, async () => {
    await start([wrong]);
    own.advanceSeconds(seconds);
    const member = refuser === 'caller' ? planning : inventory;
    // What the verifier says the time is, is as old as its last answer.
    await member.source.renew();
    const answer = await ask();
    if (reason === undefined) {
      expect(answer.status).toBe(200);
      return;
    }
    expect(`${answer.code} ${answer.body}`).toContain(reason);
    expect(inventory.seen).toEqual([]);
    const line = lineOf(member, /refused for its time/);
    const isOwn = wrong === refuser;
    expect(line).toMatchObject({
      reason,
      level: 40,
      now: isOwn ? own.seconds : mesh.clock.seconds,
      detail: expect.stringMatching(/\d{10}.* it is \d{10}/),
      // Who is right says so too: then it is the other one.
      clocks: isOwn ? expect.stringMatching(wordsFor(seconds)) : expect.stringMatching(/^both clocks agree/),
    });
  });
});

it('the caller’s clock, an hour ahead: its contexts, SVID and session have ended', async () => {
  await start(['caller']);
  expect((await ask()).status).toBe(200);
  own.advanceSeconds(3600);
  context = await mesh.startTask('planning/1', mesh.mintRoot(planning, { ttlSeconds: 7200 }));
  const seen = inventory.seen.length;
  expect((await ask()).code).toBeOneOf(['svid_expired', 'wit_expired', 'session_expired', 'bundle_stale']);
  expect(inventory.seen).toHaveLength(seen);
});

describe.each([
  [60, 'bundle_expired'],
  [3600, 'bundle_expired'],
] as const)('the verifier’s clock, by %d s', (seconds, reason) => {
  it(`ends in ${reason}, and what was in force stays`, async () => {
    await start(['caller', 'callee']);
    expect((await ask()).status).toBe(200);
    mesh.clock.advanceSeconds(seconds);
    await mesh.publishPolicy({ revision: 'test-2' });
    await vi.waitFor(() => {
      for (const member of [planning, inventory])
        expect(lineOf(member, /refused; the last good one is kept/)).toMatchObject({
          reason,
          level: 50,
          now: own.seconds,
          detail: expect.stringMatching(/\d{10}.* it is \d{10}/),
        });
    }, PATIENCE);
    expect((await ask()).status).toBe(200);
  });
});

it.each([-60, -3600])(
  'the verifier’s clock, by %d s: it signs nothing older than its roles, and says so',
  async (seconds) => {
    await start(['caller', 'callee']);
    mesh.clock.advanceSeconds(seconds);
    await expect(mesh.publishPolicy({ revision: 'test-2' })).rejects.toMatchObject({
      reason: 'api_unavailable',
      message: expect.stringContaining('could not be made'),
    });
    expect((await ask()).status).toBe(200);
  },
);
