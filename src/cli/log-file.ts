/** What every log command does with the files it is given. */
import { access, constants, stat } from 'node:fs/promises';
import type { LogLine } from '../edge/store/log-reader.ts';
import { CommandError } from './command.ts';
import { printable } from './terminal.ts';

/** The size of a file in octets; throws what a person can act on, before anything is printed. */
export const checkReadable = async (file: string): Promise<number> => {
  try {
    await access(file, constants.R_OK);
    const found = await stat(file);
    if (!found.isDirectory()) return found.size;
  } catch (error) {
    throw new CommandError(`${printable(file)} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
  throw new CommandError(`${printable(file)} is a folder; name the log file in it`);
};

const REPORTED_FROM_BYTES = 50_000_000;

/** Says on stderr how far a large file is read; silent for others. */
export const progressOf = (file: string, bytes: number): ((read: number) => void) | undefined => {
  if (bytes <= REPORTED_FROM_BYTES) return undefined;
  const isTerminal = process.stderr.isTTY;
  const step = isTerminal ? 1 : 10;
  let said = 0;
  return (read) => {
    const percent = Math.floor((read / bytes) * 100);
    if (percent < said + step) return;
    said = percent;
    const text = `${printable(file)}: ${percent} % of ${Math.round(bytes / 1_000_000)} MB`;
    if (isTerminal) process.stderr.write(percent === 100 ? '\r\u001b[K' : `\r\u001b[K${text}`);
    else process.stderr.write(`${text}\n`);
  };
};

/** `file:line`, fit for a terminal. */
export const placeOf = ({ path, number }: Pick<LogLine, 'path' | 'number'>): string =>
  `${printable(path)}:${number}`;
