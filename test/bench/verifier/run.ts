/** `npm run bench -- verifier`: from `revoke` and `policy publish` to enforcement everywhere, and what 100,000 agents cost. */

import { stringify } from 'yaml';
import { policyEndpoints } from '../../../src/api/policy.ts';
import { freePort } from '../../testkit/free-port.ts';
import { TEST_POLICY } from '../../testkit/mesh.ts';
import { measurePolicy, measureRevocation } from './enforcement.ts';
import { Pair } from './pair.ts';
import { Processes } from './processes.ts';
import { report } from './report.ts';
import { measureSize } from './size.ts';
import { Subscribers } from './subscribers.ts';
import { TrustDomain } from './trust-domain.ts';

const quick = process.argv.includes('--quick');
const asJson = process.argv.includes('--json');
const SUBSCRIBERS = quick ? 40 : 200;
const REVOCATIONS = quick ? 6 : 18;
const POLICIES = quick ? 3 : 10;
const AGENTS = quick ? 10_000 : 100_000;

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

const measureEnforcement = async (processes: Processes) => {
  const domain = await TrustDomain.start(processes, 'small', await freePort());
  try {
    await domain.operator.call(policyEndpoints.publishPolicy, {
      body: { source: stringify(TEST_POLICY), why: 'bench' },
    });
    say('four sidecars …');
    const pairs = [await Pair.start(domain, 1), await Pair.start(domain, 2)];
    say(`${SUBSCRIBERS} light clients enrol …`);
    const subscribers = await Subscribers.start(processes, domain, SUBSCRIBERS);
    const world = { domain, pairs, subscribers };
    say('revoking …');
    const revocation = await measureRevocation(world, REVOCATIONS);
    say('publishing …');
    const policy = await measurePolicy(world, POLICIES);
    for (const pair of pairs) await pair.stop();
    return { revocation, policy };
  } finally {
    await domain.stop();
  }
};

const processes = new Processes();
try {
  const { revocation, policy } = await measureEnforcement(processes);
  await processes.stopAll();
  say(`${AGENTS} agents …`);
  const size = await measureSize(processes, AGENTS);
  report({ revocation, policy, size, asJson });
} finally {
  await processes.stop();
}
process.exit(0);
