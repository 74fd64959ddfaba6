/** What the commands about principals have in common: names of people, ceilings in words. */
import { type Ceiling, type PrincipalRecord, principalEndpoints } from '../api/principals.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { CommandError } from './command.ts';
import { printable } from './terminal.ts';
import { describeDuration } from './time-words.ts';
import type { VerifierOptions } from './verifier-connection.ts';

export interface PrincipalOptions extends VerifierOptions {
  readonly name: string;
  readonly why: string;
  readonly json: boolean;
}

export const WHY_OPTION = {
  type: 'string',
  requiresArg: true,
  default: 'from the command line',
  describe: 'Why; it goes into the ledger',
} as const;

export const describeCeiling = ({ scope, maxTtlSeconds, maxDepth }: Ceiling): string =>
  `${scope.join(' ')} for ${describeDuration(maxTtlSeconds)}, chains of ${maxDepth}`;

/** `alice` of `mailto:alice@company.com`. */
export const shortNameOf = (uri: string): string => uri.slice(uri.indexOf(':') + 1).split('@')[0] ?? uri;

/** For yargs. */
export const NAME_ARGUMENT = {
  type: 'string',
  demandOption: true,
  describe: 'URI, or what stands before the @',
} as const;

/** By URI, or by a short name that only one of them has. */
export const findPrincipal = async (client: VerifierClient, name: string): Promise<PrincipalRecord> => {
  const { principals } = await client.call(principalEndpoints.listPrincipals, {});
  const found = principals.filter(({ uri }) => uri === name || shortNameOf(uri) === name);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  throw new CommandError(
    found.length > 1
      ? `"${printable(name)}" is one of ${found.map(({ uri }) => uri).join(', ')}: say which`
      : `the verifier knows no principal "${printable(name)}"; "hopgate principals list" shows them`,
  );
};
