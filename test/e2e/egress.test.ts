/** What leaves: to the pinned peer alone, with no more authority than its route gives; and the ways in which clients ask. */
import { execFile } from 'node:child_process';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { ProxyAgent, request as undiciRequest } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh, send, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { codeOf, exchangeOctets, isWholeResponse, statusOf } from '../testkit/raw-http.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const SECURITY = 'security/eee777';
const run = promisify(execFile);

describe('egress', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let context: string;

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { agents: [PLANNING, INVENTORY, SECURITY], anchor: { scope: TEST_SCOPE } },
    });
    await mesh.start(SECURITY);
    inventory = await mesh.start(INVENTORY, { routes: { 'security.mesh': SECURITY } });
    planning = await mesh.start(PLANNING, {
      routes: {
        'inventory.mesh': INVENTORY,
        'wrong.mesh': INVENTORY,
        'typed.mesh': INVENTORY,
        'wrong-type.mesh': INVENTORY,
      },
      pins: {
        'wrong.mesh': 'spiffe://company.com/agent/inventory/other',
        'typed.mesh': 'spiffe://company.com/agent/inventory/*',
        'wrong-type.mesh': 'spiffe://company.com/agent/security/*',
      },
      delegate: { scope: ['cloud:read', 'ec2:Describe*'], ttl: '10m', remainingDepth: 1 },
    });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
  });
  afterAll(() => mesh.stop());

  const ask = (url: string, headers: Record<string, string> = {}) =>
    sendThrough(planning, url, { context, headers });
  describe('a pin', () => {
    it.each(['wrong.mesh', 'wrong-type.mesh'])(
      'to another agent or type (%s) is refused before anything of the request is sent',
      async (host) => {
        const before = {
          seen: inventory.seen.length,
          records: inventory.log().filter(({ kind }) => kind === 'decision').length,
        };
        const answer = await sendThrough(planning, `http://${host}/secret`, {
          context,
          method: 'POST',
          body: 'secret',
        });
        expect(answer).toMatchObject({ status: 502, code: 'peer_not_pinned' });
        expect(planning.log().findLast(({ kind }) => kind === 'decision')).toMatchObject({
          direction: 'outbound',
          verdict: 'deny',
          reason: 'peer_not_pinned',
          hop: '',
        });
        expect(inventory.seen.length).toBe(before.seen);
        expect(inventory.log().filter(({ kind }) => kind === 'decision').length).toBe(before.records);
      },
    );
    it('to a type is met by any agent of it, by name on record', async () => {
      expect((await ask('http://typed.mesh/vpcs')).status).toBe(200);
      expect(planning.log().findLast(({ kind }) => kind === 'decision')).toMatchObject({
        callee: inventory.agent.id,
      });
    });
  });

  describe('Hopgate-Delegate', () => {
    /** What the callee may do onward with what it was given. */
    const onward = async (target: string): Promise<string | undefined> => {
      const handle = String(inventory.seen.at(-1)?.headers['hopgate-context']);
      const answer = await sendThrough(inventory, `http://security.mesh${target}`, { context: handle });
      return answer.code;
    };
    it('left out: the callee gets what route and chain have in common', async () => {
      expect((await ask('http://inventory.mesh/vpcs')).status).toBe(200);
      expect(await onward('/read')).toBeUndefined();
      expect(mesh.agent(SECURITY).seen.at(-1)?.headers['hopgate-context']).toMatch(/^[\w-]{32}$/);
      expect(await onward('/ec2/DescribeVpcs')).toBeUndefined();
      expect(await onward('/ec2/RunInstances')).toBe('scope_missing');
    });
    it('asks for less, and the callee has less', async () => {
      expect(
        (
          await ask('http://inventory.mesh/vpcs', {
            'hopgate-delegate': 'scope=ec2:DescribeVpcs; ttl=60; depth=0',
          })
        ).status,
      ).toBe(200);
      expect(await onward('/ec2/DescribeVpcs')).toBeUndefined();
      // Depth 0: it may act, and not delegate.
      expect(mesh.agent(SECURITY).seen.at(-1)?.headers).not.toHaveProperty('hopgate-context');
      expect(await onward('/ec2/DescribeSubnets')).toBe('scope_missing');
      expect(await onward('/read')).toBe('scope_missing');
    });
    it('at the edge of the route is allowed', async () => {
      for (const value of ['ttl=600;depth=1', 'scope=cloud:read ec2:Describe*'])
        expect((await ask('http://inventory.mesh/vpcs', { 'hopgate-delegate': value })).status).toBe(200);
    });
    it('none gives the callee nothing onward', async () => {
      expect((await ask('http://inventory.mesh/vpcs', { 'hopgate-delegate': 'none' })).status).toBe(200);
      expect(inventory.seen.at(-1)?.headers).not.toHaveProperty('hopgate-context');
    });
    it.each([
      ['scope=cloud:write', 'delegate_widened'],
      ['scope=cloud:read cloud:write', 'delegate_widened'],
      ['scope=ec2:*', 'delegate_widened'],
      ['scope=ec2:D*', 'delegate_widened'],
      ['scope=iam:write', 'delegate_widened'],
      ['ttl=601', 'delegate_widened'],
      ['depth=2', 'delegate_widened'],
      ['scope=', 'delegate_invalid'],
      ['scope=*', 'delegate_invalid'],
      ['scope=cloud:read; scope=cloud:read', 'delegate_invalid'],
      ['ttl=-1', 'delegate_invalid'],
      ['ttl=0', 'delegate_invalid'],
      ['ttl=1e3', 'delegate_invalid'],
      ['depth=', 'delegate_invalid'],
      ['everything', 'delegate_invalid'],
      ['none; ttl=5', 'delegate_invalid'],
    ])('%s is refused: %s', async (value, code) => {
      const seen = inventory.seen.length;
      expect((await ask('http://inventory.mesh/vpcs', { 'hopgate-delegate': value })).code).toBe(code);
      expect(planning.log().findLast(({ kind }) => kind === 'decision')).toMatchObject({
        verdict: 'deny',
        reason: code,
      });
      expect(inventory.seen.length).toBe(seen);
    });
    it('never gets further than the callee’s sidecar', async () => {
      await ask('http://inventory.mesh/vpcs', { 'hopgate-delegate': 'scope=cloud:read' });
      expect(inventory.seen.at(-1)?.headers).not.toHaveProperty('hopgate-delegate');
    });
  });

  /** A tunnel through the proxy, as older clients open one for http:// too. */
  const openTunnel = (authority: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const url = new URL(planning.proxyUrl);
      const request = httpRequest({
        host: url.hostname,
        port: url.port,
        method: 'CONNECT',
        path: authority,
        headers: {
          'proxy-authorization': `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}`,
        },
      });
      request.on('connect', (response, socket) =>
        response.statusCode === 200 ? resolve(socket) : reject(new Error(`${response.statusCode}`)),
      );
      request.on('error', reject);
      request.end();
    });

  describe('CONNECT to a mesh name', () => {
    it('carries plain requests, one after the other, each decided', async () => {
      const socket = await openTunnel('inventory.mesh:80');
      const through = (target: string): Promise<IncomingMessage> =>
        new Promise((resolve, reject) => {
          const request = httpRequest(
            {
              createConnection: () => socket,
              path: target,
              headers: { host: 'inventory.mesh', 'hopgate-context': context, connection: 'keep-alive' },
            },
            resolve,
          );
          request.on('error', reject);
          request.end();
        });
      for (const target of ['/in/tunnel/1', '/in/tunnel/2']) {
        const response = await through(target);
        expect(response.statusCode).toBe(200);
        for await (const chunk of response) expect(String(chunk)).toContain('hello');
        expect(planning.log().findLast(({ target: logged }) => logged === target)).toMatchObject({
          direction: 'outbound',
          verdict: 'permit',
        });
      }
      socket.destroy();
    });
    it('is no way around the context, the host or the target', async () => {
      for (const [octets, code] of [
        ['GET /vpcs HTTP/1.1\r\nHost: inventory.mesh\r\n\r\n', 'context_missing'],
        [`GET /vpcs HTTP/1.1\r\nHost: typed.mesh\r\nHopgate-Context: ${context}\r\n\r\n`, 'http_malformed'],
        [
          `GET /vpcs HTTP/1.1\r\nHost: 127.0.0.1\r\nHopgate-Context: ${context}\r\n\r\n`,
          'egress_address_forbidden',
        ],
        [
          `GET http://inventory.mesh/vpcs HTTP/1.1\r\nHost: inventory.mesh\r\nHopgate-Context: ${context}\r\n\r\n`,
          'http_malformed',
        ],
        [
          `GET /vpcs HTTP/1.1\r\nHost: inventory.mesh\r\nOrigin: null\r\nHopgate-Context: ${context}\r\n\r\n`,
          'agent_browser',
        ],
      ] as const) {
        const socket = await openTunnel('inventory.mesh:80');
        const text = await new Promise<string>((resolve) => {
          let all = '';
          socket.on('data', (chunk: Buffer) => {
            all += chunk.toString();
            if (isWholeResponse(all)) socket.destroy();
          });
          socket.on('close', () => resolve(all));
          socket.write(octets);
        });
        expect(codeOf(text)).toBe(code);
      }
    });
    it('refuses TLS inside with its own code', async () => {
      const socket = await openTunnel('inventory.mesh:80');
      const secure = connectTls({ socket, rejectUnauthorized: false });
      await expect(
        new Promise((resolve, reject) =>
          secure
            .on('secureConnect', resolve)
            .on('error', reject)
            .on('close', () => reject(new Error('closed'))),
        ),
      ).rejects.toThrow();
      expect(planning.log().findLast(({ kind }) => kind === 'decision')).toMatchObject({
        direction: 'outbound',
        verdict: 'deny',
        reason: 'egress_tls',
        method: 'CONNECT',
      });
    });
    it('takes a request that comes in one packet with CONNECT', async () => {
      const url = new URL(planning.proxyUrl);
      const authorization = `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}`;
      const text = await exchangeOctets(
        { host: url.hostname, port: Number(url.port) },
        `CONNECT inventory.mesh:80 HTTP/1.1\r\nHost: inventory.mesh\r\nProxy-Authorization: ${authorization}\r\n\r\nGET /vpcs HTTP/1.1\r\nHost: inventory.mesh\r\nHopgate-Context: ${context}\r\nConnection: close\r\n\r\n`,
      );
      expect(text).toMatch(/^HTTP\/1\.1 200 Connection Established\r\n\r\nHTTP\/1\.1 200 OK/);
      expect(text).toContain('hello from inventory/def456');
    });
  });

  it('a unix socket asks for no secret: its permissions speak', async () => {
    mesh.agent(SECURITY).sidecar.stop('to start anew');
    const socket = path.join(mesh.directory, 'out.sock');
    const other = await mesh.start(SECURITY, {
      routes: { 'inventory.mesh': INVENTORY },
      config: { outbound: { listen: `unix:${socket}` } },
    });
    const handle = await mesh.startTask(SECURITY, mesh.domain.mintChain([SECURITY], { scope: TEST_SCOPE }));
    const answer = await send({
      socketPath: socket,
      path: 'http://inventory.mesh/vpcs',
      headers: { host: 'inventory.mesh', 'hopgate-context': handle },
    });
    expect(answer.status).toBe(200);
    expect(
      (await send({ socketPath: socket, path: '/vpcs', headers: { host: 'inventory.mesh' } })).code,
    ).toBe('context_missing');
    expect(other.addresses.outbound).toBe(`unix:${socket}`);
  });

  describe('clients, as they are', () => {
    const environment = () => ({
      ...process.env,
      HTTP_PROXY: planning.proxyUrl,
      http_proxy: planning.proxyUrl,
      NO_PROXY: '',
      no_proxy: '',
    });

    it('curl -x', async () => {
      const { stdout } = await run('curl', [
        '-sS',
        '-x',
        planning.proxyUrl,
        '-H',
        `Hopgate-Context: ${context}`,
        'http://inventory.mesh/curl?x=1',
      ]);
      expect(stdout).toBe('hello from inventory/def456');
      expect(inventory.seen.at(-1)?.url).toBe('/curl?x=1');
    });
    it('curl with a body and Expect: 100-continue', async () => {
      const { stdout } = await run('curl', [
        '-sS',
        '-x',
        planning.proxyUrl,
        '-H',
        `Hopgate-Context: ${context}`,
        '-H',
        'Expect: 100-continue',
        '--data-binary',
        'x'.repeat(100_000),
        'http://inventory.mesh/curl',
      ]);
      expect(stdout).toBe('hello from inventory/def456');
    });
    it('curl -p (CONNECT for http)', async () => {
      const { stdout } = await run('curl', [
        '-sS',
        '-p',
        '-x',
        planning.proxyUrl,
        '-H',
        `Hopgate-Context: ${context}`,
        'http://inventory.mesh/curl-p',
      ]);
      expect(stdout).toBe('hello from inventory/def456');
    });
    it('Python’s urllib through http_proxy', async () => {
      const code = `import sys, urllib.request as u
r = u.Request("http://inventory.mesh/python", headers={"Hopgate-Context": sys.argv[1]})
print(u.urlopen(r, timeout=10).read().decode(), end="")`;
      const { stdout } = await run('python3', ['-c', code, context], { env: environment() });
      expect(stdout).toBe('hello from inventory/def456');
    });
    it('Node’s fetch with NODE_USE_ENV_PROXY=1', async () => {
      const code =
        'const r = await fetch("http://inventory.mesh/fetch", { headers: { "hopgate-context": process.argv[1] } }); process.stdout.write(r.status + " " + await r.text());';
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code, context], {
        env: { ...environment(), NODE_USE_ENV_PROXY: '1' },
      });
      expect(stdout).toBe('200 hello from inventory/def456');
      expect(inventory.seen.at(-1)?.url).toBe('/fetch');
    });
    it('undici’s ProxyAgent, by absolute form and by tunnel', async () => {
      for (const proxyTunnel of [false, true]) {
        const dispatcher = new ProxyAgent({ uri: planning.proxyUrl, proxyTunnel });
        const { statusCode, body } = await undiciRequest('http://inventory.mesh/undici', {
          dispatcher,
          headers: { 'hopgate-context': context },
        });
        expect([statusCode, await body.text()]).toEqual([200, 'hello from inventory/def456']);
        await dispatcher.close();
      }
    });
    it('are told what is wrong when they forget the secret', async () => {
      const url = new URL(planning.proxyUrl);
      const { stdout } = await run('curl', ['-sS', '-x', `http://${url.host}`, 'http://inventory.mesh/']);
      expect(JSON.parse(stdout)).toMatchObject({
        code: 'agent_unauthenticated',
        hint: expect.stringContaining('proxy-url'),
      });
    });
  });

  it('closes a client that speaks no HTTP', async () => {
    const url = new URL(planning.proxyUrl);
    const text = await exchangeOctets(
      { host: url.hostname, port: Number(url.port) },
      '\x16\x03\x01\x00\x05hello',
    );
    expect(Number.isNaN(statusOf(text)) || statusOf(text) === 400).toBe(true);
  });
});
