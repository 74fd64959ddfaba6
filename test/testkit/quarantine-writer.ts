/** A process that keeps one body after the other, says which, and is killed by whoever started it. */
import { writeSync } from 'node:fs';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { Quarantine } from '../../src/edge/store/quarantine.ts';
import { makeReviewerFiles, parseReviewer } from '../../src/edge/store/quarantine-keys.ts';
import { TestClock } from './test-clock.ts';

const [directory = '', round = ''] = process.argv.slice(2);
const agent = 'spiffe://company.com/agent/inventory/1' as AgentId;
const quarantine = new Quarantine({
  directory,
  reviewers: [parseReviewer(Buffer.from(makeReviewerFiles('bob').pub))],
  limits: {
    retentionSeconds: 86_400,
    maxBytes: 2 ** 30,
    maxItems: 10_000,
    maxBytesPerCaller: 2 ** 30,
    maxItemsPerCaller: 10_000,
  },
  clock: new TestClock(),
  audit: { append: (_body, written) => written(true) },
  uses: { take: async () => true },
  sidecar: () => agent,
  onFailure: (error) => {
    throw error;
  },
});
for (let n = 0; ; n++) {
  const body = Buffer.alloc(300_000, `${round} ${n}`);
  const named = quarantine.name(
    {
      caller: agent,
      callee: agent,
      principal: 'mailto:alice@company.com',
      task: 'A'.repeat(43),
      method: 'POST',
      target: '/',
      type: '',
      encoding: '',
    },
    body,
  );
  const kept = await quarantine.keep(named, { hop: '', rule: 'r', findings: [] }, body);
  if (!kept.ok) throw new Error(kept.detail);
  // Synchronously: what was kept is known even of a process that is killed right behind it.
  writeSync(1, `${named.id}\n`);
}
