/** `hopgate principals issuer`: which identity providers are believed, what their groups give, and who is who there. */
import { type GroupCeiling, idTokenAlg, principalEndpoints } from '../api/principals.ts';
import { parseDuration } from '../config/forms.ts';
import { HARD_LINK_TTL_SECONDS } from '../core/limits.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { findPrincipal, WHY_OPTION } from './principals-words.ts';
import { print, printable, printError, printJson, table } from './terminal.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, withVerifier } from './verifier-connection.ts';

interface IssuerOptions extends VerifierOptions {
  readonly issuer: string;
  readonly client: string;
  readonly audience: string | undefined;
  readonly alg: readonly string[] | undefined;
  readonly 'groups-claim': string;
  readonly scopes: string;
  readonly group: readonly string[];
  readonly ttl: string;
  readonly depth: number;
  readonly 'auto-register': boolean;
  readonly sub: string;
  readonly principal: string;
  readonly why: string;
  readonly json: boolean;
}

/** `sre=infrastructure:review,cloud:read` */
const groupOf = (text: string, ttlSeconds: number, maxDepth: number): readonly [string, GroupCeiling] => {
  const at = text.lastIndexOf('=');
  if (at < 1) throw usageError(`--group ${text}: GROUP=SCOPE[,SCOPE…]`);
  const scope = text
    .slice(at + 1)
    .split(',')
    .filter((one) => one !== '');
  return [text.slice(0, at), { scope, maxTtlSeconds: ttlSeconds, maxDepth }];
};

const add = (options: IssuerOptions): Promise<ExitCode> => {
  const seconds = parseDuration(options.ttl);
  if (seconds === undefined || seconds > HARD_LINK_TTL_SECONDS)
    throw usageError(`--ttl ${options.ttl}: at most 4h`);
  const algs = (options.alg ?? ['RS256', 'ES256']).map((name) => {
    const alg = idTokenAlg.safeParse(name);
    if (alg.success) return alg.data;
    throw usageError(`--alg ${name}: one of ${idTokenAlg.options.join(', ')}`);
  });
  return withVerifier(options, async (client) => {
    const issuer = await client.call(principalEndpoints.putOidcIssuer, {
      body: {
        issuer: options.issuer,
        clientId: options.client,
        ...(options.audience !== undefined && { audience: options.audience }),
        algs,
        groupsClaim: options['groups-claim'],
        scopes: options.scopes,
        groups: Object.fromEntries(options.group.map((text) => groupOf(text, seconds, options.depth))),
        autoRegister: options['auto-register'],
        why: options.why,
      },
    });
    if (options.json) printJson({ ok: true, ...issuer });
    else
      printError(
        `Logins at ${printable(issuer.issuer)} are believed. Say who is who:\n  hopgate principals issuer subject ${printable(issuer.issuer)} SUB PRINCIPAL`,
      );
    return EXIT.ok;
  });
};

const list = (options: IssuerOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const { issuers, subjects } = await client.call(principalEndpoints.listOidcIssuers, {});
    if (options.json) {
      printJson({ ok: true, issuers, subjects });
      return EXIT.ok;
    }
    for (const { issuer, clientId, groups } of issuers) {
      print(`${printable(issuer)} as ${printable(clientId)}`);
      for (const [name, { scope }] of Object.entries(groups))
        print(`  group ${printable(name)}: ${scope.join(' ')}`);
    }
    if (subjects.length > 0)
      print(
        table(
          ['issuer', 'sub', 'principal'],
          subjects.map((one) => [one.issuer, one.subject, one.principal].map(printable)),
        ),
      );
    return EXIT.ok;
  });

const remove = (options: IssuerOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const { issuer, why } = options;
    await client.call(principalEndpoints.removeOidcIssuer, { body: { issuer, why } });
    printError(`Logins at ${printable(issuer)} are believed no longer, and its people stand for nobody.`);
    return EXIT.ok;
  });

const subject = (options: IssuerOptions): Promise<ExitCode> =>
  withVerifier(options, async (client) => {
    const { issuer, sub, why } = options;
    const { uri: principal } = await findPrincipal(client, options.principal);
    await client.call(principalEndpoints.putOidcSubject, { body: { issuer, subject: sub, principal, why } });
    printError(`${printable(sub)} at ${printable(issuer)} is ${principal}.`);
    return EXIT.ok;
  });

const as =
  (run: (options: IssuerOptions) => Promise<ExitCode>): Command['run'] =>
  (options) =>
    withFaultLines(() => run(options as unknown as IssuerOptions));
const ISSUER = { type: 'string', demandOption: true, describe: 'Its URL, as in "iss"' } as const;
const JSON_OPTION = { type: 'boolean', default: false, describe: 'JSON' } as const;

const addIssuer: Command = {
  name: 'add <issuer>',
  describe: 'Believe an identity provider, or change how',
  options: (yargs) =>
    yargs
      .positional('issuer', ISSUER)
      .options(VERIFIER_OPTIONS)
      .option('client', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'Client id; a public client',
      })
      .option('group', {
        type: 'string',
        array: true,
        nargs: 1,
        demandOption: true,
        describe: 'GROUP=PATTERN[,PATTERN…]: what its members may grant; repeatable',
      })
      .option('ttl', { type: 'string', requiresArg: true, default: '1h', describe: 'For how long at most' })
      .option('depth', {
        type: 'number',
        requiresArg: true,
        default: 4,
        describe: 'Longest chain, the session in it',
      })
      .option('audience', {
        type: 'string',
        requiresArg: true,
        describe: 'In "aud"  [default: the client id]',
      })
      .option('alg', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'Signature algorithm; repeatable  [default: RS256 ES256]',
      })
      .option('groups-claim', {
        type: 'string',
        requiresArg: true,
        default: 'groups',
        describe: 'Where the groups stand',
      })
      .option('scopes', {
        type: 'string',
        requiresArg: true,
        default: 'openid',
        describe: 'What the login asks for',
      })
      .option('auto-register', {
        type: 'boolean',
        default: false,
        describe: 'Members of a group become principals at their first login',
      })
      .option('why', WHY_OPTION)
      .option('json', JSON_OPTION)
      .example(
        '$0 principals issuer add https://login.company.com --client hopgate --group sre=cloud:read',
        '',
      ),
  run: as(add),
};
const listIssuers: Command = {
  name: 'list',
  describe: 'All of them, and who is who there',
  options: (yargs) => yargs.options(VERIFIER_OPTIONS).option('json', JSON_OPTION),
  run: as(list),
};
const removeIssuer: Command = {
  name: 'remove <issuer>',
  describe: 'Believe an identity provider no longer: what its people granted ends',
  options: (yargs) => yargs.positional('issuer', ISSUER).options(VERIFIER_OPTIONS).option('why', WHY_OPTION),
  run: as(remove),
};
const subjectCommand: Command = {
  name: 'subject <issuer> <sub> <principal>',
  describe: 'Say who somebody is there: by "sub", never by an email',
  options: (yargs) =>
    yargs
      .positional('issuer', ISSUER)
      .positional('sub', { type: 'string', demandOption: true, describe: '"sub" in its tokens' })
      .positional('principal', {
        type: 'string',
        demandOption: true,
        describe: 'URI, or what stands before the @',
      })
      .options(VERIFIER_OPTIONS)
      .option('why', WHY_OPTION)
      .example('$0 principals issuer subject https://login.company.com 248289761001 alice', ''),
  run: as(subject),
};

export const issuerCommand: Command = {
  name: 'issuer',
  describe: 'Identity providers at which people log in',
  below: [addIssuer, listIssuers, removeIssuer, subjectCommand],
  options: (yargs) => yargs.options(VERIFIER_OPTIONS).option('json', JSON_OPTION),
  run: as(list),
};
