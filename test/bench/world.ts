/** Processes and keys of a benchmark run: an upstream, the barest proxy and a sidecar, each its own process on one core. */
import { type ChildProcess, execFileSync, fork, type StdioOptions, spawn } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { stringify } from 'yaml';
import { parsePolicy } from '../../src/config/policy.ts';
import { compilePolicy } from '../../src/core/policy/evaluate.ts';
import type { IdPattern } from '../../src/core/spiffe-id.ts';
import { mintKeyBinding } from '../../src/core/trust/wit.ts';
import { SocketFrames } from '../../src/edge/tls/frame-channel.ts';
import { parsePeerCertificate } from '../../src/edge/tls/peer-certificate.ts';
import { ALPN_PROTOCOLS, channelExporter } from '../../src/edge/tls/settings.ts';
import { initiate } from '../../src/hop/handshake.ts';
import { identify } from '../../src/hop/identify.ts';
import type { FrameChannel, TrustSnapshot } from '../../src/ports.ts';
import {
  ALWAYS_FRESH,
  makeDomain,
  must,
  type TestAgent,
  type TestDomain,
  writeIdentity,
} from '../testkit/domain.ts';
import { TEST_POLICY, TEST_SCOPE } from '../testkit/mesh.ts';
import { compileInto } from './compiled.ts';

const here = import.meta.dirname;

/** One caller and one task are all there is, and what is measured is how fast they can be. The rates are counted all the same. */
export const NO_RATES = {
  handshakesPerSecond: 1_000_000,
  requestsPerSecond: 1_000_000,
  taskRequestsPerSecond: 1_000_000,
};

/** Pins what it starts to one core, where the machine can. */
const onCore = (core: number, command: readonly string[]): [string, string[]] => {
  try {
    execFileSync('taskset', ['-c', String(core), 'true'], { stdio: 'ignore' });
    return ['taskset', ['-c', String(core), ...command]];
  } catch {
    const [program = '', ...args] = command;
    return [program, args];
  }
};

export const pinProcess = (pid: number, core: number): void => {
  try {
    execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' });
  } catch {
    // Without taskset the ratios still hold, less sharply.
  }
};

export class BenchWorld {
  readonly domain: TestDomain;
  readonly directory = mkdtempSync(path.join(tmpdir(), 'hopgate-bench-'));
  readonly caller: TestAgent;
  readonly callee: TestAgent;
  readonly chain: string;
  readonly trust: TrustSnapshot;
  readonly clientContext: SecureContext;
  private readonly identity: ReturnType<typeof writeIdentity>;
  private readonly children: ChildProcess[] = [];
  private readonly callerCertificate: string;
  private fresh = 1;
  /** Hopgate as it ships, once it was needed. */
  private main: string | undefined;

  constructor(domain: TestDomain) {
    this.domain = domain;
    // However a run ends, nothing of it goes on.
    process.once('exit', () => {
      for (const child of this.children) child.kill('SIGTERM');
      rmSync(this.directory, { recursive: true, force: true });
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
    this.caller = domain.agent('inventory/def456');
    this.callee = domain.agent('cloud/api');
    this.chain = domain.mintChain(['client/alice', 'planning/abc123', 'inventory/def456'], {
      scope: TEST_SCOPE,
      maxDepth: 5,
      remainingDepth: 2,
    });
    writeFileSync(path.join(this.directory, 'bundle.jws'), domain.bundle());
    writeFileSync(path.join(this.directory, 'policy.yaml'), stringify(TEST_POLICY));
    writeFileSync(path.join(this.directory, 'ca.pem'), domain.authority.certificatePem);
    const policy = compilePolicy(parsePolicy(stringify(TEST_POLICY), 'policy.yaml'));
    this.trust = {
      generation: 1,
      bundle: domain.verifiedBundle(),
      policy,
      bundleName: '1.1',
      ...ALWAYS_FRESH,
    };
    this.clientContext = createSecureContext({
      cert: this.caller.svidPem,
      key: this.caller.svidKeyPem,
      ca: domain.authority.certificatePem,
    });
    this.callerCertificate = parsePeerCertificate(new X509Certificate(this.caller.svidPem)).digest;
    this.identity = writeIdentity(path.join(this.directory, 'cloud'), this.callee);
  }

  /** A chain like {@link chain} whose links and key bindings nobody has seen. */
  freshChain(): string {
    const { domain } = this;
    const { issuer } = domain;
    const options = { scope: TEST_SCOPE, maxDepth: 5, remainingDepth: 2 };
    const [client, planning] = ['client/alice', 'planning/abc123'].map((name) => {
      const agent = domain.agent(name);
      // Each binding has another end, so that none is a copy of one before.
      const keyBinding = mintKeyBinding(
        agent.id,
        agent.x,
        agent.notAfter + this.fresh++,
        issuer.sign,
        issuer.thumbprint,
      );
      return { ...agent, keyBinding };
    }) as [TestAgent, TestAgent];
    const first = domain.mintRoot(client, options);
    const second = `${first}~${domain.mintGrant(first, client, planning, options)}`;
    return `${second}~${domain.mintGrant(second, planning, this.caller, options)}`;
  }

  static async make(): Promise<BenchWorld> {
    const domain = await makeDomain({
      agents: ['client/alice', 'planning/abc123', 'inventory/def456', 'cloud/api'],
      anchor: { scope: TEST_SCOPE },
    });
    return new BenchWorld(domain);
  }

  /** Starts `file` as a child that reports its address; resolves to its port. */
  async fork(
    file: string,
    args: readonly string[],
    core: number,
  ): Promise<{ readonly child: ChildProcess; readonly port: number }> {
    const child = fork(path.join(here, file), [...args]);
    this.children.push(child);
    if (child.pid !== undefined) pinProcess(child.pid, core);
    const address = await new Promise<{ port: number }>((resolve, reject) => {
      child.once('message', (message) => resolve(message as { port: number }));
      child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)));
    });
    return { child, port: address.port };
  }

  /** Starts any other program on a core. It ends with the world. */
  run(core: number, command: readonly string[], stdio: StdioOptions): ChildProcess {
    const [program, args] = onCore(core, command);
    const child = spawn(program, args, { stdio });
    this.children.push(child);
    return child;
  }

  /** Starts a real sidecar in front of `upstream`. */
  async sidecar(
    upstream: number,
    core: number,
    changes: Readonly<Record<string, unknown>> = {},
  ): Promise<{ readonly child: ChildProcess; readonly port: number; readonly health: number }> {
    const directory = path.join(this.directory, 'cloud');
    const document = {
      apiVersion: 'hopgate.dev/v1',
      kind: 'Sidecar',
      identity: this.identity,
      trust: {
        trustDomain: this.domain.trustDomain,
        root: this.domain.root.thumbprint,
        bundle: '../bundle.jws',
      },
      policy: '../policy.yaml',
      inbound: { listen: '127.0.0.1:0', agent: `127.0.0.1:${upstream}` },
      health: { listen: '127.0.0.1:0' },
      metrics: { listen: 'off' },
      limits: { handshakesPerSource: 256, ...NO_RATES },
      ...changes,
    };
    writeFileSync(path.join(directory, 'sidecar.yaml'), stringify(document));
    this.main ??= compileInto(this.directory);
    const [program, args] = onCore(core, [
      process.execPath,
      ...(process.env.BENCH_NODE_ARGS?.split(' ') ?? []),
      this.main,
      'sidecar',
      '--config',
      path.join(directory, 'sidecar.yaml'),
    ]);
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.children.push(child);
    let text = '';
    const started = await new Promise<{ inbound: { port: number }; health: { port: number } }>(
      (resolve, reject) => {
        child.stderr?.on('data', (chunk) => {
          text += chunk;
          const line = text
            .split('\n')
            .find((candidate) => candidate.includes('sidecar started') && candidate.endsWith('}'));
          if (line !== undefined) resolve(JSON.parse(line));
        });
        child.once('exit', (code) => reject(new Error(`sidecar ended with ${code}: ${text}`)));
      },
    );
    return { child, port: started.inbound.port, health: started.health.port };
  }

  /** TLS alone. */
  connectTls(port: number, alpn: readonly string[] | undefined): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        port,
        host: '127.0.0.1',
        secureContext: this.clientContext,
        checkServerIdentity: () => undefined,
        ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
      } as Parameters<typeof connect>[0] & object);
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        socket.off('error', reject);
        socket.on('error', () => socket.destroy());
        resolve(socket);
      });
    });
  }

  /** TLS and handshake, as a peer's sidecar does it. */
  async connectPeer(port: number): Promise<TLSSocket> {
    const socket = await this.connectTls(port, ALPN_PROTOCOLS);
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) throw new Error('no certificate');
    const frames = new SocketFrames(socket);
    await this.proveTo(leaf, channelExporter(socket), frames);
    frames.release();
    return socket;
  }

  /** The initiator's side of the handshake, over whatever carries the frames. */
  async proveTo(leaf: X509Certificate, exporter: Uint8Array, frames: FrameChannel): Promise<void> {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const peer = must(identify(parsePeerCertificate(leaf), this.trust.bundle, nowSeconds));
    const { caller, trust } = this;
    const own = {
      ...caller.holder,
      certificate: this.callerCertificate,
      wit: caller.wit,
      sign: caller.sign,
      notAfter: caller.notAfter,
    };
    const input = { own, peer, exporter, nonce: randomBytes(32), trust, nowSeconds };
    must(await initiate(input, frames, this.callee.id as string as IdPattern));
  }

  /** Ends one process, if it still runs. */
  async end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  async stop(): Promise<void> {
    for (const child of this.children) await this.end(child);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** User and system CPU of a process, in seconds (Linux). */
export const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

/** Resident memory of a process, in MiB (Linux). */
export const residentMiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
};
