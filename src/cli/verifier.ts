/** `hopgate verifier`: the Trust Verifier in the foreground; and what it has done so far. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Argv } from 'yargs';
import { formatAddress } from '../config/forms.ts';
import { parseConfig } from '../config/load.ts';
import { defaultVerifierConfig, type VerifierConfig, verifierSchema } from '../config/verifier-schema.ts';
import { isTrustDomain } from '../core/spiffe-id.ts';
import { systemClock } from '../edge/clock.ts';
import { writeFilesAtomic } from '../edge/store/atomic-file.ts';
import { makeLogger } from '../edge/telemetry/log.ts';
import { DEFAULT_VERIFIER_DIRECTORY } from '../verifier/layout.ts';
import { Verifier } from '../verifier/verifier.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { shellWord } from './shell-word.ts';
import { printError } from './terminal.ts';
import { accessCommand } from './verifier-access.ts';
import { backupCommand } from './verifier-backup.ts';
import { command as eventsCommand } from './verifier-events.ts';
import { rootCommand } from './verifier-root.ts';
import { rotateCommand } from './verifier-rotate.ts';

interface StartOptions {
  readonly dir: string | undefined;
  readonly config: string | undefined;
  readonly 'trust-domain': string | undefined;
  readonly check: boolean;
}

const readConfig = (file: string): VerifierConfig => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw usageError(`${file}: can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return parseConfig(text, file, verifierSchema).value;
};

const settingsOf = (options: StartOptions): { readonly config: VerifierConfig; readonly base: string } => {
  const trustDomain = options['trust-domain'];
  if (trustDomain !== undefined && !isTrustDomain(trustDomain))
    throw usageError('--trust-domain: lower-case letters, digits, ".", "_", "-", such as company.com');
  const base = options.config === undefined ? process.cwd() : path.dirname(path.resolve(options.config));
  const given =
    options.config === undefined
      ? { ...defaultVerifierConfig(), directory: DEFAULT_VERIFIER_DIRECTORY }
      : readConfig(options.config);
  const directory = options.dir === undefined ? given.directory : path.resolve(options.dir);
  return { config: { ...given, directory, ...(trustDomain !== undefined && { trustDomain }) }, base };
};

const POLICY_FILE = 'policy.yaml';

/** The starter policy beside `./verifier`, to be changed; nowhere when the directory is another, or the name is taken. */
const keepPolicy = (text: string, { dir, config }: StartOptions): boolean => {
  if (dir !== undefined || config !== undefined || existsSync(POLICY_FILE)) return false;
  writeFilesAtomic([{ file: POLICY_FILE, content: text, mode: 0o644 }]);
  return true;
};

/** What to type next, in the shell of whoever started it. */
const nextSteps = (verifier: Verifier, isPolicyHere: boolean): string => {
  const relative = path.relative('', verifier.layout.directory) || '.';
  const where = relative === DEFAULT_VERIFIER_DIRECTORY ? '' : ` --verifier ${shellWord(relative)}`;
  return [
    `A new trust domain: ${verifier.trustDomain}`,
    `  root key    ${verifier.rooms.authority.rootThumbprint}`,
    `  directory   ${relative} (keep it private; back it up whole)`,
    `  API         ${verifier.addresses.map((address) => `https://${address}`).join(', ')}`,
    isPolicyHere
      ? `  policy      a starter is in force; change it: edit ${POLICY_FILE}, then hopgate policy publish ${POLICY_FILE} --why "…"`
      : `  policy      a starter is in force; change it: hopgate policy show${where} > my-policy.yaml`,
    'Next, in another terminal: let agents join, each with one line.',
    `  hopgate join "$(hopgate agents add planning/1${where})"`,
    `  hopgate join "$(hopgate agents add inventory/1${where})"`,
  ].join('\n');
};

const run = async (options: StartOptions): Promise<ExitCode> => {
  const { config, base } = settingsOf(options);
  const log = makeLogger(config.log.level);
  // Heard from the first moment: a signal that comes while it starts must not end it without a word in the log.
  const asked = new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
  const place = path.resolve(base, config.directory);
  if (options.check && !existsSync(place)) {
    printError(`the configuration is ok; the first start makes ${path.relative('', place) || '.'}`);
    return EXIT.ok;
  }
  const verifier = await Verifier.open({ config, base, clock: systemClock, log });
  if (options.check) {
    await verifier.stop();
    printError(`${path.relative('', verifier.layout.directory) || '.'}: ok`);
    return EXIT.ok;
  }
  let policy: string | undefined;
  try {
    policy = await verifier.startPolicy();
    await verifier.start();
  } catch (error) {
    await verifier.stop();
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL')
      throw new CommandError(
        `can't listen on ${formatAddress(config.listen)} (${code}): set another "listen" in --config`,
      );
    throw error;
  }
  const isPolicyHere = policy !== undefined && keepPolicy(policy, options);
  if (verifier.isFirst) printError(nextSteps(verifier, isPolicyHere));
  await asked;
  await verifier.stop();
  return EXIT.ok;
};

const options = (yargs: Argv): Argv =>
  yargs
    .option('dir', {
      type: 'string',
      requiresArg: true,
      describe: `Store, keys and socket; ./${DEFAULT_VERIFIER_DIRECTORY} unless said`,
    })
    .option('config', { type: 'string', requiresArg: true, describe: 'Configuration (kind: Verifier)' })
    .option('trust-domain', {
      type: 'string',
      requiresArg: true,
      describe: 'Name of a new trust domain; company.com unless said',
    })
    .option('check', {
      type: 'boolean',
      default: false,
      describe: 'Open and check everything, listen nowhere',
    })
    .example('$0 verifier', 'start in ./verifier; the first time, make a trust domain there')
    .example('$0 verifier --dir /var/lib/hopgate --trust-domain lab.test', 'another place, another name')
    .example('$0 verifier events', 'every change so far: who made it, and why');

const describe = 'Run the Trust Verifier; the first start makes a trust domain';
const runStart: Command['run'] = (given) => withFaultLines(() => run(given as unknown as StartOptions));

export const command: Command = {
  name: 'verifier',
  describe,
  below: [
    { name: 'start', describe, options, run: runStart },
    eventsCommand,
    accessCommand,
    rootCommand,
    rotateCommand,
    backupCommand,
  ],
  options,
  run: runStart,
};
