/** A local trust domain is made whole or not at all, is renewed without losing keys, and grows without losing anything. */
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../../src/config/load.ts';
import { parsePolicy } from '../../../../src/config/policy.ts';
import { sidecarSchema } from '../../../../src/config/sidecar-schema.ts';
import { expandScope } from '../../../../src/core/delegation/scope.ts';
import { compilePolicy } from '../../../../src/core/policy/evaluate.ts';
import { withLock, writeFilesAtomic } from '../../../../src/edge/store/atomic-file.ts';
import {
  addToLocalDomain,
  createLocalDomain,
  type DomainSpec,
  renewLocalDomain,
} from '../../../../src/verifier/local/domain.ts';
import { readBundle, readState } from '../../../../src/verifier/local/files.ts';
import { STARTER_SCOPE_SET } from '../../../../src/verifier/policy/starter-policy.ts';
import { makeDomain, must } from '../../../testkit/domain.ts';
import { evaluatePolicy } from '../../../testkit/evaluate.ts';

const NOW = 1_800_000_000;
const SPEC: DomainSpec = {
  trustDomain: 'company.com',
  agents: ['planning/1', 'inventory/1'],
  principals: { alice: 'mailto:alice@company.com' },
  svidTtlSeconds: 3600,
  bundleTtlSeconds: 86_400,
};

let parent = '';
let mesh = '';
beforeEach(() => {
  parent = mkdtempSync(path.join(tmpdir(), 'hopgate-domain-'));
  mesh = path.join(parent, 'mesh');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const read = (...names: string[]): string => readFileSync(path.join(mesh, ...names), 'utf8');
const filesBelow = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
const bundleAt = (now: number) => must(readBundle(mesh, readState(mesh), now));

describe('making', () => {
  it('writes every file, and every private key for its owner alone', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    const perAgent = [
      'agent.key',
      'agent.pub.json',
      'audit.key',
      'key-binding.json',
      'sidecar.yaml',
      'svid.key',
      'svid.pem',
      'wit.jwt',
    ];
    expect(filesBelow(mesh)).toEqual([
      ...['inventory-1', 'planning-1'].flatMap((agent) => perAgent.map((file) => `agents/${agent}/${file}`)),
      'bundle.jws',
      'domain.json',
      'policy.yaml',
      'principals/alice.json',
      'principals/alice.key',
      'root/ca.key',
      'root/ca.pem',
      'root/issuer.key',
      'root/policy.key',
      'root/root.key',
    ]);
    const keys = filesBelow(mesh).filter((file) => file.endsWith('.key'));
    for (const file of keys) {
      expect(statSync(path.join(mesh, file)).mode & 0o777, file).toBe(0o600);
      expect(read(file), file).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    }
    expect(readdirSync(parent)).toEqual(['mesh']);
  });

  it('fills an empty folder that is there, without putting another in its place', async () => {
    mkdirSync(mesh);
    const { ino } = statSync(mesh);
    await createLocalDomain(mesh, SPEC, NOW);
    expect(statSync(mesh).ino).toBe(ino);
    expect(readState(mesh).agents).toEqual(SPEC.agents);
    expect(readdirSync(mesh).sort()).toEqual([
      'agents',
      'bundle.jws',
      'domain.json',
      'policy.yaml',
      'principals',
      'root',
    ]);
  });

  it('leaves an empty folder empty when it fails', async () => {
    mkdirSync(mesh);
    await expect(createLocalDomain(mesh, { ...SPEC, svidTtlSeconds: -1_000_000 }, NOW)).rejects.toThrow();
    expect(readdirSync(mesh)).toEqual([]);
  });

  it('touches nothing in a folder with something in it, and leaves nothing behind', async () => {
    mkdirSync(mesh);
    writeFileSync(path.join(mesh, 'mine.txt'), 'mine');
    await expect(createLocalDomain(mesh, SPEC, NOW)).rejects.toThrow('is not empty');
    expect(filesBelow(parent)).toEqual(['mesh/mine.txt']);
    expect(readdirSync(parent)).toEqual(['mesh']);
  });

  it('leaves nothing behind where it can’t write', async () => {
    const file = path.join(parent, 'file');
    writeFileSync(file, '');
    await expect(createLocalDomain(path.join(file, 'mesh'), SPEC, NOW)).rejects.toThrow(/ENOTDIR|EEXIST/);
    expect(readdirSync(parent)).toEqual(['file']);
  });

  it('removes the parents it made when the rest fails', async () => {
    const deep = path.join(parent, 'a', 'b', 'mesh');
    await expect(createLocalDomain(deep, { ...SPEC, agents: ['a-b/c', 'a/b-c'] }, NOW)).rejects.toThrow(
      'share the folder',
    );
    expect(readdirSync(parent)).toEqual([]);
    const spec = { ...SPEC, svidTtlSeconds: -1_000_000_000 };
    await expect(createLocalDomain(deep, spec, NOW)).rejects.toThrow();
    expect(readdirSync(parent)).toEqual([]);
  });

  it('gives each agent ports of its own', async () => {
    await createLocalDomain(mesh, { ...SPEC, agents: ['a/1', 'b/1', 'c/1'] }, NOW);
    const addresses = ['a-1', 'b-1', 'c-1'].flatMap((name) => {
      const config = parseConfig(read('agents', name, 'sidecar.yaml'), name, sidecarSchema).value;
      return [
        config.inbound?.listen,
        config.inbound?.agent,
        config.outbound?.listen,
        config.health.listen,
      ].map((address) => JSON.stringify(address));
    });
    expect(new Set(addresses).size).toBe(12);
    for (const address of addresses) expect(address).toContain('"127.0.0.1"');
  });

  it.each(['null', '1.2', '0x1f', 'true', '1e3'])(
    'takes a trust domain that YAML would misread: %s',
    async (name) => {
      await createLocalDomain(mesh, { ...SPEC, trustDomain: name }, NOW);
      expect(
        parseConfig(read('agents', 'planning-1', 'sidecar.yaml'), 'sidecar.yaml', sidecarSchema).value.trust
          .trustDomain,
      ).toBe(name);
    },
  );
});

describe('the default policy', () => {
  it('permits the walkthrough and denies writing', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    const policy = parsePolicy(read('policy.yaml'), 'policy.yaml');
    const expanded = expandScope([STARTER_SCOPE_SET], policy.scopeSets);
    const scope = 'patterns' in expanded ? expanded.patterns : [];
    const domain = await makeDomain({ now: NOW, agents: ['planning/1', 'inventory/1'] });
    const planning = domain.agent('planning/1');
    const inventory = domain.agent('inventory/1');
    const chain = domain.verify(domain.mintRoot(planning, { scope }), planning);
    const ask = (method: string, at: string, held = chain) =>
      evaluatePolicy(compilePolicy(policy), {
        callee: inventory.id,
        method,
        path: at,
        chain: held,
      });
    expect(ask('GET', '/README.txt')).toMatchObject({ ok: true, value: { route: { name: 'read' } } });
    expect(ask('GET', '/')).toMatchObject({ ok: true, value: { route: { name: 'read-root' } } });
    expect(ask('GET', '/docs/')).toMatchObject({ ok: true });
    expect(ask('GET', '/ec2/DescribeInstances')).toMatchObject({
      ok: true,
      value: { required: ['ec2:DescribeInstances'] },
    });
    expect(ask('GET', '/ec2/TerminateInstances')).toMatchObject({ reason: 'scope_missing' });
    expect(ask('DELETE', '/README.txt')).toMatchObject({ reason: 'scope_missing' });
    const writer = domain.verify(domain.mintRoot(planning, { scope: ['cloud:*'] }), planning);
    expect(ask('DELETE', '/README.txt', writer)).toMatchObject({ reason: 'rule_unmatched' });
  });
});

describe('renewing', () => {
  it('brings new credentials under the same keys, and the next bundle', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    const kept = filesBelow(mesh).filter((file) =>
      /(agent|audit|root|policy|issuer|ca|alice)\.key$/.test(file),
    );
    const before = new Map(filesBelow(mesh).map((file) => [file, read(file)]));
    const renewal = await renewLocalDomain(mesh, {}, NOW + 1800);
    expect(renewal.agents).toEqual([
      { name: 'planning/1', notAfter: NOW + 5400 },
      { name: 'inventory/1', notAfter: NOW + 5400 },
    ]);
    for (const file of kept) expect(read(file), file).toBe(before.get(file));
    for (const file of ['svid.pem', 'svid.key', 'wit.jwt', 'key-binding.json'])
      expect(read('agents', 'planning-1', file)).not.toBe(before.get(`agents/planning-1/${file}`));
    expect(bundleAt(NOW + 1800)).toMatchObject({ epoch: 1, seq: 2, exp: NOW + 1800 + 86_400 });
    const svid = new X509Certificate(read('agents', 'planning-1', 'svid.pem'));
    expect(Date.parse(svid.validTo) / 1000).toBe(NOW + 5400);
    expect(filesBelow(mesh)).toEqual([...before.keys()]);
  });

  it('keeps new lifetimes', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    await renewLocalDomain(mesh, { svidTtlSeconds: 60 }, NOW);
    expect((await renewLocalDomain(mesh, {}, NOW + 10)).agents[0]?.notAfter).toBe(NOW + 70);
  });

  it('goes on while someone edits the policy', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    writeFileSync(path.join(mesh, 'policy.yaml'), 'half: [written');
    expect((await renewLocalDomain(mesh, {}, NOW)).state.seq).toBe(2);
  });

  it('signs what domain.json revokes, and writes no bundle that a sidecar would refuse', async () => {
    const state = await createLocalDomain(mesh, SPEC, NOW);
    const agent = 'spiffe://company.com/agent/inventory/1';
    writeFileSync(path.join(mesh, 'domain.json'), JSON.stringify({ ...state, revoked: [{ agent }] }));
    await renewLocalDomain(mesh, {}, NOW);
    expect(bundleAt(NOW).revocations.size).toBe(1);
    const bundle = read('bundle.jws');
    writeFileSync(
      path.join(mesh, 'domain.json'),
      JSON.stringify({ ...state, seq: 2, revoked: [{ agnet: agent }] }),
    );
    await expect(renewLocalDomain(mesh, {}, NOW)).rejects.toThrow('revocation 1 is of no known form');
    expect(read('bundle.jws')).toBe(bundle);
  });

  it('names the line of a fault in domain.json', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    writeFileSync(path.join(mesh, 'domain.json'), read('domain.json').replace('"epoch": 1', '"epoch": 0'));
    await expect(renewLocalDomain(mesh, {}, NOW)).rejects.toThrow(/domain\.json:4:\d+: epoch/);
  });
});

describe('adding', () => {
  it('keeps every key, and routes the others to the newcomer', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    const before = new Map(filesBelow(mesh).map((file) => [file, read(file)]));
    const added = await addToLocalDomain(
      mesh,
      { agents: ['planning/1', 'inventory/2'], principals: { bob: 'mailto:bob@company.com' } },
      NOW,
    );
    expect(added).toMatchObject({ principals: ['bob'], leftAlone: [], state: { seq: 2 } });
    expect(added.agents.map(({ name }) => name)).toEqual(['inventory/2']);
    for (const [file, text] of before)
      if (!/sidecar\.yaml$|bundle\.jws|domain\.json/.test(file)) expect(read(file), file).toBe(text);
    const config = parseConfig(read('agents', 'planning-1', 'sidecar.yaml'), 'x', sidecarSchema).value;
    expect(config.outbound?.routes.map(({ host }) => host)).toEqual([
      'inventory.mesh',
      '1.inventory.mesh',
      '2.inventory.mesh',
    ]);
    expect(bundleAt(NOW).anchors.size).toBe(2);
  });

  it('leaves a sidecar file alone that someone has changed, and says what it lacks', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    const mine = `${read('agents', 'planning-1', 'sidecar.yaml')}# mine\n`;
    writeFileSync(path.join(mesh, 'agents', 'planning-1', 'sidecar.yaml'), mine);
    const { leftAlone } = await addToLocalDomain(mesh, { agents: ['security/1'], principals: {} }, NOW);
    expect(read('agents', 'planning-1', 'sidecar.yaml')).toBe(mine);
    expect(leftAlone).toHaveLength(1);
    expect(leftAlone[0]?.routes).toContain('host: security.mesh');
    expect(read('agents', 'inventory-1', 'sidecar.yaml')).toContain('host: security.mesh');
  });

  it('never gives a principal’s name to another', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    const principals = { alice: 'mailto:mallory@company.com' };
    await expect(addToLocalDomain(mesh, { agents: [], principals }, NOW)).rejects.toThrow(
      'take another name',
    );
    await expect(addToLocalDomain(mesh, { agents: ['planning/1'], principals: {} }, NOW)).rejects.toThrow(
      'already',
    );
  });

  it('takes over the keys that a run cut short has left', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    const early = read('domain.json');
    const spec = { agents: ['security/1'], principals: { bob: 'mailto:bob@company.com' } };
    await addToLocalDomain(mesh, spec, NOW);
    const keys = [read('agents', 'security-1', 'agent.key'), read('principals', 'bob.key')];
    writeFileSync(path.join(mesh, 'domain.json'), early);
    await addToLocalDomain(mesh, spec, NOW);
    expect([read('agents', 'security-1', 'agent.key'), read('principals', 'bob.key')]).toEqual(keys);
  });

  it('loses nothing when two do it at once', async () => {
    await createLocalDomain(mesh, SPEC, NOW);
    await Promise.all([
      addToLocalDomain(mesh, { agents: ['security/1'], principals: {} }, NOW),
      renewLocalDomain(mesh, {}, NOW),
      addToLocalDomain(mesh, { agents: ['billing/1'], principals: {} }, NOW),
    ]);
    const state = readState(mesh);
    expect(state.seq).toBe(4);
    expect([...state.agents].sort()).toEqual(['billing/1', 'inventory/1', 'planning/1', 'security/1']);
  });
});

describe('files', () => {
  it('leave no temporary one behind when a write fails', () => {
    mkdirSync(mesh);
    const blocked = path.join(mesh, 'folder');
    mkdirSync(blocked);
    writeFileSync(path.join(blocked, 'x'), '');
    const files = [
      { file: path.join(mesh, 'a'), content: 'a' },
      { file: blocked, content: 'b' },
    ];
    expect(() => writeFilesAtomic(files)).toThrow();
    expect(readdirSync(mesh).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('the lock of a process that died is taken over', async () => {
    mkdirSync(mesh);
    writeFileSync(path.join(mesh, '.lock'), '2147483646\n');
    expect(await withLock(mesh, async () => 'done')).toBe('done');
    expect(readdirSync(mesh)).toEqual([]);
  });
});
