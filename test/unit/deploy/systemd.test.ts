/** The systemd units: hardened, in time, and in step with the sidecar's file beside them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { sidecarSchema } from '../../../src/config/sidecar-schema.ts';
import { verifierSchema } from '../../../src/config/verifier-schema.ts';
import { ROOT } from '../../testkit/manifests.ts';

const FOLDER = path.join(ROOT, 'deploy/systemd');
const read = (name: string): string => readFileSync(path.join(FOLDER, name), 'utf8');

/** `Key=value` lines of a unit, `section.Key` to its values in order. */
const parseUnit = (text: string): Map<string, string[]> => {
  const unit = new Map<string, string[]>();
  let section = '';
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const head = /^\[(\w+)\]$/.exec(line)?.[1];
    if (head !== undefined) {
      section = head;
      continue;
    }
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new Error(`not a unit line: ${line}`);
    unit.set(`${section}.${key}`, [...(unit.get(`${section}.${key}`) ?? []), value]);
  }
  return unit;
};
const sidecar = parseUnit(read('hopgate@.service'));
const agent = parseUnit(read('planning-agent.service'));
const config = parseConfig(read('sidecar.yaml'), 'sidecar.yaml', sidecarSchema).value;
const instance = (value: string | undefined): string => (value ?? '').replaceAll('%i', 'planning');

const hasSystemd = (() => {
  try {
    execFileSync('systemd-analyze', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

test.each(['hopgate@.service', 'hopgate-verifier.service'])('%s gives large buffers back', (name) => {
  expect(parseUnit(read(name)).get('Service.Environment')).toContain('MALLOC_MMAP_THRESHOLD_=131072');
});

const HARDENED = ['hopgate@.service', 'hopgate-verifier.service', 'hopgate-verifier-backup.service'];
test.each(HARDENED)('%s is hardened', (name) => {
  const unit = parseUnit(read(name));
  for (const [key, value] of Object.entries({
    NoNewPrivileges: 'yes',
    CapabilityBoundingSet: '',
    AmbientCapabilities: '',
    ProtectSystem: 'strict',
    ProtectHome: 'yes',
    PrivateTmp: 'yes',
    PrivateDevices: 'yes',
    RestrictNamespaces: 'yes',
    RestrictSUIDSGID: 'yes',
    UMask: '0077',
    LimitCORE: '0',
  }))
    expect(unit.get(`Service.${key}`), key).toEqual([value]);
  expect(unit.get('Service.SystemCallFilter')).toEqual(['@system-service', '~@privileged']);
  expect(unit.get('Service.User')).toEqual([name === 'hopgate@.service' ? 'hopgate' : 'hopgate-verifier']);
});

describe('hopgate@.service', () => {
  test('gives the sidecar the passphrase over its keys where its file looks for it, and keeps them in its state', () => {
    const [name, source] = sidecar.get('Service.LoadCredential')?.[0]?.split(':') ?? [];
    expect(instance(source)).toBe('/etc/hopgate/planning/passphrase');
    const { identity, keys, stateDirectory } = config;
    expect(keys?.encryption?.passphraseFile).toBe(`/run/credentials/hopgate@planning.service/${name}`);
    for (const place of [identity.directory, keys?.encryption?.keyFile])
      expect(path.dirname(place ?? '')).toBe(stateDirectory);
  });

  test('lets it write where its file says, and nowhere else', () => {
    expect(config.stateDirectory).toBe(`/var/lib/${instance(sidecar.get('Service.StateDirectory')?.[0])}`);
    const runtime = `/run/${instance(sidecar.get('Service.RuntimeDirectory')?.[0])}`;
    expect(path.dirname(config.admin.socket)).toBe(runtime);
    expect(path.dirname(config.outbound?.proxyUrlFile ?? '')).toBe(runtime);
    expect(sidecar.has('Service.ReadWritePaths')).toBe(false);
  });

  test('waits for it to drain, and for the proxy URL to be written', () => {
    expect(Number(sidecar.get('Service.TimeoutStopSec')?.[0])).toBeGreaterThan(
      config.limits.drainTimeout + 5,
    );
    expect(instance(sidecar.get('Service.ExecStartPost')?.[0])).toContain(config.outbound?.proxyUrlFile);
    expect(instance(sidecar.get('Service.ExecStart')?.[0])).toBe(
      '/usr/local/bin/hopgate sidecar --config /etc/hopgate/planning/sidecar.yaml',
    );
  });
});

describe('the verifier', () => {
  const unit = parseUnit(read('hopgate-verifier.service'));
  const backup = parseUnit(read('hopgate-verifier-backup.service'));
  const own = parseConfig(read('verifier.yaml'), 'verifier.yaml', verifierSchema).value;

  test('has its state where its file says, and the passphrase over its keys', () => {
    expect(own.directory).toBe(`/var/lib/${unit.get('Service.StateDirectory')?.[0]}`);
    const [name] = unit.get('Service.LoadCredential')?.[0]?.split(':') ?? [];
    expect(own.keys.passphraseFile).toBe(`/run/credentials/hopgate-verifier.service/${name}`);
    expect(unit.get('Service.ExecStart')).toEqual([
      '/usr/local/bin/hopgate verifier --config /etc/hopgate-verifier/verifier.yaml',
    ]);
  });

  test('is where its sidecars look for it', () => {
    expect(config.trust.verifier?.addresses).toEqual(own.addresses);
    expect(own.addresses[0]?.port).toBe(own.listen.port);
    expect(config.trust.trustDomain).toBe(own.trustDomain);
  });

  test('is backed up each night into a directory of its own, as its own user', () => {
    const [command] = backup.get('Service.ExecStart') ?? [];
    expect(command).toContain(`--verifier ${own.directory} `);
    const folders = backup.get('Service.StateDirectory')?.[0]?.split(' ') ?? [];
    expect(folders.map((folder) => `/var/lib/${folder}`)).toContain(own.directory);
    expect(command).toContain(`"/var/lib/${folders[1]}/`);
    expect(backup.get('Service.User')).toEqual(unit.get('Service.User'));
    expect(parseUnit(read('hopgate-verifier-backup.timer')).get('Timer.OnCalendar')).toHaveLength(1);
  });
});

test('the agent gets the proxy URL, lives and ends with its sidecar, and reaches loopback alone', () => {
  expect(agent.get('Service.LoadCredential')).toEqual([`proxy-url:${config.outbound?.proxyUrlFile}`]);
  for (const key of ['BindsTo', 'PartOf', 'After'])
    expect(agent.get(`Unit.${key}`)).toEqual(['hopgate@planning.service']);
  expect(parseUnit(read('hopgate@planning.service.d/agent.conf')).get('Unit.Upholds')).toEqual([
    'planning-agent.service',
  ]);
  expect(agent.get('Service.IPAddressDeny')).toEqual(['any']);
  expect(agent.get('Service.IPAddressAllow')).toEqual(['localhost']);
  expect(agent.get('Service.DynamicUser')).toEqual(['yes']);
});

test.runIf(hasSystemd)('systemd itself finds no fault', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'hopgate-units-'));
  try {
    // It looks for the programs, so that these must be ones that are here.
    const here = (text: string): string => text.replaceAll(/\/usr\/local\/bin\/[\w-]+/g, process.execPath);
    writeFileSync(path.join(folder, 'hopgate@.service'), here(read('hopgate@.service')));
    writeFileSync(path.join(folder, 'hopgate@planning.service'), here(read('hopgate@.service')));
    const others = [
      'planning-agent.service',
      'hopgate-verifier.service',
      'hopgate-verifier-backup.service',
      'hopgate-verifier-backup.timer',
    ];
    for (const name of others) writeFileSync(path.join(folder, name), here(read(name)));
    const output = execFileSync(
      'sh',
      ['-c', `systemd-analyze verify --man=no hopgate@planning.service ${others.join(' ')} 2>&1`],
      { cwd: folder, encoding: 'utf8', env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` } },
    );
    expect(output).toBe('');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
