/** `hopgate task`: opens a task at the sidecar of the agent that starts it, ends it there or everywhere, and renews it. */
import path from 'node:path';
import { formatAddress } from '../config/forms.ts';
import { MAX_CHAIN_BYTES } from '../core/limits.ts';
import { isReasonCode, REASONS } from '../core/reasons.ts';
import { callAdmin, findSidecar, type SidecarAt } from './admin-call.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { LOGIN_OPTIONS } from './log-in.ts';
import { shellWord } from './shell-word.ts';
import { readSmallFile } from './standard-input.ts';
import { endTaskAtVerifier, renewTask, type TaskAtVerifierOptions } from './task-at-verifier.ts';
import { print, printable, printError, printJson } from './terminal.ts';
import { describeExpiry, nowSeconds } from './time-words.ts';
import { VERIFIER_OPTIONS } from './verifier-connection.ts';
import { atVerifier } from './verifier-refusals.ts';

interface TaskOptions extends TaskAtVerifierOptions {
  readonly action: 'start' | 'end' | 'renew';
  readonly handle: string | undefined;
  readonly admin: string | undefined;
  readonly config: string | undefined;
}

export const command: Command = {
  name: 'task <action> [handle]',
  describe: 'Open a task at an agent’s sidecar, renew it, or end it',
  options: (yargs) =>
    yargs
      .positional('action', {
        choices: ['start', 'end', 'renew'] as const,
        demandOption: true,
        describe: 'What to do',
      })
      .positional('handle', {
        type: 'string',
        describe: 'With end: the handle that start gave; as --handle=… when it begins with "-"',
      })
      .option('chain', {
        type: 'string',
        requiresArg: true,
        describe: 'File with the chain, or -: to start, to renew, or to end everywhere',
      })
      .option('config', { type: 'string', requiresArg: true, describe: 'The sidecar’s configuration file' })
      .option('admin', {
        type: 'string',
        requiresArg: true,
        describe: 'Its admin socket, in place of --config',
      })
      .option('verifier', VERIFIER_OPTIONS.verifier)
      .option('as', {
        type: 'string',
        requiresArg: true,
        describe: 'The principal’s key file, to renew or to end',
      })
      .option('oidc', { type: 'boolean', default: false, describe: 'Renew after a login' })
      .options(LOGIN_OPTIONS)
      .option('root', {
        type: 'string',
        requiresArg: true,
        describe: 'With --oidc and https://…: the root’s thumbprint',
      })
      .option('identity', {
        type: 'string',
        requiresArg: true,
        describe: 'With --verifier https://…: folder of the identity that asks it',
      })
      .option('why', {
        type: 'string',
        requiresArg: true,
        default: 'from the command line',
        describe: 'Goes into the ledger',
      })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'Renewed: write the chain here (mode 0600)',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .conflicts('admin', 'config')
      .example(
        '$0 task start --chain task.chain --config mesh/agents/planning-1/sidecar.yaml',
        'prints the handle that the agent sends as Hopgate-Context',
      )
      .example(
        '$0 delegate --dir mesh --as alice --to planning/1 --scope cloud:read | $0 task start --chain - --admin admin.sock',
        'in one go',
      )
      .example(
        '$0 task end --handle="$HANDLE" --config mesh/agents/planning-1/sidecar.yaml',
        'ends it and its grants',
      )
      .example(
        '$0 task renew --chain task.chain --as alice --out task.chain',
        'goes on with it, at the verifier',
      )
      .example('$0 task end --chain task.chain --why done', 'ends it everywhere, at the verifier'),
  run: (options) => withFaultLines(() => run(options as unknown as TaskOptions)),
};

const run = async (options: TaskOptions): Promise<ExitCode> => {
  if (options.action === 'renew') return atVerifier(() => renewTask(options));
  if (options.action === 'end' && options.handle === undefined && options.chain !== undefined)
    return atVerifier(() => endTaskAtVerifier(options));
  const sidecar = findSidecar(options);
  return options.action === 'start' ? start(options, sidecar) : end(options, sidecar);
};

const start = async ({ chain: file, handle, json }: TaskOptions, sidecar: SidecarAt): Promise<ExitCode> => {
  if (file === undefined) throw usageError('task start needs --chain FILE');
  if (handle !== undefined) throw usageError('task start takes no handle');
  const chain = await readSmallFile(file, 2 * MAX_CHAIN_BYTES);
  if (chain === '' || chain.length > MAX_CHAIN_BYTES)
    throw new CommandError(`${file} holds no chain: ${chain.length} octets, 1 to ${MAX_CHAIN_BYTES}`);
  const { status, body } = await callAdmin(sidecar.socket, 'POST', '/tasks', chain);
  if (status !== 201) return refuse(body, status, json);
  const task = parseStarted(body);
  if (json) printJson({ ok: true, ...task });
  else {
    // The handle alone on stdout: HANDLE=$(hopgate task start …)
    print(task.handle);
    printError(explain(task, sidecar, file));
  }
  return EXIT.ok;
};

const end = async ({ handle, chain, json }: TaskOptions, { socket }: SidecarAt): Promise<ExitCode> => {
  if (handle === undefined) throw usageError('task end needs the handle that task start gave');
  if (chain !== undefined) throw usageError('task end takes no --chain');
  const { status, body } = await callAdmin(socket, 'DELETE', `/tasks/${encodeURIComponent(handle)}`);
  // 204: there is no verifier that would have to know.
  if (status !== 200 && status !== 204) return refuse(body, status, json);
  const { where, isPending, reason, detail } = parseObject(body);
  const refused = typeof reason === 'string' ? printable(reason) : undefined;
  if (json)
    printJson({
      ok: refused === undefined,
      everywhere: where === 'everywhere',
      ...(isPending === true && { pending: true }),
      ...(refused !== undefined && { reason: refused, detail: printable(String(detail ?? '')) }),
    });
  else if (refused !== undefined)
    printError(
      `The task has ended here, and the verifier does not end it elsewhere: ${refused}: ${printable(String(detail ?? ''))}`,
    );
  else printError(ENDED[where === 'everywhere' ? 'everywhere' : isPending === true ? 'pending' : 'here']);
  return refused === undefined ? EXIT.ok : EXIT.refused;
};

const ENDED = {
  everywhere: 'The task has ended; its handle and its grants are worth nothing now, at any sidecar.',
  pending:
    'The task has ended here. The verifier does not answer; the sidecar goes on trying to tell it, so that grants of the task end elsewhere too.',
  here: 'The task has ended here: its handle is worth nothing now. What it granted elsewhere ends with its chain.',
} as const;

interface Started {
  readonly handle: string;
  readonly task: string;
  readonly principal: string;
  /** Seconds. */
  readonly expires: number;
}

const parseStarted = (body: string): Started => {
  const { handle, task, principal, expires } = parseObject(body);
  if (typeof handle !== 'string' || typeof task !== 'string' || typeof principal !== 'string')
    throw new CommandError('the sidecar’s answer is none of this version of hopgate');
  const seconds = typeof expires === 'string' ? Math.floor(Date.parse(expires) / 1000) : expires;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds))
    throw new CommandError('the sidecar’s answer is none of this version of hopgate');
  return {
    handle: printable(handle),
    task: printable(task),
    principal: printable(principal),
    expires: seconds,
  };
};

const explain = (task: Started, { config, stateDirectory }: SidecarAt, chain: string): string => {
  const lines = [
    `Task ${task.task} of ${task.principal} ${describeExpiry(task.expires, nowSeconds())}.`,
    'The agent sends the handle with each request of this task, as header Hopgate-Context:',
  ];
  const { listen, proxyUrlFile, routes } = config?.outbound ?? {};
  const host = routes?.[0]?.host ?? 'inventory.mesh';
  if (listen !== undefined && 'path' in listen)
    lines.push(
      `  curl --unix-socket ${shellWord(listen.path)} -H 'Hopgate-Context: ${task.handle}' http://${host}/`,
    );
  else {
    const proxy =
      stateDirectory === undefined || proxyUrlFile === undefined
        ? '"$HTTP_PROXY"'
        : `"$(cat ${shellWord(path.relative('', path.resolve(stateDirectory, proxyUrlFile)))})"`;
    lines.push(`  curl -x ${proxy} -H 'Hopgate-Context: ${task.handle}' http://${host}/`);
    if (listen !== undefined && listen.port > 0) lines.push(`The proxy is ${formatAddress(listen)}.`);
  }
  if (config?.trust.verifier !== undefined) {
    const what =
      chain === '-'
        ? `--principal ${shellWord(task.principal)} -- ${shellWord(task.task)}`
        : shellWord(chain);
    lines.push(`To end it everywhere:`, `  hopgate revoke task --why "…" ${what}`);
  }
  return lines.join('\n');
};

const refuse = (body: string, status: number, json: boolean): ExitCode => {
  const problem = parseObject(body);
  const code = typeof problem.code === 'string' ? printable(problem.code) : `status ${status}`;
  const meaning = isReasonCode(code) ? REASONS[code].meaning : undefined;
  const detail =
    typeof problem.detail === 'string' ? printable(problem.detail) : (meaning ?? 'no reason given');
  if (!json) throw new CommandError(`the sidecar refused: ${code}: ${detail}`);
  printJson({ ok: false, reason: code, detail });
  return EXIT.refused;
};

const parseObject = (body: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
};
