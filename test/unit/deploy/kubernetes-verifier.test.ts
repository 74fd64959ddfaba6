/** The verifier's manifests: what its configuration reads is there, its disk is one, its backup reaches it, few reach its port. */
import path from 'node:path';
import type { StatefulSet } from 'kubernetes-types/apps/v1.d.ts';
import type { CronJob } from 'kubernetes-types/batch/v1.d.ts';
import type { ConfigMap, PodSpec, Service } from 'kubernetes-types/core/v1.d.ts';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts';
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../../src/config/forms.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { sidecarSchema } from '../../../src/config/sidecar-schema.ts';
import { verifierSchema } from '../../../src/config/verifier-schema.ts';
import { AGENTS, byName, meshPods, VERIFIER } from '../../testkit/manifests.ts';

const set = byName<StatefulSet>('StatefulSet', VERIFIER).get('verifier');
const pod: PodSpec = set?.spec?.template.spec ?? { containers: [] };
const [container = { name: '' }] = pod.containers;
const text = byName<ConfigMap>('ConfigMap', VERIFIER).get('verifier')?.data?.['verifier.yaml'] ?? '';
const config = parseConfig(text, 'verifier.yaml', verifierSchema).value;
const backup = byName<CronJob>('CronJob', VERIFIER).get('verifier-backup')?.spec;
const backupPod: PodSpec = backup?.jobTemplate.spec?.template.spec ?? { containers: [] };
const [backupContainer = { name: '' }] = backupPod.containers;
const mountPath = (mounts: typeof container.volumeMounts, name: string): string | undefined =>
  mounts?.find((mount) => mount.name === name)?.mountPath;

const { listen: metrics } = config.metrics;
const metricsPort = metrics === 'off' ? 0 : metrics.port;

describe('the verifier', () => {
  test('is one, on a disk that stays', () => {
    expect(set?.spec?.replicas).toBe(1);
    expect(set?.spec?.volumeClaimTemplates?.map(({ metadata }) => metadata?.name)).toEqual(['data']);
    expect(path.dirname(config.directory)).toBe(mountPath(container.volumeMounts, 'data'));
    expect(container.env).toEqual([{ name: 'HOPGATE_VERIFIER', value: config.directory }]);
  });

  test('finds each file that its configuration names', () => {
    const base = mountPath(container.volumeMounts, 'config') ?? '';
    const sources = pod.volumes?.find(({ name }) => name === 'config')?.projected?.sources ?? [];
    const files = sources.flatMap(({ configMap, secret }) =>
      (configMap ?? secret)?.items?.map((item) => path.join(base, item.path)),
    );
    expect(files).toContain(config.keys.passphraseFile);
    for (const { jwksFile } of config.attestation.kubernetes) expect(files).toContain(jwksFile);
    expect(container.args).toEqual(['verifier', '--config', path.join(base, 'verifier.yaml')]);
    expect(config.attestation.kubernetes).toHaveLength(1);
  });

  test('is probed by HTTPS where it listens, and behind its Service under the name that sidecars have', () => {
    for (const [probe, place] of [
      ['startupProbe', '/healthz'],
      ['livenessProbe', '/healthz'],
      ['readinessProbe', '/readyz'],
    ] as const)
      expect(container[probe]?.httpGet, probe).toEqual({ path: place, port: 'api', scheme: 'HTTPS' });
    const { host, port } = config.listen;
    expect(host).toBe('0.0.0.0');
    expect(container.ports).toEqual([
      { name: 'api', containerPort: port },
      { name: 'metrics', containerPort: metricsPort },
    ]);
    const service = byName<Service>('Service', VERIFIER).get('verifier')?.spec;
    expect(service?.ports).toEqual([{ name: 'api', port, targetPort: 'api' }]);
    expect(set?.spec?.template.metadata?.labels).toMatchObject(service?.selector ?? { missing: '' });
    const own = config.addresses.map(formatAddress);
    expect(own).toEqual([`verifier.${VERIFIER}.svc.cluster.local:${port}`]);
    for (const { name } of meshPods()) {
      const sidecar = byName<ConfigMap>('ConfigMap').get(`${name}-sidecar`)?.data?.['sidecar.yaml'] ?? '';
      const { trust } = parseConfig(sidecar, `${name}.yaml`, sidecarSchema).value;
      expect(trust.verifier?.addresses.map(formatAddress)).toEqual(own);
      expect(trust.trustDomain).toBe(config.trustDomain);
    }
  });

  test('tells Prometheus where its metrics are, and has no Service for them', () => {
    expect(metrics).toEqual({ host: '0.0.0.0', port: 14301 });
    expect(set?.spec?.template.metadata?.annotations).toEqual({
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': String(metricsPort),
      'prometheus.io/path': '/metrics',
    });
  });

  test.each([
    ['verifier', pod],
    ['backup', backupPod],
  ])('%s runs without root, privileges, a writable root file system or a token of the cluster', (_, spec) => {
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65532,
      fsGroup: 65532,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const { securityContext, resources } of spec.containers) {
      expect(securityContext).toEqual({
        runAsNonRoot: true,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(resources?.limits?.memory).toBeDefined();
    }
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.hostNetwork ?? spec.hostPID ?? spec.shareProcessNamespace).toBeUndefined();
  });
});

describe('the backup', () => {
  test('reaches the running verifier’s socket, on the same disk and node', () => {
    expect(backupPod.volumes).toContainEqual({
      name: 'data',
      persistentVolumeClaim: { claimName: 'data-verifier-0' },
    });
    // ReadWriteOncePod would keep it out.
    expect(set?.spec?.volumeClaimTemplates?.[0]?.spec?.accessModes).toEqual(['ReadWriteOnce']);
    expect(mountPath(backupContainer.volumeMounts, 'data')).toBe(mountPath(container.volumeMounts, 'data'));
    expect(backupContainer.env).toEqual(container.env);
    const [near] = backupPod.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    expect(near).toEqual({
      labelSelector: { matchLabels: set?.spec?.selector.matchLabels },
      topologyKey: 'kubernetes.io/hostname',
    });
  });

  test('goes to another disk, one at a time', () => {
    const to = mountPath(backupContainer.volumeMounts, 'backups');
    expect(backupContainer.command?.at(-1)).toContain(`hopgate verifier backup "${to}/`);
    expect(backup?.concurrencyPolicy).toBe('Forbid');
  });
});

describe('the network policies', () => {
  const policies = byName<NetworkPolicy>('NetworkPolicy', VERIFIER);
  test('deny everything, let sidecars and named clients to the verifier’s port, and Prometheus to its metrics', () => {
    expect([...policies.keys()]).toEqual(['deny-all', 'verifier']);
    expect(policies.get('deny-all')?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    const spec = policies.get('verifier')?.spec;
    expect(spec?.podSelector).toEqual({ matchLabels: set?.spec?.selector.matchLabels });
    expect(spec?.egress).toBeUndefined();
    expect(spec?.ingress).toEqual([
      {
        from: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': AGENTS } },
            podSelector: { matchLabels: { 'hopgate.dev/mesh': config.trustDomain } },
          },
          { namespaceSelector: { matchLabels: { 'hopgate.dev/clients': 'true' } } },
        ],
        ports: [{ protocol: 'TCP', port: config.listen.port }],
      },
      {
        from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
        ports: [{ protocol: 'TCP', port: metricsPort }],
      },
    ]);
  });
});
