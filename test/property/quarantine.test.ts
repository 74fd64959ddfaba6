/** Only a reviewer's own key opens what is kept, and a release is for one request, at one sidecar, once. */
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { QuarantinedRequest } from '../../src/core/quarantine/item.ts';
import { unseal } from '../../src/edge/store/quarantine-seal.ts';
import { permitted, reasonOf, testAgent } from '../testkit/core-world.ts';
import { BODY, CAUSE, passes, person, QuarantineWorld, REQUEST } from '../testkit/quarantine-world.ts';

const people = ['bob', 'carol', 'dave', 'erin'].map(person);

test('whoever the reviewers are, they can read it and nobody else can', async () => {
  const world = new QuarantineWorld();
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 400 }),
      fc.subarray(people, { minLength: 1 }),
      async (octets, reviewers) => {
        const body = Buffer.from(octets);
        const quarantine = world.open({ maxItems: 1000, maxItemsPerCaller: 1000 }, reviewers);
        const named = quarantine.name(REQUEST, body);
        permitted(await quarantine.keep(named, CAUSE, body));
        const [one] = reviewers;
        const word = world.word(named.id, 'quarantine-inspect+jwt', {}, one);
        const text = permitted(await quarantine.inspect(named.id, word));
        for (const somebody of people) {
          const opened = await unseal(named.id, text, somebody.key);
          expect(opened.ok).toBe(reviewers.includes(somebody));
          if (opened.ok) expect(opened.value.body.equals(body)).toBe(true);
          // Under a reviewer's name, with another key.
          const { privateKey } = generateKeyPairSync('x25519');
          expect(reasonOf(await unseal(named.id, text, { ...somebody.key, unseal: privateKey }))).toBe(
            'approval_invalid',
          );
        }
        permitted(await quarantine.drop(named.id, ''));
      },
    ),
    { numRuns: 30 },
  );
});

const OTHERS: QuarantinedRequest = {
  caller: testAgent('security').id,
  callee: testAgent('security').id,
  principal: 'mailto:bob@company.com',
  task: 'B'.repeat(42).concat('A'),
  method: 'PUT',
  target: '/reports?for=somebody',
  type: 'text/html',
  encoding: 'gzip',
};
const members = Object.keys(OTHERS) as (keyof QuarantinedRequest)[];

test('a release of one request passes no other, in whatever they differ', async () => {
  const world = new QuarantineWorld();
  const quarantine = world.open();
  await fc.assert(
    fc.asyncProperty(
      fc.subarray(members),
      fc.option(fc.integer({ min: 0, max: BODY.length - 1 }), { nil: undefined }),
      async (changed, at) => {
        const body = Buffer.from(BODY);
        if (at !== undefined) body[at] = (body[at] ?? 0) ^ 1;
        const request = { ...REQUEST, ...Object.fromEntries(changed.map((name) => [name, OTHERS[name]])) };
        const isSame = changed.length === 0 && at === undefined;
        const { id } = quarantine.name(REQUEST, BODY);
        permitted(await quarantine.keep(quarantine.name(REQUEST, BODY), CAUSE, BODY));
        permitted(await quarantine.release(id, world.word(id)));
        expect(await passes(quarantine, body, request)).toBe(isSame);
        // Nobody else has used it up.
        expect(await passes(quarantine)).toBe(!isSame);
        expect(await passes(quarantine)).toBe(false);
      },
    ),
    { numRuns: 60 },
  );
});

test('a release at one sidecar is none at another, that has kept the very same and has the same reviewers', async () => {
  const [here, there] = [new QuarantineWorld(), new QuarantineWorld()];
  const quarantine = here.open();
  const other = there.open({}, [here.bob], testAgent('security').id);
  for (const one of [quarantine, other]) permitted(await one.keep(one.name(REQUEST, BODY), CAUSE, BODY));
  const [ownId, otherId] = [quarantine.name(REQUEST, BODY).id, other.name(REQUEST, BODY).id];
  const word = here.word(ownId);
  expect(reasonOf(await other.release(otherId, word))).toBe('approval_invalid');
  expect(reasonOf(await other.release(ownId, word))).toBe('api_not_found');
  expect(reasonOf(await other.release(otherId, here.word(otherId)))).toBe('approval_invalid');
  expect(reasonOf(await quarantine.release(ownId, word))).toBe('ok');
});
