/** `hopgate principals groups`: what policy goes by besides who somebody is. */
import { type PrincipalRecord, principalEndpoints } from '../api/principals.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { findPrincipal, NAME_ARGUMENT, type PrincipalOptions, WHY_OPTION } from './principals-words.ts';
import { print, printable, printError, printJson } from './terminal.ts';
import { VERIFIER_OPTIONS, withVerifier } from './verifier-connection.ts';

interface GroupOptions extends PrincipalOptions {
  readonly groups: readonly string[];
  readonly none: boolean;
}

const groupsOf = ({ groups, none }: GroupOptions): readonly string[] | undefined => {
  if (none && groups.length > 0) throw usageError('--none goes without groups');
  return none || groups.length > 0 ? groups : undefined;
};

const run = (options: GroupOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const wanted = groupsOf(options);
    const was = await findPrincipal(client, options.name);
    const now: PrincipalRecord =
      wanted === undefined
        ? was
        : await client.call(principalEndpoints.changePrincipal, {
            params: { uri: was.uri },
            body: { groups: [...wanted], why: options.why },
          });
    if (options.json) printJson({ ok: true, principal: now.uri, groups: now.groups });
    else if (now.groups.length === 0) printError(`${now.uri} is in no group.`);
    else for (const group of now.groups) print(printable(group));
    return EXIT.ok;
  });

export const groupsCommand: Command = {
  name: 'groups <name> [groups..]',
  describe: 'Put a principal into these groups and no others; without any, show. An admin’s to say',
  options: (yargs) =>
    yargs
      .positional('name', NAME_ARGUMENT)
      .positional('groups', {
        type: 'string',
        array: true,
        default: [] as readonly string[],
        describe: 'All groups that it is in from now on',
      })
      .option('none', { type: 'boolean', default: false, describe: 'Take it out of every group' })
      .option('why', WHY_OPTION)
      .options(VERIFIER_OPTIONS)
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 principals groups alice sre oncall', 'those two, from now on')
      .example('$0 principals groups alice', 'shows them'),
  run: (options) => withFaultLines(() => run(options as unknown as GroupOptions)),
};
