/** Requests to the verifier that no honest client sends, over real TLS: each is refused with its reason, and nothing is changed. */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { revocationEndpoints } from '../../src/api/revocations.ts';
import { roleBindingEndpoints } from '../../src/api/role-bindings.ts';
import { serviceEndpoints } from '../../src/api/service.ts';
import { trustEndpoints } from '../../src/api/trust.ts';
import { VerifierError } from '../../src/edge/verifier/client.ts';
import { codeOf, isWholeResponse, statusOf } from '../testkit/raw-http.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';

let running: RunningVerifier;
let admin: { readonly cert: string; readonly key: string };
const sockets: Socket[] = [];

beforeAll(async () => {
  running = await RunningVerifier.start();
  const identity = await running.identity('client/admin');
  await running.local().call(roleBindingEndpoints.addRoleBinding, {
    body: { subject: identity.id, role: 'admin', why: 'a test' },
  });
  admin = identity;
});
afterAll(() => running.stop());
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

const dial = async (tls: Partial<typeof admin> = admin, more: object = {}): Promise<TLSSocket> => {
  const socket = connectTls({
    host: '127.0.0.1',
    port: running.port,
    rejectUnauthorized: false,
    ...tls,
    ...more,
  });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
};

/** Sends octets, and reads until the other side closes or a whole answer is there. */
const exchange = async (octets: string, tls: Partial<typeof admin> = admin): Promise<string> => {
  const socket = await dial(tls);
  let text = '';
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (isWholeResponse(text)) resolve(text);
    });
    socket.on('close', () => resolve(text));
    socket.write(octets);
  });
};

const SUBJECT = 'spiffe://company.com/client/mallory';
const GOOD = JSON.stringify({ subject: SUBJECT, role: 'admin', why: 'why not' });
const post = (
  body: string,
  headers = 'Content-Type: application/json\r\n',
  length = Buffer.byteLength(body),
): string =>
  `POST /v1/role-bindings HTTP/1.1\r\nHost: verifier\r\n${headers}Content-Length: ${length}\r\n\r\n${body}`;

const bindings = async (): Promise<readonly string[]> => {
  const answer = await running.local().call(roleBindingEndpoints.listRoleBindings, {});
  return answer.bindings.map(({ subject }) => subject);
};

describe('a body', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['with a member twice', post(GOOD.replace('}', ',"role":"auditor"}')), 'json_duplicate_member'],
    ['with a member that nobody knows', post(GOOD.replace('}', ',"roles":["admin"]}')), 'api_malformed'],
    ['without a reason why', post(JSON.stringify({ subject: SUBJECT, role: 'admin' })), 'api_malformed'],
    ['that gives the role of agents', post(GOOD.replace('"admin"', '"agent"')), 'api_malformed'],
    ['that is an array', post(`[${GOOD}]`), 'json_syntax'],
    ['that is no JSON', post('role=admin'), 'json_syntax'],
    ['with a byte order mark', post(`\ufeff${GOOD}`), 'json_utf8'],
    ['nested too deep', post(`${'{"why":'.repeat(20)}1${'}'.repeat(20)}`), 'json_depth'],
    ['with __proto__', post(GOOD.replace('}', ',"__proto__":{"role":"admin"}}')), 'api_malformed'],
    ['of another type', post(GOOD, 'Content-Type: text/plain\r\n'), 'api_malformed'],
    ['of a form', post(GOOD, 'Content-Type: application/x-www-form-urlencoded\r\n'), 'api_malformed'],
    ['of no type', post(GOOD, ''), 'api_malformed'],
    [
      'that is compressed',
      post(GOOD, 'Content-Type: application/json\r\nContent-Encoding: gzip\r\n'),
      'api_malformed',
    ],
    ['that is announced too large', post('', 'Content-Type: application/json\r\n', 70_000), 'api_too_large'],
    ['that is empty', post(''), 'api_malformed'],
  ];
  it.each(cases)('%s', async (_name, octets, code) => {
    const text = await exchange(octets);
    expect(codeOf(text), text).toBe(code);
    expect(await bindings()).not.toContain(SUBJECT);
  });

  it('that is chunked and grows too large', async () => {
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const head =
      'POST /v1/role-bindings HTTP/1.1\r\nHost: verifier\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(codeOf(await exchange(`${head}${chunk}${chunk}`))).toBe('api_too_large');
  });

  it('with a GET, or where none belongs', async () => {
    const get = `GET /v1/events HTTP/1.1\r\nHost: verifier\r\nContent-Length: ${GOOD.length}\r\n\r\n${GOOD}`;
    expect(codeOf(await exchange(get))).toBe('api_malformed');
  });
});

describe('framing', () => {
  const smuggled = 'GET /v1/events HTTP/1.1\r\nHost: verifier\r\n\r\n';
  const JSON_TYPE = 'Content-Type: application/json\r\n';
  const head = (headers: string): string =>
    `POST /v1/role-bindings HTTP/1.1\r\nHost: verifier\r\n${JSON_TYPE}${headers}\r\n`;
  const cases: readonly (readonly [string, string])[] = [
    ['two lengths', head('Content-Length: 0\r\nContent-Length: 47\r\n') + smuggled],
    [
      'a length beside chunks',
      `${head('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\n${smuggled}`,
    ],
    [
      'two codings',
      `${head('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n')}0\r\n\r\n${smuggled}`,
    ],
    ['an unknown coding', `${head('Transfer-Encoding: xchunked\r\n')}0\r\n\r\n${smuggled}`],
    ['a space before the colon', head('Content-Length : 0\r\n') + smuggled],
    ['a folded header', head('X-A: 1\r\n Content-Length: 0\r\n') + smuggled],
    ['a bare LF', `POST /v1/role-bindings HTTP/1.1\nHost: verifier\nContent-Length: 0\n\n${smuggled}`],
    ['two hosts', `GET /v1/events HTTP/1.1\r\nHost: verifier\r\nHost: other\r\n\r\n`],
    ['no host', 'GET /v1/events HTTP/1.1\r\n\r\n'],
    ['two types', post(GOOD, `${JSON_TYPE}Content-Type: text/plain\r\n`)],
    ['a header of 20 KiB', `GET /v1/events HTTP/1.1\r\nHost: verifier\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`],
    ['no HTTP', '\x16\x03\x01 hello\r\n\r\n'],
  ];
  it.each(cases)('%s: refused, and what is behind it is not read', async (_name, octets) => {
    const text = await exchange(octets);
    expect(statusOf(text)).toBeGreaterThanOrEqual(400);
    expect(text.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
    expect(text).not.toContain('"events"');
  });

  it('more requests at once than one may have waiting end the connection', async () => {
    const socket = await dial();
    const closed = once(socket, 'close');
    socket.resume();
    socket.write('GET /v1/events HTTP/1.1\r\nHost: verifier\r\n\r\n'.repeat(200));
    await closed;
  });

  it('paths that spell another endpoint find none', async () => {
    for (const path of [
      '//v1/events',
      '/v1/events/',
      '/V1/events',
      '/v1/../v1/events',
      '/v1/events;x',
      '/v1\\events',
    ])
      expect(codeOf(await exchange(`GET ${path} HTTP/1.1\r\nHost: verifier\r\n\r\n`)), path).toMatch(
        /^(api_not_found|api_malformed|http_malformed)$/,
      );
  });

  it.each(['TRACE', 'OPTIONS', 'HEAD', 'PATCH', 'PUT'])('the method %s does nothing', async (method) => {
    const text = await exchange(
      `${method} /v1/role-bindings HTTP/1.1\r\nHost: verifier\r\nConnection: close\r\n\r\n`,
    );
    expect(statusOf(text)).toBe(404);
  });
});

describe('TLS', () => {
  it('is 1.3 and nothing older', async () => {
    await expect(dial(admin, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
  });

  it('is not resumed: each connection shows its SVID anew', async () => {
    const first = await dial();
    let session: Buffer | undefined;
    first.on('session', (one: Buffer) => {
      session = one;
    });
    first.write('GET /healthz HTTP/1.1\r\nHost: verifier\r\nConnection: close\r\n\r\n');
    first.resume();
    await once(first, 'close');
    session ??= first.getSession();
    const second = await dial(admin, { session });
    expect(second.isSessionReused()).toBe(false);
  });

  it('is not waited for: silence ends the connection', async () => {
    // The deadline is the service's; that it exists is what Node's server was given.
    const socket = connectTcp(running.port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.resume();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
  });
});

describe('an identity that ends', () => {
  it('ends on a live connection: SVIDs are looked at with every request', async () => {
    const own = await RunningVerifier.start();
    try {
      const member = await own.identity('planning/1', 600);
      const client = own.client(member);
      await own.local().call(roleBindingEndpoints.addRoleBinding, {
        body: { subject: member.id, role: 'auditor', why: 'a test' },
      });
      await client.call(serviceEndpoints.listEvents, {});
      own.clock.advanceSeconds(601);
      await expect(client.call(serviceEndpoints.listEvents, {})).rejects.toMatchObject({
        reason: 'svid_expired',
      });
    } finally {
      await own.stop();
    }
  });

  it('ends with its role, at once', async () => {
    const member = await running.identity('client/auditor');
    const local = running.local();
    const { id } = await local.call(roleBindingEndpoints.addRoleBinding, {
      body: { subject: member.id, role: 'auditor', why: 'a test' },
    });
    const client = running.client(member);
    await client.call(serviceEndpoints.listEvents, {});
    await local.call(roleBindingEndpoints.removeRoleBinding, { params: { id }, body: { why: 'no more' } });
    await expect(client.call(serviceEndpoints.listEvents, {})).rejects.toThrow(VerifierError);
    await expect(client.call(serviceEndpoints.listEvents, {})).rejects.toMatchObject({
      reason: 'api_forbidden',
    });
  });
});

it('who is revoked hears nothing more: its stream ends with the revocation', async () => {
  const member = await running.identity('planning/9');
  const events = running.client(member).stream(trustEndpoints.streamTrust, {});
  expect((await events.next()).value).toMatchObject({ event: 'bundle' });
  const rest = (async () => {
    for await (const _ of events);
  })();
  const ended = expect(rest).rejects.toMatchObject({ reason: 'verifier_unreachable' });
  await running
    .local()
    .call(revocationEndpoints.revoke, { body: { target: { agent: member.id }, why: 'stolen' } });
  await ended;
  await expect(running.client(member).call(trustEndpoints.getTimestamp, {})).rejects.toMatchObject({
    reason: 'id_retired',
  });
  // Well before the next heartbeat would have found out.
}, 8000);

describe('what is told', () => {
  it('repeats nothing of what was sent', async () => {
    const secret = 'hopgate-join:c2VjcmV0';
    const text = await exchange(post(JSON.stringify({ subject: secret, role: secret, why: secret })));
    expect(codeOf(text)).toBe('api_malformed');
    expect(text).not.toContain('c2VjcmV0');
  });

  it('is in the ledger with who and why', async () => {
    const client = running.client(admin);
    const body = {
      subject: 'group:https://idp.example/realms/a#platform',
      role: 'operator',
      why: 'on duty',
    } as const;
    await client.call(roleBindingEndpoints.addRoleBinding, { body });
    await expect(client.call(roleBindingEndpoints.addRoleBinding, { body })).rejects.toMatchObject({
      reason: 'api_conflict',
    });
    const { events } = await client.call(serviceEndpoints.listEvents, { query: { limit: 1000 } });
    const line = JSON.parse(events.at(-1)?.line ?? '{}') as Record<string, unknown>;
    expect(line).toMatchObject({
      event: 'role.bound',
      actor: 'spiffe://company.com/client/admin',
      why: 'on duty',
      data: { subject: body.subject, role: 'operator' },
    });
  });
});
