/**
 * HTTP/2 at the door in, as h2spec sees it: its octets reach the listener verbatim, over TLS with a client certificate and behind a
 * handshake (`startPeerShim`). Its requests carry no delegation chain, and nothing here lets them in without: they are answered
 * with refusals, which are responses like any other.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { startPeerShim } from '../testkit/peer-shim.ts';
import { H2_ALPN, openH2, requestFields } from '../testkit/raw-h2.ts';

const run = promisify(execFile);
const H2SPEC = process.env.HOPGATE_H2SPEC ?? 'h2spec';

let mesh: Mesh;
let target: MeshAgent;
let shim: Awaited<ReturnType<typeof startPeerShim>>;
const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-h2spec-'));

beforeAll(async () => {
  mesh = await makeMesh();
  target = await mesh.start('inventory/def456');
  shim = await startPeerShim(target, mesh.domain.agent('planning/abc123'), H2_ALPN);
});
afterAll(() => {
  shim.stop();
  mesh.stop();
  rmSync(directory, { recursive: true, force: true });
});

interface Case {
  readonly suite: string;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly detail: string;
}

/** Of a JUnit report. */
const casesIn = (xml: string): Case[] =>
  [...xml.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)].map(([, head = '', inside = '']) => {
    const attribute = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(head)?.[1] ?? '';
    const outcome = /<(?:failure|error)/.test(inside)
      ? 'failed'
      : inside.includes('<skipped')
        ? 'skipped'
        : 'passed';
    return {
      suite: attribute('package'),
      name: attribute('classname') || attribute('name'),
      outcome,
      detail: outcome === 'failed' ? inside.replace(/\s+/g, ' ').trim() : '',
    };
  });

/** What fails, by section and number, and why it is none of ours. */
const KNOWN: Readonly<Record<string, string>> = {};

it.each(['generic', 'http2'])('the group %s passes', async (group) => {
  const report = path.join(directory, `${group}.xml`);
  const { stdout } = await run(
    H2SPEC,
    [group, '-h', '127.0.0.1', '-p', String(shim.port), '-o', '5', '-j', report],
    { timeout: 580_000, maxBuffer: 1e8 },
  ).catch((error: { stdout?: string; message: string }) => ({ stdout: error.stdout ?? error.message }));
  const cases = casesIn(readFileSync(report, 'utf8'));
  console.log(stdout.split('\n').slice(-8).join('\n'));
  expect(cases.length, stdout).toBeGreaterThan(40);
  const failed = cases.filter(({ outcome }) => outcome === 'failed');
  expect(failed.filter(({ suite, name }) => KNOWN[`${suite} ${name}`] === undefined)).toEqual([]);
});

it('the sidecar has lived through it, and the agent has seen none of it', async () => {
  expect(target.seen).toEqual([]);
  const caller = mesh.domain.agent('planning/abc123');
  const peer = await openH2(target, caller);
  expect(await peer.ask(requestFields({ chain: forgeChain(mesh.domain, [caller]) }))).toMatchObject({
    status: 200,
    whole: true,
  });
  peer.close();
});
