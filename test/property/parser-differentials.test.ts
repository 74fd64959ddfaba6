/**
 * What a request says must be one thing to us and to the agent behind us. `node test/fuzz/run.ts --bodies 1000000` does the
 * same for longer, and with readers in other languages.
 */
import { expect, test } from 'vitest';
import { runCampaign } from '../fuzz/campaign.ts';
import { MUTATIONS } from '../fuzz/mutate.ts';

test('of 20,000 requests, most of them bent, no server reads one that we let through as anything else', async () => {
  const report = await runCampaign({ bodies: 20_000, seed: 20_251_125 });
  expect(report.examples).toEqual([]);
  expect(report.differences).toBe(0);
  // That nothing differs says little unless much is let through, and read by the servers.
  expect(report.validRefused).toEqual([]);
  expect(report.made.mutated).toBeGreaterThan(report.bodies / 2);
  expect(Object.keys(report.verdicts)).toEqual(expect.arrayContaining([...MUTATIONS]));
  for (const [oracle, { read }] of Object.entries(report.oracles))
    expect({ oracle, many: read > 300 }).toEqual({ oracle, many: true });
  expect(Object.keys(report.oracles).sort()).toEqual([
    '@a2a-js/sdk a2a',
    '@a2a-js/sdk a2a-rest',
    '@modelcontextprotocol/sdk',
    '@modelcontextprotocol/server',
    'JSON.parse',
    'a gateway that goes by Mcp-Method and Mcp-Name',
  ]);
}, 120_000);
