/** `hopgate quarantine`: operators list and drop what a sidecar keeps aside; reviewers read it and release it, with a key of their own. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Argv } from 'yargs';
import { parseDuration } from '../config/forms.ts';
import { isDigest } from '../core/encoding/members.ts';
import { isWhy, MAX_REVIEWER_TOKEN_SECONDS } from '../core/quarantine/reviewer.ts';
import {
  isReviewerName,
  makeReviewerFiles,
  parseReviewerKey,
  type ReviewerKey,
  ReviewerKeyError,
} from '../edge/store/quarantine-keys.ts';
import { findSidecar } from './admin-call.ts';
import { askYes } from './ask-yes.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { dropKept, fetchStatus, fetchUnsealed, releaseUnsealed } from './quarantine-call.ts';
import { printStatus, printUnsealed, printUnsealedJson } from './quarantine-report.ts';
import { print, printError, printJson } from './terminal.ts';
import { describeExpiry, nowSeconds } from './time-words.ts';

interface QuarantineOptions {
  readonly admin: string | undefined;
  readonly config: string | undefined;
  readonly id: string | undefined;
  readonly key: string | undefined;
  readonly out: string | undefined;
  readonly ttl: string | undefined;
  readonly why: string | undefined;
  readonly yes: boolean | undefined;
  readonly json: boolean;
  readonly name: string | undefined;
  readonly dir: string | undefined;
}

const JSON_OPTION = { json: { type: 'boolean', default: false, describe: 'One JSON object' } } as const;

const sidecarOptions = (yargs: Argv): Argv =>
  yargs
    .option('config', { type: 'string', requiresArg: true, describe: 'The sidecar’s configuration file' })
    .option('admin', {
      type: 'string',
      requiresArg: true,
      describe: 'Its admin socket, in place of --config',
    })
    .conflicts('admin', 'config')
    .options(JSON_OPTION);

const itemOptions = (yargs: Argv): Argv =>
  sidecarOptions(
    yargs.positional('id', {
      type: 'string',
      describe: 'As the refusal and "quarantine list" say it; --id=ID where it begins with "-"',
    }),
  ).option('why', { type: 'string', requiresArg: true, default: '', describe: 'Why; it goes into the log' });

const reviewerOptions = (yargs: Argv): Argv =>
  itemOptions(yargs).option('key', {
    type: 'string',
    requiresArg: true,
    demandOption: true,
    describe: 'Your private key: bob.reviewer.key',
  });

/** Ids may begin with "-", which the command line takes for an option unless it is said with --id=. */
const idIn = ({ id }: QuarantineOptions): string => {
  if (id !== undefined && isDigest(id)) return id;
  throw usageError('which request? Its id has 43 characters; --id=ID where it begins with "-"');
};

const whyIn = ({ why = '' }: QuarantineOptions): string => {
  if (isWhy(why)) return why;
  throw usageError('--why: one line of 200 characters at most');
};

const keyIn = ({ key = '' }: QuarantineOptions): ReviewerKey => {
  try {
    return parseReviewerKey(readFileSync(key));
  } catch (error) {
    if (error instanceof ReviewerKeyError) throw new CommandError(`${key} ${error.message}`);
    throw error;
  }
};

const subcommand = (
  name: string,
  describe: string,
  options: (yargs: Argv) => Argv,
  run: (options: QuarantineOptions) => Promise<ExitCode>,
): Command => ({
  name,
  describe,
  options,
  run: (given) => withFaultLines(() => run(given as unknown as QuarantineOptions)),
});

const list = subcommand(
  'list',
  'What is kept aside: all but the bodies',
  (yargs) => sidecarOptions(yargs).example('$0 quarantine list --config sidecar.yaml', 'the oldest first'),
  async (options) => {
    printStatus(await fetchStatus(findSidecar(options).socket), options.json);
    return EXIT.ok;
  },
);

const SHOWN_CHARACTERS = 65_536;
const PREVIEW_CHARACTERS = 4096;

const inspect = subcommand(
  'inspect [id]',
  'Read it, as a reviewer: opened here, and the log says who did',
  (yargs) =>
    reviewerOptions(yargs)
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'Write the octets of the body to this new file (mode 0600), and show none',
      })
      .example('$0 quarantine inspect ID --key bob.reviewer.key --config sidecar.yaml', '')
      .example('$0 quarantine inspect ID --key bob.reviewer.key --admin admin.sock --out body.bin', ''),
  async (options) => {
    const [id, why, key] = [idIn(options), whyIn(options), keyIn(options)];
    const opened = await fetchUnsealed(findSidecar(options).socket, id, key, why);
    const { out, json } = options;
    if (out !== undefined) {
      writeFileSync(out, opened.body, { flag: 'wx', mode: 0o600 });
      if (json) printJson({ ok: true, label: opened.label, out });
      else
        printError(
          `${opened.body.length} octets are in ${out}: they may be an attack on whatever opens them`,
        );
    } else if (json) printUnsealedJson(opened);
    else printUnsealed(opened, SHOWN_CHARACTERS);
    return EXIT.ok;
  },
);

const ttlIn = ({ ttl = '15m' }: QuarantineOptions): number => {
  const seconds = parseDuration(ttl);
  const most = MAX_REVIEWER_TOKEN_SECONDS['quarantine-release+jwt'];
  if (seconds !== undefined && seconds <= most) return seconds;
  throw usageError(`--ttl ${ttl}: a duration such as 15m, at most ${most / 60}m`);
};

const release = subcommand(
  'release [id]',
  'Let the same request pass once: shown, then signed here with your key',
  (yargs) =>
    reviewerOptions(yargs)
      .option('ttl', {
        type: 'string',
        requiresArg: true,
        default: '15m',
        describe: 'Until then it has to be sent again; 1h at most',
      })
      .option('yes', { type: 'boolean', default: false, describe: 'Sign without asking' })
      .example('$0 quarantine release ID --key bob.reviewer.key --config sidecar.yaml', 'shows it and asks')
      .example(
        '$0 quarantine release ID --key bob.reviewer.key --config sidecar.yaml --ttl 1h --why "a false alarm" --yes',
        'in a script',
      ),
  async (options) => {
    const [id, why, ttlSeconds, key] = [idIn(options), whyIn(options), ttlIn(options), keyIn(options)];
    const { socket } = findSidecar(options);
    // Never signed unseen: what was fetched is what the id stands for.
    const opened = await fetchUnsealed(socket, id, key, why);
    if (!options.json) printUnsealed(opened, PREVIEW_CHARACTERS);
    await askYes('Sign its release?', 'nothing was released', options);
    const item = await releaseUnsealed(socket, opened, key, ttlSeconds, why);
    if (options.json) printJson({ ok: true, item });
    else
      print(
        `\nreleased by ${key.name}: the same request passes once; the release ${describeExpiry(item.release?.exp ?? 0, nowSeconds())}`,
      );
    return EXIT.ok;
  },
);

const drop = subcommand(
  'drop [id]',
  'Delete it, unread',
  (yargs) =>
    itemOptions(yargs)
      .option('yes', { type: 'boolean', default: false, describe: 'Delete without asking' })
      .example('$0 quarantine drop ID --config sidecar.yaml --why "an attack, reported"', ''),
  async (options) => {
    const [id, why] = [idIn(options), whyIn(options)];
    const { socket } = findSidecar(options);
    await askYes(`Delete ${id}?`, 'nothing was deleted', options);
    await dropKept(socket, id, why);
    if (options.json) printJson({ ok: true, id });
    else printError('deleted');
    return EXIT.ok;
  },
);

const keygen = subcommand(
  'keygen <name>',
  'A reviewer’s pair of key files',
  (yargs) =>
    yargs
      .positional('name', { type: 'string', describe: 'The reviewer: lower-case letters, digits and "-"' })
      .option('dir', { type: 'string', requiresArg: true, default: '.', describe: 'Where they are written' })
      .options(JSON_OPTION)
      .example('$0 quarantine keygen bob', 'bob.reviewer.key, for bob alone, and bob.reviewer.pub'),
  async ({ name = '', dir = '.', json }) => {
    if (!isReviewerName(name)) throw usageError('a reviewer’s name has lower-case letters, digits and "-"');
    const [keyFile, pubFile] = ['key', 'pub'].map((ending) =>
      path.join(dir, `${name}.reviewer.${ending}`),
    ) as [string, string];
    for (const file of [keyFile, pubFile])
      if (existsSync(file)) throw new CommandError(`${file} is there already; what is sealed to it needs it`);
    const { key, pub } = makeReviewerFiles(name);
    mkdirSync(dir, { recursive: true });
    writeFileSync(keyFile, key, { flag: 'wx', mode: 0o600 });
    writeFileSync(pubFile, pub, { flag: 'wx', mode: 0o644 });
    if (json) printJson({ ok: true, key: keyFile, pub: pubFile });
    else {
      print(`${keyFile}  private: keep it where ${name} reviews, and not beside a sidecar`);
      print(`${pubFile}  public: name it in each sidecar.yaml, and start the sidecar anew:`);
      print(`\nquarantine:\n  reviewers: [${path.basename(pubFile)}]`);
    }
    return EXIT.ok;
  },
);

const below = [list, inspect, release, drop, keygen];

export const command: Command = {
  name: 'quarantine',
  describe: 'What policy keeps aside: list it, read it, release it, drop it',
  below,
  options: (yargs) => yargs.demandCommand(1, 'quarantine: list, inspect, release, drop or keygen'),
  run: async () => {
    throw usageError('quarantine: list, inspect, release, drop or keygen');
  },
};
