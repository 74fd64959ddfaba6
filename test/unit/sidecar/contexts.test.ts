import { beforeAll, describe, expect, it } from 'vitest';
import type { VerifiedChain } from '../../../src/core/delegation/chain.ts';
import { Contexts } from '../../../src/sidecar/contexts.ts';
import { makeDomain } from '../../testkit/domain.ts';
import { TestClock } from '../../testkit/test-clock.ts';

let text: string;
let chain: VerifiedChain;
beforeAll(async () => {
  const domain = await makeDomain();
  text = domain.mintChain(['planning/abc123']);
  chain = domain.verify(text, domain.agent('planning/abc123'));
});

describe('contexts', () => {
  it('a caller that opens ever more pushes out its own, oldest first, and nobody else’s', () => {
    const contexts = new Contexts(16, 60_000, new TestClock());
    const task = contexts.open('task', text, chain);
    const other = contexts.open('b', text, chain);
    const own = Array.from({ length: 100 }, () => contexts.open('a', text, chain));
    expect(contexts.find(task.handle).ok).toBe(true);
    expect(contexts.find(other.handle).ok).toBe(true);
    expect(own.filter(({ handle }) => contexts.find(handle).ok)).toEqual(own.slice(-4));
    expect(contexts.size).toBe(6);
  });

  it('one that ended makes room in its share', () => {
    const contexts = new Contexts(8, 60_000, new TestClock());
    const first = contexts.open('a', text, chain);
    const second = contexts.open('a', text, chain);
    expect(contexts.end(second.handle)).toBe(true);
    contexts.open('a', text, chain);
    expect(contexts.find(first.handle).ok).toBe(true);
    contexts.open('a', text, chain);
    expect(contexts.find(first.handle)).toMatchObject({ reason: 'context_unknown' });
  });

  it('idle ones end, and their share is free again', () => {
    const clock = new TestClock();
    const contexts = new Contexts(8, 60_000, clock);
    const idle = Array.from({ length: 2 }, () => contexts.open('a', text, chain));
    clock.advanceSeconds(61);
    const fresh = Array.from({ length: 2 }, () => contexts.open('a', text, chain));
    expect(idle.map(({ handle }) => contexts.find(handle).ok)).toEqual([false, false]);
    expect(fresh.map(({ handle }) => contexts.find(handle).ok)).toEqual([true, true]);
  });

  it('holds no more than its limit, whoever they are from', () => {
    const contexts = new Contexts(8, 60_000, new TestClock());
    for (let giver = 0; giver < 100; giver++) contexts.open(`giver-${giver}`, text, chain);
    expect(contexts.size).toBe(8);
  });
});
