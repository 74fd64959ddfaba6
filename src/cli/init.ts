/** `hopgate init`: makes a local trust domain, adds to it, renews it. */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseDuration } from '../config/forms.ts';
import { isPrincipal, isTrustDomain } from '../core/spiffe-id.ts';
import {
  addToLocalDomain,
  createLocalDomain,
  type Renewal,
  renewLocalDomain,
} from '../verifier/local/domain.ts';
import { readState } from '../verifier/local/files.ts';
import { isAgentName, isPrincipalName, layoutOf, MAX_SVID_TTL_SECONDS } from '../verifier/local/layout.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { faultLine, usageError, withFaultLines } from './command-faults.ts';
import { reportAddition, reportCreation, reportRenewal } from './init-report.ts';
import { printError } from './terminal.ts';
import { nowSeconds } from './time-words.ts';

interface InitOptions {
  readonly dir: string;
  readonly 'trust-domain': string | undefined;
  readonly principal: readonly string[] | undefined;
  readonly agent: readonly string[] | undefined;
  readonly 'svid-ttl': string | undefined;
  readonly 'bundle-ttl': string | undefined;
  readonly renew: boolean;
  readonly watch: boolean;
  readonly json: boolean;
}

const DEFAULT_TRUST_DOMAIN = 'company.com';
const DEFAULT_AGENTS = ['planning/1', 'inventory/1'];
const DEFAULT_SVID_TTL_SECONDS = 3600;
const DEFAULT_BUNDLE_TTL_SECONDS = 86_400;
const MAX_BUNDLE_TTL_SECONDS = 30 * 86_400;

export const command: Command = {
  name: 'init [dir]',
  describe: 'Make a local trust domain: keys, SVIDs, trust bundle, policy and sidecar files; or renew it',
  options: (yargs) =>
    yargs
      .positional('dir', { type: 'string', default: 'mesh', describe: 'Its folder' })
      .option('trust-domain', {
        type: 'string',
        requiresArg: true,
        describe: `Its name  [default: ${DEFAULT_TRUST_DOMAIN}]`,
      })
      .option('principal', {
        type: 'string',
        array: true,
        nargs: 1,
        describe:
          'NAME=URI of a human who may delegate; repeatable  [default: alice=mailto:alice@<trust domain>]',
      })
      .option('agent', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: `TYPE/INSTANCE of an agent; repeatable  [default: ${DEFAULT_AGENTS.join(', ')}]`,
      })
      .option('svid-ttl', {
        type: 'string',
        requiresArg: true,
        describe: 'Life of SVID, WIT and key binding, at most 24h  [default: 1h]',
      })
      .option('bundle-ttl', {
        type: 'string',
        requiresArg: true,
        describe: 'Life of the trust bundle, at most 30d  [default: 24h]',
      })
      .option('renew', {
        type: 'boolean',
        default: false,
        describe:
          'New SVID, WIT and key binding for each agent, and the next bundle, with attributes.yaml; other keys stay',
      })
      .option('watch', {
        type: 'boolean',
        default: false,
        describe: 'With --renew: stay, and renew at half of the shorter life',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 init', 'planning/1, inventory/1 and the principal alice, in ./mesh')
      .example(
        '$0 init lab --trust-domain lab.test --agent web/1 --agent db/1 --principal bob=mailto:bob@lab.test',
        'names of your own',
      )
      .example(
        '$0 init mesh --agent security/1',
        'add an agent to what is there; keys are never written over',
      )
      .example(
        '$0 init mesh --renew',
        'after a change to mesh/attributes.yaml: what policy may go by, of agents and people',
      )
      .example('$0 init mesh --renew --watch', 'keep credentials and bundle fresh until Ctrl-C'),
  run: (options) => withFaultLines(() => run(options as unknown as InitOptions)),
};

const run = async (options: InitOptions): Promise<ExitCode> => {
  const spec = parseOptions(options);
  const { dir, json } = options;
  const present = existsSync(layoutOf(dir).state);
  if (present) refuseOtherName(dir, options['trust-domain']);
  if (options.renew) {
    if (spec.agents.length + Object.keys(spec.principals).length > 0)
      throw usageError('--renew adds nothing; run init once more for --agent and --principal');
    return options.watch ? watch(dir, spec.ttls, json) : renewOnce(dir, spec.ttls, json);
  }
  if (options.watch) throw usageError('--watch goes with --renew');
  const now = nowSeconds();
  if (!present) return create(options, spec, now);
  if (Object.keys(spec.ttls).length > 0)
    throw usageError('on a domain that is there, lifetimes go with --renew');
  if (spec.agents.length + Object.keys(spec.principals).length === 0)
    throw new CommandError(
      `${dir} is a local trust domain already; --renew renews its credentials, --agent and --principal add to it`,
    );
  reportAddition(dir, await addToLocalDomain(dir, spec, now), now, json);
  return EXIT.ok;
};

const create = async (
  { dir, json, ...options }: InitOptions,
  { agents, principals, ttls }: Spec,
  now: number,
): Promise<ExitCode> => {
  const trustDomain = options['trust-domain'] ?? DEFAULT_TRUST_DOMAIN;
  const state = await createLocalDomain(
    dir,
    {
      trustDomain,
      agents: agents.length > 0 ? agents : DEFAULT_AGENTS,
      principals: Object.keys(principals).length > 0 ? principals : { alice: `mailto:alice@${trustDomain}` },
      svidTtlSeconds: ttls.svidTtlSeconds ?? DEFAULT_SVID_TTL_SECONDS,
      bundleTtlSeconds: ttls.bundleTtlSeconds ?? DEFAULT_BUNDLE_TTL_SECONDS,
    },
    now,
  );
  reportCreation(dir, state, now, json);
  return EXIT.ok;
};

interface Ttls {
  readonly svidTtlSeconds?: number;
  readonly bundleTtlSeconds?: number;
}

interface Spec {
  readonly agents: readonly string[];
  readonly principals: Readonly<Record<string, string>>;
  readonly ttls: Ttls;
}

const parseOptions = (options: InitOptions): Spec => {
  const trustDomain = options['trust-domain'];
  if (trustDomain !== undefined && !isTrustDomain(trustDomain))
    throw usageError('--trust-domain: lower-case letters, digits, ".", "_", "-", such as company.com');
  const agents = [...new Set(options.agent ?? [])];
  for (const name of agents)
    if (!isAgentName(name))
      throw usageError(
        `--agent ${name}: TYPE/INSTANCE, each of lower-case letters, digits and inner "-", such as planning/1`,
      );
  const svidTtlSeconds = parseTtl('--svid-ttl', options['svid-ttl'], MAX_SVID_TTL_SECONDS, '24h');
  const bundleTtlSeconds = parseTtl('--bundle-ttl', options['bundle-ttl'], MAX_BUNDLE_TTL_SECONDS, '30d');
  return {
    agents,
    principals: parsePrincipals(options.principal ?? []),
    ttls: { ...(svidTtlSeconds && { svidTtlSeconds }), ...(bundleTtlSeconds && { bundleTtlSeconds }) },
  };
};

const parsePrincipals = (texts: readonly string[]): Readonly<Record<string, string>> => {
  const principals = new Map<string, string>();
  for (const text of texts) {
    const mark = text.indexOf('=');
    const [name, uri] = [text.slice(0, Math.max(mark, 0)), text.slice(mark + 1)];
    if (!isPrincipalName(name) || !isPrincipal(uri))
      throw usageError(`--principal ${text}: NAME=URI, such as alice=mailto:alice@company.com`);
    if (principals.has(name) && principals.get(name) !== uri)
      throw usageError(`--principal: "${name}" is given twice`);
    principals.set(name, uri);
  }
  return Object.fromEntries(principals);
};

const parseTtl = (
  option: string,
  text: string | undefined,
  most: number,
  mostText: string,
): number | undefined => {
  if (text === undefined) return undefined;
  const seconds = parseDuration(text);
  if (seconds === undefined || seconds > most)
    throw usageError(`${option} ${text}: a duration such as 15m or 1h, at most ${mostText}`);
  return seconds;
};

const refuseOtherName = (dir: string, trustDomain: string | undefined): void => {
  if (trustDomain === undefined) return;
  const { trustDomain: present } = readState(dir);
  if (trustDomain !== present)
    throw new CommandError(`${dir} is the trust domain ${present}; make ${trustDomain} in another folder`);
};

const renewOnce = async (dir: string, ttls: Ttls, json: boolean): Promise<ExitCode> => {
  const now = nowSeconds();
  reportRenewal(dir, await renewLocalDomain(dir, ttls, now), now, json);
  return EXIT.ok;
};

/** Timers don't run while a laptop sleeps: the wall clock is looked at this often. */
const CLOCK_STEP_MS = 20_000;
const MAX_RETRY_SECONDS = 10;

const halfLifeOf = ({ state }: Renewal): number =>
  Math.max(1, Math.floor(Math.min(state.svidTtlSeconds, state.bundleTtlSeconds) / 2));

/** Renews until it is told to end. What fails later than the first time is said and tried again. */
const watch = async (dir: string, ttls: Ttls, json: boolean): Promise<ExitCode> => {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  let renewed = false;
  let retrySeconds = MAX_RETRY_SECONDS;
  while (!stop.signal.aborted) {
    const now = nowSeconds();
    let next = now + retrySeconds;
    try {
      const renewal = await renewLocalDomain(dir, renewed ? {} : ttls, now);
      next = now + halfLifeOf(renewal);
      retrySeconds = Math.min(MAX_RETRY_SECONDS, halfLifeOf(renewal));
      reportRenewal(dir, renewal, now, json, next);
      renewed = true;
    } catch (error) {
      const line = faultLine(error);
      if (!renewed || line === undefined) throw error;
      printError(`hopgate: not renewed, trying again in ${retrySeconds} s: ${line}`);
    }
    await waitUntil(next, stop.signal);
  }
  return EXIT.ok;
};

const waitUntil = async (time: number, signal: AbortSignal): Promise<void> => {
  for (;;) {
    const left = time * 1000 - Date.now();
    if (left <= 0 || signal.aborted) return;
    await delay(Math.min(left, CLOCK_STEP_MS), undefined, { signal }).catch(() => undefined);
  }
};
