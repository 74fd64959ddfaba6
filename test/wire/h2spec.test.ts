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

const titleOf = ({ suite, name }: Case): string => `${suite} ${name}`;

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

const CLOSED =
  'nghttp2 forgets closed streams, and ignores what still comes for them (RFC 9113 §5.1 lets frames arrive that were sent before); fastify/fastify#2402';
const PRIORITY = 'nghttp2 has no priorities any more, and skips the frame unread; nghttp2/nghttp2#2068';

/**
 * What fails, and whose it is. Each fails against a bare `http2.createServer` of Node 26.10 with nghttp2 1.70 in the same way.
 * What is added by us must pass, and what passes one day must leave this list.
 */
const KNOWN: Readonly<Record<string, string>> = {
  'http2/5.1 closed: Sends a DATA frame after sending RST_STREAM frame': CLOSED,
  'http2/5.1 closed: Sends a HEADERS frame after sending RST_STREAM frame': CLOSED,
  'http2/5.1 closed: Sends a DATA frame': CLOSED,
  'http2/5.1 closed: Sends a HEADERS frame': CLOSED,
  'http2/5.1.1 Sends stream identifier that is numerically smaller than previous':
    'nghttp2 takes it for trailers of a stream that it has forgotten, and ignores it (nghttp2_session.c, nghttp2_session_on_request_headers_received); fastify/fastify#2402',
  'http2/5.3.1 Sends PRIORITY frame that depend on itself': PRIORITY,
  'http2/6.3 Sends a PRIORITY frame with 0x0 stream identifier': PRIORITY,
  'http2/6.7 Sends a PING frame with ACK':
    'Node ends a connection on which a PING is acknowledged that it never sent (node_http2.cc, HandlePingFrame: on purpose)',
  'http2/6.9.1 Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream':
    'nghttp2 ends the connection, and not the stream alone; nghttp2/nghttp2#2845',
};

it.each(['generic', 'http2'])('the group %s passes', async (group) => {
  const report = path.join(directory, `${group}.xml`);
  const { stdout } = await run(
    H2SPEC,
    [group, '-h', '127.0.0.1', '-p', String(shim.port), '-o', '5', '-j', report],
    { timeout: 580_000, maxBuffer: 1e8 },
  ).catch((error: { stdout?: string; message: string }) => ({ stdout: error.stdout ?? error.message }));
  const cases = casesIn(readFileSync(report, 'utf8'));
  console.log(/\d+ tests, .*/.exec(stdout)?.[0]);
  expect(cases.length, stdout).toBeGreaterThan(40);
  const failed = cases.filter(({ outcome }) => outcome === 'failed');
  expect(failed.filter((one) => KNOWN[titleOf(one)] === undefined)).toEqual([]);
  const passed = new Set(cases.filter(({ outcome }) => outcome === 'passed').map(titleOf));
  expect(Object.keys(KNOWN).filter((title) => passed.has(title))).toEqual([]);
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
