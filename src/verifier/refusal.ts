/** Why the verifier doesn't do what it was asked: a reason code of the closed table, and a sentence for people. */
import type { ReasonCode } from '../core/reasons.ts';

export class Refusal extends Error {
  readonly reason: ReasonCode;
  constructor(reason: ReasonCode, detail: string) {
    super(detail);
    this.reason = reason;
  }
}
