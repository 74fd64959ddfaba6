/** `hopgate approve`: what waits for a human is looked at, signed with an approver's own key, or refused. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { Argv } from 'yargs';
import { type Approval, approvalEndpoints } from '../api/approvals.ts';
import { parseDuration } from '../config/forms.ts';
import { mintLinkApproval } from '../core/approval/link-approval.ts';
import { mintRequestApproval } from '../core/approval/request-approval.ts';
import { isDigest } from '../core/encoding/members.ts';
import type { SigningKey } from '../edge/keys/signing-key.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { idOf, MAX_LINK_TOKEN_SECONDS, MAX_REQUEST_TOKEN_SECONDS } from '../verifier/approvals/wish.ts';
import { readKey } from '../verifier/local/files.ts';
import { printApproval, printApprovals } from './approve-report.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { print, printJson } from './terminal.ts';
import { describeExpiry, nowSeconds } from './time-words.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, withVerifier } from './verifier-connection.ts';
import { fetchTrust } from './verifier-trust.ts';

interface ApproveOptions extends VerifierOptions {
  readonly id: string | undefined;
  readonly json: boolean;
  readonly all: boolean | undefined;
  readonly identity: string | undefined;
  readonly ttl: string | undefined;
  readonly why: string | undefined;
  readonly body: string | undefined;
  readonly yes: boolean | undefined;
}

const JSON_OPTION = { json: { type: 'boolean', default: false, describe: 'One JSON object' } } as const;
const PAGE = 1000;

const idArgument = (yargs: Argv): Argv =>
  yargs.positional('id', {
    type: 'string',
    describe:
      'Of the approval, as the refusal and "hopgate approve list" say it; --id=ID where it begins with "-"',
  });

/** Ids may begin with "-", which the command line takes for an option unless it is said with --id=. */
const idIn = ({ id }: ApproveOptions): string => {
  if (id !== undefined && isDigest(id)) return id;
  throw usageError('which approval? Its id has 43 characters; --id=ID where it begins with "-"');
};

const subcommand = (
  name: string,
  describe: string,
  options: (yargs: Argv) => Argv,
  run: (client: VerifierClient, options: ApproveOptions) => Promise<ExitCode>,
): Command => ({
  name,
  describe,
  options,
  run: (given) => {
    const typed = given as unknown as ApproveOptions;
    const as = name.startsWith('grant') ? typed.identity : typed.as;
    return withFaultLines(() => withVerifier({ ...typed, as }, (client) => run(client, typed)));
  },
});

const list = subcommand(
  'list',
  'What waits for an approver',
  (yargs) =>
    yargs
      .options(VERIFIER_OPTIONS)
      .option('all', { type: 'boolean', default: false, describe: 'What was decided lately too' })
      .options(JSON_OPTION)
      .example('$0 approve list', 'at the verifier in ./verifier'),
  async (client, { all, json }) => {
    const found: Approval[] = [];
    for (;;) {
      const after = found.at(-1)?.id;
      const { approvals } = await client.call(approvalEndpoints.listApprovals, {
        query: {
          limit: PAGE,
          ...(all !== true && { state: 'pending' as const }),
          ...(after !== undefined && { after }),
        },
      });
      found.push(...approvals);
      if (approvals.length < PAGE) break;
    }
    printApprovals(
      found.sort((one, other) => one.asked.at - other.asked.at),
      json,
    );
    return EXIT.ok;
  },
);

/** The approval, which must be what its id says: a verifier can't show one thing and have another signed. */
const fetchApproval = async (client: VerifierClient, options: ApproveOptions): Promise<Approval> => {
  const id = idIn(options);
  const approval = await client.call(approvalEndpoints.getApproval, { params: { id } });
  if (approval.id === id && idOf(approval.wish) === id) return approval;
  throw new CommandError('the verifier shows something else than this id stands for: do not approve it');
};

const show = subcommand(
  'show [id]',
  'All that would be approved',
  (yargs) =>
    idArgument(yargs).options(VERIFIER_OPTIONS).options(JSON_OPTION).example('$0 approve show ID', ''),
  async (client, options) => {
    printApproval(await fetchApproval(client, options), options.json);
    return EXIT.ok;
  },
);

const keyIn = (name: string | undefined): SigningKey => {
  if (name === undefined) throw usageError('who approves? --as KEYFILE, an approver’s private key');
  const found = [name, `${name}.key`].find((file) => existsSync(file));
  if (found === undefined) throw usageError(`--as ${name}: there is no such key file`);
  return readKey(found);
};

const ttlOf = ({ ttl = '10m' }: ApproveOptions, { wish }: Approval): number => {
  const seconds = parseDuration(ttl);
  const most = wish.kind === 'request' ? MAX_REQUEST_TOKEN_SECONDS : MAX_LINK_TOKEN_SECONDS;
  if (seconds === undefined || seconds > most)
    throw usageError(`--ttl ${ttl}: a duration such as 10m, at most ${most / 60}m here`);
  return seconds;
};

/** The body at hand is what was asked for, or it is not what should be looked at. */
const checkBody = ({ body }: ApproveOptions, { wish }: Approval): void => {
  if (body === undefined) return;
  if (wish.kind !== 'request') throw usageError('--body: a delegation has none');
  const digest = createHash('sha256').update(readFileSync(body)).digest('base64url');
  if (digest !== wish.body) throw new CommandError(`${body} is not the body that waits for approval`);
};

const confirm = async ({ yes, json }: ApproveOptions): Promise<void> => {
  if (yes === true) return;
  if (json || !process.stdin.isTTY) throw usageError('nobody is here to be asked: --yes approves without');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question('\nSign this? Type yes: ');
    if (answer.trim() !== 'yes') throw new CommandError('nothing was signed');
  } finally {
    terminal.close();
  }
};

const sign = ({ wish }: Approval, approver: string, ttlSeconds: number, key: SigningKey): string => {
  const iat = nowSeconds();
  const jti = randomBytes(16).toString('base64url');
  const terms = { approver, iat, exp: iat + ttlSeconds, jti };
  return wish.kind === 'request'
    ? mintRequestApproval({ ...wish, ...terms }, key.sign, key.thumbprint)
    : mintLinkApproval({ ...wish, ...terms }, key.sign, key.thumbprint);
};

const grant = subcommand(
  'grant [id]',
  'Approve it: shown, then signed here with your key',
  (yargs) =>
    idArgument(yargs)
      .option('verifier', VERIFIER_OPTIONS.verifier)
      .option('as', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'Your private key, PEM (PKCS#8): bob, for bob.key',
      })
      .option('identity', {
        type: 'string',
        requiresArg: true,
        describe: 'With --verifier https://…: folder of the identity that brings it',
      })
      .option('ttl', {
        type: 'string',
        requiresArg: true,
        default: '10m',
        describe: 'How long it is good for: 1h at most for a request, 24h for a delegation',
      })
      .option('body', { type: 'string', requiresArg: true, describe: 'File that must be the request’s body' })
      .option('why', { type: 'string', requiresArg: true, describe: 'Why; it goes into the ledger' })
      .option('yes', { type: 'boolean', default: false, describe: 'Sign without asking' })
      .options(JSON_OPTION)
      .example('$0 approve grant ID --as bob', 'with bob.key; shows what it is and asks')
      .example('$0 approve grant ID --as bob --ttl 5m --body request.json --yes', 'in a script'),
  async (client, options) => {
    const key = keyIn(options.as);
    const approval = await fetchApproval(client, options);
    const { bundle } = await fetchTrust(client, nowSeconds());
    const approver = bundle.value.approvers.get(key.thumbprint)?.principal;
    if (approver === undefined)
      throw new CommandError(
        `approval_invalid: ${options.as} is no approver’s key; an admin makes somebody one with "hopgate principals"`,
      );
    const ttlSeconds = ttlOf(options, approval);
    checkBody(options, approval);
    if (!options.json) printApproval(approval, false);
    await confirm(options);
    const token = sign(approval, approver, ttlSeconds, key);
    const granted = await client.call(approvalEndpoints.grantApproval, {
      params: { id: approval.id },
      body: { token, why: options.why ?? 'hopgate approve grant' },
    });
    if (options.json) printJson({ ok: true, approval: granted });
    else print(`\napproved by ${approver}; ${describeExpiry(granted.ends, nowSeconds())}`);
    return EXIT.ok;
  },
);

const deny = subcommand(
  'deny [id]',
  'Refuse it; who asks again is told why',
  (yargs) =>
    idArgument(yargs)
      .options(VERIFIER_OPTIONS)
      .option('why', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'Why; who asked hears it',
      })
      .options(JSON_OPTION)
      .example('$0 approve deny ID --why "not on a Friday"', ''),
  async (client, options) => {
    const id = idIn(options);
    const denied = await client.call(approvalEndpoints.denyApproval, {
      params: { id },
      body: { why: options.why ?? '' },
    });
    if (options.json) printJson({ ok: true, approval: denied });
    else print('refused');
    return EXIT.ok;
  },
);

const below = [list, show, grant, deny];

export const command: Command = {
  name: 'approve',
  describe: 'What policy wants a human for: look at it, approve it, refuse it',
  below,
  options: (yargs) => yargs.demandCommand(1, 'approve: list, show, grant or deny'),
  run: async () => {
    throw usageError('approve: list, show, grant or deny');
  },
};
