/** The folder of an identity: what `hopgate join` writes, the sidecar keeps up to date, and `--as` reads. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { privateKeyPem } from '../keys/signing-key.ts';
import { type FileContent, writeFilesAtomic } from '../store/atomic-file.ts';
import type { Enrolled } from './enrolment.ts';

/** File names in it. */
export const AGENT_FOLDER = {
  svid: 'svid.pem',
  svidKey: 'svid.key',
  agentKey: 'agent.key',
  auditKey: 'audit.key',
  wit: 'wit.jwt',
  keyBinding: 'key-binding.json',
  roles: 'roles.jws',
  bundle: 'bundle.jws',
  timestamp: 'timestamp.jws',
  /** Thumbprint of the root key. */
  root: 'root',
  sidecar: 'sidecar.yaml',
} as const;

export interface FolderContent {
  readonly enrolled: Enrolled;
  readonly root: string;
  /** JWS. */
  readonly bundle: string;
  readonly timestamp: string | undefined;
  readonly sidecar: string | undefined;
}

const PUBLIC = 0o644;

const filesOf = (directory: string, content: FolderContent): readonly FileContent[] => {
  const { enrolled, root, bundle, timestamp, sidecar } = content;
  const { credentials, keys, svidKey } = enrolled;
  const file = (name: keyof typeof AGENT_FOLDER): string => path.join(directory, AGENT_FOLDER[name]);
  return [
    { file: file('agentKey'), content: privateKeyPem(keys.agent.key) },
    { file: file('auditKey'), content: privateKeyPem(keys.audit.key) },
    { file: file('svidKey'), content: privateKeyPem(svidKey) },
    { file: file('svid'), content: credentials.svid, mode: PUBLIC },
    { file: file('wit'), content: `${credentials.wit}\n`, mode: PUBLIC },
    {
      file: file('keyBinding'),
      content: `${JSON.stringify(credentials.keyBinding, null, 2)}\n`,
      mode: PUBLIC,
    },
    { file: file('roles'), content: `${credentials.roles}\n`, mode: PUBLIC },
    { file: file('bundle'), content: `${bundle}\n`, mode: PUBLIC },
    ...(timestamp === undefined
      ? []
      : [{ file: file('timestamp'), content: `${timestamp}\n`, mode: PUBLIC }]),
    { file: file('root'), content: `${root}\n`, mode: PUBLIC },
    ...(sidecar === undefined ? [] : [{ file: file('sidecar'), content: sidecar, mode: PUBLIC }]),
  ];
};

/** A place for a new identity: taken before anything is asked for, since a join token is good for one try. */
export class NewAgentFolder {
  readonly directory: string;
  private readonly temporary: string;

  private constructor(directory: string, temporary: string) {
    this.directory = directory;
    this.temporary = temporary;
  }

  /** `undefined` when something is there already. Throws an I/O error when nothing can be made there. */
  static reserve(directory: string): NewAgentFolder | undefined {
    if (existsSync(directory) && readdirSync(directory).length > 0) return undefined;
    const parent = path.dirname(path.resolve(directory));
    mkdirSync(parent, { recursive: true });
    return new NewAgentFolder(directory, mkdtempSync(path.join(parent, `.${path.basename(directory)}.`)));
  }

  /** The folder is there whole, mode 0700, or not at all. Throws an I/O error. */
  fill(content: FolderContent): void {
    writeFilesAtomic(filesOf(this.temporary, content));
    renameSync(this.temporary, this.directory);
  }

  /** Leaves nothing behind, unless it was filled. */
  release(): void {
    rmSync(this.temporary, { recursive: true, force: true });
  }
}
