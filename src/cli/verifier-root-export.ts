/** `hopgate verifier root export`: the root key as a file to be kept elsewhere, and taken away from the verifier's machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { KeyEncryption, KeyEncryptionError, readPassphrase } from '../edge/keys/key-encryption.ts';
import {
  exportRootKey,
  importRootKey,
  keyFilesIn,
  readRootFile,
  readRootKey,
  removeRootKey,
} from '../verifier/authority/root-key.ts';
import { DEFAULT_VERIFIER_DIRECTORY, layoutOf } from '../verifier/layout.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { withFaultLines } from './command-faults.ts';
import { printError } from './terminal.ts';

interface ExportOptions {
  readonly file: string;
  readonly dir: string;
  readonly 'passphrase-file': string;
  readonly 'keys-passphrase-file': string | undefined;
  readonly remove: boolean;
}

export const exportCommand: Command = {
  name: 'export <file>',
  describe: 'Write the root key to a file under a passphrase; with --remove, take it offline',
  options: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'Must not exist yet' })
      .option('dir', {
        type: 'string',
        requiresArg: true,
        default: DEFAULT_VERIFIER_DIRECTORY,
        describe: 'The verifier’s directory, on this machine',
      })
      .option('passphrase-file', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'Holds the passphrase for the new file, 16 characters or more',
      })
      .option('keys-passphrase-file', {
        type: 'string',
        requiresArg: true,
        describe: 'keys.passphraseFile of the verifier’s configuration, if it has one',
      })
      .option('remove', {
        type: 'boolean',
        default: false,
        describe: 'Take it away from the verifier: from then on roles are signed with root sign',
      })
      .example(
        '$0 verifier root export /media/safe/root.pem --passphrase-file p --remove',
        'the root goes offline; the running verifier needs no restart',
      ),
  run: (options) => withFaultLines(() => run(options as unknown as ExportOptions)),
};

const run = async (options: ExportOptions): Promise<ExitCode> => {
  const files = keyFilesIn(layoutOf(path.resolve(options.dir), '').keys);
  try {
    const passphrase = readPassphrase(options['passphrase-file']);
    const { trustDomain, thumbprint } = readRootFile(files.root);
    const encryption = await KeyEncryption.open({
      file: files.kek,
      passphraseFile: options['keys-passphrase-file'],
    });
    const root = readRootKey(files.root, trustDomain, encryption);
    if (root === undefined) throw new KeyEncryptionError(`${files.root} is not there any more`);
    writeFileSync(options.file, exportRootKey(root, passphrase), { flag: 'wx', mode: 0o600, flush: true });
    // Only what can be read back may be the last copy.
    if (importRootKey(readFileSync(options.file, 'utf8'), passphrase).thumbprint !== thumbprint)
      throw new KeyEncryptionError(`${options.file} could not be read back`);
    printError(`${options.file}: the root key ${thumbprint} of ${trustDomain}, under the passphrase`);
    if (options.remove) {
      removeRootKey(files.root);
      printError(
        `${files.root} is gone from here (from backups and the disk’s free blocks it is not). Sign roles before they end: root request, root sign, root install.`,
      );
    }
    return EXIT.ok;
  } catch (error) {
    if (error instanceof KeyEncryptionError) throw new CommandError(error.message);
    throw error;
  }
};
