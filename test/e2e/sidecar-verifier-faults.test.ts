/** What a sidecar does when something between it and its verifier is wrong: clocks, servers, streams, disks, lost keys. */
import { rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { policyEndpoints } from '../../src/api/policy.ts';
import { makeSigningKey, privateKeyPem } from '../../src/edge/keys/signing-key.ts';
import { makeLogger } from '../../src/edge/telemetry/log.ts';
import { IdentityFolder } from '../../src/edge/verifier/identity-folder.ts';
import { TrustFeed } from '../../src/edge/verifier/trust-feed.ts';
import { VerifiedTrust } from '../../src/edge/verifier/verified-trust.ts';
import { VerifierLink } from '../../src/edge/verifier/verifier-link.ts';
import { issueSvid, issueSvidCa, makeTlsKey } from '../../src/verifier/authority/certificates.ts';
import { agentIdOf } from '../testkit/domain.ts';
import { makeForeignKey, signForeign } from '../testkit/foreign-tokens.ts';
import { type Answer, send, sendThrough } from '../testkit/mesh.ts';
import { TRUST_DOMAIN } from '../testkit/running-verifier.ts';
import { TestClock } from '../testkit/test-clock.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';
import { startWrongVerifier } from '../testkit/wrong-verifier.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';

let mesh: VerifiedMesh;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await mesh.stop();
});

const revisionOf = ({ source }: VerifiedMember): string => source.trust.last.policy.policy.revision;

describe('one clock that is wrong', () => {
  let clock: TestClock;
  let planning: VerifiedMember;
  beforeEach(async () => {
    mesh = await makeVerifiedMesh();
    clock = new TestClock();
    planning = await mesh.start(PLANNING, { clock });
  });

  it.each([
    [-60, 'this machine’s clock is 60 s behind the verifier’s'],
    [-3600, 'this machine’s clock is 3600 s behind the verifier’s'],
  ])(
    'the sidecar’s by %d s: a new bundle is from the future, is refused, and the log says whose',
    async (seconds, words) => {
      clock.advanceSeconds(seconds);
      await mesh.publishPolicy({ revision: 'test-2' });
      await vi.waitFor(() => {
        const line = planning.said.find(({ msg }) => /bundle refused/.test(String(msg)));
        expect(line).toMatchObject({ reason: 'bundle_expired', now: clock.seconds });
        // Headers have whole seconds.
        expect(String(line?.clocks).replace(/(59|61|3599|3601) s/, `${-seconds} s`)).toBe(words);
        expect(Number(line?.verifierNow) - Number(line?.now)).toBeCloseTo(-seconds, -1);
      }, 5000);
      expect(revisionOf(planning)).toBe('test-1');
    },
  );

  it('the sidecar’s by an hour ahead: a timestamp has expired when it comes, and the log says whose', async () => {
    clock.advanceSeconds(3600);
    await mesh.publishPolicy({ revision: 'test-2' });
    await vi.waitFor(() => {
      const line = planning.said.find(({ msg }) => /timestamp refused/.test(String(msg)));
      expect(line).toMatchObject({ reason: 'bundle_stale', now: clock.seconds });
      expect(String(line?.clocks)).toMatch(
        /^this machine’s clock is (3599|3600|3601) s ahead of the verifier’s$/,
      );
    }, 5000);
  });
});

/** Passes octets on; what is frozen hears and says nothing more. */
const startRelay = async (
  port: number,
): Promise<{ address: string; freezeFirst: () => void; server: Server }> => {
  const pairs: [Socket, Socket][] = [];
  const server = createServer((socket) => {
    const onward = connect(port, '127.0.0.1');
    for (const one of [socket, onward]) one.on('error', () => one.destroy());
    socket.pipe(onward).pipe(socket);
    pairs.push([socket, onward]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    for (const one of pairs.flat()) one.destroy();
    server.close();
  });
  const { port: own } = server.address() as { port: number };
  return {
    server,
    address: `127.0.0.1:${own}`,
    freezeFirst: () => {
      const [socket, onward] = pairs[0] ?? [];
      if (socket === undefined || onward === undefined) return;
      socket.unpipe(onward);
      onward.unpipe(socket);
      onward.pause();
    },
  };
};

describe('the way to the verifier', () => {
  let directory: string;
  beforeEach(async () => {
    mesh = await makeVerifiedMesh();
    directory = path.join(mesh.directory);
  });

  const makeLink = async (
    addresses: readonly string[],
    authorities: () => { readonly x509: readonly Buffer[]; readonly epoch: number } | undefined,
  ): Promise<VerifierLink> => {
    const identity = await mesh.running.identity(PLANNING);
    const trust = { trustDomain: TRUST_DOMAIN, root: mesh.root };
    const link = new VerifierLink({
      addresses,
      trust,
      clock: mesh.clock,
      authorities,
      identity: () => identity,
    });
    cleanups.push(() => link.close());
    return link;
  };
  const makeFeed = (link: VerifierLink, pollMs: number) => {
    const trust = new VerifiedTrust({
      trust: { trustDomain: TRUST_DOMAIN, root: mesh.root },
      clock: mesh.clock,
      directory,
      onDiskFault: () => undefined,
    });
    const feed = new TrustFeed({
      link,
      trust,
      log: makeLogger('silent'),
      pollMs,
      delays: { first: 20, most: 100 },
    });
    cleanups.push(() => feed.stop());
    feed.start();
    return { feed, trust };
  };
  const own = () => ({ x509: mesh.running.authorities, epoch: 1 });
  const revision = (trust: VerifiedTrust): string | undefined => trust.known?.policy.policy.revision;

  it('a stream that is dead but not closed: the poll behind it brings what is new', async () => {
    const relay = await startRelay(mesh.running.port);
    const link = await makeLink([relay.address], own);
    const { feed, trust } = makeFeed(link, 200);
    await vi.waitFor(() => expect(feed.state.stream).toBe('live'), 5000);
    relay.freezeFirst();
    await mesh.publishPolicy({ revision: 'test-2' });
    await vi.waitFor(() => expect(revision(trust)).toBe('test-2'), 5000);
    // The stream itself doesn't know yet.
    expect(feed.state.stream).toBe('live');
  });

  it('the second address where nobody answers at the first; the state says which, and what was wrong', async () => {
    const link = await makeLink(['127.0.0.1:1', mesh.running.verifier.addresses[0] ?? ''], own);
    const { trust } = makeFeed(link, 200);
    await vi.waitFor(() => expect(revision(trust)).toBe('test-1'), 5000);
    expect(link.state).toMatchObject({
      address: mesh.running.verifier.addresses[0],
      lastContact: mesh.clock.seconds,
    });
  });

  it('a server that is not the verifier gets nothing and gives nothing', async () => {
    const ca = await issueSvidCa(TRUST_DOMAIN, { now: mesh.clock.seconds, ttlSeconds: 3600 });
    const key = makeTlsKey();
    const id = agentIdOf(TRUST_DOMAIN, 'planning/9');
    const { pem } = await issueSvid(ca, { id, key, now: mesh.clock.seconds, ttlSeconds: 3600 });
    const wrong = await startWrongVerifier({ cert: pem, key: privateKeyPem(key) }, 'no.roles.here');
    cleanups.push(() => wrong.stop());
    const link = await makeLink([wrong.address], own);
    const { trust } = makeFeed(link, 100);
    await vi.waitFor(() => expect(link.state.lastError?.reason).toBe('verifier_untrusted'), 5000);
    expect(trust.known).toBeUndefined();
    // The one thing that it was asked is what anybody may ask.
    expect(
      wrong
        .received()
        .match(/^[A-Z]+ \S+/gm)
        ?.every((line) => line === 'GET /v1/roles'),
    ).toBe(true);
  });

  it('CAs of an earlier epoch: the root names those of now; of an earlier epoch than known it is not heard', async () => {
    const old = await issueSvidCa(TRUST_DOMAIN, { now: mesh.clock.seconds, ttlSeconds: 3600 });
    const behind = await makeLink([...mesh.running.verifier.addresses], () => ({
      x509: [old.certificateDer],
      epoch: 0,
    }));
    expect(revision(makeFeed(behind, 200).trust)).toBeUndefined();
    await vi.waitFor(() => expect(behind.state.lastContact).toBeDefined(), 5000);
    const ahead = await makeLink([...mesh.running.verifier.addresses], () => ({
      x509: [old.certificateDer],
      epoch: 99,
    }));
    await expect(
      ahead.run(async (client) => client.call(policyEndpoints.getEnforcement, {})),
    ).rejects.toThrow('its roles are of epoch 1, known is 99');
  });
});

describe('what a sidecar keeps, and loses', () => {
  it('reports what it enforces at once, and how its hops ended', async () => {
    mesh = await makeVerifiedMesh();
    const inventory = await mesh.start(INVENTORY);
    const planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    const enforced = async () =>
      (await mesh.operator.call(policyEndpoints.getEnforcement, {})).sidecars.map(({ sidecar, policy }) => [
        sidecar,
        policy?.revision,
      ]);
    await vi.waitFor(
      async () =>
        expect(new Set(await enforced())).toEqual(
          new Set([
            [planning.id, 'test-1'],
            [inventory.id, 'test-1'],
          ]),
        ),
      5000,
    );
    await mesh.publishPolicy({ revision: 'test-2' });
    await vi.waitFor(
      async () =>
        expect(new Set(await enforced())).toEqual(
          new Set([
            [planning.id, 'test-2'],
            [inventory.id, 'test-2'],
          ]),
        ),
      5000,
    );
  });

  it('a rotation that was cut short is finished at the next start, without a key that counts as lost', async () => {
    mesh = await makeVerifiedMesh();
    const planning = await mesh.start(PLANNING);
    const next = makeSigningKey();
    new IdentityFolder(path.join(planning.directory, 'identity')).keepNextKey(next);
    const again = await mesh.restart(PLANNING);
    expect(await again.source.renew()).toBe(true);
    expect(again.sidecar.identity.key.x).toBe(next.x);
    // And once more from disk.
    const last = await mesh.restart(PLANNING);
    expect(last.sidecar.identity.key.x).toBe(next.x);
    const { bundle } = last.source.trust.last;
    expect(bundle.revocations.size).toBe(0);
  });

  it('keys that are sealed in the folder, and readable under the configured key alone', async () => {
    mesh = await makeVerifiedMesh();
    const config = { keys: { encryption: { keyFile: 'kek' } } };
    const planning = await mesh.start(PLANNING, { config });
    const { key } = planning.sidecar.identity;
    expect((await mesh.restart(PLANNING, { config })).sidecar.identity.key.x).toBe(key.x);
    planning.sidecar.stop('test');
    mesh.member(PLANNING).sidecar.stop('test');
    expect(() => new IdentityFolder(path.join(planning.directory, 'identity')).read()).toThrow('sealed');
    rmSync(path.join(planning.directory, 'kek'));
    await expect(mesh.start(PLANNING, { config })).rejects.toThrow('another key-encryption key');
  });

  it('the admin socket replaces the agent key, and shows how it stands with the verifier', async () => {
    mesh = await makeVerifiedMesh();
    const planning = await mesh.start(PLANNING);
    const ask = (method: string, target: string): Promise<Answer> =>
      send({ socketPath: planning.addresses.admin, method, path: target });
    const before = planning.sidecar.identity.key.thumbprint;
    expect(JSON.parse((await ask('POST', '/rotate-key')).body)).not.toEqual({ key: before });
    const certs = JSON.parse((await ask('GET', '/certs')).body) as Record<string, unknown>;
    expect(certs).toMatchObject({
      id: planning.id,
      agentKey: planning.sidecar.identity.key.thumbprint,
      policy: { revision: 'test-1' },
      verifier: { address: mesh.running.verifier.addresses[0], lastContact: mesh.clock.seconds },
    });
    const config = (await ask('GET', '/config')).body;
    expect(config).toContain('127.0.0.1');
    expect(config).not.toContain('PRIVATE KEY');
  });

  it('a key that was in memory is lost with it: a new one is enrolled, and what rests on the old one ends', async () => {
    const cluster = makeForeignKey('cluster-1');
    const issuer = 'https://kubernetes.default.svc';
    mesh = await makeVerifiedMesh({
      verifier: {
        attestation: {
          kubernetes: [{ name: 'prod', issuer, jwks: { keys: [cluster.jwk] } }],
          oidc: [],
          x509pop: [],
          allowLongSvid: false,
        },
      },
    });
    const tokenFor = (sa: string): Promise<string> => {
      const now = mesh.clock.seconds;
      return signForeign(cluster, {
        iss: issuer,
        sub: `system:serviceaccount:prod:${sa}`,
        aud: [`spiffe://${TRUST_DOMAIN}/verifier`],
        iat: now,
        nbf: now,
        exp: now + 600,
        'kubernetes.io': {
          namespace: 'prod',
          serviceaccount: { name: sa, uid: `uid-of-${sa}` },
          pod: { name: `${sa}-7c9`, uid: `uid-of-${sa}-7c9` },
          node: { name: 'node-1', uid: 'uid-of-node-1' },
        },
      });
    };
    const inventory = await mesh.start(INVENTORY);
    await mesh.addEntry(PLANNING, ['k8s:cluster=prod', 'k8s:ns=prod', 'k8s:sa=planning']);
    const tokenFile = path.join(mesh.directory, 'token');
    writeFileSync(tokenFile, await tokenFor('planning'));
    const config = {
      identity: { attestation: { method: 'kubernetes', tokenFile } },
      keys: { store: 'memory' },
    };
    const options = { config, joins: false, routes: { 'inventory.mesh': INVENTORY } };
    const planning = await mesh.start(PLANNING, options);
    const chain = mesh.mintRoot(planning);
    const context = await mesh.startTask(PLANNING, chain);
    expect((await sendThrough(planning, 'http://inventory.mesh/vpcs', { context })).status).toBe(200);
    const { x, thumbprint } = planning.sidecar.identity.key;
    const again = await mesh.restart(PLANNING, options);
    expect(again.sidecar.identity.key.x).not.toBe(x);
    await vi.waitFor(() => {
      expect(
        inventory.source.trust.last.bundle.revocations.checkHolder(planning.id, thumbprint),
      ).toMatchObject({
        reason: 'agent_key_lost',
      });
    }, 5000);
    await expect(mesh.startTask(PLANNING, chain)).rejects.toThrow('chain_leaf_key');
  });
});
