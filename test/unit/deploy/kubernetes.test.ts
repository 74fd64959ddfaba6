/** The sample manifests are in the form of the Kubernetes API, and say what the sidecars' own files say. */
import path from 'node:path';
import type {
  ConfigMap,
  Namespace,
  PersistentVolumeClaim,
  Service,
  ServiceAccount,
} from 'kubernetes-types/core/v1.d.ts';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { sidecarSchema } from '../../../src/config/sidecar-schema.ts';
import {
  AGENTS,
  allManifests,
  apiFaults,
  byName,
  type Manifest,
  manifestFiles,
  meshPods,
  readManifests,
  VERIFIER,
} from '../../testkit/manifests.ts';

const MESH = { 'hopgate.dev/mesh': 'company.com' };
const configMaps = byName<ConfigMap>('ConfigMap');
const configOf = (name: string) =>
  parseConfig(configMaps.get(`${name}-sidecar`)?.data?.['sidecar.yaml'] ?? '', `${name}.yaml`, sidecarSchema)
    .value;

describe('the manifests', () => {
  test('are valid for the Kubernetes API, and a slip would be seen', () => {
    const slip = (from: string, to: string): Manifest[] =>
      JSON.parse(JSON.stringify(allManifests()).replace(from, to));
    const [faults, ...slips] = apiFaults([
      allManifests(),
      slip('"securityContext"', '"securityContex"'),
      slip('"containerPort":14443', '"containerPort":"14443"'),
      slip('"podSelector"', '"podSelektor"'),
      slip('"restartPolicy"', '"restart_policy"'),
    ]);
    expect(faults).toEqual([]);
    for (const found of slips) expect(found.length).toBeGreaterThan(0);
  });

  test.each(manifestFiles())('%s reads the same in YAML 1.1, which kubectl speaks', (file) => {
    expect(readManifests(file, '1.1')).toEqual(readManifests(file));
    expect(readManifests(file).length).toBeGreaterThan(0);
  });

  test('have a name of their own each, in a namespace under the restricted profile', () => {
    const names = allManifests().map(
      ({ kind, metadata }) => `${kind} ${metadata?.namespace} ${metadata?.name}`,
    );
    expect(new Set(names).size).toBe(names.length);
    const namespaces = allManifests().filter((one): one is Namespace => one.kind === 'Namespace');
    expect(namespaces.map(({ metadata }) => metadata?.name)).toEqual([VERIFIER, AGENTS]);
    for (const { metadata } of namespaces)
      expect(metadata?.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    for (const { kind, metadata } of allManifests())
      if (kind !== 'Namespace')
        expect([AGENTS, VERIFIER], `${kind} ${metadata?.name}`).toContain(metadata?.namespace);
  });

  test('hold no secret', () => {
    expect(allManifests().map(({ kind }) => kind)).not.toContain('Secret');
    expect(JSON.stringify(allManifests())).not.toMatch(/PRIVATE KEY|eyJ[\w-]{10}/);
  });
});

test('the mesh is planning, inventory and security', () => {
  expect(meshPods().map(({ name }) => name)).toEqual(['planning', 'inventory', 'security']);
});

describe.each(meshPods())('$name', ({ name, deployment, pod, sidecar, agent }) => {
  const config = configOf(name);
  const mountsOf = (container: typeof agent) =>
    new Map((container.volumeMounts ?? []).map((mount) => [mount.name, mount]));
  const portOf = (wanted: string) => sidecar.ports?.find((port) => port.name === wanted)?.containerPort;

  test('has a native sidecar that starts first, by the image’s entry point', () => {
    expect(sidecar.restartPolicy).toBe('Always');
    expect(sidecar.args).toEqual(['sidecar', '--config', '/etc/hopgate/sidecar.yaml']);
    expect(sidecar.command).toBeUndefined();
  });

  test('is probed where its sidecar listens; the agent doesn’t have to be there for it to start', () => {
    expect(portOf('health')).toBe(config.health.listen.port);
    expect(config.health.listen.host).toBe('0.0.0.0');
    expect(sidecar.startupProbe?.httpGet).toEqual({ path: '/healthz', port: 'health' });
    expect(sidecar.livenessProbe?.httpGet).toEqual({ path: '/healthz', port: 'health' });
    expect(sidecar.readinessProbe?.httpGet).toEqual({ path: '/readyz', port: 'health' });
  });

  test('tells Prometheus where the metrics of its sidecar are', () => {
    expect(config.metrics.listen).toEqual({ host: '0.0.0.0', port: 14021 });
    expect(portOf('metrics')).toBe(14021);
    expect(deployment.spec?.template.metadata?.annotations).toMatchObject({
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': '14021',
      'prometheus.io/path': '/metrics',
    });
  });

  test('has its Service on the port of its sidecar', () => {
    const service = byName<Service>('Service').get(name);
    expect(portOf('hopgate')).toBe(config.inbound?.listen.port);
    expect(service?.spec?.ports).toEqual([{ name: 'hopgate', port: 14443, targetPort: 'hopgate' }]);
    const labels = deployment.spec?.template.metadata?.labels ?? {};
    expect(labels).toMatchObject({ ...MESH, ...service?.spec?.selector });
    expect(labels).toMatchObject(deployment.spec?.selector.matchLabels ?? { missing: '' });
  });

  test('has its agent on loopback, on no port of the pod', () => {
    const address = config.inbound?.agent;
    expect(address).toEqual({ host: '127.0.0.1', port: 8080 });
    expect(agent.env).toContainEqual({ name: 'LISTEN', value: '127.0.0.1:8080' });
    expect(agent.ports).toBeUndefined();
  });

  test('runs without root, privileges or a writable root file system', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65532,
      fsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const container of [sidecar, agent]) {
      expect(container.securityContext).toEqual({
        runAsNonRoot: true,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources?.limits?.memory).toBeDefined();
      expect(container.resources?.requests?.cpu).toBeDefined();
    }
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.hostNetwork ?? pod.hostPID ?? pod.shareProcessNamespace).toBeUndefined();
  });

  test('shows the verifier a token for the verifier alone, and shows its agent nothing', () => {
    const { identity, trust } = config;
    expect(identity.attestation?.method).toBe('kubernetes');
    const token = mountsOf(sidecar).get('token');
    expect(identity.attestation?.tokenFile).toBe(`${token?.mountPath}/token`);
    expect(pod.volumes?.find((one) => one.name === 'token')?.projected?.sources).toEqual([
      {
        serviceAccountToken: {
          audience: `spiffe://${trust.trustDomain}/verifier`,
          expirationSeconds: 600,
          path: 'token',
        },
      },
    ]);
    expect(pod.serviceAccountName).toBe(name);
    expect(byName<ServiceAccount>('ServiceAccount').has(name)).toBe(true);
    expect(mountsOf(sidecar).get('config')).toEqual({
      name: 'config',
      mountPath: '/etc/hopgate',
      readOnly: true,
    });
    expect(pod.volumes).toContainEqual({ name: 'config', configMap: { name: `${name}-sidecar` } });
    for (const volumeName of ['config', 'state', 'admin', 'token'])
      expect(mountsOf(agent).has(volumeName), volumeName).toBe(false);
  });

  test('keeps its keys with its state, which outlives the pod', () => {
    const state = mountsOf(sidecar).get('state')?.mountPath ?? '';
    expect(path.dirname(config.identity.directory ?? '')).toBe(state);
    expect(config.keys?.store ?? 'file').toBe('file');
  });

  test('keeps its state on a disk of its own, which one pod at a time writes', () => {
    expect(config.stateDirectory).toBe(mountsOf(sidecar).get('state')?.mountPath);
    expect(pod.volumes).toContainEqual({
      name: 'state',
      persistentVolumeClaim: { claimName: `${name}-state` },
    });
    expect(
      byName<PersistentVolumeClaim>('PersistentVolumeClaim').get(`${name}-state`)?.spec?.accessModes,
    ).toEqual(['ReadWriteOncePod']);
    expect(deployment.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(path.dirname(config.admin.socket)).toBe(mountsOf(sidecar).get('admin')?.mountPath);
  });

  test('has time to drain', () => {
    const before = agent.lifecycle?.preStop?.sleep?.seconds ?? 0;
    expect(before).toBeGreaterThan(0);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(before + config.limits.drainTimeout + 10);
  });

  test('can send its agent the proxy URL, and nothing else', () => {
    const shared = [...mountsOf(agent).keys()].filter((volume) => mountsOf(sidecar).has(volume));
    if (config.outbound === undefined) {
      expect(shared).toEqual([]);
      return;
    }
    expect(shared).toEqual(['proxy']);
    expect(pod.volumes).toContainEqual({ name: 'proxy', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } });
    const mount = mountsOf(agent).get('proxy');
    expect(mount?.readOnly).toBe(true);
    expect(path.dirname(config.outbound.proxyUrlFile)).toBe(mount?.mountPath);
    expect(mountsOf(sidecar).get('proxy')?.mountPath).toBe(mount?.mountPath);
    // Both the command and the probe that follows the secret read that file.
    for (const command of [agent.command, agent.livenessProbe?.exec?.command])
      expect(command?.at(-1)).toContain(config.outbound.proxyUrlFile);
    // Mode 0600: readable because both are one user.
    expect(agent.securityContext?.runAsUser ?? sidecar.securityContext?.runAsUser).toBeUndefined();
  });
});

test('every outbound route leads to a Service of the mesh and pins the agent behind it', () => {
  const routes = meshPods().flatMap(({ name }) => configOf(name).outbound?.routes ?? []);
  expect(routes.length).toBe(2);
  for (const { address, peer, host } of routes) {
    const [service = '', namespace] = address.host.split('.');
    expect(byName<Service>('Service').get(service)?.metadata?.namespace).toBe(namespace);
    expect(address.port).toBe(14443);
    expect(peer).toBe(`spiffe://company.com/agent/${service}/1`);
    expect(host).toBe(`${service}.mesh`);
  }
});

describe('the network policies', () => {
  const policies = byName<NetworkPolicy>('NetworkPolicy');

  test('deny everything first', () => {
    expect(policies.get('deny-all')?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  });

  test('let in 14443 alone, and Prometheus to the metrics', () => {
    const doors = [...policies]
      .filter(([name]) => name !== 'metrics')
      .flatMap(([, policy]) => policy.spec?.ingress ?? []);
    expect(doors.length).toBe(2);
    expect(policies.get('metrics')?.spec).toEqual({
      podSelector: { matchLabels: MESH },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
          ports: [{ protocol: 'TCP', port: 14021 }],
        },
      ],
    });
    for (const { ports, from } of doors) {
      expect(ports).toEqual([{ protocol: 'TCP', port: 14443 }]);
      expect(from?.length).toBe(1);
    }
    expect(policies.get('mesh')?.spec?.ingress?.[0]?.from).toEqual([{ podSelector: { matchLabels: MESH } }]);
  });

  test('let out to the mesh, to the verifier and to DNS alone', () => {
    const ways = [...policies.values()].flatMap((policy) => policy.spec?.egress ?? []);
    expect(ways.map(({ ports }) => ports?.map(({ port }) => port))).toEqual([[14443], [14300], [53, 53]]);
    for (const { to } of ways) expect(to?.length).toBe(1);
    expect(ways[0]?.to).toEqual([{ podSelector: { matchLabels: MESH } }]);
    expect(ways[1]?.to).toEqual([
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': VERIFIER } },
        podSelector: { matchLabels: { 'app.kubernetes.io/name': 'verifier' } },
      },
    ]);
  });
});
