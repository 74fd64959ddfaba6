/** `hopgate revoke`: ends a link, key, agent, task, or what a principal granted; shown first, and told everywhere. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Argv } from 'yargs';
import { type RevocationDone, type RevocationTarget, revocationEndpoints } from '../api/revocations.ts';
import {
  mintRevocationRequest,
  type RequestedTarget,
  verifierIdOf,
} from '../core/trust/revocation-request.ts';
import type { SigningKey } from '../edge/keys/signing-key.ts';
import { type VerifierClient, VerifierError } from '../edge/verifier/client.ts';
import { readKey } from '../verifier/local/files.ts';
import { fullAgentId } from './agents-entry.ts';
import { askYes } from './ask-yes.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { describeEnforced, hasBundle, WAIT_OPTIONS, type WaitOptions, whereEnforced } from './enforced.ts';
import { printDone, printPreview, printRevocations } from './revoke-report.ts';
import {
  agentTarget,
  keyTarget,
  linkTarget,
  principalTarget,
  type TargetOptions,
  taskTarget,
} from './revoke-target.ts';
import { print, printError, printJson } from './terminal.ts';
import { nowSeconds } from './time-words.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, WHY_OPTION, withVerifier } from './verifier-connection.ts';
import { fetchTrust } from './verifier-trust.ts';

interface RevokeOptions extends TargetOptions, WaitOptions {
  readonly verifier: string | undefined;
  readonly identity: string | undefined;
  readonly as: string | undefined;
  readonly why: string;
  readonly yes: boolean;
  readonly json: boolean;
}

const common = (yargs: Argv): Argv =>
  yargs
    .option('verifier', VERIFIER_OPTIONS.verifier)
    .option('identity', {
      type: 'string',
      requiresArg: true,
      describe: 'With --verifier https://…: folder of the identity to speak as',
    })
    .options(WHY_OPTION)
    .options(WAIT_OPTIONS)
    .option('yes', { type: 'boolean', default: false, describe: 'Revoke without asking' })
    .option('json', { type: 'boolean', default: false, describe: 'One JSON object' });

const asOption = {
  as: {
    type: 'string',
    requiresArg: true,
    describe: 'As the principal, by its own key: alice, for alice.key (PEM, PKCS#8)',
  },
} as const;

const keyOf = (name: string): SigningKey => {
  const file = [name, `${name}.key`].find((one) => existsSync(one));
  if (file === undefined) throw new CommandError(`--as ${name}: there is no such key file`);
  return readKey(file);
};

/** The preview is for operators and auditors; others revoke without one. */
const preview = async (
  client: VerifierClient,
  target: RevocationTarget,
  { json }: RevokeOptions,
): Promise<void> => {
  if (json) return;
  try {
    printPreview(await client.call(revocationEndpoints.previewRevocation, { body: { target } }));
  } catch (error) {
    const isOthers =
      error instanceof VerifierError && ['api_forbidden', 'api_unauthenticated'].includes(error.reason);
    if (!isOthers) throw error;
    printError('What it will cut is for operators to see.');
  }
};

/** What the principal signs of a target; undefined for what is not a principal's to revoke. */
const requested = (target: RevocationTarget): RequestedTarget | undefined => {
  if ('task' in target) return { task: target.task };
  if ('principal' in target) return { before: target.before ?? nowSeconds() + 1 };
  if ('key' in target) return { key: target.key };
  return 'link' in target && target.link !== undefined ? { link: target.link } : undefined;
};

/** Signed here with the principal's key; whom that key speaks for, the bundle says. */
const asPrincipal = async (
  client: VerifierClient,
  target: RevocationTarget,
  { as = '', why }: RevokeOptions,
): Promise<RevocationDone> => {
  const key = keyOf(as);
  const { bundle } = await fetchTrust(client, nowSeconds());
  const anchor = bundle.value.anchors.get(key.thumbprint);
  const principal = anchor?.kind === 'principal' ? anchor.principals[0] : undefined;
  if (principal === undefined)
    throw new CommandError(`${as} is no principal’s key here: "hopgate principals list"`);
  const what = requested(target);
  if (what === undefined || ('principal' in target && target.principal !== principal))
    throw new CommandError(`api_forbidden: that is not ${principal}’s to revoke`);
  const request = mintRevocationRequest(
    {
      aud: verifierIdOf(bundle.value.trustDomain),
      principal,
      target: what,
      iat: nowSeconds(),
      jti: randomBytes(16).toString('base64url'),
    },
    key.x,
    key.sign,
  );
  return client.call(revocationEndpoints.requestRevocation, {
    body: { request, why, ...('chain' in target && { chain: target.chain }) },
  });
};

const revoke = async (
  client: VerifierClient,
  target: RevocationTarget,
  options: RevokeOptions,
): Promise<ExitCode> => {
  await preview(client, target, options);
  await askYes('Revoke it?', 'nothing was revoked', options);
  const done =
    options.as === undefined
      ? await client.call(revocationEndpoints.revoke, { body: { target, why: options.why } })
      : await asPrincipal(client, target, options);
  const where = await whereEnforced(client, hasBundle(done.bundle), options);
  if (options.json) printJson({ ok: true, ...done, enforced: where ?? null });
  else {
    print('');
    printDone(done);
    print(describeEnforced(where));
  }
  return EXIT.ok;
};

const kind = (
  name: string,
  describe: string,
  options: (yargs: Argv) => Argv,
  targetOf: (client: VerifierClient, options: RevokeOptions) => RevocationTarget | Promise<RevocationTarget>,
): Command => ({
  name,
  describe,
  options,
  run: (given) => {
    const typed = given as unknown as RevokeOptions;
    return withFaultLines(() =>
      withVerifier({ verifier: typed.verifier, as: typed.identity, json: typed.json }, async (client) =>
        revoke(client, await targetOf(client, typed), typed),
      ),
    );
  },
});

const what = (yargs: Argv, describe: string): Argv =>
  common(yargs.positional('what', { type: 'string', demandOption: true, describe }));

const link = kind(
  'link <what>',
  'A link and all below it; its signer, an ancestor or an operator may, and its principal',
  (yargs) =>
    what(yargs, 'A chain’s file ("-": stdin), or a link id; put -- before one that begins with "-"')
      .option('link', {
        type: 'string',
        requiresArg: true,
        describe: 'Which link of the chain: id, or place from 0; the last unless given',
      })
      .options(asOption)
      .example('$0 revoke link task.chain --why "wrong scope"', 'its last link, and making it again')
      .example(
        '$0 revoke link task.chain --link 0 --as alice --why "changed my mind"',
        'the whole chain, by Alice herself',
      ),
  (_client, options) => linkTarget(options),
);
const key = kind(
  'key <what>',
  'A key of an agent or a principal, wherever it stands in a chain',
  (yargs) =>
    what(yargs, 'Its thumbprint; put -- before one that begins with "-"')
      .options(asOption)
      .example('$0 revoke key 0W1…4 --why "laptop stolen"', 'an operator')
      .example('$0 revoke key 0W1…4 --as alice --why "laptop stolen"', 'a principal, its own'),
  (_client, options) => keyTarget(options),
);
const agent = kind(
  'agent <what>',
  'An agent, under every key: nothing that it holds or gave counts any more',
  (yargs) =>
    what(yargs, 'planning/1, or its whole SPIFFE ID').example(
      '$0 revoke agent planning/1 --why "prompt injection"',
      '',
    ),
  agentTarget,
);
const task = kind(
  'task <what>',
  'A task and every grant of it',
  (yargs) =>
    what(yargs, 'A chain’s file, or the task id of an audit record; put -- before one that begins with "-"')
      .option('principal', {
        type: 'string',
        requiresArg: true,
        describe: 'Whose task; not needed with a chain, or where the verifier knows it',
      })
      .options(asOption)
      .example('$0 revoke task JTWdS…v4 --principal mailto:alice@company.com --why "runaway"', ''),
  taskTarget,
);
const principal = kind(
  'principal <what>',
  'All that a principal granted until now; what it grants from then on counts',
  (yargs) =>
    what(yargs, 'alice, or mailto:alice@company.com')
      .option('before', {
        type: 'string',
        requiresArg: true,
        describe: 'Only what was granted before: 2026-11-20T15:00:00Z',
      })
      .options(asOption)
      .example('$0 revoke principal alice --why "left the company"', ''),
  principalTarget,
);

const list: Command = {
  name: 'list',
  describe: 'What is revoked',
  options: (yargs) =>
    yargs
      .options(VERIFIER_OPTIONS)
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 revoke list', ''),
  run: (given) => {
    const options = given as unknown as VerifierOptions & { readonly json: boolean };
    return withFaultLines(() =>
      withVerifier(options, async (client) => {
        const { revocations } = await client.call(revocationEndpoints.listRevocations, {
          query: { limit: 1000 },
        });
        if (options.json) printJson({ ok: true, revocations });
        else printRevocations(revocations);
        return EXIT.ok;
      }),
    );
  },
};

const lift: Command = {
  name: 'lift <what>',
  describe: 'Let a revoked agent take part again; an admin’s',
  options: (yargs) =>
    what(yargs, 'Its whole SPIFFE ID').example(
      '$0 revoke lift spiffe://company.com/agent/planning/1 --why "cleaned"',
      '',
    ),
  run: (given) => {
    const options = given as unknown as RevokeOptions;
    return withFaultLines(() =>
      withVerifier(
        { verifier: options.verifier, as: options.identity, json: options.json },
        async (client) => {
          await askYes(`Let ${options.what} take part again?`, 'nothing was changed', options);
          const agent = await fullAgentId(client, options.what);
          const answer = await client.call(revocationEndpoints.liftRevocation, {
            body: { agent, why: options.why },
          });
          const where = await whereEnforced(client, hasBundle(answer.bundle), options);
          if (options.json) printJson({ ok: true, ...answer, enforced: where ?? null });
          else print(describeEnforced(where));
          return EXIT.ok;
        },
      ),
    );
  },
};

const BELOW = 'revoke: link, key, agent, task, principal, list or lift';

export const command: Command = {
  name: 'revoke',
  describe: 'End a link, key, agent, task, or all that a principal granted',
  below: [link, key, agent, task, principal, list, lift],
  options: (yargs) => yargs.demandCommand(1, BELOW),
  run: async () => {
    throw usageError(BELOW);
  },
};
