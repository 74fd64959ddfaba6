/** `hopgate verifier root sign`: the root's signature, made where the root key is; no verifier is asked. */
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { type RolesPayload, rolesRequest } from '../api/keys.ts';
import { MAX_ROLES_BYTES } from '../core/limits.ts';
import { parseRoles, type Roles, verifyRoles } from '../core/trust/roles.ts';
import { KeyEncryptionError, readPassphrase } from '../edge/keys/key-encryption.ts';
import type { SigningKey } from '../edge/keys/signing-key.ts';
import { namedBy, signRoles, thumbprintOfPublic } from '../verifier/authority/roles-document.ts';
import { importRootKey } from '../verifier/authority/root-key.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { withFaultLines } from './command-faults.ts';
import { readSmallFile } from './standard-input.ts';
import { printError, table } from './terminal.ts';
import { formatTime, nowSeconds } from './time-words.ts';

interface SignOptions {
  readonly request: string;
  readonly key: string;
  readonly 'passphrase-file': string | undefined;
  readonly last: string | undefined;
  readonly out: string | undefined;
  readonly yes: boolean;
}

export const signCommand: Command = {
  name: 'sign <request>',
  describe: 'Sign a request with the root key, where that is kept',
  options: (yargs) =>
    yargs
      .positional('request', { type: 'string', demandOption: true, describe: 'From root request, or -' })
      .option('key', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'The root key, from root export',
      })
      .option('passphrase-file', { type: 'string', requiresArg: true, describe: 'Its passphrase' })
      .option('last', {
        type: 'string',
        requiresArg: true,
        describe: 'The roles signed last: shows what is new, and an older epoch is refused',
      })
      .option('out', { type: 'string', requiresArg: true, describe: 'File; stdout unless said' })
      .option('yes', { type: 'boolean', default: false, describe: 'Sign without asking' })
      .example(
        '$0 verifier root sign request.json --key root.pem --passphrase-file p --last roles.jws --out new-roles.jws',
        'shows every key by its role before it signs',
      ),
  run: (options) => withFaultLines(() => run(options as unknown as SignOptions)),
};

const run = async (options: SignOptions): Promise<ExitCode> => {
  const payload = await readRequest(options.request);
  const root = await readRoot(options);
  if (payload.root.x !== root.x)
    throw new CommandError(`${options.request} asks another root than the one in ${options.key}`);
  const last = options.last === undefined ? undefined : await readLast(options.last, payload, root);
  const roles = signRoles(payload, root);
  const verified = verifyRoles(roles, {
    trustDomain: payload.trust_domain,
    root: root.thumbprint,
    now: nowSeconds(),
  });
  if (!verified.ok)
    throw new CommandError(
      `${options.request} would make no valid roles: ${verified.reason}: ${verified.detail}`,
    );
  printError(describe(verified.value, last));
  if (!(await isWanted(options))) throw new CommandError('nothing was signed');
  if (options.out === undefined) process.stdout.write(`${roles}\n`);
  else writeFileSync(options.out, `${roles}\n`);
  return EXIT.ok;
};

const readRequest = async (file: string): Promise<RolesPayload> => {
  let content: unknown;
  try {
    content = JSON.parse(await readSmallFile(file, 2 * MAX_ROLES_BYTES));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const read = rolesRequest.safeParse(content);
  if (!read.success) throw new CommandError(`${file} is no request of "hopgate verifier root request"`);
  return read.data.payload;
};

const readRoot = async (options: SignOptions): Promise<SigningKey> => {
  const file = options['passphrase-file'];
  try {
    const passphrase = file === undefined ? undefined : readPassphrase(file);
    return importRootKey(await readSmallFile(options.key, 4096), passphrase);
  } catch (error) {
    if (error instanceof KeyEncryptionError) throw new CommandError(`${options.key}: ${error.message}`);
    throw error;
  }
};

const readLast = async (file: string, payload: RolesPayload, root: SigningKey): Promise<Roles> => {
  const text = await readSmallFile(file, MAX_ROLES_BYTES);
  const at = { trustDomain: payload.trust_domain, root: root.thumbprint };
  const verified = verifyRoles(text, { ...at, now: issuedAt(text) });
  if (!verified.ok) throw new CommandError(`${file}: ${verified.reason}: ${verified.detail}`);
  if (payload.epoch <= verified.value.epoch)
    throw new CommandError(
      `the request is for epoch ${payload.epoch}; ${file} is that of ${verified.value.epoch} already`,
    );
  return verified.value;
};

/** The last roles may have expired by now; whose they are is what counts. */
const issuedAt = (text: string): number => {
  const parsed = parseRoles(text);
  return parsed.ok ? parsed.value.roles.iat : 0;
};

const describe = (roles: Roles, last: Roles | undefined): string => {
  const before = new Set(last === undefined ? [] : Object.values(namedBy(last)).flat());
  const named = Object.entries(namedBy(roles));
  const rows = named.flatMap(([role, keys]) =>
    keys.map((key) => [
      role,
      thumbprintOfPublic(key),
      last === undefined ? '' : before.has(key) ? 'as before' : 'NEW',
    ]),
  );
  const now = new Set(named.flatMap(([, keys]) => keys));
  const left = [...before]
    .filter((key) => !now.has(key))
    .map((key) => ['', thumbprintOfPublic(key), 'no longer']);
  return [
    `The root of ${roles.trustDomain} is to trust these keys, in epoch ${roles.epoch}${last === undefined ? '' : ` (now ${last.epoch})`}, until ${formatTime(roles.exp)}:`,
    table(['role', 'key', ''], [...rows, ...left]),
    'Compare them with "hopgate verifier root show" on the verifier: whoever has one of these keys speaks for its role.',
  ].join('\n');
};

const isWanted = async ({ yes, request }: SignOptions): Promise<boolean> => {
  if (yes) return true;
  if (!process.stdin.isTTY || request === '-' || request === '')
    throw new CommandError(
      'there is no terminal to ask at: look at the keys above, then say --yes',
      EXIT.usage,
    );
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question('Sign this? (yes/no) ')).trim() === 'yes';
  } finally {
    terminal.close();
  }
};
