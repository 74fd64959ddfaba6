/** A real OPA: where it is, what it builds, and one that serves on a unix socket. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const onPath = (): string | undefined =>
  (process.env.PATH ?? '')
    .split(path.delimiter)
    .map((folder) => path.join(folder, 'opa'))
    .find((file) => existsSync(file));

const ofGo = (): string | undefined => {
  try {
    const file = path.join(execFileSync('go', ['env', 'GOPATH'], { encoding: 'utf8' }).trim(), 'bin', 'opa');
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
};

/** Undefined where there is none. */
export const findOpa = (): string | undefined => process.env.HOPGATE_OPA ?? onPath() ?? ofGo();

const opaFile = (): string => {
  const file = findOpa();
  if (file === undefined)
    throw new Error('no opa: name it in HOPGATE_OPA, or go install github.com/open-policy-agent/opa@v1.22.4');
  return file;
};

/** Throws with what OPA says. */
export const opa = (directory: string, ...args: string[]): string =>
  execFileSync(opaFile(), args, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

export interface PolicySource {
  readonly rego: string;
  readonly data: unknown;
  /** `package/rule`. */
  readonly entrypoints: readonly string[];
}

export const writePolicy = (directory: string, { rego, data }: PolicySource): void => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, 'policy.rego'), rego);
  writeFileSync(path.join(directory, 'data.json'), JSON.stringify(data));
};

export interface BuiltKey {
  readonly alg: 'RS256' | 'ES256' | 'EdDSA';
  readonly privateFile: string;
  readonly publicFile: string;
}

export const writeKey = (directory: string, name: string, alg: BuiltKey['alg'] = 'ES256'): BuiltKey => {
  const pair =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : alg === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519');
  const privateFile = path.join(directory, `${name}.key.pem`);
  const publicFile = path.join(directory, `${name}.pub.pem`);
  writeFileSync(privateFile, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(publicFile, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  return { alg, privateFile, publicFile };
};

/** Builds and signs, as docs/opa.md says. */
export const buildBundle = (
  directory: string,
  source: PolicySource,
  key: BuiltKey | undefined,
  revision: string,
  ...more: string[]
): string => {
  const policy = path.join(directory, 'policy');
  rmSync(policy, { recursive: true, force: true });
  writePolicy(policy, source);
  const output = path.join(directory, `bundle-${revision}.tar.gz`);
  opa(
    policy,
    ...['build', '--bundle', '--target', 'wasm', '--revision', revision, '--output', output],
    ...source.entrypoints.flatMap((entrypoint) => ['--entrypoint', entrypoint]),
    ...(key === undefined ? [] : ['--signing-key', key.privateFile, '--signing-alg', key.alg]),
    ...more,
    '.',
  );
  return output;
};

const healthy = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const asking = request({ socketPath, path: '/health' }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asking.on('error', () => resolve(false));
    asking.end();
  });

const START_MS = 30_000;

/** `opa run --server` over these files, with decision ids. */
export class OpaServer {
  readonly socket: string;
  private readonly files: readonly string[];
  private child: ChildProcess | undefined;

  constructor(socket: string, files: readonly string[]) {
    this.socket = socket;
    this.files = files;
  }

  async start(): Promise<void> {
    rmSync(this.socket, { force: true });
    const child = spawn(
      opaFile(),
      [
        ...['run', '--server', '--addr', `unix://${this.socket}`, '--log-level', 'error'],
        ...['--disable-telemetry', '--set', 'decision_logs.console=true', ...this.files],
      ],
      { stdio: 'ignore' },
    );
    this.child = child;
    const deadline = Date.now() + START_MS;
    while (!(await healthy(this.socket))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error('OPA does not start');
      await wait(50);
    }
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child?.kill(name);
  }

  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}
