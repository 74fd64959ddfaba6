/** `attributes.yaml` of a local domain: signed with the next bundle, and refused as a whole with every fault by its line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import {
  addToLocalDomain,
  createLocalDomain,
  renewLocalDomain,
} from '../../../../src/verifier/local/domain.ts';
import { readBundle, readState } from '../../../../src/verifier/local/files.ts';
import { LocalDomainError } from '../../../../src/verifier/local/layout.ts';
import { must } from '../../../testkit/domain.ts';

const NOW = 1_800_000_000;
const ALICE = 'mailto:alice@company.com';
const idOf = (name: string): AgentId => `spiffe://company.com/agent/${name}` as AgentId;

let mesh = '';
beforeEach(async () => {
  const parent = mkdtempSync(path.join(tmpdir(), 'hopgate-attributes-'));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  mesh = path.join(parent, 'mesh');
  await createLocalDomain(
    mesh,
    {
      trustDomain: 'company.com',
      agents: ['planning/1', 'inventory/1', 'inventory/2'],
      principals: { alice: ALICE },
      svidTtlSeconds: 3600,
      bundleTtlSeconds: 86_400,
    },
    NOW,
  );
});
const say = (text: string): void => writeFileSync(path.join(mesh, 'attributes.yaml'), text);
const attributes = () => must(readBundle(mesh, readState(mesh), NOW)).attributes;
const faultOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return '';
  } catch (error) {
    if (error instanceof LocalDomainError) return error.message;
    throw error;
  }
};

test('what it says stands in the next bundle, until it is gone', async () => {
  expect(attributes().agentCount).toBe(0);
  say(`
agents:
  planning/1: {team: finance, env: prod}
  inventory/*: {team: logistics}
  inventory/2: {}
principals:
  alice: {groups: [sre, oncall]}
`);
  await renewLocalDomain(mesh, {}, NOW);
  expect({ ...attributes().agent(idOf('planning/1')) }).toEqual({ team: 'finance', env: 'prod' });
  expect({ ...attributes().agent(idOf('inventory/1')) }).toEqual({ team: 'logistics' });
  expect({ ...attributes().agent(idOf('inventory/2')) }).toEqual({});
  expect(attributes().groups(ALICE)).toEqual(['sre', 'oncall']);
  rmSync(path.join(mesh, 'attributes.yaml'));
  await renewLocalDomain(mesh, {}, NOW);
  expect([attributes().agentCount, attributes().principalCount]).toEqual([0, 0]);
});

test('an agent that is added may stand there already', async () => {
  say('agents:\n  security/1: {clearance: "2"}\n');
  expect(await faultOf(renewLocalDomain(mesh, {}, NOW))).toContain('attributes.yaml:2:3');
  await addToLocalDomain(mesh, { agents: ['security/1'], principals: {} }, NOW);
  expect(attributes().agent(idOf('security/1')).clearance).toBe('2');
});

test('every fault is named by its line, and nothing is renewed', async () => {
  say(`agents:
  planning/9: {team: finance}
  planning/1: {Team: finance}
  inventory/1: {env: true}
principals:
  bob: {groups: [sre]}
  alice: {groups: ['a b'], admin: true}
types: {}
`);
  const before = readFileSync(path.join(mesh, 'agents', 'planning-1', 'wit.jwt'), 'utf8');
  const fault = await faultOf(renewLocalDomain(mesh, {}, NOW + 60));
  for (const line of [2, 3, 4, 6, 7, 8]) expect(fault, fault).toContain(`attributes.yaml:${line}:`);
  expect(readFileSync(path.join(mesh, 'agents', 'planning-1', 'wit.jwt'), 'utf8')).toBe(before);
  expect(readState(mesh).seq).toBe(1);
});

test('a member twice is a fault, and so is what is no YAML', async () => {
  for (const text of ['agents: {}\nagents: {}\n', 'agents: [', 'agents: []', 'x']) {
    say(text);
    expect(await faultOf(renewLocalDomain(mesh, {}, NOW)), text).toContain('attributes.yaml:');
  }
});
