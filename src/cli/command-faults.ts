/** What may go wrong outside of us, as one line for the person at the keyboard. */
import { ConfigError } from '../config/load.ts';
import { LockedError } from '../edge/store/atomic-file.ts';
import { LocalDomainError } from '../verifier/local/layout.ts';
import { CommandError, EXIT } from './command.ts';

/** The line for a fault that a person can put right; `undefined` for a bug. */
export const faultLine = (error: unknown): string | undefined => {
  if (error instanceof LocalDomainError || error instanceof LockedError || error instanceof ConfigError)
    return error.message;
  // An I/O error of Node: "EACCES: permission denied, open '…'".
  if (error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string')
    return error.message;
  return undefined;
};

/** Runs a command's work; faults of input and I/O end it with one line, bugs with their stack. */
export const withFaultLines = async <T>(work: () => Promise<T> | T): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    const line = faultLine(error);
    throw line === undefined ? error : new CommandError(line);
  }
};

export const usageError = (message: string): CommandError => new CommandError(message, EXIT.usage);
