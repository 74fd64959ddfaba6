/** What is kept aside is whole, unreadable, bounded and remembered; what is released passes once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { MAX_MESSAGE_BYTES } from '../../../../src/core/limits.ts';
import { type QuarantineHead, writeLabel } from '../../../../src/core/quarantine/item.ts';
import type { Quarantine } from '../../../../src/edge/store/quarantine.ts';
import { seal, unseal } from '../../../../src/edge/store/quarantine-seal.ts';
import { permitted, reasonOf, testAgent } from '../../../testkit/core-world.ts';
import { BODY, keep, passes, person, QuarantineWorld, REQUEST } from '../../../testkit/quarantine-world.ts';
import { smallDisks } from '../../../testkit/small-disk.ts';

const WRITER = fileURLToPath(new URL('../../../testkit/quarantine-writer.ts', import.meta.url));
const DAY = 86_400;
const sizes = (quarantine: Quarantine): number => quarantine.status().items.length;
const stateOf = (quarantine: Quarantine): string | undefined => quarantine.status().items[0]?.state;

describe('what is kept', () => {
  test('is in one file for its owner alone, and comes back as it was for a reviewer', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id, reason } = await keep(quarantine);
    expect(reason).toBe('ok');
    expect(readdirSync(world.folder).sort()).toEqual([`${id}.jwe`, 'secret'].sort());
    expect(statSync(path.join(world.folder, `${id}.jwe`)).mode & 0o777).toBe(0o600);
    expect(statSync(world.folder).mode & 0o777).toBe(0o700);
    const text = permitted(await quarantine.inspect(id, world.word(id, 'quarantine-inspect+jwt')));
    const { label, head, body } = permitted(await unseal(id, text, world.bob.key));
    expect(body.equals(BODY)).toBe(true);
    expect(head).toMatchObject({ target: REQUEST.target, type: REQUEST.type });
    expect(label).toMatchObject({ path: '/reports', type: 'application/json', octets: BODY.length });
    expect(world.history).toEqual([`kept ${REQUEST.caller}`, 'inspected bob']);
  });

  test('is nowhere in clear: not the body, not the query, not a parameter', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    await quarantine.drop(id, 'seen');
    await keep(quarantine);
    const label = Buffer.from(
      (JSON.parse(readFileSync(path.join(world.folder, `${id}.jwe`), 'utf8')) as { aad: string }).aad,
      'base64url',
    );
    const texts = [label.toString(), world.logText, JSON.stringify(quarantine.status())];
    for (const text of texts) {
      expect(text).toContain('/reports');
      expect(text).not.toContain('secret');
    }
  });

  test('has a name that a guess of its body does not confirm', () => {
    const [one, other] = [new QuarantineWorld().open(), new QuarantineWorld().open()];
    expect(one.name(REQUEST, BODY).id).toBe(one.name(REQUEST, BODY).id);
    expect(one.name(REQUEST, BODY).id).not.toBe(other.name(REQUEST, BODY).id);
  });

  test('is kept once, however often it is sent', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const all = await Promise.all(Array.from({ length: 5 }, () => keep(quarantine)));
    expect(new Set(all.map(({ id, reason }) => `${id} ${reason}`)).size).toBe(1);
    expect(sizes(quarantine)).toBe(1);
    expect(world.history).toEqual([`kept ${REQUEST.caller}`]);
  });

  test('is there after a restart, under the same id', async () => {
    const world = new QuarantineWorld();
    const { id } = await keep(world.open());
    const again = world.open();
    expect(again.status().items).toMatchObject([{ id, state: 'kept' }]);
    expect(again.name(REQUEST, BODY).id).toBe(id);
  });

  test('only of patterns with an id, and never of their text', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const findings = ['pii/iban', 'my secret text\n', 'pii/iban'];
    await quarantine.keep(quarantine.name(REQUEST, BODY), { hop: '', rule: 'r', findings }, BODY);
    expect(quarantine.status().items[0]?.label?.findings).toEqual(['pii/iban']);
  });

  test('is sealed anew when it comes again and other reviewers are to read it', async () => {
    const world = new QuarantineWorld();
    const carol = person('carol');
    const { id } = await keep(world.open());
    world.clock.advanceSeconds(DAY);
    const quarantine = world.open({}, [carol]);
    await keep(quarantine);
    const text = permitted(await quarantine.inspect(id, world.word(id, 'quarantine-inspect+jwt', {}, carol)));
    expect(reasonOf(await unseal(id, text, carol.key))).toBe('ok');
    expect(reasonOf(await unseal(id, text, world.bob.key))).toBe('approval_invalid');
    // It has not become younger.
    expect(quarantine.status().items[0]?.kept).toBe(world.clock.seconds - DAY);
  });
});

describe('bounds', () => {
  test.each([
    [{ maxItems: 2 }, 'full'],
    [{ maxItemsPerCaller: 2 }, 'this caller'],
    [{ maxBytes: 3300 }, 'full'],
    [{ maxBytesPerCaller: 3300 }, 'this caller'],
  ])('%j hold, and push nothing out', async (limits, detail) => {
    const world = new QuarantineWorld();
    const quarantine = world.open(limits);
    const bodies = [1, 2, 3].map((n) => Buffer.alloc(10, n));
    const ids = [];
    for (const body of bodies.slice(0, 2)) ids.push((await keep(quarantine, body)).id);
    const [, , third = BODY] = bodies;
    const refused = await quarantine.keep(
      quarantine.name(REQUEST, third),
      { hop: '', rule: 'r', findings: [] },
      third,
    );
    expect(refused).toMatchObject({
      reason: 'quarantine_unavailable',
      detail: expect.stringContaining(detail),
    });
    expect(
      quarantine
        .status()
        .items.map(({ id }) => id)
        .sort(),
    ).toEqual(ids.sort());
    // And after a restart, and from another caller.
    const other = { ...REQUEST, caller: testAgent('security').id };
    expect((await keep(world.open(limits), third, other)).reason).toBe(
      detail === 'full' ? 'quarantine_unavailable' : 'ok',
    );
    expect((await keep(quarantine, bodies[0])).reason).toBe('ok');
    permitted(await quarantine.drop(ids[0] ?? '', ''));
    expect((await keep(quarantine, third)).reason).toBe('ok');
  });

  test('hold for many at once', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open({ maxItems: 3 });
    const all = await Promise.all(Array.from({ length: 9 }, (_, n) => keep(quarantine, Buffer.alloc(9, n))));
    expect(all.filter(({ reason }) => reason === 'ok')).toHaveLength(3);
    expect(readdirSync(world.folder)).toHaveLength(4);
  });

  test('a body that is too large, and too much at a time', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open({ maxBytes: 2 ** 30, maxBytesPerCaller: 2 ** 30 });
    expect((await keep(quarantine, Buffer.alloc(MAX_MESSAGE_BYTES + 1))).reason).toBe(
      'quarantine_unavailable',
    );
    const all = await Promise.all(
      Array.from({ length: 6 }, (_, n) => keep(quarantine, Buffer.alloc(MAX_MESSAGE_BYTES, n))),
    );
    expect(all.filter(({ reason }) => reason === 'ok')).toHaveLength(4);
    expect((await keep(quarantine)).reason).toBe('ok');
  });
});

describe('retention', () => {
  test('ends what was kept to the second, with its release, and says so', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open({ retentionSeconds: DAY });
    const { id } = await keep(quarantine);
    world.clock.advanceSeconds(DAY - 1);
    permitted(await quarantine.release(id, world.word(id)));
    quarantine.sweep();
    await quarantine.idle();
    expect(sizes(quarantine)).toBe(1);
    world.clock.advanceSeconds(1);
    quarantine.sweep();
    await quarantine.idle();
    expect(sizes(quarantine)).toBe(0);
    expect(readdirSync(world.folder)).toEqual(['secret']);
    expect(world.history.at(-1)).toBe('expired retention');
    expect(await passes(quarantine)).toBe(false);
  });

  test('ends it whether or not anybody has swept', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open({ retentionSeconds: DAY });
    const { id } = await keep(quarantine);
    world.clock.advanceSeconds(DAY - 1);
    permitted(await quarantine.release(id, world.word(id)));
    world.clock.advanceSeconds(1);
    expect(await passes(quarantine)).toBe(false);
    expect(await quarantine.release(id, world.word(id))).toMatchObject({ reason: 'api_not_found' });
    expect(await quarantine.inspect(id, world.word(id, 'quarantine-inspect+jwt'))).toMatchObject({
      reason: 'api_not_found',
    });
    expect(sizes(quarantine)).toBe(1);
  });

  test('is counted from when it was kept, through restarts', async () => {
    const world = new QuarantineWorld();
    await keep(world.open({ retentionSeconds: DAY }));
    world.clock.advanceSeconds(DAY);
    const quarantine = world.open({ retentionSeconds: DAY });
    quarantine.sweep();
    await quarantine.idle();
    expect(sizes(quarantine)).toBe(0);
  });

  test('makes room before something is refused', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open({ retentionSeconds: DAY, maxItems: 1 });
    await keep(quarantine);
    world.clock.advanceSeconds(DAY);
    expect((await keep(quarantine, Buffer.from('other'))).reason).toBe('ok');
  });

  test('deletes nothing that it can’t record', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open({ retentionSeconds: DAY });
    await keep(quarantine);
    world.clock.advanceSeconds(DAY);
    world.log.close('broken');
    quarantine.sweep();
    await quarantine.idle();
    expect(sizes(quarantine)).toBe(1);
    world.log.open();
    quarantine.sweep();
    await quarantine.idle();
    expect(sizes(quarantine)).toBe(0);
  });
});

describe('a release', () => {
  test('lets the same request pass once, and is on record', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    expect(await passes(quarantine)).toBe(false);
    expect(permitted(await quarantine.release(id, world.word(id)))).toMatchObject({
      state: 'released',
      release: { by: 'bob', exp: world.clock.seconds + 300 },
    });
    const all = await Promise.all(Array.from({ length: 5 }, () => passes(quarantine)));
    expect(all.filter(Boolean)).toHaveLength(1);
    expect(stateOf(quarantine)).toBe('passed');
    expect(world.records.map(({ action, by, key, reason }) => [action, by, key, reason])).toEqual([
      ['kept', REQUEST.caller, '', ''],
      ['released', 'bob', world.bob.reviewer.key.thumbprint, 'looked at it'],
      ['passed', REQUEST.caller, '', ''],
    ]);
  });

  test('is good for its use after a restart, and no more after another', async () => {
    const world = new QuarantineWorld();
    const { id } = await keep(world.open());
    const first = world.open();
    const word = world.word(id);
    permitted(await first.release(id, word));
    expect(await passes(world.open())).toBe(true);
    const later = world.open();
    expect([await passes(later), stateOf(later)]).toEqual([false, 'passed']);
    expect(reasonOf(await later.release(id, word))).toBe('approval_used');
    // A use that was counted, and the name of the file did not get to say so.
    writeFileSync(path.join(world.folder, `${id}.released`), word);
    expect(await passes(world.open())).toBe(false);
  });

  test('ends at its end, exactly', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    permitted(await quarantine.release(id, world.word(id)));
    world.clock.advanceSeconds(300);
    expect([await passes(quarantine), stateOf(quarantine)]).toEqual([false, 'kept']);
  });

  test('ends with its reviewer', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    permitted(await quarantine.release(id, world.word(id)));
    expect(await passes(world.open({}, [person('carol')]))).toBe(false);
    expect(await passes(world.open())).toBe(true);
  });

  test.each<[string, (world: QuarantineWorld, id: string) => string]>([
    ['by nobody we know', ({ word }, id) => word.call(new QuarantineWorld(), id)],
    ['for another sidecar', (world, id) => world.word(id, undefined, { aud: testAgent('security').id })],
    ['for another request', (world, id) => world.word(id.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')))],
    [
      'for longer than an hour',
      (world, id) => world.word(id, undefined, { exp: world.clock.seconds + 3601 }),
    ],
    ['that has ended', (world, id) => world.word(id, undefined, { exp: world.clock.seconds })],
    ['from the future', (world, id) => world.word(id, undefined, { iat: world.clock.seconds + 31 })],
    ['that only wants to look', (world, id) => world.word(id, 'quarantine-inspect+jwt')],
    [
      'whose signature is another’s',
      (world, id) => `${world.word(id).slice(0, -86)}${world.word(id).slice(-86)}`,
    ],
    ['that is none', () => 'yes'],
  ])('%s is refused, put there as a file too', async (_what, forge) => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    const word = forge(world, id);
    expect(reasonOf(await quarantine.release(id, word))).toMatch(/^(approval_invalid|jws_[a-z]+)$/);
    writeFileSync(path.join(world.folder, `${id}.released`), word);
    const again = world.open();
    expect([await passes(again), stateOf(again)]).toEqual([false, 'kept']);
    expect(world.history).toEqual([`kept ${REQUEST.caller}`]);
  });

  test('for what is not kept, or not any more, is none', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = quarantine.name(REQUEST, BODY);
    expect(reasonOf(await quarantine.release(id, world.word(id)))).toBe('api_not_found');
    await keep(quarantine);
    permitted(await quarantine.release(id, world.word(id)));
    permitted(await quarantine.drop(id, 'no'));
    expect(await passes(quarantine)).toBe(false);
    expect(world.history.at(-1)).toBe('dropped operator');
  });

  test('of what passed and was sent again is another one, and waits anew', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    permitted(await quarantine.release(id, world.word(id)));
    expect(await passes(quarantine)).toBe(true);
    await keep(quarantine);
    await keep(quarantine);
    expect(stateOf(quarantine)).toBe('kept');
    expect(world.history.filter((line) => line.startsWith('kept'))).toHaveLength(2);
    permitted(await quarantine.release(id, world.word(id)));
    expect(await passes(quarantine)).toBe(true);
  });
});

describe('a reviewer who looks', () => {
  test('proves it, and once with each word', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    const word = world.word(id, 'quarantine-inspect+jwt');
    expect(reasonOf(await quarantine.inspect(id, word))).toBe('ok');
    expect(reasonOf(await quarantine.inspect(id, word))).toBe('approval_used');
    expect(reasonOf(await quarantine.inspect(id, world.word(id)))).toBe('jws_header');
    expect(world.history.slice(1)).toEqual(['inspected bob']);
  });

  test('sees that a file was changed, or put in the place of another', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    const other = await keep(quarantine, Buffer.from('harmless'));
    const read = (of: string): string => readFileSync(path.join(world.folder, `${of}.jwe`), 'utf8');
    const jwe = JSON.parse(read(id)) as Record<string, string>;
    const label = Buffer.from(jwe.aad ?? '', 'base64url').toString();
    const relabelled = Buffer.from(label.replace('injection', 'harmless!')).toString('base64url');
    const ciphertext = `${jwe.ciphertext?.startsWith('A') ? 'B' : 'A'}${jwe.ciphertext?.slice(1)}`;
    for (const text of [
      JSON.stringify({ ...jwe, aad: relabelled }),
      JSON.stringify({ ...jwe, ciphertext }),
      read(other.id),
      read(id).slice(0, -40),
      '{}',
      'null',
    ])
      expect(reasonOf(await unseal(id, text, world.bob.key)), text.slice(0, 60)).toBe('approval_invalid');
    expect(reasonOf(await unseal(id, read(id), world.bob.key))).toBe('ok');
  });

  test('is not shown a harmless body under the id of another, sealed as a sidecar seals', async () => {
    const world = new QuarantineWorld();
    const { id, salt } = world.open().name(REQUEST, BODY);
    const { callee, caller, method, principal, task, encoding, target, type } = REQUEST;
    const label = {
      callee,
      caller,
      method,
      principal,
      task,
      id,
      sidecar: callee,
      hop: '',
      rule: 'r',
      time: 1,
    };
    const readers = [world.bob.reviewer.key.thumbprint];
    const written = writeLabel({ ...label, findings: [], octets: 1, path: '/reports', readers, type: '' });
    const show = async (body: Buffer, head: Partial<QuarantineHead> = {}) => {
      const sealedHead = { encoding, salt, target, type, ...head };
      const text = await seal(permitted(written), sealedHead, body, [world.bob.reviewer]);
      return reasonOf(await unseal(id, text, world.bob.key));
    };
    expect(await show(BODY)).toBe('ok');
    expect(await show(Buffer.from('harmless'))).toBe('approval_invalid');
    expect(await show(BODY, { target: '/harmless' })).toBe('approval_invalid');
    expect(await show(BODY, { type: 'text/plain' })).toBe('approval_invalid');
  });

  test('hears that it was sealed to others', async () => {
    const world = new QuarantineWorld();
    const { id } = await keep(world.open({}, [person('carol')]));
    const text = readFileSync(path.join(world.folder, `${id}.jwe`), 'utf8');
    expect(await unseal(id, text, world.bob.key)).toMatchObject({
      detail: 'it is not sealed to this reviewer',
    });
  });
});

describe('damage', () => {
  test('is shown, takes room, can be dropped, and ends', async () => {
    const world = new QuarantineWorld();
    const { id } = await keep(world.open());
    truncateSync(path.join(world.folder, `${id}.jwe`), 30);
    const quarantine = world.open({ maxItems: 1 });
    expect(quarantine.status().items).toMatchObject([{ id, state: 'damaged', label: undefined }]);
    expect((await keep(quarantine, Buffer.from('other'))).reason).toBe('quarantine_unavailable');
    expect(reasonOf(await quarantine.release(id, world.word(id)))).toBe('api_not_found');
    // The same request mends it.
    expect((await keep(quarantine)).reason).toBe('ok');
    expect(stateOf(quarantine)).toBe('kept');
    truncateSync(path.join(world.folder, `${id}.jwe`), 0);
    const again = world.open();
    expect(reasonOf(await again.drop(id, 'damaged'))).toBe('ok');
    expect(readdirSync(world.folder)).toEqual(['secret']);
  });

  test('what a killed process left half-written goes with the next write, and not before', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const leftover = `.${'x'.repeat(43)}.012345.tmp`;
    writeFileSync(path.join(world.folder, leftover), 'x');
    expect(sizes(world.open())).toBe(0);
    expect(readdirSync(world.folder)).toContain(leftover);
    await keep(quarantine);
    expect(readdirSync(world.folder)).not.toContain(leftover);
  });

  test('a release whose request is gone lets nothing pass', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    const { id } = await keep(quarantine);
    permitted(await quarantine.release(id, world.word(id)));
    rmSync(path.join(world.folder, `${id}.jwe`));
    expect(await passes(world.open())).toBe(false);
  });

  test('a secret that is damaged is not replaced', async () => {
    const world = new QuarantineWorld();
    const { id } = world.open().name(REQUEST, BODY);
    truncateSync(path.join(world.folder, 'secret'), 31);
    expect(() => world.open()).toThrow('damaged');
    rmSync(path.join(world.folder, 'secret'));
    expect(world.open().name(REQUEST, BODY).id).not.toBe(id);
  });

  test('a file under another’s id is no item', async () => {
    const world = new QuarantineWorld();
    const { id } = await keep(world.open());
    const stranger = `${id.slice(0, 42)}${id.endsWith('A') ? 'E' : 'A'}`;
    writeFileSync(
      path.join(world.folder, `${stranger}.jwe`),
      readFileSync(path.join(world.folder, `${id}.jwe`)),
    );
    writeFileSync(path.join(world.folder, 'notes.txt'), 'x');
    expect(
      world
        .open()
        .status()
        .items.map(({ state }) => state)
        .sort(),
    ).toEqual(['damaged', 'kept']);
  });

  test('kill -9 at any moment leaves whole items, and nothing else', async () => {
    const world = new QuarantineWorld();
    const acknowledged = new Set<string>();
    for (let round = 0; round < 6; round++) {
      const child = spawn(process.execPath, [WRITER, world.folder, String(round)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let seen = '';
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
        if (seen.split('\n').length > 2 + round) child.kill('SIGKILL');
      });
      await once(child, 'close');
      for (const id of seen.split('\n').slice(0, -1)) acknowledged.add(id);
    }
    expect(acknowledged.size).toBeGreaterThan(12);
    const quarantine = world.open();
    await keep(quarantine);
    const items = quarantine.status().items;
    expect(items.filter(({ state }) => state !== 'kept')).toEqual([]);
    const ids = new Set(items.map(({ id }) => id));
    for (const id of acknowledged) expect(ids).toContain(id);
    expect(readdirSync(world.folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }, 60_000);

  test.each(smallDisks())('on $name nothing is kept by halves', async (disk) => {
    const world = new QuarantineWorld();
    disk.prepare(world.folder);
    try {
      const quarantine = world.open();
      await keep(quarantine);
      const names = readdirSync(world.folder).sort();
      const large = Buffer.alloc(60_000, 7);
      disk.fill(path.join(world.folder, 'secret'));
      expect((await keep(quarantine, large)).reason).toBe('quarantine_unavailable');
      disk.free();
      expect(readdirSync(world.folder).sort()).toEqual(names);
      expect(sizes(world.open())).toBe(1);
      expect((await keep(quarantine, large)).reason).toBe('ok');
    } finally {
      disk.free();
      disk.remove();
    }
  });

  test('nothing is kept that can’t be recorded', async () => {
    const world = new QuarantineWorld();
    const quarantine = world.open();
    world.log.close('broken');
    expect((await keep(quarantine)).reason).toBe('audit_unavailable');
    expect(readdirSync(world.folder)).toEqual(['secret']);
    world.log.open();
    const { id } = await keep(quarantine);
    permitted(await quarantine.release(id, world.word(id)));
    world.log.close('broken');
    for (const act of [
      () => quarantine.drop(id, ''),
      () => quarantine.release(id, world.word(id)),
      () => quarantine.inspect(id, world.word(id, 'quarantine-inspect+jwt')),
      () => quarantine.takeRelease(quarantine.name(REQUEST, BODY), ''),
    ])
      expect(reasonOf(await act())).toBe('audit_unavailable');
    expect(sizes(quarantine)).toBe(1);
  });
});
