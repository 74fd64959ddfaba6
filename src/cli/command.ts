/** What a file in this folder exports, and how a command ends. */
import type { Argv } from 'yargs';

/** Exit codes of every command. */
export const EXIT = { ok: 0, refused: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Command<Options = Record<string, unknown>> {
  /** yargs form: `verify <files..>`. */
  readonly name: string;
  /** Commands below this one: `hopgate verifier events`. Without one of them, this one runs. */
  readonly below?: readonly Command[];
  readonly describe: string;
  readonly options: (yargs: Argv) => Argv<Options>;
  readonly run: (options: Options) => Promise<ExitCode>;
}

/** Ends a command with one line on stderr. The message says what was wrong, where, and what to do. */
export class CommandError extends Error {
  readonly code: ExitCode;
  constructor(message: string, code: ExitCode = EXIT.refused) {
    super(message);
    this.code = code;
  }
}
