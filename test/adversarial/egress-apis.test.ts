/** Attacks on the way out to an API: to get at its credential, past its routes, or to another place under its name. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { API_KEY, EGRESS_POLICY, EGRESS_SCOPE, EgressWorld } from '../testkit/egress-world.ts';
import { type Answer, type ProxyRequest, sendThrough } from '../testkit/mesh.ts';
import { closed, codeOf, statusOf } from '../testkit/raw-http.ts';

const MODELS = 'http://api.llm.example/v1/models';

describe('an API beyond the mesh', () => {
  let world: EgressWorld;
  beforeAll(async () => {
    world = await EgressWorld.start();
  });
  afterAll(() => {
    const everything = readFileSync(world.agent.logFile, 'utf8') + world.said;
    world.stop();
    // Whatever was tried: the key is in no record and no line of the sidecar's own.
    expect(everything).not.toContain(API_KEY);
    expect(everything).toContain('api.llm.example');
  });
  beforeEach(() => {
    world.seen.length = 0;
    world.outside.dialled.length = 0;
    world.answer = (_, response) => response.end('fine');
  });

  const ask = (url: string, more: ProxyRequest = {}): Promise<Answer> =>
    sendThrough(world.agent, url, { context: world.context, ...more });
  const lastDecision = () => world.records('decision').at(-1);
  const lastOutcome = (like: Record<string, unknown>): Promise<void> =>
    vi.waitFor(() => expect(world.records('outcome').at(-1)).toMatchObject(like));

  it('is called over TLS with the credential, by its own name, and without anything of the mesh', async () => {
    const answer = await ask('http://API.llm.example/v1/chat?model=x', {
      method: 'POST',
      body: 'hello',
      headers: {
        authorization: 'Bearer theirs-0123456789',
        'x-api-key': 'theirs-0123456789',
        cookie: 'session=theirs',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        'x-purpose': 'kept',
      },
    });
    expect(answer).toMatchObject({ status: 200, body: 'fine' });
    const [seen] = world.seen;
    expect(seen).toMatchObject({ method: 'POST', url: '/v1/chat?model=x', body: 'hello' });
    expect(seen?.headers).toMatchObject({
      host: 'api.llm.example',
      authorization: `Bearer ${API_KEY}`,
      'x-purpose': 'kept',
      'content-length': '5',
    });
    const sent = JSON.stringify(seen?.rawHeaders).toLowerCase();
    for (const ours of [
      'theirs',
      'hopgate',
      'delegation',
      'trace',
      'cookie',
      'proxy-',
      'forwarded',
      world.context.toLowerCase(),
    ])
      expect(sent).not.toContain(ours);
    expect(lastDecision()).toMatchObject({
      verdict: 'permit',
      destination: 'api.llm.example:443',
      callee: '',
      method: 'POST',
      target: '/v1/chat',
      required: ['llm:chat'],
    });
    expect(answer.headers['hopgate-hop']).toBe(lastDecision()?.hop);
  });
  it.each([
    ['another method', MODELS, { method: 'DELETE' }, 'route_unmatched'],
    ['TRACE, which would show the credential', MODELS, { method: 'TRACE' }, 'route_unmatched'],
    ['another path', 'http://api.llm.example/admin', {}, 'route_unmatched'],
    ['a path that is not canonical', 'http://api.llm.example/v1/%2e%2e/admin', {}, 'target_not_canonical'],
    ['another port', 'http://api.llm.example:8443/v1/models', {}, 'egress_host_unknown'],
    ['https', 'https://api.llm.example/v1/models', {}, 'egress_tls'],
    ['a host that nobody named', 'http://evil.example/v1/models', {}, 'egress_host_unknown'],
    ['a name below it', 'http://x.api.llm.example/v1/models', {}, 'egress_host_unknown'],
    ['a user in it', 'http://evil.example@api.llm.example/v1/models', {}, 'egress_host_unknown'],
    ['an address', 'http://93.184.216.34/v1/models', {}, 'egress_address_forbidden'],
    ['what is reached by a tunnel', 'http://db.partner.example:5432/', {}, 'egress_host_unknown'],
    ['what policy has not signed', 'http://unsigned.example/', {}, 'route_unmatched'],
    ['what is not configured here', 'http://elsewhere.example/', {}, 'egress_host_unknown'],
    ['another Host', MODELS, { headers: { host: 'elsewhere.example' } }, 'http_malformed'],
    ['no context', MODELS, { context: undefined }, 'context_missing'],
    ['no secret', MODELS, { anonymous: true }, 'agent_unauthenticated'],
    ['a wish to delegate', MODELS, { headers: { 'hopgate-delegate': 'ttl=60' } }, 'delegate_widened'],
  ])('is not called with %s', async (_what, url, more, code) => {
    const { code: got } = await sendThrough(world.agent, url, {
      context: world.context,
      ...(more as ProxyRequest),
    });
    expect(got).toBe(code);
    expect(world.seen).toEqual([]);
    expect(world.outside.dialled).toEqual([]);
    if (code !== 'agent_unauthenticated')
      expect(lastDecision()).toMatchObject({ verdict: 'deny', reason: code });
  });
  it('is not called by a chain without the scope, each method and path by its own', async () => {
    const context = await world.task(['llm:models']);
    expect((await ask(MODELS, { context })).status).toBe(200);
    expect(await ask('http://api.llm.example/v1/chat', { context, method: 'POST' })).toMatchObject({
      status: 403,
      code: 'scope_missing',
    });
    expect(world.seen).toHaveLength(1);
  });
  it('is not called by a chain that is bound to callees or counted, since it is none', async () => {
    const chain = (caveat: object) =>
      world.mesh.domain.mintChain(['planning/abc123'], { scope: EGRESS_SCOPE, caveats: [caveat as never] });
    const inventory = 'spiffe://company.com/agent/inventory/def456';
    for (const [caveat, code] of [
      [{ type: 'callee', ids: [inventory] }, 'caveat_callee'],
      [{ type: 'callee', ids: ['spiffe://company.com/agent/planning/*'] }, 'caveat_callee'],
      [{ type: 'max_uses', uses: 5, at: inventory }, 'caveat_max_uses'],
      [{ type: 'tool', names: ['chat'] }, 'caveat_tool'],
      [{ type: 'resource', paths: ['/v2'] }, 'caveat_resource'],
    ] as const) {
      const context = await world.mesh.startTask('planning/abc123', chain(caveat));
      expect((await ask(MODELS, { context })).code).toBe(code);
    }
    expect(world.seen).toEqual([]);
  });
  it('can be called through a CONNECT to its port of http, and by no other name in it', async () => {
    const { socket, head } = await world.connect('api.llm.example:80');
    expect(statusOf(head)).toBe(200);
    const lines = (host: string) =>
      `GET /v1/models HTTP/1.1\r\nHost: ${host}\r\nHopgate-Context: ${world.context}\r\n\r\n`;
    socket.write(lines('api.llm.example'));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(statusOf(String(first))).toBe(200);
    socket.write(lines('wiki.inside.example'));
    const [second] = (await once(socket, 'data')) as [Buffer];
    expect(codeOf(String(second))).toBe('http_malformed');
    socket.destroy();
    expect(world.seen).toHaveLength(1);
  });

  describe('that answers with the credential', () => {
    it('in headers: they don’t come in, and neither do cookies', async () => {
      world.answer = ({ headers }, response) => {
        response.setHeader('x-echo', String(headers.authorization));
        response.setHeader('set-cookie', 'session=ours');
        response.setHeader('hopgate-hop', 'forged');
        response.setHeader('delegation-labels', 'public');
        response.setHeader('x-fine', 'yes');
        response.end('fine');
      };
      const { headers, status } = await ask(MODELS);
      expect(status).toBe(200);
      expect(JSON.stringify(headers)).not.toContain(API_KEY);
      expect(headers).toMatchObject({ 'x-fine': 'yes' });
      for (const name of ['x-echo', 'set-cookie', 'delegation-labels'])
        expect(headers).not.toHaveProperty(name);
      expect(headers['hopgate-hop']).not.toBe('forged');
    });
    it('in its body: it is cut before it, and that is on record', async () => {
      world.answer = ({ rawHeaders }, response) => response.end(JSON.stringify(rawHeaders));
      const answer = await ask(MODELS).catch((error: Error) => ({ body: error.message, code: undefined }));
      expect(answer.body).not.toContain(API_KEY);
      await lastOutcome({ result: 'egress_credential_shown' });
    });
    it('in pieces, or in trailers: nothing of it comes in', async () => {
      world.answer = (_, response) => {
        response.writeHead(200, { trailer: 'x-echo' });
        response.write(`before ${API_KEY.slice(0, 8)}`);
        setImmediate(() => response.end(`${API_KEY.slice(8)} after`));
      };
      const answer = await ask(MODELS).catch((error: Error) => ({ body: error.message }));
      expect(answer.body).not.toContain(API_KEY.slice(8));
      world.answer = (_, response) => {
        response.writeHead(200, { trailer: 'x-echo' });
        response.write('fine');
        response.addTrailers({ 'x-echo': API_KEY });
        response.end();
      };
      expect(JSON.stringify(await ask(MODELS))).not.toContain(API_KEY);
    });
    it('in a coding that nobody asked for: it is refused', async () => {
      world.answer = ({ headers }, response) => {
        expect(headers).not.toHaveProperty('accept-encoding');
        response.writeHead(200, { 'content-encoding': 'gzip' }).end('whatever');
      };
      expect((await ask(MODELS, { headers: { 'accept-encoding': 'gzip' } })).code).toBe('response_malformed');
    });
  });
  it('that redirects is not followed', async () => {
    world.answer = (_, response) => response.writeHead(302, { location: 'https://evil.example/' }).end();
    expect(await ask(MODELS)).toMatchObject({ status: 302, headers: { location: 'https://evil.example/' } });
    expect(world.seen).toHaveLength(1);
    expect(new Set(world.outside.resolved)).toEqual(new Set(['api.llm.example']));
  });

  describe('whose certificate', () => {
    let other: Server;
    const serveAs = async (
      issued: { readonly cert: string; readonly key: string },
      options = {},
    ): Promise<void> => {
      other = createHttpsServer({ ...issued, ...options }, (_, response) => response.end('stolen'));
      other.listen(0, '127.0.0.1');
      await once(other, 'listening');
      world.outside.put('api.llm.example', 443, other, '8.8.4.4');
    };
    afterEach(() => {
      other.close();
      other.closeAllConnections();
      world.outside.put('api.llm.example', 443, world.apiPort);
    });
    beforeEach(async () => {
      // What is open already was good when it was made.
      world.answer = (_, response) => response.setHeader('connection', 'close').end('fine');
      await ask(MODELS);
      world.seen.length = 0;
    });
    it('is for another name gets no request', async () => {
      await serveAs(await world.ca.issue('evil.example'));
      expect((await ask(MODELS)).code).toBe('egress_certificate');
    });
    it('has expired gets no request', async () => {
      await serveAs(await world.ca.issue('api.llm.example', { notAfter: Math.floor(Date.now() / 1000) - 1 }));
      expect((await ask(MODELS)).code).toBe('egress_certificate');
    });
    it('is by a CA of the web and not by the one that is configured gets no request', async () => {
      const { makeWebCa } = await import('../testkit/web-ca.ts');
      await serveAs(await (await makeWebCa()).issue('api.llm.example'));
      expect((await ask(MODELS)).code).toBe('egress_certificate');
      await lastOutcome({ result: 'egress_certificate', status: 502 });
    });
    it('is good but whose TLS is too old gets no request', async () => {
      await serveAs(await world.ca.issue('api.llm.example'), {
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'ALL:@SECLEVEL=0',
      });
      expect((await ask(MODELS)).code).toBe('egress_certificate');
    });
  });
  it('in a private range is reached where policy opens it, and nowhere else', async () => {
    expect((await ask('http://wiki.inside.example/page')).status).toBe(200);
    expect(world.seen[0]?.headers).not.toHaveProperty('authorization');
    world.mesh.writePolicy({
      ...EGRESS_POLICY,
      revision: 'narrower',
      egress: EGRESS_POLICY.egress.map((entry) =>
        entry.name === 'inside' ? { ...entry, allowPrivate: ['10.3.0.0/16'] } : entry,
      ),
    });
    await world.agent.sidecar.reload();
    expect((await ask('http://wiki.inside.example/page')).code).toBe('egress_address_forbidden');
    world.mesh.writePolicy({ ...EGRESS_POLICY, revision: 'as-before' });
    await world.agent.sidecar.reload();
  });
  it('without its credential is not called, and with another one from then on', async () => {
    writeFileSync(world.secret('api-key'), '');
    expect(await ask(MODELS)).toMatchObject({ status: 503, code: 'egress_credential' });
    expect(world.seen).toEqual([]);
    await lastOutcome({
      result: 'egress_credential',
      status: 503,
      sent: 0,
    });
    writeFileSync(world.secret('api-key'), 'sk-another-0123456789');
    expect((await ask(MODELS)).status).toBe(200);
    expect(world.seen[0]?.headers.authorization).toBe('Bearer sk-another-0123456789');
    writeFileSync(world.secret('api-key'), API_KEY);
  });
  it('is spoken to by WebSocket on a route that is for it, with the credential, until what permitted it ends', async () => {
    const { hostname, port, username, password } = new URL(world.agent.proxyUrl);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(
      [
        'GET http://api.llm.example/realtime HTTP/1.1',
        'Host: api.llm.example',
        `Proxy-Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
        `Hopgate-Context: ${world.context}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
        'Sec-WebSocket-Version: 13',
        'Authorization: Bearer theirs-0123456789',
        '',
        '',
      ].join('\r\n'),
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(statusOf(String(head))).toBe(101);
    expect(String(head).toLowerCase()).not.toContain('cookie');
    expect(world.seen[0]?.headers).toMatchObject({
      authorization: `Bearer ${API_KEY}`,
      upgrade: 'websocket',
    });
    socket.write('frames');
    const [back] = (await once(socket, 'data')) as [Buffer];
    expect(String(back)).toBe('frames');
    world.mesh.writeBundle({ seq: 40, revoked: [{ agent: world.agent.agent.id }] as never });
    void world.agent.sidecar.reload();
    await closed(socket);
    await lastOutcome({ result: 'revoked_agent', status: 101, received: 6, sent: 6 });
    world.mesh.writeBundle({ seq: 41 });
    await world.agent.sidecar.reload();
    expect((await ask('http://api.llm.example/realtime')).code).toBe('http_upgrade');
  });
  it('that streams is cut when what permitted it ends', async () => {
    world.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: one\n\n');
    };
    const running = ask(MODELS).catch((error: Error) => error.message);
    await expect.poll(() => world.seen.length).toBe(1);
    world.mesh.writeBundle({ seq: 50, revoked: [{ agent: world.agent.agent.id }] as never });
    void world.agent.sidecar.reload();
    await running;
    await lastOutcome({ result: 'revoked_agent' });
    world.mesh.writeBundle({ seq: 51 });
    await world.agent.sidecar.reload();
  });
});

describe('another configuration', () => {
  it('opens and shuts destinations under way, and is refused whole where a file of it can’t be used', async () => {
    const world = await EgressWorld.start();
    const file = path.join(world.agent.directory, 'sidecar.yaml');
    const before = readFileSync(file, 'utf8');
    const ask = (url: string): Promise<Answer> => sendThrough(world.agent, url, { context: world.context });
    const follow = async (change: (egress: Record<string, unknown>[]) => Record<string, unknown>[]) => {
      const document = parse(before) as { outbound: { egress: Record<string, unknown>[] } };
      document.outbound.egress = change(document.outbound.egress);
      writeFileSync(file, stringify(document));
      await world.agent.sidecar.reload();
    };
    const elsewhere = { destination: 'elsewhere.example:443', caFile: 'secrets/web-ca' };
    world.outside.put('elsewhere.example', 443, world.apiPort, '8.8.8.8');
    expect((await ask(MODELS)).status).toBe(200);
    await follow((egress) => [...egress, { ...elsewhere, caFile: 'secrets/api-key' }]);
    expect(world.said).toContain('caFile of elsewhere.example:443: holds no certificate');
    expect((await ask('http://elsewhere.example/')).code).toBe('egress_host_unknown');
    await follow((egress) => [...egress.slice(1), elsewhere]);
    // The name is another one's than the certificate's; that it is dialled at all is what counts here.
    expect((await ask('http://elsewhere.example/')).code).toBe('egress_certificate');
    expect((await ask(MODELS)).code).toBe('egress_host_unknown');
    await follow((egress) => egress);
    expect((await ask(MODELS)).status).toBe(200);
    world.stop();
  });
});

describe('rules of the mesh', () => {
  it('hold for what leaves it: content, approval, quarantine, labels and domains', async () => {
    const route = (name: string, more: object = {}) => ({
      name,
      destination: 'api.llm.example:443',
      path: `/${name}`,
      scopes: ['llm:chat'],
      ...more,
    });
    const world = await EgressWorld.start({
      policy: {
        egress: [
          route('plain'),
          route('looked-at'),
          route('approved', { scopes: ['llm:models'] }),
          route('kept'),
          route('home', { scopes: ['inside:read'] }),
          route('labelled', { labels: { response: ['pii'] } }),
          {
            name: 'tunnel',
            destination: 'raw.partner.example:7000',
            mode: 'tunnel',
            scopes: ['partner:raw'],
            inside: 'any',
          },
        ],
        rules: [
          { name: 'agents', effect: 'allow', callerTypes: ['planning'] },
          { name: 'keeps', effect: 'quarantine', routes: ['kept'] },
          { name: 'stays', effect: 'deny', when: '"pii" in data.labels && request.destination != ""' },
        ],
        demands: [
          { scopes: ['llm:models'], approval: 'required' },
          { scopes: ['inside:read'], domains: 'same' },
        ],
        content: [
          {
            name: 'no-secrets',
            directions: ['request'],
            routes: ['looked-at', 'tunnel'],
            detectors: ['secrets'],
            action: 'deny',
          },
        ],
      },
    });
    const ask = (name: string, body?: string): Promise<Answer> =>
      sendThrough(world.agent, `http://api.llm.example/${name}`, {
        context: world.context,
        method: body === undefined ? 'GET' : 'POST',
        ...(body === undefined ? {} : { body, headers: { 'content-type': 'text/plain' } }),
      });
    expect((await ask('plain')).status).toBe(200);
    expect((await ask('looked-at', 'nothing of note')).status).toBe(200);
    expect(
      (await ask('looked-at', 'key AKIAIOSFODNN7EXAMPLQ and ghp_0123456789abcdefghijABCDEFGHIJ012345')).code,
    ).toBe('content_denied');
    expect((await ask('approved')).code).toBe('approval_required');
    expect((await ask('kept', 'x')).code).toBe('rule_denied');
    expect((await ask('home')).code).toBe('scope_foreign');
    expect(codeOf((await world.connect('raw.partner.example:7000')).head)).toBe('content_unreadable');
    expect((await ask('labelled')).status).toBe(200);
    // What it has read since may not leave any more.
    expect((await ask('plain')).code).toBe('rule_denied');
    expect(world.seen.map(({ url }) => url)).toEqual(['/plain', '/looked-at', '/labelled']);
    world.stop();
  });
});

describe('a token for an API', () => {
  it('is exchanged for a word of the agent key, and a failure is a denial', async () => {
    let say: (body: URLSearchParams) => string | undefined = () =>
      '{"access_token":"exchanged-0123456789","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":60}';
    const asked: URLSearchParams[] = [];
    const endpoint = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk) => {
        text += chunk;
      });
      request.on('end', () => {
        const body = new URLSearchParams(text);
        asked.push(body);
        const said = say(body);
        if (said !== undefined) response.writeHead(200, { 'content-type': 'application/json' }).end(said);
      });
    });
    endpoint.listen(0, '127.0.0.1');
    await once(endpoint, 'listening');
    const tokenEndpoint = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/token`;
    const world = await EgressWorld.start({
      egress: [
        {
          destination: 'api.llm.example:443',
          credential: { exchange: { tokenEndpoint, clientId: 'hopgate' } },
          caFile: 'secrets/web-ca',
        },
      ],
    });
    const ask = (): Promise<Answer> => sendThrough(world.agent, MODELS, { context: world.context });
    const good = say;
    say = () => '{"error":';
    expect(await ask()).toMatchObject({ status: 503, code: 'egress_credential' });
    expect(world.seen).toEqual([]);
    say = good;
    await expect.poll(async () => (await ask()).status, { interval: 200, timeout: 5000 }).toBe(200);
    expect(world.seen[0]?.headers.authorization).toBe('Bearer exchanged-0123456789');
    await Promise.all([ask(), ask()]);
    const { decodeJwt, decodeProtectedHeader } = await import('jose');
    const subject = asked.at(-1)?.get('subject_token') ?? '';
    const { id, key, wit } = world.agent.sidecar.identity;
    expect(decodeProtectedHeader(subject)).toEqual({
      alg: 'Ed25519',
      kid: key.thumbprint,
      typ: 'subject+jwt',
    });
    expect(decodeJwt(subject)).toMatchObject({ iss: id, sub: id, aud: tokenEndpoint, wit });
    const everything = readFileSync(world.agent.logFile, 'utf8') + world.said;
    for (const secret of ['exchanged-0123456789', subject]) expect(everything).not.toContain(secret);
    world.stop();
    endpoint.close();
    endpoint.closeAllConnections();
  });
});
