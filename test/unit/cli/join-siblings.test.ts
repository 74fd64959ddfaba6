/** Agents that join beside each other: ports that are free, routes to each other, and no file changed that isn't ours to change. */
import { createPublicKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addRoute, neighbourhoodOf, ROUTES_END, routeTo } from '../../../src/cli/join-siblings.ts';
import { joinedSidecar } from '../../../src/cli/join-sidecar.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { sidecarSchema } from '../../../src/config/sidecar-schema.ts';
import { issueSvid, issueSvidCa, makeTlsKey } from '../../../src/verifier/authority/certificates.ts';
import { agentIdIn, folderNameOf, portsOf } from '../../../src/verifier/local/layout.ts';

const DOMAIN = 'company.com';
const ROOT = 'A'.repeat(43);
const OTHER_ROOT = 'E'.repeat(43);
const SET = 'infrastructure:review';
const NOW = Math.floor(Date.now() / 1000);
const ca = await issueSvidCa(DOMAIN, { now: NOW, ttlSeconds: 3600 });

let agents: string;
beforeEach(() => {
  agents = mkdtempSync(path.join(tmpdir(), 'hopgate-siblings-'));
});
afterEach(() => rmSync(agents, { recursive: true, force: true }));

const fileOf = (name: string): string => path.join(agents, folderNameOf(name), 'sidecar.yaml');
const folderOf = (name: string): string => path.dirname(fileOf(name));

/** What `hopgate join` leaves, as far as others look at it. */
const join = async (name: string, root = ROOT): Promise<ReturnType<typeof neighbourhoodOf>> => {
  const id = agentIdIn(DOMAIN, name);
  const there = neighbourhoodOf(folderOf(name), id, root);
  const names = [...there.siblings.map((sibling) => sibling.name), name];
  mkdirSync(folderOf(name));
  const key = createPublicKey(makeTlsKey());
  writeFileSync(
    path.join(folderOf(name), 'svid.pem'),
    (await issueSvid(ca, { id, key, now: NOW, ttlSeconds: 600 })).pem,
  );
  const routes = there.siblings.map((sibling) => routeTo(sibling, names, SET));
  const string = { token: 'T', root, id, verifiers: ['127.0.0.1:14300'] };
  writeFileSync(fileOf(name), joinedSidecar(string, there.ports, routes));
  return there;
};
const routeOf = (name: string, names: readonly string[], port: number) =>
  routeTo({ id: agentIdIn(DOMAIN, name), name, address: `127.0.0.1:${port}` }, names, SET);
const read = (name: string) =>
  parseConfig(readFileSync(fileOf(name), 'utf8'), fileOf(name), sidecarSchema).value;
const hosts = (name: string) => read(name).outbound?.routes.map(({ host, peer }) => [host, peer]);

describe('an agent that joins beside others', () => {
  it('has ports of its own, and routes to them that pin exact IDs', async () => {
    expect((await join('planning/1')).ports).toEqual(portsOf(0));
    expect(hosts('planning/1')).toEqual([]);
    expect((await join('inventory/1')).ports).toEqual(portsOf(1));
    expect(hosts('inventory/1')).toEqual([['planning.mesh', agentIdIn(DOMAIN, 'planning/1')]]);
    const { ports } = await join('inventory/2');
    expect(ports).toEqual(portsOf(2));
    expect(hosts('inventory/2')).toEqual([
      ['planning.mesh', agentIdIn(DOMAIN, 'planning/1')],
      ['inventory.mesh', agentIdIn(DOMAIN, 'inventory/1')],
    ]);
    expect(read('inventory/2').outbound?.routes[0]?.delegate).toMatchObject({ scope: [SET] });
  });

  it('takes no port of a sidecar of another trust domain, and has no route to it', async () => {
    await join('planning/1', OTHER_ROOT);
    const { ports, siblings } = await join('inventory/1');
    expect(ports).toEqual(portsOf(1));
    expect(siblings).toEqual([]);
  });

  it('is not led to who only says that it is a sibling', async () => {
    await join('planning/1');
    rmSync(path.join(folderOf('planning/1'), 'svid.pem'));
    expect((await join('inventory/1')).siblings).toEqual([]);
  });
});

describe('the route back', () => {
  const names = ['planning/1', 'inventory/1', 'inventory/2'];
  const first = routeOf('inventory/1', names, 14_453);
  const second = routeOf('inventory/2', names, 14_463);

  it('comes behind those that are there, and once', async () => {
    await join('planning/1');
    expect(addRoute(fileOf('planning/1'), first)).toBe('added');
    expect(addRoute(fileOf('planning/1'), second)).toBe('added');
    expect(hosts('planning/1')).toEqual([
      ['inventory.mesh', agentIdIn(DOMAIN, 'inventory/1')],
      ['2.inventory.mesh', agentIdIn(DOMAIN, 'inventory/2')],
    ]);
    const text = readFileSync(fileOf('planning/1'), 'utf8');
    expect(addRoute(fileOf('planning/1'), first)).toBe('there');
    expect(readFileSync(fileOf('planning/1'), 'utf8')).toBe(text);
  });

  it('leaves everything else in the file as a person has it', async () => {
    await join('planning/1');
    const mine = readFileSync(fileOf('planning/1'), 'utf8').replace(
      '127.0.0.1:8080',
      '127.0.0.1:9000 # mine',
    );
    writeFileSync(fileOf('planning/1'), mine);
    expect(addRoute(fileOf('planning/1'), first)).toBe('added');
    const text = readFileSync(fileOf('planning/1'), 'utf8');
    expect(text).toContain('127.0.0.1:9000 # mine');
    expect(read('planning/1').inbound?.agent).toMatchObject({ port: 9000 });
  });

  it.each([
    ['without our line', (text: string) => text.replace(`${ROUTES_END}\n`, '')],
    ['with our line elsewhere', (text: string) => `${text.replace(`${ROUTES_END}\n`, '')}${ROUTES_END}\n`],
    [
      'with the host led elsewhere',
      (text: string) =>
        text.replace(
          '  routes: []',
          '  routes:\n    - { host: inventory.mesh, peer: "spiffe://company.com/agent/other/1", address: "127.0.0.1:1" }',
        ),
    ],
    [
      'in another form',
      (text: string) =>
        text.replace(
          '  routes: []',
          '  routes: [{ host: a.mesh, peer: "spiffe://company.com/agent/other/1", address: "127.0.0.1:1" }]',
        ),
    ],
    [
      'with our line before a route of its own',
      (text: string) =>
        text
          .replace('  routes: []', '  routes:')
          .replace(
            ROUTES_END,
            `${ROUTES_END}\n    - { host: a.mesh, peer: "spiffe://company.com/agent/a/1", address: "127.0.0.1:1" }`,
          ),
    ],
    [
      'without our line that ends with its routes',
      (text: string) => {
        const [before = '', health = ''] = text.split('\nhealth:');
        return `${before.replace(/^outbound:.*/ms, '')}health:${health}\noutbound:\n  routes:\n    - { host: a.mesh, peer: "spiffe://company.com/agent/a/1", address: "127.0.0.1:1" }`;
      },
    ],
    ['that is no sidecar file', () => 'kind: Sidecar\n'],
  ])('does not change a file %s', async (_name, change) => {
    await join('planning/1');
    const text = change(readFileSync(fileOf('planning/1'), 'utf8'));
    writeFileSync(fileOf('planning/1'), text);
    expect(addRoute(fileOf('planning/1'), first)).toBe('left');
    expect(readFileSync(fileOf('planning/1'), 'utf8')).toBe(text);
  });
});
