/** `hopgate principals add` and `key`: a principal with a key of its own, which never leaves this machine. */
import { createPublicKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { type CeilingWish, principalEndpoints } from '../api/principals.ts';
import { trustEndpoints } from '../api/trust.ts';
import { parseDuration } from '../config/forms.ts';
import { parseStrictObjectText } from '../core/encoding/json.ts';
import { jwkFault, thumbprintOf } from '../core/keys.ts';
import { isPrincipal } from '../core/spiffe-id.ts';
import { parseRoles } from '../core/trust/roles.ts';
import { makeSigningKey, privateKeyPem, type SigningKey } from '../edge/keys/signing-key.ts';
import { writeFilesAtomic } from '../edge/store/atomic-file.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { nextDelegation } from './next-delegation.ts';
import {
  describeCeiling,
  findPrincipal,
  NAME_ARGUMENT,
  type PrincipalOptions,
  shortNameOf,
  WHY_OPTION,
} from './principals-words.ts';
import { printError, printJson } from './terminal.ts';
import { VERIFIER_OPTIONS, withVerifier } from './verifier-connection.ts';

interface AddOptions extends PrincipalOptions {
  readonly key: string | undefined;
  readonly 'no-key': boolean | undefined;
  readonly out: string | undefined;
  readonly scope: readonly string[] | undefined;
  readonly ttl: string | undefined;
  readonly depth: number | undefined;
  readonly delegatee: readonly string[] | undefined;
  readonly approver: boolean;
  readonly machine: boolean;
  readonly group: readonly string[] | undefined;
}

/** A public key as JWK, or PEM (SPKI); `x`, base64url of 32 octets. A private one is refused, not used. */
const readPublicKey = (file: string): string => {
  const text = readFileSync(file, 'utf8').trim();
  if (text.includes('PRIVATE KEY'))
    throw new CommandError(`${file} is a private key; the verifier gets the public one`);
  if (text.startsWith('-----BEGIN')) {
    try {
      const { crv, x } = createPublicKey(text).export({ format: 'jwk' });
      if (crv === 'Ed25519' && x !== undefined) return x;
    } catch {
      // The same line says what is wanted.
    }
    throw new CommandError(`${file} is not a public Ed25519 key in PEM`);
  }
  const parsed = parseStrictObjectText(text);
  const fault = parsed.ok ? jwkFault(parsed.value) : parsed;
  if (fault !== undefined || !parsed.ok)
    throw new CommandError(`${file} is not a public Ed25519 JWK: ${fault?.detail}`);
  return String(parsed.value.x);
};

interface KeyPlan {
  readonly x: string;
  /** Where the private half goes once the verifier has the public one. */
  readonly made: { readonly file: string; readonly key: SigningKey } | undefined;
}

const planKey = ({ key, out }: Pick<AddOptions, 'key' | 'out'>, name: string): KeyPlan => {
  if (key !== undefined) return { x: readPublicKey(key), made: undefined };
  const file = out ?? `${name}.key`;
  if (existsSync(file))
    throw new CommandError(
      `${file} is there already; name its public half with --key, or another file with --out`,
    );
  const made = makeSigningKey();
  return { x: made.x, made: { file, key: made } };
};

/** Before it is registered: a key that only the verifier knew would be nobody's. */
const keep = ({ made }: KeyPlan): void => {
  if (made !== undefined) writeFilesAtomic([{ file: made.file, content: privateKeyPem(made.key.key) }]);
};

const uriOf = async (client: VerifierClient, name: string): Promise<string> => {
  if (isPrincipal(name)) return name;
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name))
    throw usageError(`"${name}": a name such as alice, or a URI such as mailto:alice@company.com`);
  const roles = parseRoles((await client.call(trustEndpoints.getRoles, {})).roles);
  if (!roles.ok) throw new CommandError(`the verifier's roles: ${roles.reason}: ${roles.detail}`);
  return `mailto:${name}@${roles.value.roles.trustDomain}`;
};

const ceilingOf = ({ scope, ttl, depth, delegatee }: AddOptions): CeilingWish => {
  const seconds = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttl !== undefined && seconds === undefined)
    throw usageError(`--ttl ${ttl}: a duration such as 15m or 2h`);
  return {
    ...(scope !== undefined && { scope: [...scope] }),
    ...(seconds !== undefined && { maxTtlSeconds: seconds }),
    ...(depth !== undefined && { maxDepth: depth }),
    ...(delegatee !== undefined && { delegatees: [...delegatee] }),
  };
};

const add = (options: AddOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const uri = await uriOf(client, options.name);
    const name = shortNameOf(uri).replace(/[^A-Za-z0-9._-]/g, '-');
    const plan = options['no-key'] ? undefined : planKey(options, name);
    if (plan !== undefined) keep(plan);
    const record = await client.call(principalEndpoints.addPrincipal, {
      body: {
        uri,
        human: !options.machine,
        approver: options.approver,
        ceiling: ceilingOf(options),
        ...(options.group !== undefined && { groups: [...options.group] }),
        keys: plan === undefined ? [] : [{ x: plan.x, name: 'first' }],
        why: options.why,
      },
    });
    const made = plan?.made?.file;
    if (options.json) printJson({ ok: true, ...record, ...(made !== undefined && { privateKey: made }) });
    else {
      printError(`${uri} may grant ${describeCeiling(record.ceiling)}`);
      if (made !== undefined)
        printError(
          `${made} is the private key: it stays here. Next:\n  ${await nextDelegation(client, made, options.verifier)}`,
        );
    }
    return EXIT.ok;
  });

const addKey = (options: AddOptions & { readonly label: string }): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const { uri } = await findPrincipal(client, options.name);
    const plan = planKey(options, `${shortNameOf(uri)}-${options.label}`);
    keep(plan);
    await client.call(principalEndpoints.addPrincipalKey, {
      params: { uri },
      body: { x: plan.x, name: options.label, why: options.why },
    });
    const thumbprint = thumbprintOf(plan.x);
    if (options.json) printJson({ ok: true, principal: uri, name: options.label, thumbprint });
    else
      printError(
        `${uri} has the key "${options.label}" (${thumbprint})${plan.made === undefined ? '' : `; ${plan.made.file} stays here`}`,
      );
    return EXIT.ok;
  });

const KEY_OPTIONS = {
  key: { type: 'string', requiresArg: true, describe: 'Public key that exists already: JWK or PEM' },
  out: { type: 'string', requiresArg: true, describe: 'Where the private key goes  [default: NAME.key]' },
  why: WHY_OPTION,
  json: { type: 'boolean', default: false, describe: 'One JSON object' },
} as const;

export const addCommand: Command = {
  name: 'add <name>',
  describe: 'Register a principal; makes its key here unless --key names one',
  options: (yargs) =>
    yargs
      .positional('name', {
        type: 'string',
        demandOption: true,
        describe: 'alice, or mailto:alice@company.com',
      })
      .options(VERIFIER_OPTIONS)
      .options(KEY_OPTIONS)
      // Without a default, which yargs takes for a given value that conflicts.
      .option('no-key', {
        type: 'boolean',
        describe: 'Without a key: logs in, and nothing else',
      })
      .option('scope', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'The most that it may grant; repeatable  [default: all scope sets]',
      })
      .option('ttl', { type: 'string', requiresArg: true, describe: 'For how long at most  [default: 2h]' })
      .option('depth', { type: 'number', requiresArg: true, describe: 'Longest chain  [default: 5]' })
      .option('delegatee', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'To whom: SPIFFE ID or …/TYPE/*; repeatable  [default: all agents]',
      })
      .option('approver', { type: 'boolean', default: false, describe: 'May decide approvals' })
      .option('machine', { type: 'boolean', default: false, describe: 'No human' })
      .option('group', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'A group, for conditions in policy; repeatable',
      })
      .conflicts('key', 'no-key')
      // yargs would read --no-key as --key=false.
      .parserConfiguration({ 'boolean-negation': false })
      .example('$0 principals add alice', 'makes alice.key and registers mailto:alice@<trust domain>')
      .example('$0 principals add alice --group sre', 'policy may go by what she is in')
      .example(
        '$0 principals add mailto:bob@company.com --key bob.pub.json --scope cloud:read --ttl 30m',
        '',
      ),
  run: (options) => withFaultLines(() => add(options as unknown as AddOptions)),
};

export const keyCommand: Command = {
  name: 'key <name> <label>',
  describe: 'Give a principal a further key',
  options: (yargs) =>
    yargs
      .positional('name', NAME_ARGUMENT)
      .positional('label', {
        type: 'string',
        demandOption: true,
        describe: 'What the key is called, such as laptop',
      })
      .options(VERIFIER_OPTIONS)
      .options(KEY_OPTIONS)
      .example('$0 principals key alice laptop', 'makes alice-laptop.key'),
  run: (options) =>
    withFaultLines(() => addKey(options as unknown as AddOptions & { readonly label: string })),
};
