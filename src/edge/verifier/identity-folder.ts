/**
 * The folder in which an agent of a verifier keeps what it is, as the sidecar reads and renews it: the files that `hopgate join`
 * wrote. What belongs together is written to a journal first, so that a crash between two files is made good at the next start.
 */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { keyBinding } from '../../api/enrolment.ts';
import { type AgentId, parseAgentId } from '../../core/spiffe-id.ts';
import { parseRoles } from '../../core/trust/roles.ts';
import type { KeyBinding } from '../../core/trust/wit.ts';
import type { KeyEncryption } from '../keys/key-encryption.ts';
import { parsePrivateKey, privateKeyPem, type SigningKey, signingKeyOf } from '../keys/signing-key.ts';
import { type FileContent, writeFilesAtomic } from '../store/atomic-file.ts';
import { IdentityError, type IdentityFileNames } from '../store/identity-files.ts';
import { parsePeerCertificate } from '../tls/peer-certificate.ts';
import { AGENT_FOLDER } from './agent-folder.ts';
import type { AgentKeys, Enrolled } from './enrolment.ts';

/** What the verifier has issued, as it is kept. */
export interface KeptCredentials {
  /** PEM. */
  readonly svid: string;
  readonly svidKey: KeyObject;
  readonly wit: string;
  readonly keyBinding: KeyBinding;
  /** JWS, typ roles+jwt. */
  readonly roles: string;
}

/** An agent's keys and what was issued for them. */
export interface KeptIdentity {
  readonly keys: AgentKeys;
  readonly credentials: KeptCredentials | undefined;
}

export const credentialsOf = ({ credentials, svidKey }: Enrolled): KeptCredentials => {
  const { svid, wit, keyBinding: binding, roles } = credentials;
  return { svid, svidKey, wit, keyBinding: binding, roles };
};

/** The name in an SVID, also in one that has ended; undefined when it has none that is one. */
export const nameIn = ({ svid: pem }: KeptCredentials): AgentId | undefined => {
  try {
    return parseAgentId(parsePeerCertificate(new X509Certificate(pem)).uriSans[0] ?? '');
  } catch {
    return undefined;
  }
};

/** File name to content, of what changes together. */
const journal = z.record(z.string().regex(/^[a-z-]+\.[a-z]+(?:\.sealed)?$/), z.string());

const JOURNAL = 'renewal.json';
const NEXT_KEY = 'next.key';
const SEALED = '.sealed';
const { svid, svidKey, agentKey, auditKey, wit, keyBinding: binding, roles } = AGENT_FOLDER;
const PUBLIC = new Set<string>([svid, wit, binding, roles]);

export class IdentityFolder {
  readonly directory: string;
  private readonly encryption: KeyEncryption | undefined;

  /** With `encryption` private keys are sealed; without it they stand in files of mode 0600. */
  constructor(directory: string, encryption?: KeyEncryption) {
    this.directory = directory;
    this.encryption = encryption;
  }

  /** For messages: where each part is. */
  get names(): IdentityFileNames {
    const at = (name: string): string => this.at(name);
    return {
      svid: at(svid),
      svidKey: at(svidKey),
      agentKey: at(agentKey),
      auditKey: at(auditKey),
      wit: at(wit),
      keyBinding: at(binding),
    };
  }

  private at(name: string): string {
    return path.join(this.directory, name);
  }

  /** Undefined when there are no keys yet. Throws {@link IdentityError}. Keys that are not sealed and should be, are from now on. */
  read(): KeptIdentity | undefined {
    this.finish();
    const agent = this.signingKey(agentKey);
    const audit = this.signingKey(auditKey);
    if (agent === undefined || audit === undefined) return undefined;
    const kept = { keys: { agent, audit }, credentials: this.readCredentials() };
    if (this.encryption !== undefined && existsSync(this.at(agentKey))) this.write(kept);
    return kept;
  }

  /** Seconds: since when the agent key is in its file. */
  get keyMadeAt(): number | undefined {
    const file = [this.at(agentKey), this.at(agentKey + SEALED)].find((one) => existsSync(one));
    return file === undefined ? undefined : Math.floor(statSync(file).mtimeMs / 1000);
  }

  /** The agent key of a rotation that has begun: the verifier may know it already. Throws {@link IdentityError}. */
  get nextKey(): SigningKey | undefined {
    return this.signingKey(NEXT_KEY);
  }

  /** Before the verifier hears of it, so that a crash between the two loses no key. */
  keepNextKey(key: SigningKey): void {
    this.putTogether(this.filesFor({ [NEXT_KEY]: key.key }));
  }

  private readCredentials(): KeptCredentials | undefined {
    const key = this.openKey(svidKey);
    const [certificate, token, kb, names] = [svid, wit, binding, roles].map((name) =>
      this.text(name)?.trim(),
    );
    if (
      key === undefined ||
      certificate === undefined ||
      token === undefined ||
      kb === undefined ||
      names === undefined
    )
      return undefined;
    const parsed = keyBinding.safeParse(jsonOf(kb));
    if (!parsed.success) throw new IdentityError(`${this.at(binding)}: is no key binding`);
    if (!parseRoles(names).ok) throw new IdentityError(`${this.at(roles)}: is no roles document`);
    return { svid: `${certificate}\n`, svidKey: key, wit: token, keyBinding: parsed.data, roles: names };
  }

  /** Replaces what is kept, as one; a key of a rotation has its place then. Throws on I/O. */
  write({ keys, credentials }: KeptIdentity): void {
    const files = this.filesFor({
      [agentKey]: keys.agent.key,
      [auditKey]: keys.audit.key,
      ...(credentials && { [svidKey]: credentials.svidKey }),
    });
    if (credentials !== undefined) {
      files.set(svid, credentials.svid);
      files.set(wit, `${credentials.wit}\n`);
      files.set(binding, `${JSON.stringify(credentials.keyBinding, null, 2)}\n`);
      files.set(roles, `${credentials.roles}\n`);
    }
    this.putTogether(files);
    rmSync(this.at(NEXT_KEY), { force: true });
    rmSync(this.at(NEXT_KEY + SEALED), { force: true });
  }

  private filesFor(keys: Readonly<Record<string, KeyObject>>): Map<string, string> {
    const files = new Map<string, string>();
    for (const [name, key] of Object.entries(keys)) {
      const pem = privateKeyPem(key);
      // Kept as it is: since when it is there says how old the key is.
      if (this.openedPem(name) === pem && (this.encryption === undefined) === existsSync(this.at(name)))
        continue;
      if (this.encryption === undefined) files.set(name, pem);
      else files.set(name + SEALED, `${this.encryption.seal(Buffer.from(pem), labelOf(name))}\n`);
    }
    return files;
  }

  private putTogether(files: ReadonlyMap<string, string>): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    chmodSync(this.directory, 0o700);
    if (files.size === 0) return;
    if (files.size > 1)
      writeFilesAtomic([{ file: this.at(JOURNAL), content: JSON.stringify(Object.fromEntries(files)) }]);
    this.put(files);
  }

  private put(files: ReadonlyMap<string, string>): void {
    writeFilesAtomic(
      [...files].map(
        ([name, content]): FileContent => ({
          file: this.at(name),
          content,
          ...(PUBLIC.has(name) && { mode: 0o644 }),
        }),
      ),
    );
    // One form of a key alone: what was in the clear goes when it is sealed, and the other way round.
    for (const name of files.keys())
      if (name.endsWith(SEALED)) rmSync(this.at(name.slice(0, -SEALED.length)), { force: true });
      else if (name.endsWith('.key')) rmSync(this.at(name + SEALED), { force: true });
    rmSync(this.at(JOURNAL), { force: true });
  }

  /** Makes good what a crash has left half done. */
  private finish(): void {
    const text = this.text(JOURNAL);
    const parsed = text === undefined ? undefined : journal.safeParse(jsonOf(text));
    if (parsed?.success === true) this.put(new Map(Object.entries(parsed.data)));
  }

  private signingKey(name: string): SigningKey | undefined {
    const key = this.openKey(name);
    if (key === undefined) return undefined;
    const opened = signingKeyOf(key);
    if (opened === undefined) throw new IdentityError(`${this.at(name)}: is no Ed25519 key`);
    return opened;
  }

  private openKey(name: string): KeyObject | undefined {
    const pem = this.openedPem(name);
    if (pem === undefined) return undefined;
    const key = parsePrivateKey(pem);
    if (key === undefined) throw new IdentityError(`${this.at(name)}: is not a private key in PEM`);
    return key;
  }

  private openedPem(name: string): string | undefined {
    const plain = this.text(name);
    if (plain !== undefined) return plain;
    const sealed = this.text(name + SEALED);
    if (sealed === undefined) return undefined;
    const opened = this.encryption?.unseal(sealed.trim(), labelOf(name));
    if (opened !== undefined) return opened.toString();
    throw new IdentityError(
      `${this.at(name + SEALED)}: is sealed with another key-encryption key than the one that keys.encryption names`,
    );
  }

  private text(name: string): string | undefined {
    try {
      return readFileSync(this.at(name), 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      throw new IdentityError(`${this.at(name)}: can't be read (${code})`);
    }
  }
}

/** The label of a file is that of its kind: a rotation's next key becomes the agent key under another name. */
const labelOf = (name: string): string => `hopgate identity: ${name}`;

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
