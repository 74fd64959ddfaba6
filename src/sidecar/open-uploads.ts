/**
 * Requests whose body is still on its way out. What their task reads meanwhile may be in the rest of it, and they were decided
 * on without its labels: they are held against policy again before the agent has what was read.
 */
import type { VerifiedChain } from '../core/delegation/chain.ts';
import type { ReasonCode } from '../core/reasons.ts';
import { checkPermit } from '../hop/check-permit.ts';
import type { Permit } from '../hop/permit.ts';
import { nowSeconds, type Parts } from './parts.ts';

interface Upload {
  readonly permit: Permit;
  readonly cut: (reason: ReasonCode) => void;
}

const isSameTask = (a: VerifiedChain, b: VerifiedChain): boolean =>
  a.task === b.task && a.principal === b.principal;

export class OpenUploads {
  private readonly parts: Parts;
  private readonly open = new Set<Upload>();

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** From now until what it returns is called. */
  add(permit: Permit, cut: Upload['cut']): () => void {
    const upload = { permit, cut };
    this.open.add(upload);
    return () => {
      this.open.delete(upload);
    };
  }

  /** The task of this request has got labels by its answer. It goes on itself: who answered has what it sends. */
  labelled(by: Permit): void {
    for (const upload of [...this.open]) {
      const { permit, cut } = upload;
      if (permit === by || !isSameTask(permit.delegated.chain, by.delegated.chain)) continue;
      const reason = this.endOf(permit);
      if (reason === undefined) continue;
      this.open.delete(upload);
      cut(reason);
    }
  }

  private endOf(permit: Permit): ReasonCode | undefined {
    const { path, labels } = this.parts;
    const now = labels.of(permit.delegated.chain);
    if (now.every((label) => permit.labels.includes(label))) return undefined;
    const trust = path.trust.current();
    if (!trust.ok) return trust.reason;
    const again = { ...permit, isLive: true, input: { ...permit.input, labels: now } };
    return checkPermit(again, trust.value, nowSeconds(this.parts), permit.input.trust.generation)?.reason;
  }
}
