/** The peers, as a user would set them up: one worker, mTLS 1.3 without resumption, kept-alive connections to the agent, a log line a request. */
import { execFileSync } from 'node:child_process';
import { existsSync, openSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { freePort } from '../../testkit/free-port.ts';
import type { BenchWorld } from '../world.ts';
import { envoyConfig, haproxyConfig, nginxConfig, type PeerFiles } from './peer-config.ts';
import { type Absent, listening, type System } from './system.ts';

/** Where `install-peers.sh` puts what Debian doesn't have. */
const OWN = path.join(process.env.HOPGATE_BENCH_PEERS ?? path.join(homedir(), '.cache/hopgate-bench'), 'bin');

const find = (program: string): string | undefined =>
  [OWN, '/usr/sbin', '/usr/local/sbin', ...(process.env.PATH ?? '').split(':')]
    .map((directory) => path.join(directory, program))
    .find((file) => existsSync(file));

const versionOf = (program: string, flag: string): string =>
  /\d+\.\d+\.\d+/.exec(execFileSync('sh', ['-c', `"${program}" ${flag} 2>&1`], { encoding: 'utf8' }))?.[0] ??
  '';

const ABSENT = 'not installed: test/bench/dataplane/install-peers.sh';

export interface PeerPlace {
  readonly world: BenchWorld;
  readonly core: number;
  readonly upstream: number;
  /** Port and process of the service that checks chains. */
  readonly authorizer?: { readonly port: number; readonly pid: number } | undefined;
}

const filesOf = ({ world, upstream, authorizer }: PeerPlace, name: string, port: number): PeerFiles => {
  const at = (file: string): string => path.join(world.directory, file);
  writeFileSync(at('cloud/svid-and-key.pem'), world.callee.svidPem + world.callee.svidKeyPem, {
    mode: 0o600,
  });
  return {
    port,
    upstream,
    authorizer: authorizer?.port,
    directory: world.directory,
    certificate: at('cloud/svid.pem'),
    key: at('cloud/svid.key'),
    both: at('cloud/svid-and-key.pem'),
    ca: at('ca.pem'),
    log: at(`${name}.log`),
  };
};

interface Kind {
  readonly program: string;
  readonly versionFlag: string;
  readonly config: (files: PeerFiles) => string;
  readonly command: (program: string, config: string) => string[];
  readonly logs: string;
}

const KINDS: Readonly<Record<'nginx' | 'haproxy' | 'envoy', Kind>> = {
  nginx: {
    program: 'nginx',
    versionFlag: '-v',
    config: nginxConfig,
    command: (program, config) => [program, '-c', config],
    logs: 'access_log combined',
  },
  haproxy: {
    program: 'haproxy',
    versionFlag: '-v',
    config: haproxyConfig,
    command: (program, config) => [program, '-db', '-f', config],
    logs: 'httplog to a file',
  },
  envoy: {
    program: 'envoy',
    versionFlag: '--version',
    config: envoyConfig,
    command: (program, config) => [
      ...[program, '--config-path', config, '--concurrency', '1', '--use-dynamic-base-id'],
      ...['--disable-hot-restart', '--log-level', 'error'],
    ],
    logs: 'access log to a file',
  },
};

/** Starts a peer; with an authorizer in `place`, one that asks it about each request. */
export const startPeer = async (
  kind: keyof typeof KINDS,
  name: string,
  place: PeerPlace,
): Promise<System | Absent> => {
  const { program, versionFlag, config, command, logs } = KINDS[kind];
  const file = find(program);
  if (file === undefined) return { name, absent: ABSENT };
  const port = await freePort();
  const files = filesOf(place, name, port);
  const configFile = path.join(place.world.directory, `${name}.conf${kind === 'envoy' ? '.json' : ''}`);
  writeFileSync(configFile, config(files));
  const log = kind === 'haproxy' ? openSync(files.log, 'a') : 'ignore';
  const child = place.world.run(place.core, command(file, configFile), ['ignore', log, 'inherit']);
  await listening(child, port);
  const { authorizer } = place;
  return {
    name,
    note: `${program} ${versionOf(file, versionFlag)}, one worker, ${logs}`,
    port,
    mode: 'tls',
    pids: [child.pid ?? 0, ...(authorizer === undefined ? [] : [authorizer.pid])],
    chain: authorizer === undefined ? 'ignored' : 'needed',
  };
};
