/** Each role against each endpoint of the contract: who may, and who is refused before anything of the request is looked at. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONTRACT } from '../../src/api/contract.ts';
import { type AnyEndpoint, ROLES, type Role } from '../../src/api/endpoint.ts';
import { roleBindingEndpoints } from '../../src/api/role-bindings.ts';
import { issueSvidCa } from '../../src/verifier/authority/certificates.ts';
import { forgeCertificate, KeyUsageFlags } from '../testkit/certificates.ts';
import { RunningVerifier, TRUST_DOMAIN } from '../testkit/running-verifier.ts';

let running: RunningVerifier;
type Tls = { readonly cert: string; readonly key: string } | undefined;
/** Somebody at the verifier's door, and the roles that the one has. */
interface Caller {
  readonly name: string;
  readonly roles: readonly Role[];
  /** Whether it has an SVID, or the socket. */
  readonly known: boolean;
}
const CALLERS: readonly Caller[] = [
  { name: 'nobody', roles: [], known: false },
  { name: 'client without a role', roles: [], known: true },
  { name: 'agent', roles: ['agent'], known: true },
  ...ROLES.filter((role) => role !== 'agent').map((role) => ({
    name: `client as ${role}`,
    roles: [role],
    known: true,
  })),
  { name: 'agent as operator, by type', roles: ['agent', 'operator'], known: true },
  { name: 'socket', roles: ['admin', 'operator', 'auditor'], known: true },
];
const identities = new Map<string, Tls>();
const foreign = new Map<string, Tls>();

beforeAll(async () => {
  running = await RunningVerifier.start({
    config: {
      limits: {
        connections: 8192,
        strangers: 4096,
        strangersPerSource: 4096,
        wrongSecrets: 10_000,
        wrongSecretInterval: 1,
      },
    },
  });
  const local = running.local();
  const bind = (subject: string, role: Exclude<Role, 'agent'>) =>
    local.call(roleBindingEndpoints.addRoleBinding, { body: { subject, role, why: 'a test' } });
  identities.set('nobody', undefined);
  identities.set('client without a role', await running.identity('client/guest'));
  identities.set('agent', await running.identity('inventory/1'));
  for (const role of ROLES)
    if (role !== 'agent') {
      const identity = await running.identity(`client/${role}`);
      identities.set(`client as ${role}`, identity);
      await bind(identity.id, role);
    }
  identities.set('agent as operator, by type', await running.identity('deployer/7'));
  await bind(`spiffe://${TRUST_DOMAIN}/agent/deployer/*`, 'operator');
  // Every one of these says that it is an admin.
  const now = Math.floor(Date.now() / 1000);
  const uris = [`spiffe://${TRUST_DOMAIN}/client/admin`];
  const ours = await running.svidCa();
  const other = await issueSvidCa(TRUST_DOMAIN, { now, ttlSeconds: 3600 });
  const forged = async (name: string, fault: Parameters<typeof forgeCertificate>[1], by = ours) => {
    const { svidPem, svidKeyPem } = await forgeCertificate(by, { uris, ...fault });
    foreign.set(name, { cert: svidPem, key: svidKeyPem });
  };
  await forged('by a CA of the same name that is not ours: svid_untrusted', {}, other);
  await forged('expired: svid_expired', { notBefore: now - 7200, notAfter: now - 1 });
  await forged('from the future: svid_expired', { notBefore: now + 300, notAfter: now + 3600 });
  await forged('two names: svid_uri_san', { uris: [...uris, `spiffe://${TRUST_DOMAIN}/agent/a/1`] });
  await forged('no name: svid_uri_san', { uris: [], dns: ['client.admin'] });
  await forged('the verifier itself: svid_id', { uris: [`spiffe://${TRUST_DOMAIN}/verifier`] });
  await forged('another trust domain: svid_trust_domain', { uris: ['spiffe://evil.com/client/admin'] });
  await forged('a CA certificate: svid_is_ca', { isCa: true });
  await forged('without keyUsage: svid_key_usage', { usage: null });
  await forged('that may sign: svid_key_usage', {
    usage: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign,
  });
  await forged('for servers only: svid_ext_key_usage', { extUsage: ['1.3.6.1.5.5.7.3.1'] });
}, 60_000);
afterAll(() => running.stop());

/** Sends what no schema takes, so that nothing is changed by whoever gets through; a stream is left at once. */
const knock = (
  endpoint: AnyEndpoint,
  tls: Tls | 'socket',
): Promise<{ status: number; code: string; detail: string }> =>
  new Promise((resolve, reject) => {
    const body = endpoint.method === 'GET' ? undefined : '{"no such member":1}';
    const options: RequestOptions = {
      method: endpoint.method,
      path: endpoint.path.replaceAll(/\{[A-Za-z]+\}/g, 'x'),
      headers:
        body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length },
      agent: false,
    };
    const request =
      tls === 'socket'
        ? httpRequest({ ...options, socketPath: running.verifier.layout.socket })
        : httpsRequest({
            ...options,
            ...tls,
            host: '127.0.0.1',
            port: running.port,
            rejectUnauthorized: false,
          });
    request.on('error', reject);
    request.on('response', (response) => {
      const status = response.statusCode ?? 0;
      let text = '';
      response.on('error', () => undefined);
      response.on('data', (chunk: Buffer) => {
        text += chunk;
        if (response.headers['content-type'] === 'text/event-stream') response.destroy();
      });
      response.on('close', () => {
        const problem = response.headers['content-type']?.startsWith('application/problem+json') === true;
        const { code = '', detail = '' } = problem ? (JSON.parse(text) as Record<string, string>) : {};
        resolve({ status, code, detail });
      });
    });
    request.end(body);
  });

const REFUSED_AT_THE_DOOR = /^this needs /;
const endpoints = Object.values(CONTRACT) as readonly AnyEndpoint[];

describe('the contract', () => {
  it('names each endpoint once, by its own name, at its own place', () => {
    for (const [name, endpoint] of Object.entries(CONTRACT)) expect(endpoint.name).toBe(name);
    const places = endpoints.map(({ method, path }) => `${method} ${path.replaceAll(/\{[^}]*\}/g, '{}')}`);
    expect(new Set(places).size).toBe(places.length);
  });

  it('lets nobody change anything without saying why, and nothing but secrets and what is public is open to anyone', () => {
    for (const { name, method, changes, access, guessable } of endpoints) {
      if (method !== 'GET' && access === 'anyone' && changes) expect(guessable, name).toBe(true);
      if (method === 'GET') expect(changes, name).toBe(false);
    }
  });
});

describe.each(endpoints)('$method $path', (endpoint) => {
  it.each(CALLERS)('and $name', async ({ name, roles, known }) => {
    const { access } = endpoint;
    const may =
      access === 'anyone' || (known && (access === 'member' || access.some((role) => roles.includes(role))));
    const { status, code, detail } = await knock(
      endpoint,
      name === 'socket' ? 'socket' : identities.get(name),
    );
    if (may) {
      expect(detail).not.toMatch(REFUSED_AT_THE_DOOR);
      expect(['api_unauthenticated', 'internal']).not.toContain(code);
    } else {
      expect(code).toBe(known ? 'api_forbidden' : 'api_unauthenticated');
      expect(status).toBe(known ? 403 : 401);
      expect(detail).toMatch(REFUSED_AT_THE_DOOR);
    }
  });
});

describe('an SVID that is none', () => {
  it('gets nobody in anywhere, and is told why', async () => {
    for (const [name, tls] of foreign) {
      const reason = name.split(': ')[1];
      for (const endpoint of endpoints.filter(({ access }) => access !== 'anyone')) {
        const { code } = await knock(endpoint, tls);
        expect(code, `${name}, ${endpoint.name}`).toBe(reason);
      }
    }
  }, 60_000);

  it('does not shut out who holds it from what is open to anyone', async () => {
    for (const [name, tls] of foreign) expect((await knock(CONTRACT.getHealth, tls)).status, name).toBe(200);
  });
});
