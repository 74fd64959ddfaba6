/** What policy wants a human for, end to end: a verifier, two sidecars on it, and people at the command line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { policyEndpoints } from '../../src/api/policy.ts';
import { systemClock } from '../../src/edge/clock.ts';
import { makeLogger } from '../../src/edge/telemetry/log.ts';
import { readConfigFile } from '../../src/sidecar/config-file.ts';
import { Sidecar, type SidecarAddresses } from '../../src/sidecar/sidecar.ts';
import { runCli } from '../testkit/cli-process.ts';
import { send, TEST_POLICY } from '../testkit/mesh.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';
import { WallClock } from '../testkit/test-clock.ts';

const PLANNING = 'spiffe://company.com/agent/planning/1';
const INVENTORY = 'spiffe://company.com/agent/inventory/1';
const SECOND = 'spiffe://company.com/agent/inventory/2';
const BODY = '{"delete":"vpc-1"}';

interface Running {
  readonly sidecar: Sidecar;
  readonly addresses: SidecarAddresses;
  readonly directory: string;
}

describe('approvals, end to end', () => {
  let folder: string;
  let verifier: RunningVerifier;
  let isVerifierStopped = false;
  let planning: Running;
  let inventory: Running;
  let second: Running;
  let agent: Server;
  const bodies: string[] = [];
  const file = (name: string): string => path.join(folder, name);

  const cli = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await runCli(...args);
    return { code, stdout: stdout.trim(), stderr, json: () => JSON.parse(stdout) as Record<string, never> };
  };
  const atVerifier = (...args: readonly string[]) => cli(...args, '--verifier', verifier.directory);

  /** Joins as people do, and runs the sidecar that was written for it, on ports of the system's choice. */
  const start = async (name: string, change: Record<string, unknown>): Promise<Running> => {
    const { stdout: joinString } = await atVerifier('agents', 'add', name);
    const directory = file(name.replace('/', '-'));
    expect((await cli('join', joinString, '--dir', directory)).code).toBe(0);
    const configFile = path.join(directory, 'sidecar.yaml');
    const document = { ...(parse(readFileSync(configFile, 'utf8')) as object), ...change };
    writeFileSync(configFile, stringify(document));
    const { source, digest: configDigest } = readConfigFile(configFile);
    const log = makeLogger(process.env.HOPGATE_TEST_LOG ?? 'silent');
    const sidecar = await Sidecar.make({
      config: source.value,
      configDigest,
      configFile,
      version: 'test',
      clock: systemClock,
      log,
    });
    const addresses = await sidecar.start();
    if (addresses === undefined) throw new Error(`${name} did not start`);
    return { sidecar, addresses, directory };
  };

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'hopgate-approvals-'));
    verifier = await RunningVerifier.start({ clock: new WallClock() });
    agent = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(Buffer.concat(chunks).toString());
        response.end('done');
      });
    });
    await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
    const { port } = agent.address() as AddressInfo;
    for (const args of [['alice'], ['bob', '--approver']]) {
      const out = file(`${args[0]}.key`);
      const made = await atVerifier('principals', 'add', ...args, '--scope', 'cloud:*', '--out', out);
      expect(made.code, made.stderr).toBe(0);
    }
    const source = stringify({
      ...TEST_POLICY,
      demands: [{ scopes: ['cloud:write'], approval: 'required' }],
    });
    await verifier.local().call(policyEndpoints.publishPolicy, { body: { source, why: 'a test' } });
    const listen = '127.0.0.1:0';
    inventory = await start('inventory/1', {
      inbound: { listen, agent: `127.0.0.1:${port}` },
      outbound: undefined,
      health: { listen },
      metrics: { listen: 'off' },
    });
    second = await start('inventory/2', {
      inbound: { listen, agent: `127.0.0.1:${port}` },
      outbound: undefined,
      health: { listen },
      metrics: { listen: 'off' },
    });
    const routeTo = (host: string, peer: string, { addresses }: Running) => ({
      host,
      peer,
      address: `127.0.0.1:${addresses.inbound?.port}`,
    });
    const routes = [routeTo('inventory.mesh', INVENTORY, inventory), routeTo('second.mesh', SECOND, second)];
    planning = await start('planning/1', {
      inbound: undefined,
      outbound: { listen, routes },
      health: { listen },
      metrics: { listen: 'off' },
    });
  }, 60_000);

  afterAll(async () => {
    planning?.sidecar.stop('test over');
    inventory?.sidecar.stop('test over');
    second?.sidecar.stop('test over');
    agent?.close();
    if (!isVerifierStopped) await verifier?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const delegate = (...args: readonly string[]) =>
    atVerifier('delegate', '--as', file('alice.key'), '--to', 'planning/1', '--json', ...args);
  const startTask = async (chain: string): Promise<string> =>
    (await cli('task', 'start', '--chain', chain, '--admin', planning.addresses.admin)).stdout;
  const write = async (context: string, body = BODY, host = 'inventory.mesh') => {
    const proxy = new URL(readFileSync(path.join(planning.directory, 'state', 'proxy-url'), 'utf8').trim());
    const secret = Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64');
    return send(
      {
        host: proxy.hostname,
        port: Number(proxy.port),
        method: 'POST',
        path: `http://${host}/vpcs?dry=0`,
        headers: {
          host,
          'proxy-authorization': `Basic ${secret}`,
          'hopgate-context': context,
        },
      },
      body,
    );
  };

  it('one write is approved by a person, once, and nothing beside it', async () => {
    const chain = file('each.chain');
    const made = await delegate('--scope', 'cloud:*', '--approval', 'each', '--out', chain);
    expect(made.code, made.stdout).toBe(0);
    const context = await startTask(chain);
    const refused = await write(context);
    expect(refused.code, refused.body).toBe('approval_required');
    const { approval: id } = JSON.parse(refused.body) as { approval: string };

    const listed = await atVerifier('approve', 'list', '--json');
    expect(listed.json()).toMatchObject({
      approvals: [{ id, state: 'pending', wish: { caller: PLANNING, callee: INVENTORY } }],
    });
    const shown = await atVerifier('approve', 'show', `--id=${id}`);
    for (const part of [id, PLANNING, INVENTORY, 'POST', '/vpcs?dry=0', 'mailto:alice@company.com'])
      expect(shown.stdout).toContain(part);

    const grant = (...args: readonly string[]) => atVerifier('approve', 'grant', `--id=${id}`, ...args);
    writeFileSync(file('body.json'), BODY);
    writeFileSync(file('other.json'), '{}');
    const bob = ['--as', file('bob.key')];
    expect(await grant(...bob)).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect(await grant(...bob, '--yes', '--body', file('other.json'))).toMatchObject({ code: 1 });
    const alice = await grant('--as', file('alice.key'), '--yes');
    expect(alice).toMatchObject({ code: 1, stderr: expect.stringContaining('no approver') });
    expect((await write(context)).code).toBe('approval_required');
    const granted = await grant(...bob, '--yes', '--body', file('body.json'));
    expect(granted.code, granted.stderr).toBe(0);
    expect(granted.stdout).toContain('approved by mailto:bob@company.com');

    // Not at another instance of the same service, while it is still good: that is another wish, which nobody has approved.
    const elsewhere = await write(context, BODY, 'second.mesh');
    expect(elsewhere.code).toBe('approval_required');
    expect((JSON.parse(elsewhere.body) as { approval: string }).approval).not.toBe(id);
    expect((await write(context, '{"delete":"vpc-3"}')).code).toBe('approval_required');
    expect(bodies).toEqual([]);

    const done = await write(context);
    expect(done.status, done.body).toBe(200);
    expect(bodies).toEqual([BODY]);
    expect((await write(context)).code).toBe('approval_used');
    expect((await write(context, BODY, 'second.mesh')).code).toBe('approval_required');
    expect((await write(context, '{"delete":"vpc-2"}')).code).toBe('approval_required');
    expect(bodies).toEqual([BODY]);
  });

  it('what was refused says why', async () => {
    const context = await startTask(file('each.chain'));
    const first = await write(context, 'no');
    const { approval: id } = JSON.parse(first.body) as { approval: string };
    const denied = await atVerifier('approve', 'deny', `--id=${id}`, '--why', 'not on a Friday');
    expect(denied.code, denied.stderr).toBe(0);
    const second = await write(context, 'no');
    expect(second).toMatchObject({ code: 'approval_denied', status: 403 });
    expect(second.body).toContain('not on a Friday');
  });

  it('a delegation is approved before it is made, and then needs nothing more', async () => {
    bodies.length = 0;
    const chain = file('approved.chain');
    const scope = ['--scope', 'cloud:write', '--scope', 'cloud:read'];
    const asked = await delegate(...scope, '--out', chain);
    expect(asked).toMatchObject({ code: 1 });
    expect(asked.json()).toMatchObject({ reason: 'approval_required' });
    const id = /waits as (\S{43})/.exec(asked.stdout)?.[1] ?? '';
    expect(await delegate(...scope, `--approval=${id}`, '--out', chain)).toMatchObject({ code: 1 });
    const granted = await atVerifier(
      'approve',
      'grant',
      `--id=${id}`,
      '--as',
      file('bob.key'),
      '--ttl',
      '30m',
      '--yes',
    );
    expect(granted.code, granted.stderr).toBe(0);
    const other = await atVerifier(
      ...['delegate', '--as', file('alice.key'), '--to', 'inventory/1', '--json'],
      ...[...scope, `--approval=${id}`],
    );
    expect(other.json()).toMatchObject({ ok: false, reason: 'approval_invalid' });
    const made = await delegate(...scope, `--approval=${id}`, '--out', chain);
    expect(made.code, made.stdout).toBe(0);
    const inspected = await cli('inspect', chain);
    expect(inspected.stdout).toContain('approved by mailto:bob@company.com: cloud:write');
    const context = await startTask(chain);
    const done = await write(context);
    expect(done.status, done.body).toBe(200);
    expect((await write(context)).status).toBe(200);
    expect(bodies).toEqual([BODY, BODY]);
    const log = readFileSync(path.join(inventory.directory, 'state', 'audit.log'), 'utf8');
    expect(log).toContain(`"approvals":[{"approver":"mailto:bob@company.com","id":"${id}"}]`);
  });

  it('status says how it all stands', async () => {
    const status = await atVerifier('status', '--json');
    expect(status.code, status.stderr).toBe(0);
    expect(status.json()).toMatchObject({
      trustDomain: 'company.com',
      policy: { revision: 'test-1' },
      agents: { live: 3, expired: 0 },
      bundle: { stamped: true },
      alarms: [],
    });
    const table = await atVerifier('status');
    for (const part of ['trust domain', 'svid-ca', 'approve list']) expect(table.stdout).toContain(part);
    const one = await atVerifier('status', 'planning/1');
    expect(one.code, one.stderr).toBe(0);
    for (const part of [PLANNING, 'score', 'baseline']) expect(one.stdout).toContain(part);
    const sidecar = await cli('status', '--admin', planning.addresses.admin);
    expect(sidecar.code, sidecar.stderr).toBe(0);
    for (const part of [PLANNING, 'stream live', 'HTTP_PROXY is cooperative', INVENTORY])
      expect(sidecar.stdout).toContain(part);
  });

  it('status --check says by its exit whether something needs attention', async () => {
    inventory.sidecar.stop('gone');
    const fine = await cli('status', '--admin', planning.addresses.admin, '--check', '--json');
    expect(fine.json()).toMatchObject({ attention: [] });
    expect(fine.code).toBe(0);
    isVerifierStopped = true;
    await verifier.stop();
    const lost = await cli('status', '--admin', planning.addresses.admin, '--check', '--json');
    expect(lost.json()).toMatchObject({ attention: [expect.stringContaining('verifier')] });
    expect(lost.code).toBe(1);
  });
});
