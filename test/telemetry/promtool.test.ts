/** `promtool check metrics` has nothing to say of a sidecar that was used, nor of a verifier, and the rules and queries in deploy/ are PromQL. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { OtlpReceiver } from '../testkit/otlp-receiver.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';
import { FIRST, SECOND, startTracedChain } from '../testkit/traced-chain.ts';
import { checkMetrics, checkRules } from './tools.ts';

const textAt = async (address: string | undefined): Promise<string> =>
  (await fetch(`http://${address}/metrics`)).text();

it('the linter finds what is against the conventions', () => {
  expect(checkMetrics('# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n')).not.toBe('');
});

it('the alerts and every query of the dashboard are PromQL', () => {
  const alerts = fileURLToPath(new URL('../../deploy/prometheus/hopgate-alerts.yaml', import.meta.url));
  expect(checkRules(alerts)).toMatch(/SUCCESS: 1[0-9] rules found/);
  const { panels } = JSON.parse(
    readFileSync(new URL('../../deploy/grafana/hopgate.json', import.meta.url), 'utf8'),
  ) as { readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[] };
  const rules = panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }, at) => ({ record: `query:${at}`, expr: expr.replaceAll('$__rate_interval', '5m') }));
  const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-rules-'));
  const file = path.join(directory, 'dashboard.yaml');
  writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules }] }));
  expect(checkRules(file)).toContain(`${rules.length} rules found`);
  rmSync(directory, { recursive: true });
});

it('a sidecar’s', async () => {
  const receiver = await new OtlpReceiver().start();
  const { mesh, ask } = await startTracedChain({
    metrics: { listen: '127.0.0.1:0' },
    telemetry: { otlp: { endpoint: receiver.endpoint, logs: true } },
  });
  try {
    for (const target of ['/', '/vpcs', '/..', '/ec2/a:b']) await ask(target);
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
