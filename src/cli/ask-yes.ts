/** A question before what can't be taken back. */
import { createInterface } from 'node:readline/promises';
import { CommandError } from './command.ts';
import { usageError } from './command-faults.ts';

export interface AskOptions {
  readonly yes?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** Goes on when a person says yes, or `--yes` did. Throws otherwise, with what did not happen. */
export const askYes = async (
  question: string,
  otherwise: string,
  { yes, json }: AskOptions,
): Promise<void> => {
  if (yes === true) return;
  if (json === true || !process.stdin.isTTY)
    throw usageError('nobody is here to be asked: --yes goes on without');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`\n${question} Type yes: `);
    if (answer.trim() !== 'yes') throw new CommandError(otherwise);
  } finally {
    terminal.close();
  }
};
