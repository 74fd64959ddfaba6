/** The client and the service against each other over real TLS: who answers, what streams do, what is told once and tagged. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { endpoint, streamEndpoint, taggedEndpoint } from '../../../../src/api/endpoint.ts';
import { noBody, none } from '../../../../src/api/forms.ts';
import { privateKeyPem } from '../../../../src/edge/keys/signing-key.ts';
import { makeLogger } from '../../../../src/edge/telemetry/log.ts';
import type { TlsIdentity } from '../../../../src/edge/tls/settings.ts';
import { VerifierClient } from '../../../../src/edge/verifier/client.ts';
import {
  issueSvid,
  issueSvidCa,
  issueVerifierCertificate,
  makeTlsKey,
  type SvidCa,
} from '../../../../src/verifier/authority/certificates.ts';
import { EventQueue } from '../../../../src/verifier/publication/event-queue.ts';
import { Records } from '../../../../src/verifier/records.ts';
import { Refusal } from '../../../../src/verifier/refusal.ts';
import type { Handlers } from '../../../../src/verifier/service/handler.ts';
import { RoleBindings } from '../../../../src/verifier/service/role-bindings.ts';
import { Service } from '../../../../src/verifier/service/service.ts';
import { agentIdOf } from '../../../testkit/domain.ts';
import { MemoryStore } from '../../../testkit/memory-store.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const DOMAIN = 'company.com';
const bare = { params: none, query: none, body: noBody, changes: false, summary: 'x' } as const;
const contract = {
  hello: endpoint({
    ...bare,
    name: 'hello',
    method: 'GET',
    path: '/hello',
    access: 'anyone',
    answer: z.strictObject({ n: z.int() }),
    status: 200,
  }),
  wrong: endpoint({
    ...bare,
    name: 'wrong',
    method: 'GET',
    path: '/wrong',
    access: 'anyone',
    answer: z.strictObject({ n: z.int() }),
    status: 200,
  }),
  guess: endpoint({
    ...bare,
    name: 'guess',
    method: 'POST',
    path: '/guess',
    access: 'anyone',
    guessable: true,
    body: z.strictObject({ secret: z.string() }),
    answer: noBody,
    status: 204,
  }),
  big: taggedEndpoint({
    ...bare,
    name: 'big',
    method: 'GET',
    path: '/big',
    access: 'member',
    answer: z.strictObject({ text: z.string() }),
  }),
  news: streamEndpoint({
    ...bare,
    name: 'news',
    method: 'GET',
    path: '/news',
    access: 'member',
    answer: z.strictObject({ n: z.int() }),
  }),
};

let clock: TestClock;
let ca: SvidCa;
let service: Service;
let roles: RoleBindings;
let url: string;
let directory: string;
let barred: boolean;
let made: number;
let tag: string;
const queues = new Set<EventQueue<{ n: number }>>();
const clients: VerifierClient[] = [];
const closings: (() => unknown)[] = [];

const handlers: Handlers<typeof contract> = {
  hello: () => ({ n: 1 }),
  wrong: () => ({ n: 'one' }) as unknown as { n: number },
  guess: async ({ body }) => {
    if (body.secret !== 'right') throw new Refusal('attestation_refused', 'no such secret');
  },
  big: () => ({
    tag,
    answer: () => {
      made++;
      return { text: 'x'.repeat(10_000) };
    },
  }),
  news: ({ signal }) => {
    const queue = new EventQueue<{ n: number }>(signal, () => queues.delete(queue), 4);
    queues.add(queue);
    return queue;
  },
};

const serverTls = async (by: SvidCa): Promise<TlsIdentity> => {
  const key = makeTlsKey();
  const { pem } = await issueVerifierCertificate(by, { key, now: clock.seconds, ttlSeconds: 3600 });
  return { cert: pem, key: privateKeyPem(key) };
};
const svid = async (name: string, by = ca): Promise<TlsIdentity> => {
  const key = makeTlsKey();
  const id = agentIdOf(DOMAIN, name);
  const { pem } = await issueSvid(by, { id, key, now: clock.seconds, ttlSeconds: 3600 });
  return { cert: pem, key: privateKeyPem(key) };
};
const client = (identity?: TlsIdentity, authorities = [ca.certificateDer], at = url): VerifierClient => {
  const one = new VerifierClient(
    { kind: 'https', url: at, trustDomain: DOMAIN, authorities, identity },
    { timeoutMs: 5000 },
  );
  clients.push(one);
  return one;
};

beforeEach(async () => {
  clock = new TestClock();
  barred = false;
  made = 0;
  tag = 'one';
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-client-'));
  ca = await issueSvidCa(DOMAIN, { now: clock.seconds, ttlSeconds: 86_400 });
  roles = await RoleBindings.load(new Records(new MemoryStore(), clock), () => undefined);
  service = new Service({
    trustDomain: DOMAIN,
    clock,
    log: makeLogger('silent'),
    roles,
    standing: { isBarred: async () => barred, sessionOf: async () => undefined },
    contract,
    handlers,
    tls: { identity: await serverTls(ca), authorities: [ca.certificateDer] },
    limits: { guesses: { burst: 3, refillSeconds: 10 }, heartbeatMs: 20 },
  });
  const { port } = await service.listenHttps({ host: '127.0.0.1', port: 0 });
  url = `https://127.0.0.1:${port}`;
});
afterEach(async () => {
  for (const one of clients.splice(0)) await one.close();
  for (const close of closings.splice(0)) await close();
  await service.close(100);
  roles.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('who answers', () => {
  it('is the verifier of this trust domain, or nobody', async () => {
    expect(await client().call(contract.hello, {})).toEqual({ n: 1 });
    const other = await issueSvidCa(DOMAIN, { now: clock.seconds, ttlSeconds: 86_400 });
    await expect(client(undefined, [other.certificateDer]).call(contract.hello, {})).rejects.toMatchObject({
      reason: 'verifier_untrusted',
    });
  });

  it('is no agent, although the same CA vouches for it', async () => {
    const agent = await svid('planning/1');
    let asked = 0;
    const server = createServer({ ...agent, minVersion: 'TLSv1.3' }, (_request, response) => {
      asked++;
      response.end('{"n":1}');
    }).listen(0, '127.0.0.1');
    closings.push(() => server.close());
    await once(server, 'listening');
    const at = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (let time = 0; time < 3; time++)
      await expect(client(agent, undefined, at).call(contract.hello, {})).rejects.toMatchObject({
        reason: 'verifier_untrusted',
        message: expect.stringContaining('spiffe://company.com/agent/planning/1'),
      });
    expect(asked).toBe(0);
  });

  it('may be nobody at all', async () => {
    await expect(
      client(undefined, undefined, 'https://127.0.0.1:1').call(contract.hello, {}),
    ).rejects.toMatchObject({
      reason: 'verifier_unreachable',
    });
    expect(() => client(undefined, [])).toThrow(/no SVID CA/);
    expect(() => client(undefined, undefined, 'http://127.0.0.1')).toThrow(/no address of a verifier/);
  });

  it('is not asked for anything but what is open to anyone while it has not proven itself', async () => {
    const unproven = new VerifierClient({ kind: 'unproven', url });
    clients.push(unproven);
    expect(await unproven.call(contract.hello, {})).toEqual({ n: 1 });
    await expect(unproven.callTagged(contract.big, {})).rejects.toMatchObject({
      reason: 'verifier_untrusted',
    });
  });
});

it('an answer that is not what the contract says is a fault of the verifier, and says nothing of itself', async () => {
  await expect(client().call(contract.wrong, {})).rejects.toMatchObject({
    reason: 'internal',
    message: 'a fault in the verifier; its log says more',
  });
});

it('wrong secrets are counted by source, right ones are not; who has had enough is told to wait', async () => {
  const one = client();
  for (let n = 0; n < 5; n++) await one.call(contract.guess, { body: { secret: 'right' } });
  for (let n = 0; n < 3; n++)
    await expect(one.call(contract.guess, { body: { secret: 'wrong' } })).rejects.toMatchObject({
      reason: 'attestation_refused',
    });
  // Even a right one, from another connection.
  await expect(client().call(contract.guess, { body: { secret: 'right' } })).rejects.toMatchObject({
    reason: 'api_busy',
  });
  clock.advanceSeconds(11);
  await one.call(contract.guess, { body: { secret: 'right' } });
});

it('what is tagged is made once, compressed, and not sent to who has it', async () => {
  const one = client(await svid('planning/1'));
  const first = await one.callTagged(contract.big, {});
  expect(first).toEqual({ tag: 'one', answer: { text: 'x'.repeat(10_000) } });
  expect(await one.callTagged(contract.big, {}, 'one')).toBeUndefined();
  await one.callTagged(contract.big, {});
  expect(made).toBe(1);
  tag = 'two';
  expect((await one.callTagged(contract.big, {}, 'one'))?.tag).toBe('two');
  expect(made).toBe(2);
});

describe('a stream', () => {
  const follow = async (identity: TlsIdentity) => {
    const events = client(identity).stream(contract.news, {});
    const first = events.next();
    // The handler has been asked when there is a queue.
    await expect.poll(() => queues.size).toBe(1);
    const [queue] = queues as unknown as [EventQueue<{ n: number }>];
    return { events, first, queue: queue as EventQueue<{ n: number }> };
  };

  it('brings events as they come, and ends when the verifier ends it', async () => {
    const { events, first, queue } = await follow(await svid('planning/1'));
    queue.push({ n: 1 });
    expect(await first).toEqual({ done: false, value: { n: 1 } });
    queue.push({ n: 2 });
    queue.push({ n: 3 });
    queue.end();
    expect((await events.next()).value).toEqual({ n: 2 });
    expect((await events.next()).value).toEqual({ n: 3 });
    expect((await events.next()).done).toBe(true);
  });

  it('ends for who is barred, at once when all are looked at and at the next heartbeat otherwise', async () => {
    for (const now of [true, false]) {
      barred = false;
      const { first } = await follow(await svid('planning/1'));
      const ended = expect(first).rejects.toMatchObject({ reason: 'verifier_unreachable' });
      barred = true;
      if (now) await service.recheckStreams();
      await ended;
      await expect.poll(() => service.subscribers).toBe(0);
      expect(queues.size).toBe(0);
    }
  });

  it('is given up when the subscriber goes', async () => {
    const { events, first, queue } = await follow(await svid('planning/1'));
    queue.push({ n: 1 });
    await first;
    await events.return();
    await expect.poll(() => service.subscribers).toBe(0);
    expect(queue.push({ n: 2 })).toBe(false);
  });

  it('drops who does not keep up', async () => {
    const ended = new AbortController();
    let over = 0;
    const queue = new EventQueue<number>(ended.signal, () => over++, 4);
    for (let n = 0; n < 4; n++) expect(queue.push(n)).toBe(true);
    expect(queue.push(4)).toBe(false);
    expect(over).toBe(1);
    const left: number[] = [];
    for await (const n of queue) left.push(n);
    expect(left).toEqual([]);
  });
});

describe('a rotation of the CA', () => {
  it('lets old and new SVIDs in while both are named, on connections old and new, and only new ones afterwards', async () => {
    const next = await issueSvidCa(DOMAIN, { now: clock.seconds, ttlSeconds: 86_400 });
    const before = client(await svid('planning/1'));
    await before.callTagged(contract.big, {});
    const both = [ca.certificateDer, next.certificateDer];
    service.replaceTls({ identity: await serverTls(next), authorities: both });
    await before.callTagged(contract.big, {});
    await client(await svid('planning/1'), both).callTagged(contract.big, {});
    await client(await svid('planning/2', next), both).callTagged(contract.big, {});
    service.replaceTls({ identity: await serverTls(next), authorities: [next.certificateDer] });
    // The connection is the old one; its certificate is judged anew.
    await expect(before.callTagged(contract.big, {})).rejects.toMatchObject({ reason: 'svid_untrusted' });
    await client(await svid('planning/2', next), [next.certificateDer]).callTagged(contract.big, {});
  });

  it('keeps what is there when the new material is not usable', async () => {
    const identity = await serverTls(ca);
    const { key } = await serverTls(ca);
    expect(() =>
      service.replaceTls({ identity: { ...identity, key }, authorities: [ca.certificateDer] }),
    ).toThrow();
    expect(() => service.replaceTls({ identity, authorities: [Buffer.from('no certificate')] })).toThrow();
    expect(await client().call(contract.hello, {})).toEqual({ n: 1 });
  });
});

it('a service without a handler for an endpoint does not start', () => {
  const { hello: _, ...rest } = handlers;
  expect(
    () =>
      new Service({
        trustDomain: DOMAIN,
        clock,
        log: makeLogger('silent'),
        roles,
        standing: { isBarred: async () => false, sessionOf: async () => undefined },
        contract,
        handlers: rest,
        tls: { identity: { cert: '', key: '' }, authorities: [] },
      }),
  ).toThrow();
});
