/** `hopgate logout`: the session in a folder is nobody at the verifier from now on, and its keys are gone. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { loginEndpoints } from '../api/logins.ts';
import type { ReasonCode } from '../core/reasons.ts';
import { type AgentId, agentTypeOf, parseAgentId } from '../core/spiffe-id.ts';
import { parsePeerCertificate } from '../edge/tls/peer-certificate.ts';
import { VerifierError } from '../edge/verifier/client.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { withFaultLines } from './command-faults.ts';
import { removeSession, SESSION_FILES } from './session-folder.ts';
import { printError, printJson } from './terminal.ts';
import { nowSeconds } from './time-words.ts';
import { connectVerifier, VERIFIER_OPTIONS } from './verifier-connection.ts';
import { atVerifier } from './verifier-refusals.ts';

interface Options {
  readonly verifier: string | undefined;
  readonly as: string;
  readonly json: boolean;
}

export const command: Command = {
  name: 'logout',
  describe: 'End a session before its hour is over; what it has granted goes on until it is revoked',
  options: (yargs) =>
    yargs
      .option('verifier', VERIFIER_OPTIONS.verifier)
      .option('as', {
        type: 'string',
        requiresArg: true,
        default: 'session',
        describe: 'Folder of the session, as login wrote it',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 logout', 'the session in ./session, at the verifier in ./verifier')
      .example(
        '$0 logout --as session --verifier https://verifier.company.com:14300',
        'as the session itself',
      ),
  run: (options) => withFaultLines(() => atVerifier(() => run(options as unknown as Options))),
};

/** What the verifier says of a session that had ended already. */
const OVER: ReadonlySet<ReasonCode> = new Set<ReasonCode>(['id_retired', 'svid_expired', 'api_not_found']);

const run = async ({ verifier, as, json }: Options): Promise<ExitCode> => {
  const { id, notAfter } = sessionIn(as);
  const wasLive = notAfter > nowSeconds() && (await endAtVerifier(verifier, as, id));
  removeSession(as);
  if (json) printJson({ ok: true, session: id, wasLive });
  else
    printError(
      wasLive
        ? `${id} has ended, and its keys are gone. What it granted goes on: "hopgate task end" or "hopgate revoke" ends that.`
        : `${id} had ended already; its keys are gone.`,
    );
  return EXIT.ok;
};

const sessionIn = (folder: string): { readonly id: AgentId; readonly notAfter: number } => {
  const file = path.join(folder, SESSION_FILES.svid);
  if (!existsSync(file)) throw new CommandError(`${folder} holds no session`);
  try {
    const { uriSans, notAfter } = parsePeerCertificate(new X509Certificate(readFileSync(file)));
    const id = parseAgentId(uriSans[0] ?? '');
    if (id !== undefined && agentTypeOf(id) === 'client') return { id, notAfter };
  } catch {
    // The same line says what is wrong.
  }
  throw new CommandError(`${file} is no session's`);
};

/** Whether there was one to end. */
const endAtVerifier = async (verifier: string | undefined, as: string, id: AgentId): Promise<boolean> => {
  const where = verifier ?? process.env.HOPGATE_VERIFIER;
  // Over the socket its owner ends it; over HTTPS the session ends itself.
  const client = connectVerifier(where?.startsWith('https://') === true ? { verifier, as } : { verifier });
  try {
    await client.call(loginEndpoints.endSession, { query: { session: id } });
    return true;
  } catch (error) {
    if (error instanceof VerifierError && OVER.has(error.reason)) return false;
    throw error;
  } finally {
    await client.close();
  }
};
