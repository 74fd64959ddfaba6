/** What a sidecar tells Prometheus: real scrapes of running ones. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { scrape } from '../testkit/metrics-text.ts';

const METHODS = ['GET', 'PURGE', 'REPORT', 'MKCOL', 'PROPFIND'];
const AGENTS = ['planning/abc123', 'inventory/def456', 'security/ghi789'];
const ON = { metrics: { listen: '127.0.0.1:0' } };

describe('the metrics of a sidecar', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let context: string;
  const figures = async ({ addresses }: MeshAgent) => Object.fromEntries(await scrape(addresses.metrics));
  const call = (url: string, more: object = { context }) => sendThrough(planning, url, more);

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { agents: AGENTS, anchor: { scope: TEST_SCOPE } }, config: ON });
    inventory = await mesh.start('inventory/def456');
    planning = await mesh.start('planning/abc123', { routes: { 'inventory.mesh': 'inventory/def456' } });
    context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: ['cloud:read'] }),
    );
  });
  afterAll(() => mesh.stop());

  it('are in the text format before anything has happened, with what is in force', async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await figures(inventory)).toMatchObject({
      'hopgate_build_info{version="test"}': 1,
      'hopgate_policy_revision_info{revision="test-1",digest=""}': 1,
      'hopgate_requests_total{direction="inbound",outcome="ok",code="2xx"}': 0,
      hopgate_trust_usable: 1,
      hopgate_audit_writable: 1,
      hopgate_live_hops: 0,
      hopgate_agent_up: 1,
      hopgate_config_last_reload_successful: 1,
    });
    const { 'hopgate_credential_expiry_timestamp_seconds{credential="svid"}': svid } =
      await figures(inventory);
    expect(svid).toBe(inventory.sidecar.identity.svidNotAfter);
    expect(svid).toBeGreaterThan(now);
  });

  it('count a request on both sides, through every stage, and what was known of it the second time', async () => {
    for (let times = 0; times < 2; times++)
      expect((await call('http://inventory.mesh/vpcs')).status).toBe(200);
    for (const [member, direction] of [
      [planning, 'outbound'],
      [inventory, 'inbound'],
    ] as const)
      await vi.waitFor(async () =>
        expect(await figures(member)).toMatchObject({
          [`hopgate_requests_total{direction="${direction}",outcome="ok",code="2xx"}`]: 2,
          [`hopgate_request_duration_seconds_count{direction="${direction}"}`]: 2,
          ...Object.fromEntries(
            ['verify', 'decide', 'audit', 'forward'].map((stage) => [
              `hopgate_stage_duration_seconds_count{direction="${direction}",stage="${stage}"}`,
              2,
            ]),
          ),
          [`hopgate_response_body_bytes_total{direction="${direction}"}`]:
            2 * 'hello from inventory/def456'.length,
          [`hopgate_handshakes_total{direction="${direction}"}`]: 1,
          [`hopgate_handshake_duration_seconds_count{direction="${direction}"}`]: 1,
          [`hopgate_connections{door="${direction}",state="open"}`]: 1,
          'hopgate_cache_lookups_total{cache="chain",result="hit"}': 1,
          'hopgate_cache_lookups_total{cache="decision",result="hit"}': 1,
        }),
      );
    const { hopgate_audit_records_total: records, hopgate_audit_write_duration_seconds_count: writes } =
      await figures(inventory);
    // Start, and a decision and an outcome each.
    expect(records).toBeGreaterThanOrEqual(5);
    expect(writes).toBeGreaterThan(0);
  });

  it('count denials by reason, and refusals of whoever proves nothing', async () => {
    expect(await call('http://inventory.mesh/vpcs', { context, method: 'POST' })).toMatchObject({
      code: 'scope_missing',
    });
    expect(await call('http://inventory.mesh/', {})).toMatchObject({ code: 'context_missing' });
    expect(await call('http://inventory.mesh/', { context, anonymous: true })).toMatchObject({
      code: 'agent_unauthenticated',
    });
    expect(await figures(planning)).toMatchObject({
      'hopgate_denials_total{direction="outbound",reason="scope_missing"}': 1,
      'hopgate_denials_total{direction="outbound",reason="context_missing"}': 1,
      'hopgate_requests_total{direction="outbound",outcome="denied",code="4xx"}': 2,
      'hopgate_early_refusals_total{reason="agent_unauthenticated"}': 1,
    });
  });

  it('have no more series however many paths, methods and hosts an agent tries, and name nobody', async () => {
    await call('http://inventory.mesh/a');
    await call('http://elsewhere.mesh/');
    const before = await figures(planning);
    for (let one = 0; one < 20; one++) {
      await call(`http://inventory.mesh/path-${one}`, {
        context,
        method: METHODS[one % METHODS.length] ?? 'GET',
      });
      await call(`http://host-${one}.mesh/`);
    }
    const added = Object.keys(await figures(planning)).filter((series) => !(series in before));
    // Of what had not happened before, such as another reason code: not one for each try.
    expect(added.length).toBeLessThan(5);
    for (const member of [planning, inventory])
      expect(Object.keys(await figures(member)).join('\n')).not.toMatch(
        /spiffe|alice|path-|host-|inventory|planning/,
      );
  });

  it('of a second sidecar on their address keep it from starting, and it says so', async () => {
    const { addresses } = planning;
    const again = mesh.start('security/ghi789', { config: { metrics: { listen: addresses.metrics } } });
    await expect(again).rejects.toThrow(`can't listen on ${addresses.metrics} for metrics (EADDRINUSE)`);
  });

  it('are had from this machine alone unless configured, and by nothing but GET /metrics', async () => {
    const { addresses } = planning;
    expect(addresses.metrics).toMatch(/^127\.0\.0\.1:\d+$/);
    expect((await fetch(`http://${addresses.metrics}/`)).status).toBe(404);
    expect((await fetch(`http://${addresses.metrics}/metrics`, { method: 'POST' })).status).toBe(405);
  });
});
