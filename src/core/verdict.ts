/**
 * Denials are values. A function of the core returns a verdict and never throws on input from outside;
 * an exception is a bug or I/O.
 */
import type { ReasonCode } from './reasons.ts';

export interface Denial {
  readonly ok: false;
  readonly reason: ReasonCode;
  /** For people: what was wrong and where. Holds no token, key or body. */
  readonly detail: string;
  /** Seconds until the same might go well, where that is known. */
  readonly retryAfterSeconds?: number | undefined;
}

export interface Granted<T> {
  readonly ok: true;
  readonly value: T;
}

export type Verdict<T> = Granted<T> | Denial;

export const grant = <T>(value: T): Granted<T> => ({ ok: true, value });
export const deny = (reason: ReasonCode, detail: string): Denial => ({ ok: false, reason, detail });
