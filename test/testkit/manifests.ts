/** The Kubernetes manifests of deploy/, read, and checked against the types of the Kubernetes API. */
import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Deployment, StatefulSet } from 'kubernetes-types/apps/v1.d.ts';
import type { CronJob } from 'kubernetes-types/batch/v1.d.ts';
import type {
  ConfigMap,
  Container,
  Namespace,
  PersistentVolumeClaim,
  PodSpec,
  Service,
  ServiceAccount,
} from 'kubernetes-types/core/v1.d.ts';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts';
import { parseAllDocuments } from 'yaml';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = path.join(ROOT, 'deploy/kubernetes');

export type Manifest =
  | ConfigMap
  | CronJob
  | Deployment
  | Namespace
  | NetworkPolicy
  | PersistentVolumeClaim
  | Service
  | ServiceAccount
  | StatefulSet;

/** Where the type of each kind that the samples use is declared. */
const TYPES: Readonly<Record<string, string>> = {
  'v1 ConfigMap': 'core/v1',
  'v1 Namespace': 'core/v1',
  'v1 PersistentVolumeClaim': 'core/v1',
  'v1 Service': 'core/v1',
  'v1 ServiceAccount': 'core/v1',
  'apps/v1 Deployment': 'apps/v1',
  'apps/v1 StatefulSet': 'apps/v1',
  'batch/v1 CronJob': 'batch/v1',
  'networking.k8s.io/v1 NetworkPolicy': 'networking/v1',
};

export const manifestFiles = (): string[] => globSync('*.yaml', { cwd: FOLDER }).sort();

/** The documents of one file. `version` 1.1 is what kubectl reads. */
export const readManifests = (file: string, version: '1.1' | '1.2' = '1.2'): Manifest[] =>
  parseAllDocuments(readFileSync(path.join(FOLDER, file), 'utf8'), { version, strict: true }).map(
    (document) => {
      if (document.errors.length + document.warnings.length > 0)
        throw new Error(`${file}: ${[...document.errors, ...document.warnings].join('; ')}`);
      return document.toJS() as Manifest;
    },
  );

export const allManifests = (): Manifest[] => manifestFiles().flatMap((file) => readManifests(file));

/** The namespace of the three agents. */
export const AGENTS = 'agents';
/** The namespace of the verifier. */
export const VERIFIER = 'hopgate';

/** All manifests of a kind in a namespace, by name. */
export const byName = <M extends Manifest>(
  kind: NonNullable<M['kind']>,
  namespace: string = AGENTS,
): Map<string, M> =>
  new Map(
    allManifests()
      .filter(
        (manifest): manifest is M => manifest.kind === kind && manifest.metadata?.namespace === namespace,
      )
      .map((manifest) => [manifest.metadata?.name ?? '', manifest]),
  );

/**
 * Compiles each group of manifests as object literals of the API's types, in which a field that doesn't exist is an error.
 * Returns, group by group, what the compiler says.
 */
export const apiFaults = (groups: readonly (readonly Manifest[])[]): string[][] => {
  const folder = mkdtempSync(path.join(tmpdir(), 'hopgate-manifests-'));
  try {
    for (const [index, manifests] of groups.entries())
      writeFileSync(path.join(folder, `group-${index}.ts`), manifests.map(toSource).join('\n'));
    const options = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
      module: 'esnext',
      moduleResolution: 'bundler',
      paths: { 'kubernetes-types/*': [path.join(ROOT, 'node_modules/kubernetes-types/*')] },
    };
    writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
    const lines = compile(folder);
    return groups.map((_, index) => lines.filter((line) => line.startsWith(`group-${index}.ts`)));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const toSource = (manifest: Manifest, index: number): string => {
  const name = `${manifest.apiVersion} ${manifest.kind}`;
  const from = TYPES[name];
  if (from === undefined) throw new Error(`no type for ${name}`);
  return `import type { ${manifest.kind} as T${index} } from 'kubernetes-types/${from}.d.ts';
export const m${index}: T${index} = ${JSON.stringify(manifest)};`;
};

const compile = (folder: string): string[] => {
  const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  try {
    execFileSync(process.execPath, [compiler, '-p', folder], { cwd: folder, encoding: 'utf8' });
    return [];
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    const lines = (stdout ?? '').split('\n').filter((line) => line.includes('error TS'));
    // Faults of the setting and not of a manifest would otherwise look like none.
    if (lines.length === 0 || lines.some((line) => !line.startsWith('group-')))
      throw new Error(`the compiler says: ${stdout}`);
    return lines;
  }
};

export interface MeshPod {
  readonly name: string;
  readonly deployment: Deployment;
  readonly pod: PodSpec;
  readonly sidecar: Container;
  readonly agent: Container;
}

/** The Deployments, each with its two containers. */
export const meshPods = (): MeshPod[] =>
  [...byName<Deployment>('Deployment')].map(([name, deployment]) => {
    const pod = deployment.spec?.template.spec;
    const sidecar = pod?.initContainers?.find((container) => container.name === 'hopgate');
    const agent = pod?.containers.find((container) => container.name === 'agent');
    if (pod === undefined || sidecar === undefined || agent === undefined)
      throw new Error(`${name}: no sidecar or no agent`);
    return { name, deployment, pod, sidecar, agent };
  });
