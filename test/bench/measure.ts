/** The four figures, each against its baseline in the same run, in turns. */
import { verify as cryptoVerify } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import {
  type Anchor,
  type ChainContext,
  type VerifiedChain,
  verifyChain,
} from '../../src/core/delegation/chain.ts';
import { canonicalJson } from '../../src/core/encoding/json.ts';
import { jwsHeader } from '../../src/core/encoding/jws.ts';
import { admitKey } from '../../src/core/keys.ts';
import { chainContext } from '../../src/ports.ts';
import { must } from '../testkit/domain.ts';
import { runLoad } from './load.ts';
import { type BenchWorld, cpuSeconds, median } from './world.ts';

export interface Throughput {
  readonly ratio: number;
  readonly cpuRatio: number;
  readonly sidecarPerSecond: number;
  readonly barePerSecond: number;
  readonly sidecarCpu: number;
  readonly bareCpu: number;
}

const CONNECTIONS = 32;

interface Side {
  readonly pid: number;
  readonly sockets: readonly TLSSocket[];
  readonly request: Buffer;
}

/** One core, keep-alive mTLS, depth-3 chain, warm, audit on; the bare proxy gets the same request without a chain. */
export const measureThroughput = async (
  world: BenchWorld,
  sidecar: { pid: number; port: number },
  bare: { pid: number; port: number },
  rounds: number,
  milliseconds: number,
): Promise<Throughput> => {
  const head =
    'GET /ec2/DescribeInstances HTTP/1.1\r\nhost: cloud.mesh\r\naccept: */*\r\nuser-agent: bench\r\n';
  const ours: Side = {
    pid: sidecar.pid,
    sockets: await connectAll(() => world.connectPeer(sidecar.port)),
    request: Buffer.from(`${head}delegation-chain: ${world.chain}\r\n\r\n`),
  };
  const theirs: Side = {
    pid: bare.pid,
    sockets: await connectAll(() => world.connectTls(bare.port, ['http/1.1'])),
    request: Buffer.from(`${head}\r\n`),
  };
  await runSide(ours, milliseconds);
  await runSide(theirs, milliseconds);
  const pairs: { ours: Run; theirs: Run }[] = [];
  for (let round = 0; round < rounds; round++)
    pairs.push({ ours: await runSide(ours, milliseconds), theirs: await runSide(theirs, milliseconds) });
  for (const socket of [...ours.sockets, ...theirs.sockets]) socket.destroy();
  return {
    ratio: median(pairs.map((pair) => pair.ours.perSecond / pair.theirs.perSecond)),
    cpuRatio: median(pairs.map((pair) => pair.ours.perCpuSecond / pair.theirs.perCpuSecond)),
    sidecarPerSecond: median(pairs.map((pair) => pair.ours.perSecond)),
    barePerSecond: median(pairs.map((pair) => pair.theirs.perSecond)),
    sidecarCpu: median(pairs.map((pair) => pair.ours.cpu)),
    bareCpu: median(pairs.map((pair) => pair.theirs.cpu)),
  };
};

const connectAll = (connect: () => Promise<TLSSocket>): Promise<TLSSocket[]> =>
  Promise.all(Array.from({ length: CONNECTIONS }, connect));

interface Run {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  /** Share of its core that the proxy used. */
  readonly cpu: number;
}

const runSide = async ({ pid, sockets, request }: Side, milliseconds: number): Promise<Run> => {
  const cpu = cpuSeconds(pid);
  const started = performance.now();
  const responses = await runLoad(sockets, request, milliseconds);
  const seconds = (performance.now() - started) / 1000;
  const used = cpuSeconds(pid) - cpu;
  return { perSecond: responses / seconds, perCpuSecond: responses / used, cpu: used / seconds };
};

const COLD_CHAINS = 100;

const admitted = (anchor: Anchor | undefined) => {
  const key = admitKey(anchor?.x ?? '');
  return key.ok ? key.value : undefined;
};

/** What OpenSSL has to verify for a chain, and nothing else. */
const neededSignatures = (world: BenchWorld, chain: VerifiedChain, context: ChainContext) =>
  chain.links.flatMap((link, index) => {
    const parent = chain.links[index - 1];
    const signer =
      link.root || parent === undefined
        ? admitted(context.anchors.get(chain.root.anchor))
        : world.domain.agent(parent.delegatee).holder.key;
    const own = [{ input: Buffer.from(link.signingInput), key: signer?.key, signature: link.signature }];
    if (link.root || parent === undefined) return own;
    const { exp, kid, sig } = link.kb;
    const binding = canonicalJson({ exp, jkt: parent.delegateeThumbprint, sub: parent.delegatee });
    const input = Buffer.from(`${jwsHeader('kb+jwt', kid)}.${Buffer.from(binding).toString('base64url')}`);
    const issuer = context.issuers.get(context.trustDomain)?.get(kid);
    return [...own, { input, key: issuer?.key, signature: Buffer.from(sig, 'base64url') }];
  });

/**
 * Chains of depth 3, cold: links and key bindings that were never seen, by agents whose keys are known; against the bare
 * `crypto.verify` calls that they need, five each.
 */
export const measureColdChain = (
  world: BenchWorld,
  rounds: number,
): { readonly ratio: number; readonly chainMicros: number; readonly bareMicros: number } => {
  const context = chainContext(world.trust, Math.floor(Date.now() / 1000));
  const { holder } = world.caller;
  const turn = (): { ours: number; bare: number } => {
    const chains = Array.from({ length: COLD_CHAINS }, () => world.freshChain());
    const started = performance.now();
    const verified = chains.map((chain) => must(verifyChain(chain, holder, context)));
    const between = performance.now();
    const needed = verified.map((chain) => neededSignatures(world, chain, context));
    const again = performance.now();
    for (const signatures of needed) {
      for (const { input, key, signature } of signatures) {
        if (key === undefined || !cryptoVerify(null, input, key, signature))
          throw new Error('a needed signature does not verify');
      }
    }
    return {
      ours: ((between - started) * 1000) / COLD_CHAINS,
      bare: ((performance.now() - again) * 1000) / COLD_CHAINS,
    };
  };
  for (let warming = 0; warming < 3; warming++) turn();
  const pairs = Array.from({ length: rounds }, turn);
  return {
    ratio: median(pairs.map((pair) => pair.bare / pair.ours)),
    chainMicros: median(pairs.map((pair) => pair.ours)),
    bareMicros: median(pairs.map((pair) => pair.bare)),
  };
};

/** TLS with the handshake on it against TLS alone, one connection after the other. */
export const measureConnect = async (
  world: BenchWorld,
  sidecarPort: number,
  barePort: number,
  rounds: number,
): Promise<{ readonly ratio: number; readonly handshakeMillis: number; readonly tlsMillis: number }> => {
  const PER_ROUND = 40;
  const time = async (connect: () => Promise<TLSSocket>): Promise<number> => {
    const started = performance.now();
    for (let turn = 0; turn < PER_ROUND; turn++) (await connect()).destroy();
    return (performance.now() - started) / PER_ROUND;
  };
  const ours = (): Promise<number> => time(() => world.connectPeer(sidecarPort));
  const tls = (): Promise<number> => time(() => world.connectTls(barePort, ['http/1.1']));
  await ours();
  await tls();
  const pairs: { ours: number; tls: number }[] = [];
  for (let round = 0; round < rounds; round++) pairs.push({ ours: await ours(), tls: await tls() });
  return {
    ratio: median(pairs.map((pair) => pair.tls / pair.ours)),
    handshakeMillis: median(pairs.map((pair) => pair.ours)),
    tlsMillis: median(pairs.map((pair) => pair.tls)),
  };
};
