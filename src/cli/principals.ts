/** `hopgate principals`: who may let agents act, with which keys, and which identity provider says who somebody is. */
import { type PrincipalRecord, principalEndpoints } from '../api/principals.ts';
import { thumbprintOf } from '../core/keys.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { addCommand, keyCommand } from './principals-add.ts';
import { groupsCommand } from './principals-groups.ts';
import { issuerCommand } from './principals-issuers.ts';
import {
  describeCeiling,
  findPrincipal,
  NAME_ARGUMENT,
  type PrincipalOptions,
  WHY_OPTION,
} from './principals-words.ts';
import { print, printable, printError, printJson, table } from './terminal.ts';
import { VERIFIER_OPTIONS, withVerifier } from './verifier-connection.ts';

const JSON_OPTION = { type: 'boolean', default: false, describe: 'JSON' } as const;

const list = (options: PrincipalOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const { principals } = await client.call(principalEndpoints.listPrincipals, {});
    if (options.json) printJson({ ok: true, principals });
    else if (principals.length === 0)
      printError('No principal yet: "hopgate principals add alice" makes one.');
    else print(table(['principal', 'keys', 'may grant', 'approver', 'groups'], principals.map(rowOf)));
    return EXIT.ok;
  });

const rowOf = ({ uri, keys, ceiling, approver, groups }: PrincipalRecord): string[] => [
  uri,
  keys.map(({ name }) => name).join(' ') || '(logs in)',
  describeCeiling(ceiling),
  approver ? 'yes' : '',
  groups.map(printable).join(' '),
];

const show = (options: PrincipalOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const one = await findPrincipal(client, options.name);
    if (options.json) printJson({ ok: true, ...one });
    else {
      const { uri, human, keys, ceiling, approver, groups } = one;
      print(`${uri}${human ? '' : ' (no human)'}${approver ? ', approver' : ''}`);
      print(`  may grant   ${describeCeiling(ceiling)}`);
      print(`  to          ${ceiling.delegatees.join(' ')}`);
      if (groups.length > 0) print(`  groups      ${printable(groups.join(' '))}`);
      for (const { name, x } of keys) print(`  key         ${printable(name)}  ${thumbprintOf(x)}`);
    }
    return EXIT.ok;
  });

const remove = (options: PrincipalOptions & { readonly key: string | undefined }): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const { uri, keys } = await findPrincipal(client, options.name);
    const { why } = options;
    if (options.key === undefined) {
      await client.call(principalEndpoints.removePrincipal, { params: { uri }, body: { why } });
      printError(`${uri} is gone; every chain that it began ends with the next bundle.`);
      return EXIT.ok;
    }
    const key = keys.find(({ name, x }) => name === options.key || thumbprintOf(x) === options.key);
    if (key === undefined)
      throw usageError(
        `${uri} has no key "${options.key}"; it has ${keys.map(({ name }) => name).join(', ')}`,
      );
    await client.call(principalEndpoints.removePrincipalKey, {
      params: { uri, thumbprint: thumbprintOf(key.x) },
      body: { why },
    });
    printError(
      `The key ${key.name} of ${uri} is gone; every chain that it signed ends with the next bundle.`,
    );
    return EXIT.ok;
  });

const as =
  <Options>(run: (options: Options) => Promise<ExitCode>): Command['run'] =>
  (options) =>
    withFaultLines(() => run(options as unknown as Options));

const listCommand: Command = {
  name: 'list',
  describe: 'All of them, with what they may grant',
  options: (yargs) =>
    yargs.options(VERIFIER_OPTIONS).option('json', JSON_OPTION).example('$0 principals list', ''),
  run: as(list),
};
const showCommand: Command = {
  name: 'show <name>',
  describe: 'One of them',
  options: (yargs) =>
    yargs
      .positional('name', NAME_ARGUMENT)
      .options(VERIFIER_OPTIONS)
      .option('json', JSON_OPTION)
      .example('$0 principals show alice', ''),
  run: as(show),
};
const removeCommand: Command = {
  name: 'remove <name>',
  describe: 'Remove a principal, or one of its keys: every chain that hangs on it ends',
  options: (yargs) =>
    yargs
      .positional('name', NAME_ARGUMENT)
      .option('key', { type: 'string', requiresArg: true, describe: 'Only this key: its name or thumbprint' })
      .option('why', WHY_OPTION)
      .options(VERIFIER_OPTIONS)
      .example('$0 principals remove alice --why "left the company"', '')
      .example('$0 principals remove alice --key laptop --why stolen', 'only this key'),
  run: as(remove),
};

export const command: Command = {
  name: 'principals',
  describe: 'Who may let agents act: keys, ceilings, identity providers',
  below: [listCommand, showCommand, addCommand, keyCommand, groupsCommand, removeCommand, issuerCommand],
  options: (yargs) => yargs.options(VERIFIER_OPTIONS).option('json', JSON_OPTION),
  run: as(list),
};
