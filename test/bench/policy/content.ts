/** A body of 1 MB through all detectors. */
import { compileContent } from '../../../src/core/content/compile.ts';
import { inspectBody } from '../../../src/core/content/inspect-body.ts';
import type { AgentId } from '../../../src/core/spiffe-id.ts';

const WORDS =
  'the quarterly review of infrastructure lists instances volumes and networks with owner cost and age in each region please see attached figures for previous months instructions follow below'.split(
    ' ',
  );

/** JSON as agents send it: records with prose, numbers, identifiers. */
const bodyOf = (octets: number): Buffer => {
  const records: object[] = [];
  let seed = 7;
  const next = (): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed;
  };
  let size = 0;
  while (size < octets) {
    const text = Array.from({ length: 40 }, () => WORDS[next() % WORDS.length]).join(' ');
    const record = { id: `i-${next().toString(16)}`, cost: next() / 1000, at: '2026-11-20T10:00:00Z', text };
    size += JSON.stringify(record).length + 1;
    records.push(record);
  }
  return Buffer.from(JSON.stringify(records));
};

/** MB (10^6 octets) per second, a figure a round. */
export const timeContent = (rounds: number): readonly number[] => {
  const content = compileContent([
    {
      name: 'all',
      directions: ['request'],
      callees: undefined,
      routes: undefined,
      detectors: ['injection', 'secrets', 'pii'],
      patterns: undefined,
      types: undefined,
      maxBytes: undefined,
      action: 'deny',
      mode: 'hold',
      holdBytes: 16_777_216,
    },
  ]);
  const selection = content.select('request', 'spiffe://company.com/agent/x/1' as AgentId, 'any');
  if (selection === undefined) throw new Error('no rule applies');
  const octets = bodyOf(1_000_000);
  const look = (): void => {
    const { denial } = inspectBody(selection, {
      octets,
      contentType: 'application/json',
      contentEncoding: undefined,
    });
    if (denial !== undefined) throw new Error(denial.detail);
  };
  look();
  look();
  return Array.from({ length: rounds }, () => {
    const started = performance.now();
    look();
    return octets.length / 1000 / (performance.now() - started);
  });
};
