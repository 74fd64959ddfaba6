/** Files that a command reads, with `-` for stdin. */
import { open } from 'node:fs/promises';
import { CommandError } from './command.ts';

/** yargs turns a `-` on the command line into an empty string; an empty argument (an unset variable) is no wish to wait for stdin. */
export const isStandardInput = (file: string): boolean =>
  file === '-' || (file === '' && process.argv.includes('-'));

/** The trimmed text of a small file, or of stdin. Throws {@link CommandError} past `maxBytes`, and I/O errors. */
export const readSmallFile = async (file: string, maxBytes: number): Promise<string> => {
  const stdin = isStandardInput(file);
  if (!stdin && file === '') throw new CommandError('the file name is empty');
  const handle = stdin ? undefined : await open(file, 'r');
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of handle?.createReadStream({ autoClose: false }) ?? process.stdin) {
      chunks.push(chunk as Buffer);
      size += (chunk as Buffer).length;
      if (size > maxBytes)
        throw new CommandError(
          `${stdin ? 'stdin' : file}: more than ${maxBytes} octets, which no such object has`,
        );
    }
    return Buffer.concat(chunks).toString('utf8').trim();
  } finally {
    await handle?.close();
  }
};
