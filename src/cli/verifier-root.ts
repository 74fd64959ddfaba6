/** `hopgate verifier root`: what the root says, and how it is asked where it is kept elsewhere. */
import { writeFileSync } from 'node:fs';
import type { Argv } from 'yargs';
import { type KeysAnswer, keyEndpoints } from '../api/keys.ts';
import { MAX_ROLES_BYTES } from '../core/limits.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { withFaultLines } from './command-faults.ts';
import { shellWord } from './shell-word.ts';
import { readSmallFile } from './standard-input.ts';
import { paint, print, printError, printJson, table } from './terminal.ts';
import { describeExpiry, formatTime, nowSeconds } from './time-words.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, withVerifier } from './verifier-connection.ts';
import { exportCommand } from './verifier-root-export.ts';
import { signCommand } from './verifier-root-sign.ts';

interface RootOptions extends VerifierOptions {
  readonly json: boolean;
  readonly why: string;
  readonly out: string | undefined;
  readonly 'new-epoch': boolean;
  readonly file: string;
}

const online = (yargs: Argv): Argv =>
  yargs
    .options(VERIFIER_OPTIONS)
    .option('json', { type: 'boolean', default: false, describe: 'One JSON object' });

const command = (
  given: Pick<Command, 'name' | 'describe' | 'options'>,
  work: (options: RootOptions) => Promise<ExitCode>,
): Command => ({ ...given, run: (options) => withFaultLines(() => work(options as unknown as RootOptions)) });

/** Root, epoch and every key that is not gone, as people read it. */
export const describeKeys = ({ root, epoch, rolesExp, keys }: KeysAnswer): string => {
  const now = nowSeconds();
  const when = (time: number | null): string => (time === null ? '' : formatTime(time));
  const rows = keys
    .filter(({ state }) => state !== 'gone')
    .map(({ role, thumbprint, state, activeAt, until }) => [
      role,
      thumbprint,
      state === 'active' ? paint('green', state) : state,
      when(activeAt),
      when(until),
    ]);
  const where = root.here ? 'on the verifier’s machine' : 'kept elsewhere';
  return [
    `root   ${root.thumbprint}, ${where}`,
    `epoch  ${epoch}; its roles document ${describeExpiry(rolesExp, now)}`,
    ...(root.awaited ? ['The root has something to sign: hopgate verifier root request > request.json'] : []),
    '',
    table(['role', 'key', 'state', 'active since', 'believed until'], rows),
  ].join('\n');
};

export const tell = (answer: KeysAnswer, { json }: { readonly json: boolean }): ExitCode => {
  if (json) printJson({ ok: true, ...answer });
  else print(describeKeys(answer));
  return EXIT.ok;
};

const show = command(
  {
    name: 'show',
    describe: 'The root, the epoch and the role keys',
    options: (yargs) => online(yargs).example('$0 verifier root show', 'which keys the root names'),
  },
  (options) =>
    withVerifier(options, async (client) => tell(await client.call(keyEndpoints.listKeys, {}), options)),
);

const request = command(
  {
    name: 'request',
    describe: 'Write what a root that is kept elsewhere has to sign',
    options: (yargs) =>
      yargs
        .options(VERIFIER_OPTIONS)
        .option('new-epoch', {
          type: 'boolean',
          default: false,
          describe: 'After a restored backup: an epoch above every one that was lost',
        })
        .option('out', { type: 'string', requiresArg: true, describe: 'File; stdout unless said' })
        .example('$0 verifier root request --out request.json', 'then, where the root is: root sign'),
  },
  (options) =>
    withVerifier(options, async (client) => {
      const newEpoch = options['new-epoch'] ? 'true' : 'false';
      const answer = await client.call(keyEndpoints.getRolesRequest, { query: { newEpoch } });
      const text = `${JSON.stringify(answer, null, 2)}\n`;
      const { out } = options;
      if (out === undefined) process.stdout.write(text);
      else {
        writeFileSync(out, text);
        printError(
          `${out}: where the root key is, "hopgate verifier root sign ${shellWord(out)} --key root.pem --out roles.jws"`,
        );
      }
      return EXIT.ok;
    }),
);

const install = command(
  {
    name: 'install <file>',
    describe: 'Take over roles that the root has signed',
    options: (yargs) =>
      online(yargs)
        .positional('file', { type: 'string', demandOption: true, describe: 'The signed roles, or -' })
        .option('why', {
          type: 'string',
          requiresArg: true,
          default: 'signed by the root',
          describe: 'For the ledger',
        })
        .example('$0 verifier root install roles.jws', 'the roles of root sign'),
  },
  async (options) => {
    const roles = await readSmallFile(options.file, MAX_ROLES_BYTES);
    return withVerifier(options, async (client) =>
      tell(await client.call(keyEndpoints.installRoles, { body: { roles, why: options.why } }), options),
    );
  },
);

const epoch = command(
  {
    name: 'epoch',
    describe: 'Begin a new epoch: after a restored backup, when sidecars say bundle_rollback',
    options: (yargs) =>
      online(yargs)
        .option('why', { type: 'string', requiresArg: true, demandOption: true, describe: 'For the ledger' })
        .example('$0 verifier root epoch --why "restored the backup of Monday"', 'bundles count anew'),
  },
  (options) =>
    withVerifier(options, async (client) =>
      tell(await client.call(keyEndpoints.beginEpoch, { body: { why: options.why } }), options),
    ),
);

export const rootCommand: Command = {
  ...show,
  name: 'root',
  describe: 'The root key: shown, asked, exported; epochs',
  below: [show, request, signCommand, install, epoch, exportCommand],
};
