/** `hopgate verifier backup`: a copy of a running verifier, which opens and is whole. */
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  fsyncSync,
  globSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import path from 'node:path';
import { backupEndpoints } from '../api/backups.ts';
import { keyFilesIn } from '../verifier/authority/root-key.ts';
import { layoutOf } from '../verifier/layout.ts';
import { SqliteStore } from '../verifier/store/sqlite-store.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { shellWord } from './shell-word.ts';
import { print, printError, printJson } from './terminal.ts';
import {
  VERIFIER_OPTIONS,
  type VerifierOptions,
  verifierTarget,
  withVerifier,
} from './verifier-connection.ts';

interface BackupOptions extends Pick<VerifierOptions, 'verifier'> {
  readonly directory: string;
  readonly why: string;
  readonly json: boolean;
}

export const backupCommand: Command = {
  name: 'backup <directory>',
  describe: 'Copy a running verifier, keys included, into a new directory',
  options: (yargs) =>
    yargs
      .positional('directory', { type: 'string', demandOption: true, describe: 'Must not exist yet' })
      .option('verifier', {
        ...VERIFIER_OPTIONS.verifier,
        describe: 'The verifier’s directory on this machine; else $HOPGATE_VERIFIER, else ./verifier',
      })
      .option('why', { type: 'string', requiresArg: true, default: 'a backup', describe: 'For the ledger' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 verifier backup /media/safe/monday', 'while it runs; the copy is opened and checked')
      .example(
        '$0 verifier --dir /media/safe/monday --check',
        'to restore: put the copy where the directory was, start, then: verifier root epoch',
      ),
  run: (options) => withFaultLines(() => run(options as unknown as BackupOptions)),
};

/** Copies with all of it on disk before the name is there. */
const copyDurably = (from: string, to: string): void => {
  const unfinished = `${to}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  try {
    cpSync(from, unfinished, { recursive: true });
    chmodSync(unfinished, 0o700);
    for (const entry of globSync('**', { cwd: unfinished, withFileTypes: true })) {
      const descriptor = openSync(path.join(entry.parentPath, entry.name), 'r');
      fsyncSync(descriptor);
      closeSync(descriptor);
    }
    renameSync(unfinished, to);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
};

/** `seq:hash` of the last event in a copy; the store is checked as at a start. Throws `StoreError`. */
const headOf = async (directory: string): Promise<string> => {
  const store = SqliteStore.open(directory, { onWatcherFault: () => undefined });
  try {
    const last = await store.lastEvent();
    return `${last?.seq ?? 0}:${last?.hash ?? ''}`;
  } finally {
    await store.close();
  }
};

const run = async (options: BackupOptions): Promise<ExitCode> => {
  const { why, json } = options;
  const directory = path.resolve(options.directory);
  if (existsSync(directory))
    throw usageError(`${options.directory}: is there already; name another directory`);
  const target = verifierTarget(options);
  if (target.kind !== 'socket')
    throw usageError('a backup is made on the verifier’s machine: --verifier is its directory');
  return withVerifier(options, async (client) => {
    const {
      folder,
      head: atLeast,
      hasRoot,
      hasPassphrase,
    } = await client.call(backupEndpoints.makeBackup, {
      body: { why },
    });
    const made = path.join(path.dirname(target.path), folder);
    copyDurably(made, directory);
    rmSync(made, { recursive: true });
    const head = await headOf(directory);
    const [seq, least] = [head, atLeast].map((one) => Number(one.split(':')[0]));
    const { kek } = keyFilesIn(layoutOf(directory, '').keys);
    if ((seq ?? 0) < (least ?? 0) || !existsSync(kek))
      throw new CommandError(`${options.directory}: is no whole copy; make another one`);
    if (json) printJson({ ok: true, directory, head, hasRoot, hasPassphrase });
    else {
      print(`${options.directory}: ${seq} events\nhead   ${head}`);
      printError(
        [
          hasPassphrase
            ? 'Its keys need the passphrase, which is not in it.'
            : `Its keys open as they are: whoever has this copy ${hasRoot ? 'is the trust domain' : 'signs for it until the root says otherwise'}.`,
          ...(hasRoot ? [] : ['The root key is not in it: it is kept elsewhere.']),
          `Check it: hopgate verifier --dir ${shellWord(options.directory)} --check`,
        ].join('\n'),
      );
    }
    return EXIT.ok;
  });
};
