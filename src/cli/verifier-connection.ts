/** How a command finds its verifier: `--verifier` and `--as`, the same for all; and how the verifier's refusals are told. */

import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Options } from 'yargs';
import { REASONS } from '../core/reasons.ts';
import { type AgentId, parseAgentId, trustDomainOf } from '../core/spiffe-id.ts';
import { verifyBundle } from '../core/trust/bundle.ts';
import { parsePeerCertificate } from '../edge/tls/peer-certificate.ts';
import { VerifierClient, VerifierError, type VerifierTarget } from '../edge/verifier/client.ts';
import { DEFAULT_VERIFIER_DIRECTORY, SOCKET_NAME } from '../verifier/layout.ts';
import { CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError } from './command-faults.ts';
import { printable, printJson } from './terminal.ts';
import { nowSeconds } from './time-words.ts';

/** For yargs: `yargs.options(VERIFIER_OPTIONS)`. */
export const VERIFIER_OPTIONS = {
  verifier: {
    type: 'string',
    requiresArg: true,
    describe:
      'The verifier: its directory or socket, or https://host:port; else $HOPGATE_VERIFIER, else ./verifier',
  },
  as: {
    type: 'string',
    requiresArg: true,
    describe: 'With https://…: folder of the identity to speak as, made by joining or logging in',
  },
} as const satisfies Readonly<Record<string, Options>>;

/** Of a command whose change nobody makes without a word. */
export const WHY_OPTION = {
  why: { type: 'string', requiresArg: true, demandOption: true, describe: 'Why; it goes into the ledger' },
} as const satisfies Readonly<Record<string, Options>>;

export interface VerifierOptions {
  readonly verifier?: string | undefined;
  readonly as?: string | undefined;
}

/** What stands in the folder of an identity. */
const IDENTITY = { svid: 'svid.pem', svidKey: 'svid.key', bundle: 'bundle.jws', root: 'root' } as const;

const readPart = (folder: string, name: string): string => {
  const file = path.join(folder, name);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(
      `${file}: can't be read (${(error as NodeJS.ErrnoException).code}); --as is a folder with ${Object.values(IDENTITY).join(', ')}`,
    );
  }
};

const idIn = (pem: string, folder: string): AgentId => {
  try {
    const id = parseAgentId(parsePeerCertificate(new X509Certificate(pem)).uriSans[0] ?? '');
    if (id !== undefined) return id;
  } catch {
    // The same line says what to do.
  }
  throw new CommandError(`${path.join(folder, IDENTITY.svid)}: is no SVID of an agent or client`);
};

/** The HTTPS target of an identity: the verifier must be of the trust domain of its root. */
const httpsTarget = (url: string, folder: string | undefined): VerifierTarget => {
  if (folder === undefined) throw usageError('--verifier https://… needs --as DIR: who speaks to it?');
  const cert = readPart(folder, IDENTITY.svid);
  const key = readPart(folder, IDENTITY.svidKey);
  const trustDomain = trustDomainOf(idIn(cert, folder));
  const bundle = verifyBundle(readPart(folder, IDENTITY.bundle).trim(), {
    trustDomain,
    root: readPart(folder, IDENTITY.root).trim(),
    last: { epoch: 0, seq: 0 },
    now: nowSeconds(),
  });
  if (!bundle.ok)
    throw new CommandError(
      `${path.join(folder, IDENTITY.bundle)}: ${bundle.reason}: ${bundle.detail}; join or log in anew`,
    );
  const authorities = bundle.value.authorities.get(trustDomain) ?? [];
  return { kind: 'https', url, trustDomain, authorities, identity: { cert, key } };
};

const socketTarget = (where: string): VerifierTarget => {
  const isDirectory = existsSync(where) && statSync(where).isDirectory();
  return { kind: 'socket', path: isDirectory ? path.join(where, SOCKET_NAME) : where };
};

/** Where the verifier is. Throws a usage error that says what to do. */
export const verifierTarget = ({ verifier, as }: VerifierOptions): VerifierTarget => {
  const where = verifier ?? process.env.HOPGATE_VERIFIER;
  if (where?.startsWith('https://')) {
    if (!URL.canParse(where))
      throw usageError(`--verifier: "${printable(where)}" is no address: https://host:port`);
    return httpsTarget(where, as);
  }
  if (as !== undefined)
    throw usageError('--as goes with --verifier https://host:port; the socket knows only its owner');
  if (where !== undefined && where !== '') return socketTarget(where);
  if (existsSync(path.join(DEFAULT_VERIFIER_DIRECTORY, SOCKET_NAME)))
    return socketTarget(DEFAULT_VERIFIER_DIRECTORY);
  throw usageError(
    'which verifier? --verifier DIR (its directory on this machine) or --verifier https://host:port --as DIR; or start one here: "hopgate verifier"',
  );
};

/** Whether one is named, or stands in ./verifier. */
export const isVerifierNear = ({ verifier }: Pick<VerifierOptions, 'verifier'>): boolean =>
  verifier !== undefined ||
  (process.env.HOPGATE_VERIFIER ?? '') !== '' ||
  existsSync(path.join(DEFAULT_VERIFIER_DIRECTORY, SOCKET_NAME));

/** Connects with the first call. */
export const connectVerifier = (options: VerifierOptions): VerifierClient => {
  const target = verifierTarget(options);
  try {
    return new VerifierClient(target);
  } catch (error) {
    throw new CommandError(`the verifier can't be called: ${(error as Error).message}`);
  }
};

/**
 * Runs a command's work with the verifier, and ends the connection. A refusal is one line on stderr, or with `json` an
 * object `{ok: false, reason, detail}` on stdout; the exit code is 1.
 */
export const withVerifier = async (
  options: VerifierOptions & { readonly json?: boolean | undefined },
  work: (client: VerifierClient) => Promise<ExitCode>,
): Promise<ExitCode> => {
  const client = connectVerifier(options);
  try {
    return await work(client);
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error;
    const detail = printable(error.message === '' ? REASONS[error.reason].meaning : error.message);
    if (options.json !== true) throw new CommandError(`${error.reason}: ${detail}`);
    printJson({ ok: false, reason: error.reason, detail });
    return EXIT.refused;
  } finally {
    await client.close();
  }
};
