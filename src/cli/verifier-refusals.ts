/** A verifier's refusal in the middle of a command, as the line for the person at the keyboard. */
import { REASONS } from '../core/reasons.ts';
import { VerifierError } from '../edge/verifier/client.ts';
import { CommandError } from './command.ts';
import { printable } from './terminal.ts';

export const atVerifier = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error;
    const detail = error.message === '' ? REASONS[error.reason].meaning : error.message;
    throw new CommandError(`${error.reason}: ${printable(detail)}`);
  }
};
