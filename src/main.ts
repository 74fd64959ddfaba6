/** argv to command; the only place that ends the process. */
import type { Argv } from 'yargs';
import { type Command, CommandError, EXIT } from './cli/command.ts';
import { version } from './version.ts';

// Imported when asked for: a sidecar doesn't load what only `init` needs.
const COMMANDS: Readonly<Record<string, () => Promise<{ readonly command: Command | readonly Command[] }>>> =
  {
    agents: () => import('./cli/agents.ts'),
    approve: () => import('./cli/approve.ts'),
    audit: () => import('./cli/audit.ts'),
    delegate: () => import('./cli/delegate.ts'),
    demo: () => import('./cli/demo.ts'),
    init: () => import('./cli/init.ts'),
    inspect: () => import('./cli/inspect.ts'),
    join: () => import('./cli/join.ts'),
    lists: () => import('./cli/lists.ts'),
    login: () => import('./cli/login.ts'),
    logout: () => import('./cli/logout.ts'),
    logs: () => import('./cli/logs.ts'),
    policy: () => import('./cli/policy.ts'),
    principals: () => import('./cli/principals.ts'),
    quarantine: () => import('./cli/quarantine.ts'),
    revoke: () => import('./cli/revoke.ts'),
    sidecar: () => import('./cli/sidecar.ts'),
    status: () => import('./cli/status.ts'),
    task: () => import('./cli/task.ts'),
    trace: () => import('./cli/trace.ts'),
    verifier: () => import('./cli/verifier.ts'),
  };

/** `sidecar --config FILE`, as every container starts it: read without the 40 ms that any other command line takes. */
const sidecarConfig = (args: readonly string[]): string | undefined => {
  const [name, option, file, ...more] = args;
  const isPlain = name === 'sidecar' && option === '--config' && more.length === 0;
  return isPlain && file !== undefined && file !== '' && !file.startsWith('-') ? file : undefined;
};

const startSidecar = async (config: string): Promise<number> => {
  const { command } = await import('./cli/sidecar.ts');
  return command.run({ config, check: false });
};

const runCommand = async (args: readonly string[]): Promise<number> => {
  let code: number = EXIT.ok;
  const { default: yargs } = await import('yargs');
  const cli = yargs([...args])
    .scriptName('hopgate')
    .usage('$0 <command>\n\nThe sidecar that trusts no hop.')
    .strict()
    .demandCommand(1, 'Name a command; "hopgate --help" lists them.')
    .recommendCommands()
    .version(version)
    .help()
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new CommandError(message ?? 'wrong usage', EXIT.usage);
    });
  const register = (to: Argv, one: Command): void => {
    const options = (inner: Argv): Argv => {
      for (const below of one.below ?? []) register(inner, below);
      return one.options(inner);
    };
    to.command(one.name, one.describe, options, async (given) => {
      code = await one.run(given as Record<string, unknown>);
    });
  };
  const wanted = args.find((arg) => !arg.startsWith('-'));
  const names = wanted !== undefined && Object.hasOwn(COMMANDS, wanted) ? [wanted] : Object.keys(COMMANDS);
  for (const name of names) {
    const { command } = (await COMMANDS[name]?.()) ?? {};
    for (const one of Array.isArray(command) ? (command as readonly Command[]) : [command as Command])
      register(cli, one);
  }
  await cli.parseAsync();
  return code;
};

const main = async (args: readonly string[]): Promise<number> => {
  try {
    const config = sidecarConfig(args);
    return await (config === undefined ? runCommand(args) : startSidecar(config));
  } catch (error) {
    if (error instanceof CommandError) {
      process.stderr.write(`hopgate: ${error.message}\n`);
      return error.code;
    }
    throw error;
  }
};

// Who reads no further (`| head`) ends nothing that a command has begun.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
process.exitCode = await main(process.argv.slice(2));
