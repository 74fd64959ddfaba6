/** `hopgate login`: a session of an hour in a folder of its own, to delegate with and to speak to the verifier as. */
import { type Command, EXIT, type ExitCode } from './command.ts';
import { withFaultLines } from './command-faults.ts';
import { LOGIN_OPTIONS, type LoginOptions, logIn } from './log-in.ts';
import { writeSession } from './session-folder.ts';
import { printError, printJson } from './terminal.ts';
import { describeExpiry, formatTime, nowSeconds } from './time-words.ts';
import { VERIFIER_OPTIONS } from './verifier-connection.ts';
import { atVerifier } from './verifier-refusals.ts';
import { fetchTrust } from './verifier-trust.ts';

interface Options extends LoginOptions {
  readonly out: string;
  readonly json: boolean;
}

export const command: Command = {
  name: 'login',
  describe: 'Log in at the company’s identity provider: a session of an hour, bound to a key of its own',
  options: (yargs) =>
    yargs
      .option('verifier', VERIFIER_OPTIONS.verifier)
      .option('root', {
        type: 'string',
        requiresArg: true,
        describe: 'With --verifier https://…: thumbprint of the root key, as --root=…',
      })
      .options(LOGIN_OPTIONS)
      .option('out', {
        type: 'string',
        requiresArg: true,
        default: 'session',
        describe: 'Folder of the session',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 login', 'in a browser, at the verifier in ./verifier')
      .example('$0 login --device --verifier https://verifier.company.com:14300 --root="$ROOT"', 'over ssh')
      .example('$0 delegate --as session --to planning/1 --scope cloud:read --out task.chain', 'and then'),
  run: (options) => withFaultLines(() => atVerifier(() => run(options as unknown as Options))),
};

const run = async (options: Options): Promise<ExitCode> => {
  const { session, client } = await logIn(options, {});
  try {
    writeSession(options.out, session, await fetchTrust(client, nowSeconds()));
  } finally {
    await client.close();
  }
  const { id, principal, svidNotAfter, link } = session.answer;
  if (options.json)
    printJson({
      ok: true,
      session: id,
      principal,
      expires: formatTime(svidNotAfter),
      mayDelegate: link !== undefined,
      out: options.out,
    });
  else
    printError(
      `${principal} is ${id}; it ${describeExpiry(svidNotAfter, nowSeconds())}\nwritten to ${options.out}; use it with --as ${options.out}${link === undefined ? ' (your groups may not delegate)' : ''}`,
    );
  return EXIT.ok;
};
