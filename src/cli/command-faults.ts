/** What may go wrong outside of us, as one line for the person at the keyboard. */
import { ConfigError } from '../config/load.ts';
import { LockedError } from '../edge/store/atomic-file.ts';
import { LocalDomainError } from '../verifier/local/layout.ts';
import { StoreError } from '../verifier/store/store.ts';
import { VerifierFault } from '../verifier/verifier-fault.ts';
import { CommandError, EXIT } from './command.ts';

const FOR_PEOPLE = [LocalDomainError, LockedError, ConfigError, StoreError, VerifierFault];

/** The line for a fault that a person can put right; `undefined` for a bug. */
export const faultLine = (error: unknown): string | undefined => {
  if (FOR_PEOPLE.some((one) => error instanceof one)) return (error as Error).message;
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
