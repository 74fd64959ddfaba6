/** What a held body costs its sender's budget: from its first octet until the exchange is over, and not a moment longer. */
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { type Denial, deny } from '../../../src/core/verdict.ts';
import type { Call } from '../../../src/edge/http/call.ts';
import type { BodyBudget } from '../../../src/sidecar/door-guard.ts';
import { HeldBody } from '../../../src/sidecar/held-body.ts';

const arrange = (contentLength: number | undefined, mostBytes = 1000) => {
  const request = new PassThrough();
  const listeners: (() => void)[] = [];
  const call = {
    body: request,
    isClosed: false,
    onClose: (listener: () => void) => listeners.push(listener),
    offClose: () => undefined,
    watchBody: () => undefined,
  };
  const budget = {
    heldBytes: 0,
    paid: 0,
    take: (octets: number, isAnnounced: boolean): Denial | undefined => {
      if (budget.heldBytes + octets > mostBytes) return deny('caller_busy', '');
      budget.heldBytes += octets;
      if (isAnnounced) budget.paid += octets;
      return undefined;
    },
    giveBack: (octets: number) => {
      budget.heldBytes -= octets;
    },
    haveRead: (octets: number) => {
      budget.paid += octets;
    },
  } satisfies BodyBudget & Record<string, unknown>;
  const body = new HeldBody({
    call: call as unknown as Call,
    hasBody: true,
    contentLength,
    idleMs: 1000,
    budget,
  });
  const close = (): void => {
    call.isClosed = true;
    for (const listener of listeners.splice(0)) listener();
  };
  return { request, budget, body, close };
};

test('all that may come is reserved, then what came, then nothing', async () => {
  const { request, budget, body, close } = arrange(undefined);
  const read = body.read(400);
  expect(budget.heldBytes).toBe(400);
  request.end('hello');
  expect(await read).toMatchObject({ ok: true, value: Buffer.from('hello') });
  expect([budget.heldBytes, budget.paid]).toEqual([5, 5]);
  close();
  expect(budget.heldBytes).toBe(0);
});

test('what was announced is paid for once, and in advance', async () => {
  const { request, budget, body } = arrange(5);
  const read = body.read(400);
  expect(budget.paid).toBe(5);
  request.end('hello');
  await read;
  expect(budget.paid).toBe(5);
});

test('a client that left before the body was asked for leaves nothing behind', async () => {
  const { budget, body, close } = arrange(undefined);
  close();
  expect(await body.read(400)).toMatchObject({ reason: 'client_aborted' });
  expect(budget.heldBytes).toBe(0);
});

test('nor does one that leaves meanwhile, or sends too much', async () => {
  const leaving = arrange(undefined);
  const left = leaving.body.read(400);
  leaving.request.destroy();
  leaving.close();
  expect(await left).toMatchObject({ reason: 'client_aborted' });
  expect(leaving.budget.heldBytes).toBe(0);

  const large = arrange(undefined);
  const read = large.body.read(4);
  large.request.end('hello');
  expect(await read).toMatchObject({ reason: 'http_body_too_large' });
  large.close();
  expect(large.budget.heldBytes).toBe(0);
});

test('what does not fit is refused, and costs nothing', async () => {
  const { budget, body } = arrange(1001);
  expect(await body.read(2000)).toMatchObject({ reason: 'caller_busy' });
  expect(budget.heldBytes).toBe(0);
});

test('what was read is not larger than whoever asks for it next allows', async () => {
  const { request, body } = arrange(5);
  request.end('hello');
  expect(await body.read(400)).toMatchObject({ ok: true });
  expect(await body.read(4)).toMatchObject({ reason: 'http_body_too_large' });
  expect(await body.read(5)).toMatchObject({ ok: true });
});
