/**
 * The programs of docs/without-a-sidecar.md, as people copy them, before a running sidecar. Node's always; Python's where
 * HOPGATE_PYTHON names one that has its packages.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { IdPattern } from '../../src/core/spiffe-id.ts';
import { writeIdentity } from '../testkit/domain.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';

const BATCH = 'batch/1';
const INVENTORY = 'inventory/1';
const OTHER = 'inventory/2';
const SCOPE = ['inventory:read', 'inventory:write'];
const EXAMPLES = fileURLToPath(new URL('../../config/examples/', import.meta.url));
const policy = parse(readFileSync(path.join(EXAMPLES, 'without-a-sidecar.yaml'), 'utf8')) as {
  withoutSidecar: { scopes: string[] }[];
} & Record<string, unknown>;

let mesh: Mesh;
let inventory: MeshAgent;
let identity: string;
const bodies: string[] = [];

beforeAll(async () => {
  const [way] = policy.withoutSidecar;
  mesh = await makeMesh({
    domain: {
      agents: [BATCH, INVENTORY, OTHER],
      anchor: { scope: SCOPE, delegatees: ['spiffe://company.com/agent/batch/*' as IdPattern] },
    },
    // The job of this test writes too.
    policy: { ...policy, withoutSidecar: [{ ...way, scopes: SCOPE }] },
  });
  inventory = await mesh.start(INVENTORY, {
    handler: (request, response) => {
      void text(request).then((body) => {
        bodies.push(body);
        response.end(`${request.method} ${request.url} by ${String(request.headers['hopgate-caller'])}`);
      });
    },
  });
  identity = path.join(mesh.directory, 'client');
  writeIdentity(identity, mesh.domain.agent(BATCH));
  writeFileSync(path.join(identity, 'ca.pem'), mesh.domain.authority.certificatePem);
  writeFileSync(path.join(identity, 'task.chain'), mesh.domain.mintChain([BATCH], { scope: SCOPE }));
});
afterAll(() => mesh.stop());

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly problem: string;
}

const run = async (
  program: readonly string[],
  target: string,
  options: Record<string, string> = {},
): Promise<Ended> => {
  const [command = '', ...file] = program;
  const given: Record<string, string> = {
    identity,
    trust: path.join(identity, 'ca.pem'),
    chain: path.join(identity, 'task.chain'),
    callee: mesh.domain.agent(INVENTORY).id,
    ...options,
  };
  const child = spawn(
    command,
    [
      ...file,
      ...Object.entries(given).flatMap(([name, value]) => [`--${name}`, value]),
      `https://127.0.0.1:${inventory.addresses.inbound?.port}${target}`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [out, problem, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ]);
  return { out: out.trim(), problem, code };
};

const python = process.env.HOPGATE_PYTHON;
const script = (name: string): string => path.join(EXAMPLES, 'without-a-sidecar', name);
const programs: [string, readonly string[]][] = [
  ['Node', [process.execPath, script('call.mjs')]],
  ...(python === undefined ? [] : [['Python', [python, script('call.py')]] as [string, string[]]]),
];

describe.each(programs)('the program in %s', (_, program) => {
  test('reads', async () => {
    expect(await run(program, '/inventories/eu?page=2')).toMatchObject({
      out: `GET /inventories/eu?page=2 by ${mesh.domain.agent(BATCH).id}`,
      code: 0,
    });
    expect(inventory.log().findLast(({ kind }) => kind === 'decision')).toMatchObject({
      verdict: 'permit',
      proof: 'request',
    });
  });

  test('writes', async () => {
    expect(await run(program, '/inventories/eu', { data: '{"host": "ü"}' })).toMatchObject({ code: 0 });
    expect(bodies.at(-1)).toBe('{"host": "ü"}');
  });

  test('hears why it is refused', async () => {
    const answer = await run(program, '/elsewhere');
    expect(answer.code).toBe(1);
    expect(JSON.parse(answer.out)).toMatchObject({ code: 'route_unmatched' });
  });

  test('talks to nobody but whom it means', async () => {
    const before = inventory.log().length;
    const answer = await run(program, '/inventories/eu', { callee: mesh.domain.agent(OTHER).id });
    expect(answer.code).not.toBe(0);
    expect(answer.problem).toContain('answers');
    expect(inventory.log()).toHaveLength(before);
  });
});
