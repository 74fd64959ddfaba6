/** The operator's doors of a running sidecar: who gets in, what they see, what they can tell it. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { generateFiles } from '../../config/generate.ts';
import { runCli } from '../testkit/cli-process.ts';
import { type Mesh, type MeshAgent, makeMesh, send, TEST_SCOPE } from '../testkit/mesh.ts';
import { SidecarProcess } from '../testkit/service-process.ts';

const INVENTORY = 'inventory/def456';
const OPERATOR = 'operator-0123456789-0123456789-0123';
const JOB = 'job-0123456789-0123456789-0123456789';

/** Of text in a configuration. A new one belongs here once somebody has thought about whether it can be a secret. */
const FORMS = [
  'OAuth scopes',
  'TCP address',
  'agent ID or type',
  'authentication scheme',
  'client ID',
  'destination',
  'duration',
  'file',
  'header name',
  'host name',
  'issuer URL',
  'key id or scope',
  'local address',
  'long duration',
  'name',
  // Client id, audience and resource of a token exchange.
  'printable text',
  'scope pattern or set',
  // Its query is left out.
  'service URL',
  'short time',
  'size',
  'thumbprint',
  'token type',
  'trust domain',
];

let mesh: Mesh;
let agent: MeshAgent;

const start = async (
  admin: Record<string, unknown> = {},
  files: Record<string, string> = {},
): Promise<void> => {
  mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(mesh.directory, name), text);
  agent = await mesh.start(INVENTORY, { config: { admin } });
};
afterEach(() => mesh.stop());

describe('the admin port', () => {
  beforeEach(() =>
    start(
      { listen: '127.0.0.1:0', tokenFile: '../operator-token', quitTokenFile: '../job-token' },
      { 'operator-token': `${OPERATOR}\n`, 'job-token': JOB },
    ),
  );

  const call = (method: string, target: string, headers: Record<string, string> = {}) => {
    const { host, port } = agent.addresses.adminPort ?? { host: '', port: 0 };
    return send({ host, port, method, path: target, headers });
  };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  it('lets in whoever brings the token', async () => {
    for (const target of ['/config', '/certs', '/peers', '/status'])
      expect((await call('GET', target, bearer(OPERATOR))).status, target).toBe(200);
    expect((await call('GET', '/nothing', bearer(OPERATOR))).status).toBe(404);
  });

  it.each([
    ['no token', {}],
    ['another token', bearer('x'.repeat(35))],
    ['the beginning of the token', bearer(OPERATOR.slice(0, -1))],
    ['the token and more', bearer(`${OPERATOR}x`)],
    ['an empty token', bearer('')],
    ['the token by another scheme', { authorization: `Basic ${OPERATOR}` }],
    ['the token in the query', {}],
  ])('turns away %s', async (name, headers) => {
    const target = name.endsWith('query') ? `/config?token=${OPERATOR}` : '/config';
    expect(await call('GET', target, headers)).toMatchObject({ status: 401, code: 'admin_unauthenticated' });
    expect((await call('POST', '/drain', headers)).status).toBe(401);
  });

  it.each([
    ['Origin', { origin: 'http://127.0.0.1:1' }],
    ['Sec-Fetch-Site', { 'sec-fetch-site': 'same-origin' }],
    ['Referer', { referer: 'http://evil.example/' }],
  ])('turns away a web page that has the token (%s)', async (_name, headers) => {
    expect(await call('GET', '/config', { ...bearer(OPERATOR), ...headers })).toMatchObject({
      status: 403,
      code: 'agent_browser',
    });
  });

  it('turns away who calls it by a name that was made to point here', async () => {
    const port = agent.addresses.adminPort?.port;
    for (const host of [`evil.example:${port}`, 'localhost', `localhost:${port}.evil.example`, '127.0.0.1:1'])
      expect(await call('GET', '/config', { ...bearer(OPERATOR), host }), host).toMatchObject({
        status: 400,
      });
    expect((await call('GET', '/config', { ...bearer(OPERATOR), host: `localhost:${port}` })).status).toBe(
      200,
    );
  });

  it('lets the token of a job end the sidecar, and nothing else', async () => {
    for (const [method, target] of [
      ['GET', '/config'],
      ['GET', '/quit'],
      ['POST', '/drain'],
      ['POST', '/tasks'],
      ['POST', '/loglevel?level=debug'],
      ['POST', '/quit/../drain'],
      ['DELETE', '/tasks/x'],
    ] as const)
      expect(await call(method, target, bearer(JOB)), target).toMatchObject({
        status: 403,
        code: 'admin_forbidden',
      });
    const drained = new Promise<void>((resolve) => agent.sidecar.onDrained(resolve));
    expect((await call('POST', '/quit', bearer(JOB))).status).toBe(202);
    await drained;
  });

  it('reads a token again that was replaced, and keeps the old one when the new is none', async () => {
    const file = path.join(mesh.directory, 'operator-token');
    const next = `next-${OPERATOR}`;
    writeFileSync(file, next);
    await expect
      .poll(async () => (await call('GET', '/certs', bearer(next))).status, { timeout: 10_000 })
      .toBe(200);
    expect((await call('GET', '/certs', bearer(OPERATOR))).status).toBe(401);
    writeFileSync(file, 'short');
    await agent.sidecar.reload();
    expect((await call('GET', '/certs', bearer('short'))).status).toBe(401);
    expect((await call('GET', '/certs', bearer(next))).status).toBe(200);
  });
});

it('a token that is none keeps a sidecar from starting', async () => {
  await expect(
    start({ listen: '127.0.0.1:0', tokenFile: '../operator-token' }, { 'operator-token': 'hunter2' }),
  ).rejects.toThrow(/operator-token: is no token of 32 to 512 printable characters/);
});

describe('the admin socket', () => {
  const call = (method: string, target: string, body?: string) =>
    send({ socketPath: agent.addresses.admin, method, path: target }, body);

  it('is for its user alone, and goes with its sidecar', async () => {
    await start();
    expect(statSync(agent.addresses.admin).mode & 0o777).toBe(0o600);
    agent.sidecar.stop('test');
    expect(existsSync(agent.addresses.admin)).toBe(false);
  });

  it('shows the configuration, which can hold no secret', async () => {
    await start();
    const { body } = await call('GET', '/config');
    expect(JSON.parse(body)).toMatchObject({ inForce: { identity: { agentKey: 'agent.key' } } });
    expect(body).not.toMatch(/PRIVATE|eyJ/);
    // Each text in it has one of these forms; none of them is a secret's.
    const texts = new Set<string>();
    /** A choice of forms has its name above it. */
    const look = (schema: unknown, above: unknown): void => {
      if (typeof schema !== 'object' || schema === null) return;
      const { type, title = above, enum: choices, const: fixed } = schema as Record<string, unknown>;
      if (type === 'string' && choices === undefined && fixed === undefined) texts.add(String(title));
      for (const [key, value] of Object.entries(schema))
        look(value, Array.isArray(schema) ? above : key === 'anyOf' ? title : undefined);
    };
    look(JSON.parse(generateFiles()['sidecar.schema.json'] ?? ''), undefined);
    expect([...texts].sort()).toEqual(FORMS);
  });

  it('leaves out what a signed URL is signed with', async () => {
    await start();
    const decisionPoints = {
      opa: { bundle: { url: 'https://127.0.0.1:1/b.tgz?X-Signature=s3cret', publicKeyFile: '../opa.pub' } },
    };
    writeFileSync(
      path.join(mesh.directory, 'opa.pub'),
      generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }),
    );
    const file = path.join(agent.directory, 'sidecar.yaml');
    writeFileSync(file, `${readFileSync(file, 'utf8')}${stringify({ decisionPoints })}`);
    await agent.sidecar.reload();
    const { body } = await call('GET', '/config');
    expect(body).toContain('https://127.0.0.1:1/b.tgz?…');
    expect(body).not.toContain('s3cret');
  });

  it('sets the log level until the next start, and says which are levels', async () => {
    await start();
    const level = async (): Promise<unknown> => JSON.parse((await call('GET', '/status')).body).logLevel;
    expect((await call('POST', '/loglevel', 'debug')).status).toBe(200);
    expect(await level()).toBe('debug');
    expect((await call('POST', '/loglevel?level=error')).status).toBe(200);
    expect(await level()).toBe('error');
    for (const bad of ['trace', 'silent', '', 'constructor'])
      expect(await call('POST', '/loglevel', bad)).toMatchObject({ status: 400, code: 'api_malformed' });
    expect(await level()).toBe('error');
    expect((await runCli('sidecar', 'log-level', 'warn', '--admin', agent.addresses.admin)).code).toBe(0);
    expect(await level()).toBe('warn');
  });

  it('is not taken from a file that is no socket', async () => {
    await start();
    agent.sidecar.stop('test');
    writeFileSync(agent.addresses.admin, 'notes');
    const { code, stderr } = await new SidecarProcess(path.join(agent.directory, 'sidecar.yaml')).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('is not a socket');
    rmSync(agent.addresses.admin);
  });

  it('is taken over from a sidecar that was killed, by one of all that start at once', async () => {
    await start();
    agent.sidecar.stop('test');
    // As a killed process leaves it.
    const dead = createServer().listen(`${agent.addresses.admin}.dead`);
    await once(dead, 'listening');
    const config = path.join(agent.directory, 'sidecar.yaml');
    const first = await new SidecarProcess(config).started();
    await first.kill('SIGKILL');
    dead.close();
    expect(existsSync(agent.addresses.admin)).toBe(true);
    const all = Array.from({ length: 4 }, () => new SidecarProcess(config));
    const outcomes = await Promise.all(
      all.map((one) =>
        one.started().then(
          () => 'started',
          () => one.stderr.match(/another sidecar runs/)?.[0] ?? one.stderr,
        ),
      ),
    );
    expect(outcomes.filter((one) => one === 'started')).toHaveLength(1);
    expect(outcomes.filter((one) => one === 'another sidecar runs')).toHaveLength(3);
    const running = all[outcomes.indexOf('started')];
    expect((await runCli('sidecar', 'quit', '--config', config)).code).toBe(0);
    expect(await running?.ended).toMatchObject({ code: 0 });
  });
});
