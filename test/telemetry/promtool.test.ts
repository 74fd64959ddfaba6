/** `promtool check metrics` has nothing to say of a sidecar that was used, nor of a verifier. */
import { expect, it } from 'vitest';
import { OtlpReceiver } from '../testkit/otlp-receiver.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';
import { FIRST, SECOND, startTracedChain } from '../testkit/traced-chain.ts';
import { checkMetrics } from './tools.ts';

const textAt = async (address: string | undefined): Promise<string> =>
  (await fetch(`http://${address}/metrics`)).text();

it('the linter finds what is against the conventions', () => {
  expect(checkMetrics('# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n')).not.toBe('');
});

it('a sidecar’s', async () => {
  const receiver = await new OtlpReceiver().start();
  const { mesh, ask } = await startTracedChain({
    metrics: { listen: '127.0.0.1:0' },
    telemetry: { otlp: { endpoint: receiver.endpoint, logs: true } },
  });
  try {
    for (const path of ['/', '/vpcs', '/..', '/ec2/a:b']) await ask(path);
    await ask('/', {}, 'TRACE');
    for (const name of [FIRST, SECOND]) {
      const text = await textAt(mesh.agent(name).addresses.metrics);
      expect(text).toContain(name === FIRST ? 'hopgate_denials_total{' : 'direction="inbound",outcome="ok"');
      expect(checkMetrics(text), name).toBe('');
    }
  } finally {
    mesh.stop();
    receiver.stop();
  }
});

it('a verifier’s', async () => {
  const running = await RunningVerifier.start({
    config: { metrics: { listen: { host: '127.0.0.1', port: 0 } } },
  });
  try {
    const text = await textAt(running.verifier.metricsAddress);
    expect(text).toContain('hopgate_verifier_bundle_seq');
    expect(checkMetrics(text)).toBe('');
  } finally {
    await running.stop();
  }
});
