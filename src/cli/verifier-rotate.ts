/** `hopgate verifier rotate`: replaces a role key, in time or at once. */
import { KEY_ROLE, keyEndpoints } from '../api/keys.ts';
import type { Command } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, withVerifier } from './verifier-connection.ts';
import { tell } from './verifier-root.ts';

interface RotateOptions extends VerifierOptions {
  readonly role: (typeof KEY_ROLE.options)[number];
  readonly compromised: boolean;
  readonly key: string | undefined;
  readonly why: string;
  readonly json: boolean;
}

export const rotateCommand: Command = {
  name: 'rotate <role>',
  describe: 'Replace a role key: with overlap, or at once when somebody else has it',
  options: (yargs) =>
    yargs
      .positional('role', { choices: KEY_ROLE.options, demandOption: true, describe: 'Whose key' })
      .options(VERIFIER_OPTIONS)
      .option('compromised', {
        type: 'boolean',
        default: false,
        describe: 'Drop it now: what it signed is believed no longer, and must be issued anew',
      })
      .option('key', {
        type: 'string',
        requiresArg: true,
        describe: 'With --compromised: another key than the active one',
      })
      .option('why', { type: 'string', requiresArg: true, demandOption: true, describe: 'For the ledger' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 verifier rotate svid-ca --why "yearly drill"', 'nobody is cut off')
      .example(
        '$0 verifier rotate wit-issuer --compromised --why "backup tape lost"',
        'every agent must renew before it is believed again',
      ),
  run: (given) => {
    const options = given as unknown as RotateOptions;
    const { role, compromised, key: thumbprint, why } = options;
    return withFaultLines(() => {
      if (thumbprint !== undefined && !compromised) throw usageError('--key goes with --compromised');
      return withVerifier(options, async (client) => {
        const body = { role, compromised, why, ...(thumbprint !== undefined && { thumbprint }) };
        return tell(await client.call(keyEndpoints.rotateKey, { body }), options);
      });
    });
  },
};
