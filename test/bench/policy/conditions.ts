/** A condition in CEL against the same in plain code. */

import type { Values } from '../../../src/core/policy/condition.ts';
import { compileCondition, isCondition } from '../../../src/core/policy/condition.ts';

const TEXT =
  'caller.type == "planner" && mcp.tool == "get_report" && mcp.arguments.path.startsWith("/public/")';

interface Given {
  readonly caller: { readonly type: string };
  readonly mcp: { readonly tool: string; readonly arguments: Readonly<Record<string, unknown>> };
}

const plain = ({ caller, mcp }: Given): boolean => {
  const { path } = mcp.arguments;
  return (
    caller.type === 'planner' &&
    mcp.tool === 'get_report' &&
    typeof path === 'string' &&
    path.startsWith('/public/')
  );
};

const given: readonly Given[] = Array.from({ length: 64 }, (_, at) => ({
  caller: { type: at % 8 === 0 ? 'other' : 'planner' },
  mcp: { tool: 'get_report', arguments: { path: at % 3 === 0 ? '/secret/1' : `/public/${at}` } },
}));

const timeOf = (run: (one: Given) => boolean | undefined, count: number): number => {
  let held = 0;
  const started = process.hrtime.bigint();
  for (let at = 0; at < count; at++) if (run(given[at % given.length] as Given) === true) held++;
  const nanoseconds = Number(process.hrtime.bigint() - started) / count;
  if (held === 0) throw new Error('nothing held');
  return nanoseconds;
};

/** Nanoseconds of one evaluation each. */
export const timeConditions = (rounds: number): { readonly cel: number; readonly plain: number }[] => {
  const condition = compileCondition(TEXT);
  if (!isCondition(condition)) throw new Error(condition.message);
  const cel = (one: Given): boolean | undefined => condition.evaluate(one as unknown as Values);
  timeOf(cel, 100_000);
  timeOf(plain, 100_000);
  return Array.from({ length: rounds }, () => ({
    cel: timeOf(cel, 200_000),
    plain: timeOf(plain, 2_000_000),
  }));
};
