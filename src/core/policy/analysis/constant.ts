/** Conditions whose value no request has a say in. */
import { compileCondition, isCondition, type Values } from '../condition.ts';

/** Whoever reads nothing needs none. */
const NOTHING = Object.freeze({}) as unknown as Values;

/**
 * Value of a condition that reads no attribute; `undefined` where one is read, or where there is no value. `x || true` reads one
 * and is not found: what it would take to prove such things is more than a policy's author needs.
 */
export const constantOf = (text: string): boolean | undefined => {
  const made = compileCondition(text);
  return isCondition(made) && made.reads.size === 0 ? made.evaluate(NOTHING) : undefined;
};
