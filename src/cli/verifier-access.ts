/** `hopgate verifier access`: who has which role at the verifier. */
import type { Argv } from 'yargs';
import { bindableRole, roleBindingEndpoints } from '../api/role-bindings.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { fullId } from './agents-entry.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { print, printable, printError, printJson, table } from './terminal.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, WHY_OPTION, withVerifier } from './verifier-connection.ts';

interface AccessOptions extends VerifierOptions {
  readonly subject: string;
  readonly role: (typeof bindableRole.options)[number];
  readonly why: string;
  readonly json: boolean;
}

const COMMON = {
  ...VERIFIER_OPTIONS,
  json: { type: 'boolean', default: false, describe: 'One JSON object' },
} as const;

const PAGE = 1000;

const bindingsOf = async (client: VerifierClient) => {
  const all = [];
  for (let after: string | undefined; ; ) {
    const query = { limit: PAGE, ...(after !== undefined && { after }) };
    const { bindings } = await client.call(roleBindingEndpoints.listRoleBindings, { query });
    all.push(...bindings);
    after = bindings.at(-1)?.id;
    if (bindings.length < PAGE) return all;
  }
};

/** `group:…` as it is; `client/alice` and `planning/*` in the verifier's trust domain. */
const subjectOf = (client: VerifierClient, subject: string): Promise<string> =>
  subject.startsWith('group:') ? Promise.resolve(subject) : fullId(client, subject);

const list = (options: AccessOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const bindings = await bindingsOf(client);
    if (options.json) printJson({ ok: true, bindings });
    else if (bindings.length === 0)
      printError('Nobody has a role yet but whoever may open the verifier’s socket.');
    else
      print(
        table(
          ['role', 'who'],
          bindings.map(({ role, subject }) => [role, printable(subject)]),
        ),
      );
    return EXIT.ok;
  });

const give = (options: AccessOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const { role, why, json } = options;
    const subject = await subjectOf(client, options.subject);
    const binding = await client.call(roleBindingEndpoints.addRoleBinding, { body: { subject, role, why } });
    if (json) printJson({ ok: true, ...binding });
    else printError(`${printable(subject)} is ${role} now.`);
    return EXIT.ok;
  });

const take = (options: AccessOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const { role, why, json } = options;
    const subject = await subjectOf(client, options.subject);
    const found = (await bindingsOf(client)).find((one) => one.subject === subject && one.role === role);
    if (found === undefined)
      throw new CommandError(`${printable(subject)} is not ${role} by a binding of its own`);
    await client.call(roleBindingEndpoints.removeRoleBinding, { params: { id: found.id }, body: { why } });
    if (json) printJson({ ok: true, ...found });
    else printError(`${printable(subject)} is no ${role} any more; what it has open is cut.`);
    return EXIT.ok;
  });

const change = (yargs: Argv): Argv =>
  yargs
    .positional('subject', {
      type: 'string',
      demandOption: true,
      describe: 'client/alice, deployer/*, a SPIFFE ID, or group:ISSUER#GROUP',
    })
    .positional('role', { choices: bindableRole.options, demandOption: true, describe: 'Which role' })
    .options(COMMON)
    .options(WHY_OPTION);

const as =
  (run: (options: AccessOptions) => Promise<ExitCode>): Command['run'] =>
  (options) =>
    withFaultLines(() => run(options as unknown as AccessOptions));

const below: readonly Command[] = [
  { name: 'list', describe: 'Who has which role', options: (yargs) => yargs.options(COMMON), run: as(list) },
  {
    name: 'give <subject> <role>',
    describe: 'Give a role to an agent, a client, a type of them, or a group of an identity provider',
    options: (yargs) =>
      change(yargs)
        .example('$0 verifier access give client/alice operator --why "on call"', 'by name')
        .example(
          '$0 verifier access give \'group:https://login.company.com#sre\' operator --why "on call"',
          'whoever logs in there and is in the group',
        ),
    run: as(give),
  },
  { name: 'take <subject> <role>', describe: 'Take it away', options: change, run: as(take) },
];

export const accessCommand: Command = {
  name: 'access',
  describe: 'Who has which role at the verifier: admin, operator, approver, auditor',
  below,
  options: (yargs) => yargs.demandCommand(1, 'access: list, give or take'),
  run: async () => {
    throw usageError('access: list, give or take');
  },
};
