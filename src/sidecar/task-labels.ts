/**
 * What kind of data a task has touched at this agent: of what came in with its requests, went out, and came back. Labels only
 * restrict, so that all contexts of a task share them; no authority is ever found by them.
 */
import { LRUCache } from 'lru-cache';
import type { VerifiedChain } from '../core/delegation/chain.ts';
import { upTo } from '../core/lru.ts';

/** Tasks with labels at one agent, at one time. */
const MOST_TASKS = 65_536;
const NONE: readonly string[] = [];

export class TaskLabels {
  private readonly tasks = new LRUCache<string, readonly string[]>(upTo(MOST_TASKS));

  get size(): number {
    return this.tasks.size;
  }

  of(chain: Pick<VerifiedChain, 'task' | 'principal'>): readonly string[] {
    return this.tasks.get(keyOf(chain)) ?? NONE;
  }

  add(chain: Pick<VerifiedChain, 'task' | 'principal'>, labels: readonly string[]): void {
    if (labels.length === 0) return;
    const known = this.of(chain);
    const all = new Set([...known, ...labels]);
    if (all.size === known.length) return;
    this.tasks.set(keyOf(chain), [...all].sort());
  }
}

const keyOf = ({ task, principal }: Pick<VerifiedChain, 'task' | 'principal'>): string =>
  `${task} ${principal}`;
