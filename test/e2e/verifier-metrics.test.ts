/** What the verifier tells Prometheus: real scrapes of a running one. Drift shows, and no series names an agent. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { enrolmentEndpoints } from '../../src/api/enrolment.ts';
import type { VerifierError } from '../../src/edge/verifier/verifier-error.ts';
import { LIVE_SECONDS } from '../../src/verifier/policy/enforcement.ts';
import { runCli } from '../testkit/cli-process.ts';
import { exchangeOctets, isWholeResponse, statusOf } from '../testkit/raw-http.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';
import { makeVerifiedMesh } from '../testkit/verified-mesh.ts';

const CONFIG = { metrics: { listen: { host: '127.0.0.1', port: 0 } } };
const DAY = 86_400;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const startVerifier = async (): Promise<RunningVerifier> => {
  const running = await RunningVerifier.start({ config: CONFIG });
  ends.push(() => running.stop());
  return running;
};
const scrape = async ({ verifier }: RunningVerifier): Promise<string> => {
  const response = await fetch(`http://${verifier.metricsAddress}/metrics`);
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  return response.text();
};
/** Value by name with labels, as it is written, without the prefix. */
const figuresOf = async (running: RunningVerifier): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries(
    (await scrape(running))
      .split('\n')
      .filter((line) => line.startsWith('hopgate_verifier_'))
      .map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice('hopgate_verifier_'.length, space), Number(line.slice(space + 1))];
      }),
  );

describe('the metrics of a verifier', () => {
  it('show a sidecar that is behind, and one that has fallen silent', async () => {
    const mesh = await makeVerifiedMesh({ verifier: CONFIG });
    ends.push(() => mesh.stop());
    await mesh.start('planning/1');
    const { sidecar } = await mesh.start('inventory/1');
    const states = async () => {
      const figures = await figuresOf(mesh.running);
      return ['enforcing', 'behind', 'silent'].map((state) => figures[`sidecars{state="${state}"}`]);
    };
    await vi.waitFor(async () => expect(await states()).toEqual([2, 0, 0]), 10_000);
    sidecar.stop('the test');
    await mesh.publishPolicy({ revision: 'next' });
    await vi.waitFor(async () => expect(await states()).toEqual([1, 1, 0]), 10_000);
    const figures = await figuresOf(mesh.running);
    const { verified, epoch, seq } = mesh.running.verifier.rooms.publication.current;
    expect(figures).toMatchObject({
      [`policy_revision_info{revision="next",digest="${verified.policyDigest}"}`]: 1,
      bundle_epoch: epoch,
      bundle_seq: seq,
      subscribers: 1,
      'svids_issued_total{for="enrolment"}': 2,
      'requests_total{endpoint="enrol",status="201"}': 2,
    });
    expect(Object.keys(figures).filter((name) => name.startsWith('policy_revision_info'))).toHaveLength(1);
    // However many agents there are.
    expect(await scrape(mesh.running)).not.toContain('spiffe://');
    mesh.clock.advanceSeconds(LIVE_SECONDS + 1);
    await vi.waitFor(async () => expect(await states()).toEqual([1, 0, 1]), 20_000);
  }, 60_000);

  it('show what is published, the age of its timestamp, and how long keys hold', async () => {
    const running = await startVerifier();
    const before = await figuresOf(running);
    expect(before).toMatchObject({
      revocations: 0,
      approvals_pending: 0,
      timestamp_age_seconds: 0,
      bundle_build_seconds_count: running.verifier.rooms.publication.current.seq,
      'key_expiry_seconds{role="svid-ca"}': 90 * DAY,
      'key_rotation_due_seconds{role="policy"}': 90 * DAY,
    });
    expect(before.bundle_bytes).toBeGreaterThan(500);
    // No policy yet.
    expect(Object.keys(before).filter((name) => name.startsWith('policy_revision_info'))).toEqual([]);
    running.clock.advanceSeconds(30);
    expect(await figuresOf(running)).toMatchObject({
      timestamp_age_seconds: 30,
      'key_expiry_seconds{role="policy"}': 90 * DAY - 30,
    });
  });

  it('count requests by endpoint and status, and refused enrolments by reason', async () => {
    const running = await startVerifier();
    const nobody = running.client();
    await nobody.call(enrolmentEndpoints.createChallenge, {});
    const body = {
      evidence: { method: 'join', token: 'A'.repeat(43) },
      csr: 'no request',
      proof: 'no proof',
    } as const;
    const refused = await nobody.call(enrolmentEndpoints.enrol, { body }).catch((error: unknown) => error);
    const { reason } = refused as VerifierError;
    expect(reason).not.toBe('api_invalid');
    await vi.waitFor(async () =>
      expect(await figuresOf(running)).toMatchObject({
        'requests_total{endpoint="createChallenge",status="201"}': 1,
        [`enrolments_refused_total{reason="${reason}"}`]: 1,
        'svids_issued_total{for="enrolment"}': 0,
      }),
    );
  });

  it('are had by GET /metrics, and nothing else is there', async () => {
    const running = await startVerifier();
    const target = { host: '127.0.0.1', port: Number(running.verifier.metricsAddress?.split(':')[1]) };
    const ask = async (line: string, more = ''): Promise<number> =>
      statusOf(
        await exchangeOctets(target, `${line} HTTP/1.1\r\nHost: a\r\n${more}\r\n`, (text) =>
          text.includes('\r\n\r\n'),
        ),
      );
    expect(await ask('GET /metrics')).toBe(200);
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect(await ask(`${method} /metrics`, 'Content-Length: 0\r\n'), method).toBe(405);
    for (const place of ['/', '/metrics/', '/Metrics', '/metrics?a=1', '//metrics', '/v1/status', '/healthz'])
      expect(await ask(`GET ${place}`), place).toBe(404);
    expect(await ask('GET /metrics', `a: ${'a'.repeat(10_000)}\r\n`)).toBe(431);
    // And not at the API.
    const api = await exchangeOctets(
      { path: running.verifier.layout.socket },
      'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n',
      isWholeResponse,
    );
    expect(statusOf(api)).toBe(404);
    await vi.waitFor(async () =>
      expect(await figuresOf(running)).toMatchObject({ 'requests_total{endpoint="none",status="404"}': 1 }),
    );
  });

  it('can be off, and a port that is taken is said as such', async () => {
    const off = await RunningVerifier.start();
    ends.push(() => off.stop());
    expect(off.verifier.metricsAddress).toBeUndefined();

    const other = createServer().listen(0, '127.0.0.1');
    ends.push(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as { readonly port: number };
    const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-metrics-'));
    ends.push(() => rmSync(directory, { recursive: true, force: true }));
    const config = path.join(directory, 'verifier.yaml');
    writeFileSync(
      config,
      `apiVersion: hopgate.dev/v1\nkind: Verifier\ndirectory: state\nlisten: 127.0.0.1:0\nmetrics: {listen: "127.0.0.1:${port}"}\n`,
    );
    const { code, stderr } = await runCli('verifier', '--config', config);
    expect(code).toBe(1);
    expect(stderr).toContain(`can't listen on 127.0.0.1:${port} for metrics (EADDRINUSE)`);
  });
});
