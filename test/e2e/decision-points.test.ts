/** OPA as a second judge of running sidecars: over REST, where what answers may be anything, and as a bundle in process. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { runCli } from '../testkit/cli-process.ts';
import { type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';
import { fixtureFile } from '../testkit/opa/bundles.ts';

const POLICY = {
  routes: [
    { name: 'rest', path: '/rest/*', scopes: ['cloud:read'] },
    { name: 'wasm', path: '/reports/*', scopes: ['cloud:read'] },
    { name: 'wasm-no', path: '/wasm/*', scopes: ['cloud:read'] },
    { name: 'nowhere', path: '/nowhere/*', scopes: ['cloud:read'] },
    {
      name: 'mcp',
      path: '/mcp',
      scopes: ['cloud:read'],
      protocol: 'mcp',
      operations: [{ methods: ['tools/call'], scopes: [] }],
    },
  ],
  rules: [{ name: 'agents', effect: 'allow', callerTypes: ['planning'] }],
  decisionPoints: [
    { point: 'beside', path: 'mesh/authz/allow', routes: ['rest', 'mcp'] },
    { point: 'bundle', path: 'hopgate/authz/decision', routes: ['wasm', 'wasm-no'] },
    { point: 'unknown', path: 'mesh/authz/allow', routes: ['nowhere'] },
  ],
};

interface Input {
  readonly mcp: { readonly tool: string };
}

describe('a decision point', () => {
  let mesh: Mesh;
  let context: string;
  const asked: { url: string | undefined; input: Input }[] = [];
  let answer: (response: ServerResponse, input: Input) => void;

  const opa = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { input } = JSON.parse(Buffer.concat(chunks).toString()) as { input: Input };
      asked.push({ url: request.url, input });
      answer(response, input);
    });
  });
  const says = (body: unknown) => (response: ServerResponse) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
  const get = (target: string) =>
    sendThrough(mesh.agent('planning/abc123'), `http://inventory.mesh${target}`, { context });
  const decision = (name = 'inventory/def456') =>
    mesh
      .agent(name)
      .log()
      .filter(({ kind }) => kind === 'decision')
      .at(-1);

  beforeAll(async () => {
    await new Promise<void>((ready) => opa.listen(0, '127.0.0.1', ready));
    const address = opa.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    mesh = await makeMesh({
      domain: { anchor: { scope: ['cloud:*'] } },
      policy: POLICY,
      bundle: { attributes: { agents: {}, principals: { 'mailto:alice@company.com': { groups: ['ops'] } } } },
    });
    const decisionPoints = {
      beside: { rest: { url: `http://127.0.0.1:${port}`, timeout: '500ms', breaker: { failures: 100 } } },
      bundle: { bundle: { file: fixtureFile('authz.tar.gz'), publicKeyFile: fixtureFile('authz.pub.pem') } },
    };
    await mesh.start('inventory/def456', { config: { decisionPoints } });
    // The caller's own sidecar asks too: both have to hear yes.
    await mesh.start('planning/abc123', {
      routes: { 'inventory.mesh': 'inventory/def456' },
      delegate: null,
      config: { decisionPoints },
    });
    context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: ['cloud:read'] }),
    );
  });
  afterAll(() => {
    mesh.stop();
    opa.close();
    opa.closeAllConnections();
  });

  it('is asked for each request by both sidecars, and its decision id is on record', async () => {
    answer = says({ result: true, decision_id: 'd-1' });
    expect(await get('/rest/1')).toMatchObject({ status: 200 });
    expect(await get('/rest/1')).toMatchObject({ status: 200 });
    expect(asked).toHaveLength(4);
    expect(asked[0]).toMatchObject({
      url: '/v1/data/mesh/authz/allow',
      input: {
        version: 'hopgate.dev/v1',
        caller: { type: 'planning' },
        callee: { type: 'inventory' },
        request: { method: 'GET', path: '/rest/1', route: 'rest' },
        principal: { id: 'mailto:alice@company.com' },
      },
    });
    expect(decision()).toMatchObject({ verdict: 'permit', opa: [{ id: 'd-1', point: 'beside' }] });
  });

  it.each([
    ['no', says({ result: false, decision_id: 'd-2' }), 'opa_denied'],
    ['no, with a reason', says({ result: { allow: false, reason: 'not on Sundays' } }), 'opa_denied'],
    ['nothing', says({}), 'opa_undefined'],
    ['garbage', (response: ServerResponse) => response.end('{"result":'), 'opa_result'],
    ['a word', says({ result: 'yes' }), 'opa_result'],
    ['nothing in time', () => undefined, 'opa_timeout'],
    ['a closed door', (response: ServerResponse) => response.destroy(), 'opa_unavailable'],
  ])('that says %s denies under its own code, and the agent sees nothing', async (_, how, code) => {
    answer = how;
    const before = mesh.agent('inventory/def456').seen.length;
    expect(await get('/rest/1')).toMatchObject({ code });
    expect(mesh.agent('inventory/def456').seen).toHaveLength(before);
    expect(decision('planning/abc123')).toMatchObject({ verdict: 'deny', reason: code });
  });

  it('that this sidecar can’t reach denies', async () => {
    expect(await get('/nowhere/1')).toMatchObject({ status: 503, code: 'opa_unavailable' });
  });

  it('is asked about each item of a batch', async () => {
    asked.length = 0;
    answer = (response, input) => says({ result: input.mcp.tool !== 'b' })(response);
    const call = (id: number, name: string) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name },
    });
    const post = (body: unknown) =>
      sendThrough(mesh.agent('planning/abc123'), 'http://inventory.mesh/mcp', {
        method: 'POST',
        context,
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });
    expect(await post([call(1, 'a'), call(2, 'b')])).toMatchObject({ code: 'opa_denied' });
    expect(asked.map(({ input }) => input.mcp.tool)).toEqual(['a', 'b']);
  });

  it('in process answers as its Rego says', async () => {
    expect(await get('/reports/1')).toMatchObject({ status: 200 });
    const refused = await get('/wasm/1');
    expect(refused).toMatchObject({ code: 'opa_denied' });
    expect(refused.body).toContain('mailto:alice@company.com may not GET');
    expect(decision('planning/abc123')).toMatchObject({ opa: [{ id: '7', point: 'bundle' }] });
  });
});

describe('hopgate sidecar --check', () => {
  it('reads the files of decision points, and asks nobody', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-check-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    expect(await runCli('init', directory)).toMatchObject({ code: 0 });
    const config = path.join(directory, 'agents/planning-1/sidecar.yaml');
    const whole = readFileSync(config, 'utf8');
    const withKey = (file: string): void =>
      writeFileSync(
        config,
        `${whole}\ndecisionPoints:\n  opa:\n    bundle: {file: ${fixtureFile('authz.tar.gz')}, publicKeyFile: ${file}}\n`,
      );
    withKey('missing.pem');
    const refused = await runCli('sidecar', '--config', config, '--check');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('missing.pem');
    withKey(fixtureFile('authz.pub.pem'));
    expect(await runCli('sidecar', '--config', config, '--check')).toMatchObject({ code: 0 });
  });
});
