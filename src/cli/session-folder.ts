/** The folder of a session: what `hopgate login` writes, and what `--as DIR` reads. All of it ends within the hour. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseLink, type RootLink } from '../core/delegation/link.ts';
import { parseStrictObjectText } from '../core/encoding/json.ts';
import { checkMembers } from '../core/encoding/members.ts';
import { KEY_BINDING_MEMBERS, type KeyBinding } from '../core/trust/wit.ts';
import { privateKeyPem, type SigningKey } from '../edge/keys/signing-key.ts';
import { writeFilesAtomic } from '../edge/store/atomic-file.ts';
import type { PersonSession } from '../edge/verifier/login.ts';
import { readKey } from '../verifier/local/files.ts';
import { CommandError } from './command.ts';

export const SESSION_FILES = {
  svid: 'svid.pem',
  svidKey: 'svid.key',
  agentKey: 'agent.key',
  auditKey: 'audit.key',
  wit: 'wit.jwt',
  keyBinding: 'key-binding.json',
  bundle: 'bundle.jws',
  root: 'root',
  /** L0; absent where the groups of the person may grant nothing. */
  link: 'first.link',
} as const;

/** What mints further links. */
export interface Grantor {
  readonly link: RootLink;
  readonly linkText: string;
  readonly key: SigningKey;
  readonly kb: KeyBinding;
}

export const isFolder = (name: string): boolean => existsSync(name) && statSync(name).isDirectory();

export const writeSession = (
  folder: string,
  { answer, key, audit, svidKey }: PersonSession,
  trust: { readonly bundleText: string; readonly root: string },
): void => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const at = (name: string): string => path.join(folder, name);
  writeFilesAtomic([
    { file: at(SESSION_FILES.svidKey), content: privateKeyPem(svidKey) },
    { file: at(SESSION_FILES.agentKey), content: privateKeyPem(key.key) },
    { file: at(SESSION_FILES.auditKey), content: privateKeyPem(audit.key) },
    { file: at(SESSION_FILES.svid), content: answer.svid },
    { file: at(SESSION_FILES.wit), content: `${answer.wit}\n` },
    { file: at(SESSION_FILES.keyBinding), content: `${JSON.stringify(answer.keyBinding)}\n` },
    { file: at(SESSION_FILES.bundle), content: `${trust.bundleText}\n` },
    { file: at(SESSION_FILES.root), content: `${trust.root}\n` },
    ...(answer.link === undefined ? [] : [{ file: at(SESSION_FILES.link), content: `${answer.link}\n` }]),
  ]);
};

/** Takes what {@link writeSession} wrote, and the folder if nothing else is in it. */
export const removeSession = (folder: string): void => {
  for (const name of Object.values(SESSION_FILES)) rmSync(path.join(folder, name), { force: true });
  if (readdirSync(folder).length === 0) rmdirSync(folder);
};

/** From a session that was just opened. Throws {@link CommandError} when it may grant nothing. */
export const grantorOf = ({ answer, key }: PersonSession): Grantor => {
  if (answer.link === undefined)
    throw new CommandError(
      'none of your groups may grant anything: an admin can change that (hopgate principals issuer)',
    );
  return { link: readLink(answer.link), linkText: answer.link, key, kb: answer.keyBinding };
};

/** From the folder of a session. */
export const readGrantor = (folder: string): Grantor => {
  const at = (name: string): string => path.join(folder, name);
  if (!existsSync(at(SESSION_FILES.link)))
    throw new CommandError(
      `${folder} holds no session that may grant anything; "hopgate login --out ${folder}" opens one`,
    );
  const linkText = readFileSync(at(SESSION_FILES.link), 'utf8').trim();
  const parsed = parseStrictObjectText(readFileSync(at(SESSION_FILES.keyBinding), 'utf8').trim());
  const closed = parsed.ok ? checkMembers(parsed.value, KEY_BINDING_MEMBERS, 'the key binding') : parsed;
  if (!closed.ok) throw new CommandError(`${at(SESSION_FILES.keyBinding)}: ${closed.detail}`);
  return {
    link: readLink(linkText),
    linkText,
    key: readKey(at(SESSION_FILES.agentKey)),
    kb: closed.value as unknown as KeyBinding,
  };
};

const readLink = (text: string): RootLink => {
  const link = parseLink(text, true);
  if (!link.ok || !link.value.root) throw new CommandError('the first link of the session can’t be read');
  return link.value;
};
