/** `hopgate task renew`, and `task end` for a whole task: at the verifier, which tells every sidecar. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { taskEndpoints } from '../api/tasks.ts';
import { parseLink, type RootLink, type UnverifiedLink } from '../core/delegation/link.ts';
import { mintChildLink, mintRootLink } from '../core/delegation/mint.ts';
import { MAX_CHAIN_BYTES } from '../core/limits.ts';
import { trustDomainOf } from '../core/spiffe-id.ts';
import { mintRevocationRequest, verifierIdOf } from '../core/trust/revocation-request.ts';
import type { SigningKey } from '../edge/keys/signing-key.ts';
import { writeFilesAtomic } from '../edge/store/atomic-file.ts';
import { makeTokenId } from '../verifier/authority/tokens.ts';
import { readKey } from '../verifier/local/files.ts';
import { CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError } from './command-faults.ts';
import { type LoginOptions, logIn } from './log-in.ts';
import { grantorOf } from './session-folder.ts';
import { readSmallFile } from './standard-input.ts';
import { print, printError, printJson } from './terminal.ts';
import { describeExpiry, nowSeconds } from './time-words.ts';
import { connectVerifier } from './verifier-connection.ts';
import { fetchAgentKey } from './verifier-trust.ts';

export interface TaskAtVerifierOptions extends LoginOptions {
  readonly chain: string | undefined;
  readonly as: string | undefined;
  readonly identity: string | undefined;
  readonly oidc: boolean | undefined;
  readonly why: string;
  readonly out: string | undefined;
  readonly json: boolean;
}

interface KnownTask {
  readonly links: readonly [RootLink, ...UnverifiedLink[]];
  readonly task: string;
  readonly principal: string;
  /** Seconds. */
  readonly start: number;
}

/** What a chain's file says of its task; the verifier judges it. */
const readTask = async (file: string | undefined): Promise<KnownTask> => {
  if (file === undefined) throw usageError('which task? --chain FILE, with a chain of it');
  const links = (await readSmallFile(file, 2 * MAX_CHAIN_BYTES)).split('~').map((text, index) => {
    const link = parseLink(text, index === 0);
    if (!link.ok) throw new CommandError(`${file}: ${link.reason}: ${link.detail}`);
    return link.value;
  });
  const [root, ...rest] = links;
  if (root === undefined || !root.root) throw new CommandError(`${file} holds no chain`);
  const { principal, renews, id, taskStart, iat } = root;
  return { links: [root, ...rest], task: renews ?? id, principal, start: taskStart ?? iat };
};

const keyOf = (name: string): SigningKey => {
  const file = [name, `${name}.key`].find((one) => existsSync(one));
  if (file === undefined) throw new CommandError(`${name}.key: there is no such key`);
  return readKey(file);
};

const connect = ({ verifier, identity }: TaskAtVerifierOptions) =>
  connectVerifier({ verifier, as: identity });

/** By whoever owns the verifier's socket or speaks as `--identity`; with `--as`, by the principal's own key. */
export const endTaskAtVerifier = async (options: TaskAtVerifierOptions): Promise<ExitCode> => {
  const { task, principal, links } = await readTask(options.chain);
  const key = options.as === undefined ? undefined : keyOf(options.as);
  const proof =
    key === undefined
      ? undefined
      : mintRevocationRequest(
          {
            aud: verifierIdOf(trustDomainOf(links[0].delegatee)),
            principal,
            target: { task },
            iat: nowSeconds(),
            jti: randomBytes(16).toString('base64url'),
          },
          key.x,
          key.sign,
        );
  const client = connect(options);
  try {
    const answer = await client.call(taskEndpoints.endTask, {
      params: { task },
      body: { principal, why: options.why, ...(proof !== undefined && { proof }) },
    });
    if (options.json) printJson({ ok: true, ...answer });
    else
      printError(
        `The task of ${principal} has ended: every grant of it is worth nothing with the next bundle.`,
      );
    return EXIT.ok;
  } finally {
    await client.close();
  }
};

/** A new beginning of the same task, for the same agent and no more than before. */
export const renewTask = async (options: TaskAtVerifierOptions): Promise<ExitCode> => {
  const known = await readTask(options.chain);
  const text = options.oidc === true ? await renewByLogin(options, known) : await renewByKey(options, known);
  if (options.out !== undefined) writeFilesAtomic([{ file: options.out, content: `${text}\n` }]);
  const leaf = parseLink(text.split('~').at(-1) ?? '', !text.includes('~'));
  if (!leaf.ok) throw new CommandError(`${leaf.reason}: ${leaf.detail}`);
  const { delegatee, exp } = leaf.value;
  if (options.json)
    printJson({
      ok: true,
      task: known.task,
      expires: exp,
      ...(options.out === undefined ? { chain: text } : { out: options.out }),
    });
  else {
    if (options.out === undefined) print(text);
    printError(`${known.principal} → ${delegatee}: the task goes on; ${describeExpiry(exp, nowSeconds())}`);
  }
  return EXIT.ok;
};

const renewByKey = async (
  options: TaskAtVerifierOptions,
  { links: [root], task, principal, start }: KnownTask,
): Promise<string> => {
  if (options.as === undefined) throw usageError('who goes on with it? --as KEYFILE, or --oidc to log in');
  const key = keyOf(options.as);
  const client = connect(options);
  try {
    const link = mintRootLink(
      {
        anchorX: key.x,
        principal,
        // The agent may have another key by now.
        delegatee: { id: root.delegatee, x: await fetchAgentKey(client, root.delegatee) },
        aud: root.aud,
        scope: root.scope,
        maxDepth: root.maxDepth,
        ttlSeconds: root.exp - root.iat,
        now: nowSeconds(),
        jti: makeTokenId(),
        caveats: root.caveats,
        renews: { task, start },
        ...(root.purpose !== undefined && { purpose: root.purpose }),
      },
      key.sign,
    );
    if (!link.ok) throw new CommandError(`${link.reason}: ${link.detail}`);
    const { link: text } = await client.call(taskEndpoints.renewTask, {
      params: { task },
      body: { principal, link: link.value, why: options.why },
    });
    return text;
  } finally {
    await client.close();
  }
};

const renewByLogin = async (
  options: TaskAtVerifierOptions,
  { links: [root, agent], task }: KnownTask,
): Promise<string> => {
  if (agent === undefined) throw usageError('this task was begun with a key, not with a login: --as KEYFILE');
  const wish = {
    scope: [...root.scope],
    ttlSeconds: root.exp - root.iat,
    maxDepth: root.maxDepth,
    ...(root.purpose !== undefined && { purpose: root.purpose }),
  };
  const { session, client } = await logIn(options, wish, task);
  try {
    const { link, linkText, key, kb } = grantorOf(session);
    const child = mintChildLink(
      link,
      1,
      {
        delegatee: { id: agent.delegatee, x: await fetchAgentKey(client, agent.delegatee) },
        kb,
        scope: agent.scope,
        remainingDepth: Math.max(0, agent.maxDepth - 2),
        ttlSeconds: agent.exp - agent.iat,
        now: nowSeconds(),
        jti: makeTokenId(),
        caveats: agent.caveats,
        ...(agent.purpose !== undefined && { purpose: agent.purpose }),
      },
      key.sign,
    );
    if (!child.ok) throw new CommandError(`${child.reason}: ${child.detail}`);
    return `${linkText}~${child.value}`;
  } finally {
    await client.close();
  }
};
