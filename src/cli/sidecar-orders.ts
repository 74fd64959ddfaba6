/** `hopgate sidecar drain | quit | log-level`: what an operator tells a running sidecar, over its admin socket. */
import type { Argv } from 'yargs';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';

interface OrderOptions {
  readonly config: string | undefined;
  readonly admin: string | undefined;
  readonly json: boolean;
  readonly level?: string;
}

const SIDECAR_OPTIONS = (yargs: Argv): Argv =>
  yargs
    .option('config', { type: 'string', requiresArg: true, describe: 'Its configuration' })
    .option('admin', {
      type: 'string',
      requiresArg: true,
      describe: 'Its admin socket, in place of --config',
    })
    .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
    .conflicts('admin', 'config');

// What it takes is loaded when an order is given: the command that starts a sidecar names these too.
const order = async (options: OrderOptions, target: string, done: string): Promise<ExitCode> => {
  const { callAdmin, findSidecar } = await import('./admin-call.ts');
  const { print, printable, printJson } = await import('./terminal.ts');
  const { status, body } = await callAdmin(findSidecar(options).socket, 'POST', target);
  if (status >= 300) throw new CommandError(`the sidecar answers ${status}: ${printable(body.trim())}`);
  if (options.json) printJson({ ok: true });
  else print(done);
  return EXIT.ok;
};

const command = (
  name: string,
  describe: string,
  more: (yargs: Argv) => Argv,
  run: (options: OrderOptions) => Promise<ExitCode>,
): Command => ({
  name,
  describe,
  options: (yargs) => more(SIDECAR_OPTIONS(yargs)),
  run: async (options) => {
    const { withFaultLines } = await import('./command-faults.ts');
    return withFaultLines(() => run(options as unknown as OrderOptions));
  },
});

export const ORDERS: readonly Command[] = [
  command(
    'drain',
    'Not ready any more; what is under way ends, then the sidecar does',
    (yargs) => yargs.example('$0 sidecar drain --config sidecar.yaml', 'as SIGTERM does'),
    (options) =>
      order(options, '/drain', 'draining; it ends when nothing is under way, or at limits.drainTimeout'),
  ),
  command(
    'quit',
    'The same at once, when nobody comes any more: at the end of a job',
    (yargs) => yargs.example('$0 sidecar quit --admin state/admin.sock', 'in a Job, after its work'),
    (options) => order(options, '/quit', 'ending, with 0, when nothing is under way'),
  ),
  command(
    'log-level <level>',
    'How much it logs, until its next start',
    (yargs) =>
      yargs
        .positional('level', {
          choices: ['debug', 'info', 'warn', 'error'] as const,
          demandOption: true,
          describe: 'The least grave that is written',
        })
        .example('$0 sidecar log-level debug --config sidecar.yaml', 'for as long as a fault is looked for'),
    (options) => order(options, `/loglevel?level=${options.level}`, `it logs ${options.level} and graver`),
  ),
];
