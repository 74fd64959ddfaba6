/** Telling a receiver costs nobody anything but what is told: a bounded queue, counted losses, an end in time. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Delivered, Delivery } from '../../../../src/edge/telemetry/otlp/delivery.ts';

const TAKEN: Delivered = { rejected: 0 };

let answers: Delivered[] = [];
let sent: number[][] = [];
let changes: boolean[] = [];
beforeEach(() => {
  vi.useFakeTimers();
  answers = [];
  sent = [];
  changes = [];
});
afterEach(() => vi.useRealTimers());

const make = (most = 1000, send?: () => Promise<Delivered>) =>
  new Delivery<number>({
    send: async (items) => {
      sent.push([...items]);
      return send === undefined ? (answers.shift() ?? TAKEN) : send();
    },
    most,
    intervalMs: 100,
    onChange: (works) => changes.push(works),
  });
const fill = (delivery: Delivery<number>, count: number): void => {
  for (let item = 0; item < count; item++) delivery.push(item);
};

describe('what is told', () => {
  it('goes together after the interval, in order', async () => {
    const delivery = make();
    fill(delivery, 3);
    expect(sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(100);
    expect(sent).toEqual([[0, 1, 2]]);
    expect(delivery.figures).toEqual({ waiting: 0, delivered: 3, dropped: 0, failed: 0 });
  });

  it('goes at once in whole batches, and the rest after the interval', async () => {
    const delivery = make();
    fill(delivery, 300);
    await vi.advanceTimersByTimeAsync(0);
    expect(sent.map((batch) => batch.length)).toEqual([128, 128]);
    await vi.advanceTimersByTimeAsync(100);
    expect(sent.map((batch) => batch.length)).toEqual([128, 128, 44]);
  });

  it('is dropped when as many wait as may, and counted', async () => {
    const delivery = make(5);
    fill(delivery, 9);
    expect(delivery.figures).toMatchObject({ waiting: 5, dropped: 4 });
    await vi.advanceTimersByTimeAsync(100);
    expect(delivery.figures).toEqual({ waiting: 0, delivered: 5, dropped: 4, failed: 0 });
  });

  it('waits no further than its bound while a delivery hangs', () => {
    const delivery = make(10, () => new Promise(() => undefined));
    fill(delivery, 128);
    vi.advanceTimersByTime(100);
    fill(delivery, 100_000);
    expect(delivery.figures.waiting).toBe(10);
    expect(sent).toHaveLength(1);
  });
});

describe('what is not taken', () => {
  it('is told again a few times, then lost; that it fails is said once, and that it works again', async () => {
    const delivery = make();
    answers = ['again', 'again', 'again', 'again', TAKEN];
    fill(delivery, 2);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sent).toHaveLength(4);
    expect(delivery.figures).toMatchObject({ delivered: 0, failed: 2 });
    fill(delivery, 1);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(delivery.figures).toMatchObject({ delivered: 1, failed: 2 });
    expect(changes).toEqual([false, true]);
  });

  it('is lost at once when it is refused, and so is what a receiver says it rejected', async () => {
    const delivery = make();
    answers = ['refused', { rejected: 1 }, { rejected: 99 }];
    for (let times = 0; times < 3; times++) {
      fill(delivery, 2);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(sent).toHaveLength(3);
    expect(delivery.figures).toEqual({ waiting: 0, delivered: 1, dropped: 0, failed: 5 });
  });
});

describe('at the end', () => {
  it('what waits is told once more, and nothing after it', async () => {
    const delivery = make();
    fill(delivery, 200);
    await vi.advanceTimersByTimeAsync(0);
    await delivery.close(1000);
    delivery.push(1);
    expect(sent.flat()).toHaveLength(200);
    expect(delivery.figures).toEqual({ waiting: 0, delivered: 200, dropped: 1, failed: 0 });
  });

  it('a receiver that hangs holds up nobody for longer than was said', async () => {
    const delivery = make(1000, () => new Promise(() => undefined));
    fill(delivery, 3);
    const closed = vi.fn();
    void delivery.close(2000).then(closed);
    await vi.advanceTimersByTimeAsync(1999);
    expect(closed).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(closed).toHaveBeenCalled();
  });
});
