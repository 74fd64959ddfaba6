/** Attacks on the door out, from processes, pages and requests that are not the agent's own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { codeOf, exchangeOctets, isWholeResponse, statusOf } from '../testkit/raw-http.ts';

const ADDRESSES = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '0x7f.1',
  '0X7F.0.0.1',
  '127.0x0.1',
  '0177.0.0.1',
  '2130706433',
  '0x7f000001',
  '0',
  '0.0.0.0',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[fe80::1]',
  '[fd00:ec2::254]',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'app.localhost',
  '169.254.169.254',
  '169.254.169.254.',
  '0xa9fea9fe',
  '2852039166',
  '10.0.0.1',
] as const;

const NO_ROUTE = [
  'evil.example',
  'metadata.google.internal',
  '127.0.0.1.nip.io',
  'inventory.mesh.evil.example',
  'evil.inventory.mesh',
  'inventory.mesh:14443',
  'inventory.mesh:8080',
  'inventory.mesh@evil.example',
  'inventory.mesh:80@evil.example',
  'evil.example@inventory.mesh',
  'user:secret-password@inventory.mesh',
  'inventory.mesh\\@evil.example',
  'inventory.mesh%2eevil.example',
  'inventory%2emesh',
  '[::1%25lo]',
  '',
] as const;

describe('the outbound listener', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let context: string;
  let port: { host: string; port: number };
  let authorization: string;

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { anchor: { scope: TEST_SCOPE } },
      // Each of the many denials on record by itself.
      config: { audit: { denialsPerCaller: 10_000 } },
    });
    await mesh.start('inventory/def456');
    planning = await mesh.start('planning/abc123', { routes: { 'inventory.mesh': 'inventory/def456' } });
    context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: TEST_SCOPE }),
    );
    const url = new URL(planning.proxyUrl);
    port = { host: url.hostname, port: Number(url.port) };
    authorization = `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}`;
  });
  afterAll(() => mesh.stop());

  const ask = (line: string, headers: readonly string[] = []): Promise<string> =>
    exchangeOctets(
      port,
      [
        `${line} HTTP/1.1`,
        `Proxy-Authorization: ${authorization}`,
        `Hopgate-Context: ${context}`,
        ...headers,
        '',
        '',
      ].join('\r\n'),
      isWholeResponse,
    );

  const expectDenied = (text: string, code: string, from: number): void => {
    expect([statusOf(text), codeOf(text)]).toEqual([expect.toBeOneOf([400, 403, 407]), code]);
    expect(mesh.agent('inventory/def456').seen).toEqual([]);
    if (code === 'agent_unauthenticated') return;
    expect(planning.log().slice(from)).toContainEqual(
      expect.objectContaining({ kind: 'decision', direction: 'outbound', verdict: 'deny', reason: code }),
    );
  };
  const logged = (): number => planning.log().length;

  it.each(ADDRESSES)('never dials %s, in absolute form, by Host or by CONNECT', async (host) => {
    for (const [line, hostHeader] of [
      [`GET http://${host}/latest/meta-data/`, host],
      [`GET http://${host}:80/`, `${host}:80`],
      ['GET /latest/meta-data/', host],
      [`CONNECT ${host}:80`, `${host}:80`],
      [`CONNECT ${host}:443`, 'inventory.mesh'],
    ] as const) {
      const from = logged();
      expectDenied(await ask(line, [`Host: ${hostHeader}`]), 'egress_address_forbidden', from);
    }
  });

  it.each(NO_ROUTE.filter((host) => host !== ''))('has no route to %s', async (host) => {
    const from = logged();
    const text = await ask(`GET http://${host}/`, [`Host: ${host}`]);
    // Some of them Node's own parser takes for no URL at all.
    if (codeOf(text) === undefined)
      expect(statusOf(text)).toSatisfy((status) => status === 400 || Number.isNaN(status));
    else expectDenied(text, 'egress_host_unknown', from);
    expect(mesh.agent('inventory/def456').seen).toEqual([]);
  });

  it.each(NO_ROUTE)('has no route by Host or CONNECT to "%s"', async (host) => {
    const from = logged();
    expectDenied(await ask('GET /vpcs', [`Host: ${host}`]), 'egress_host_unknown', from);
    if (host === '') return;
    const text = await ask(`CONNECT ${host.includes(':') ? host : `${host}:80`}`, ['Host: inventory.mesh']);
    if (codeOf(text) === undefined)
      expect(statusOf(text)).toSatisfy((status) => status === 400 || Number.isNaN(status));
    else expect(codeOf(text)).toBe('egress_host_unknown');
    expect(mesh.agent('inventory/def456').seen).toEqual([]);
  });

  it('writes no user name or password of a URL into the log', async () => {
    await ask('GET http://user:secret-password@inventory.mesh/a', ['Host: inventory.mesh']);
    await ask('GET http://user:secret-password@evil.example/?q=secret-query', ['Host: evil.example']);
    const text = JSON.stringify(planning.log());
    expect(text).not.toContain('secret-password');
    expect(text).not.toContain('secret-query');
  });

  it('refuses a Host that names another peer than the request target', async () => {
    for (const host of ['evil.example', '127.0.0.1', 'inventory.mesh.evil.example']) {
      const from = logged();
      expectDenied(await ask('GET http://inventory.mesh/vpcs', [`Host: ${host}`]), 'http_malformed', from);
    }
  });

  it('refuses two Host headers, and two contexts', async () => {
    let from = logged();
    expectDenied(
      await ask('GET http://inventory.mesh/vpcs', ['Host: inventory.mesh', 'Host: evil.example']),
      'http_header_duplicate',
      from,
    );
    from = logged();
    expectDenied(
      await ask('GET http://inventory.mesh/vpcs', [
        'Host: inventory.mesh',
        `Hopgate-Context: ${'A'.repeat(32)}`,
      ]),
      'http_header_duplicate',
      from,
    );
    from = logged();
    expectDenied(
      await ask('GET http://inventory.mesh/vpcs', [
        'Host: inventory.mesh',
        `tracestate: hopgate=${'A'.repeat(32)}`,
      ]),
      'context_conflict',
      from,
    );
  });

  it.each([
    ['https://inventory.mesh/vpcs', 'egress_tls'],
    ['HTTPS://inventory.mesh/', 'egress_tls'],
  ])('refuses %s', async (url, code) => {
    const from = logged();
    expectDenied(await ask(`GET ${url}`, ['Host: inventory.mesh']), code, from);
  });

  it.each([
    'ftp://inventory.mesh/',
    'file:///etc/passwd',
    'gopher://inventory.mesh/',
    'unix:/var/run/docker.sock',
  ])('refuses %s', async (url) => {
    const text = await ask(`GET ${url}`, ['Host: inventory.mesh']);
    expect(codeOf(text) ?? 'http_malformed').toBe('http_malformed');
    expect(statusOf(text)).toSatisfy((status) => status === 400 || Number.isNaN(status));
    expect(mesh.agent('inventory/def456').seen).toEqual([]);
  });

  it.each([
    ['Origin', 'http://inventory.mesh'],
    ['Origin', 'null'],
    ['Sec-Fetch-Site', 'cross-site'],
    ['sec-fetch-dest', 'empty'],
    ['ORIGIN', 'https://company.com'],
  ])('refuses a web page (%s: %s), even one that knows secret and handle', async (name, value) => {
    const from = logged();
    expectDenied(
      await ask('GET http://inventory.mesh/vpcs', ['Host: inventory.mesh', `${name}: ${value}`]),
      'agent_browser',
      from,
    );
    expectDenied(
      await ask('CONNECT inventory.mesh:80', ['Host: inventory.mesh', `${name}: ${value}`]),
      'agent_browser',
      logged() - 1,
    );
  });

  it('does not answer a preflight so that a page could go on', async () => {
    const text = await exchangeOctets(
      port,
      'OPTIONS /vpcs HTTP/1.1\r\nHost: inventory.mesh\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n',
      isWholeResponse,
    );
    expect(statusOf(text)).toBe(407);
    expect(text.toLowerCase()).not.toContain('access-control-allow');
  });

  it('refuses a handle from a process without the secret, or with a wrong one, and counts it instead of logging each', async () => {
    const before = planning.log().length;
    const wrong = [
      undefined,
      'Basic',
      `Basic ${Buffer.from('hopgate:').toString('base64')}`,
      `Basic ${Buffer.from(`hopgate:${'A'.repeat(32)}`).toString('base64')}`,
      `${authorization}A`,
      authorization.toLowerCase(),
      authorization.replace('Basic', 'Bearer'),
      ` ${authorization} x`,
    ];
    for (const value of wrong) {
      const headers = [
        `Host: inventory.mesh`,
        `Hopgate-Context: ${context}`,
        ...(value === undefined ? [] : [`Proxy-Authorization: ${value}`]),
      ];
      for (const line of ['GET http://inventory.mesh/vpcs', 'CONNECT inventory.mesh:80']) {
        const text = await exchangeOctets(
          port,
          [`${line} HTTP/1.1`, ...headers, '', ''].join('\r\n'),
          isWholeResponse,
        );
        expect([statusOf(text), codeOf(text)]).toEqual([407, 'agent_unauthenticated']);
      }
    }
    expect(planning.log().length).toBe(before);
    expect(mesh.agent('inventory/def456').seen).toEqual([]);
  });

  it('does not take the secret from Authorization, or from inside a tunnel that was not opened with it', async () => {
    const text = await exchangeOctets(
      port,
      `GET http://inventory.mesh/ HTTP/1.1\r\nHost: inventory.mesh\r\nAuthorization: ${authorization}\r\nHopgate-Context: ${context}\r\n\r\n`,
      isWholeResponse,
    );
    expect([statusOf(text), codeOf(text)]).toEqual([407, 'agent_unauthenticated']);
  });

  it('still works for the agent itself', async () => {
    const answer = await sendThrough(planning, 'http://inventory.mesh/vpcs', { context });
    expect(answer).toMatchObject({ status: 200 });
    const seen = mesh.agent('inventory/def456').seen.at(-1);
    expect(JSON.stringify(seen?.rawHeaders)).not.toContain(authorization);
  });
});
