/** A disk that is full: the verifier refuses changes and says why; a sidecar can't keep what it hears, and obeys it all the same. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { revocationEndpoints } from '../../src/api/revocations.ts';
import { sha256Base64url } from '../../src/core/encoding/jws.ts';
import { makeSigningKey } from '../../src/edge/keys/signing-key.ts';
import { runCli } from '../testkit/cli-process.ts';
import { type Answer, sendThrough } from '../testkit/mesh.ts';
import { type SmallDisk, smallDisks } from '../testkit/small-disk.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PATIENCE = { timeout: 10_000 };
const disks = smallDisks();

let mesh: VerifiedMesh;
let planning: VerifiedMember;
let context: string;
let chain: string;
const ask = (): Promise<Answer> => sendThrough(planning, 'http://inventory.mesh/vpcs', { context });
const startPlanning = async (): Promise<void> => {
  planning = await mesh.start('planning/1', { routes: { 'inventory.mesh': 'inventory/1' } });
  chain = mesh.mintRoot(planning);
  context = await mesh.startTask('planning/1', chain);
};

it('can be tried here', () => expect(disks.length).toBeGreaterThan(0));

describe.each(disks)('the verifier on $name', (disk: SmallDisk) => {
  let directory: string;
  afterEach(async () => {
    disk.free();
    await mesh.stop().catch(() => undefined);
    disk.remove();
    rmSync(path.dirname(directory), { recursive: true, force: true });
  });

  it('refuses a change whole, says why, serves what it has, and goes on when there is room', async () => {
    directory = path.join(mkdtempSync(path.join(tmpdir(), 'hopgate-full-')), 'verifier');
    disk.prepare(directory, 8192);
    mesh = await makeVerifiedMesh({ verifierDirectory: directory });
    await mesh.start('inventory/1');
    await startPlanning();
    expect((await ask()).status).toBe(200);
    disk.fill(path.join(directory, 'verifier.db-wal'));
    const acknowledged: string[] = [];
    let refused: unknown;
    // The last free octets may take a few more.
    while (refused === undefined && acknowledged.length < 200) {
      const { thumbprint } = makeSigningKey();
      await mesh.revoke({ key: thumbprint }).then(
        () => acknowledged.push(thumbprint),
        (error: unknown) => {
          refused = error;
        },
      );
    }
    expect(refused).toMatchObject({
      reason: 'api_unavailable',
      message: expect.stringContaining('the verifier can’t write or read its'),
    });
    await expect(mesh.revoke({ chain })).rejects.toMatchObject({ reason: 'api_unavailable' });
    expect((await ask()).status).toBe(200);
    disk.free();
    await mesh.revoke({ chain });
    await vi.waitFor(async () => expect((await ask()).code).toBe('revoked_link'), PATIENCE);
    const { revocations } = await mesh.operator.call(revocationEndpoints.listRevocations, {
      query: { limit: 1000 },
    });
    const keys = revocations.flatMap(({ revoked }) => ('key' in revoked ? [revoked.key] : []));
    expect(keys).toEqual(expect.arrayContaining(acknowledged));
    const checked = await runCli('verifier', 'events', '--verifier', directory, '--verify', '--json');
    expect(JSON.parse(checked.stdout)).toMatchObject({ ok: true });
  });
});

describe.each(disks.filter(({ isOneDirectory }) => isOneDirectory))('a sidecar’s state on $name', (disk) => {
  afterEach(async () => {
    disk.free();
    for (const name of ['planning/1', 'inventory/1']) mesh.member(name).sidecar.stop('test over');
    disk.remove();
    await mesh.stop();
  });

  it('a revocation cuts a live stream all the same, and nothing half-written is left', async () => {
    mesh = await makeVerifiedMesh();
    const state = path.join(mesh.directory, 'planning-1', 'state');
    disk.prepare(state);
    await mesh.start('inventory/1', {
      handler: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
      },
    });
    await startPlanning();
    await planning.source.trust.settled();
    const { ended } = await openStream();
    disk.fill(planning.logFile);
    await mesh.revoke({ chain });
    await ended;
    expect(planning.source.trust.last.bundle.revocations.size).toBeGreaterThan(0);
    await vi.waitFor(
      () => expect(planning.said.some(({ msg }) => /can’t be kept on disk/.test(String(msg)))).toBe(true),
      PATIENCE,
    );
    await planning.source.trust.settled();
    // The bundle before is there whole, and no part of another one.
    const kept = (): string => readFileSync(path.join(state, 'bundle.jws'), 'utf8').trim();
    const digestIn = (file: string): string =>
      (JSON.parse(readFileSync(file, 'utf8')) as { digest: string }).digest;
    expect(sha256Base64url(kept())).toBe(digestIn(path.join(state, 'bundle-order.json')));
    expect(sha256Base64url(kept())).not.toBe(planning.source.trust.digest);
    expect(readdirSync(state).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    disk.free();
    await mesh.publishPolicy({ revision: 'test-2' });
    await vi.waitFor(() => expect(sha256Base64url(kept())).toBe(planning.source.trust.digest), PATIENCE);
    expect((await ask()).code).toBe('revoked_link');
    expect(planning.said.some(({ msg }) => /is kept on disk again/.test(String(msg)))).toBe(true);
  });
});

/** Resolves, when an event stream is open, with its end. */
const openStream = (): Promise<{ readonly ended: Promise<void> }> =>
  new Promise((resolve, reject) => {
    const proxy = new URL(planning.proxyUrl);
    const authorization = `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`;
    const headers = {
      host: 'inventory.mesh',
      'proxy-authorization': authorization,
      'hopgate-context': context,
    };
    const { hostname: host, port } = proxy;
    httpRequest({ host, port, path: 'http://inventory.mesh/events', agent: false, headers }, (response) => {
      response.on('error', () => undefined);
      const ended = new Promise<void>((done) => response.once('close', done));
      response.once('data', () => resolve({ ended }));
    })
      .on('error', reject)
      .end();
  });
