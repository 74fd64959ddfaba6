/** `hopgate policy explain`: why one request is decided as it is, stage by stage. */
import { readFileSync } from 'node:fs';
import { parsePolicyTest } from '../config/policy-test.ts';
import { type RequestConfig, requestSchema } from '../config/policy-test-schema.ts';
import { parseLink, type UnverifiedLink } from '../core/delegation/link.ts';
import { type Asked, explainRequest, type Stage } from '../core/policy/analysis/explain.ts';
import {
  isDecision,
  messagesOf,
  type RecordedDecision,
  requestOf,
  unrecorded,
} from '../core/policy/analysis/recorded.ts';
import { Replay } from '../core/policy/analysis/replay.ts';
import { type CompiledPolicy, compilePolicy } from '../core/policy/evaluate.ts';
import { isFault, requestFrom } from '../rehearsal/from-config.ts';
import type { RehearsedLink } from '../rehearsal/mesh.ts';
import { Rehearsal } from '../rehearsal/rehearse.ts';
import { type Command, CommandError, EXIT } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { policyInFile } from './policy-words.ts';
import { checkLogs, recordsOf } from './recorded-logs.ts';
import { paint, print, printable, printJson, table } from './terminal.ts';
import { nowSeconds } from './time-words.ts';

interface ExplainOptions {
  readonly file: string;
  readonly caller: string | undefined;
  readonly callee: string | undefined;
  readonly destination: string | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly chain: readonly string[] | undefined;
  readonly scope: readonly string[] | undefined;
  readonly principal: string | undefined;
  readonly header: readonly string[] | undefined;
  readonly label: readonly string[] | undefined;
  readonly tool: string | undefined;
  readonly skill: string | undefined;
  readonly body: string | undefined;
  readonly proof: string | undefined;
  readonly 'chain-file': string | undefined;
  readonly tests: string | undefined;
  readonly case: string | undefined;
  readonly log: readonly string[] | undefined;
  readonly hop: string | undefined;
  readonly json: boolean;
}

interface Explained {
  readonly verdict: string;
  readonly reason: string;
  readonly rule: string;
  readonly detail: string;
  readonly stages: readonly Stage[];
}

const headersOf = (given: readonly string[] | undefined): Record<string, string> | undefined =>
  given &&
  Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf(':');
      if (at < 1) throw usageError(`--header "${text}": name: value`);
      return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
    }),
  );

/** The options as a request of a test would have them, checked as that is. */
const requestOfOptions = (options: ExplainOptions): RequestConfig => {
  const {
    caller,
    callee,
    destination,
    method,
    path = destination === undefined ? '/' : undefined,
    chain,
    scope,
    principal,
    header,
    label,
    tool,
    skill,
    body,
    proof,
  } = options;
  const [target, ...query] = path?.split('?') ?? [];
  const written = {
    caller,
    callee,
    destination,
    method,
    path: target,
    query: query.length === 0 ? undefined : query.join('?'),
    chain,
    scope,
    principal,
    headers: headersOf(header),
    labels: label,
    proof,
    body,
    mcp: tool === undefined ? undefined : { tool },
    a2a: skill === undefined ? undefined : { skill },
  };
  const parsed = requestSchema.safeParse(
    Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined)),
  );
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw usageError(`--${String(issue?.path[0] ?? '')}: ${issue?.message ?? 'is no value of its form'}`);
};

interface FileChain {
  readonly links: readonly RehearsedLink[];
  readonly principal: string;
  readonly iat: number;
}

/** A chain as it stands in a file: who, what, how long and under which caveats; whether it is signed well says `inspect`. */
const chainInFile = (file: string): FileChain => {
  const links: UnverifiedLink[] = [];
  for (const [at, text] of readFileSync(file, 'utf8').trim().split('~').entries()) {
    const link = parseLink(text, at === 0);
    if (!link.ok) throw new CommandError(`${printable(file)}: link ${at}: ${link.reason}: ${link.detail}`);
    links.push(link.value);
  }
  const [root] = links;
  if (root?.root !== true) throw new CommandError(`${printable(file)} holds no chain`);
  return {
    principal: root.principal,
    iat: root.iat,
    links: links.map(({ delegatee, scope, iat, exp, caveats }, at) => ({
      agent: delegatee,
      scope,
      ttlSeconds: exp - iat,
      caveats: caveats.slice(links[at - 1]?.caveats.length ?? 0),
    })),
  };
};

const configOf = (
  options: ExplainOptions,
): { readonly given: RequestConfig; readonly own: RequestConfig } => {
  if (options.case === undefined) return { given: {}, own: requestOfOptions(options) };
  if (options.tests === undefined) throw usageError('--case of which file? Name it with --tests');
  const { given, cases } = parsePolicyTest(readFileSync(options.tests, 'utf8'), options.tests).value;
  const found = cases.find(({ name }) => name === options.case);
  if (found === undefined)
    throw new CommandError(`${printable(options.tests)} has no case "${printable(options.case)}"`);
  return { given, own: found.request };
};

const explainSupposed = async (compiled: CompiledPolicy, options: ExplainOptions): Promise<Explained> => {
  const file = options['chain-file'];
  const chain = file === undefined ? undefined : chainInFile(file);
  const { given, own } = configOf(options);
  const last = chain?.links.at(-1);
  const config =
    last === undefined ? own : { ...own, chain: undefined, caller: last.agent, scope: [...last.scope] };
  const made = requestFrom(given, config, compiled.policy.scopeSets, nowSeconds());
  if (isFault(made)) throw usageError(`--${made.member} ${made.fault}`);
  const request =
    chain === undefined
      ? made
      : { ...made, chain: { ...made.chain, links: chain.links, principal: chain.principal, at: chain.iat } };
  const rehearsal = new Rehearsal();
  const { verdict, reason, rule, detail, message } = await rehearsal.decide(compiled, request);
  const asked = rehearsal.facts(compiled, request, message);
  return { verdict, reason, rule, detail, stages: asked.ok ? explainRequest(compiled, asked.value) : [] };
};

const recordIn = async (logs: readonly string[], hop: string): Promise<RecordedDecision> => {
  const { files } = await checkLogs({ logs, bundle: undefined, root: undefined });
  let found: RecordedDecision | undefined;
  for await (const record of recordsOf(files))
    if (isDecision(record) && record.hop === hop && (found === undefined || record.direction === 'inbound'))
      found = record;
  if (found === undefined) throw new CommandError(`no log has a decision about hop ${printable(hop)}`);
  return found;
};

/** As far as the record has it; what it doesn't hold is said where it is read. */
const explainRecorded = (compiled: CompiledPolicy, record: RecordedDecision): Explained => {
  const facts = requestOf(record);
  const { now, missing } = new Replay(compiled.policy, new Set(record.labels)).judge(record);
  const said = now ?? { verdict: 'cannot tell', reason: `no log holds ${missing.join(', ')}`, rule: '' };
  if (facts === undefined)
    return { ...said, detail: 'the chain did not verify: policy was not asked', stages: [] };
  const match = compiled.routes.match(facts.callee, facts.method, facts.path);
  const ways = match.ok ? messagesOf(record, match.value.rule) : undefined;
  const asked: Asked = {
    facts,
    proof: record.proof === 'request' || record.proof === 'both' ? record.proof : 'session',
    live: {
      nowSeconds: Math.floor(record.time / 1000),
      score: () => 0,
      headers: () => ({}),
      size: -1,
      labels: record.labels ?? [],
      released: record.direction === 'outbound' && record.destination === undefined,
    },
    // Where its names may be meant in more than one way, none of them is explained as if it were so.
    message: ways?.length === 1 ? ways[0] : undefined,
    unknown: unrecorded,
  };
  const was = record.verdict === 'permit' ? `permit ${record.rule}` : record.reason;
  return {
    ...said,
    detail: `on record: ${was} under ${record.policy}`,
    stages: explainRequest(compiled, asked),
  };
};

const MARKS = { yes: ['green', '✓'], no: ['dim', '·'], open: ['yellow', '?'] } as const;

const printExplained = ({ verdict, reason, rule, detail, stages }: Explained): void => {
  for (const { stage, lines } of stages) {
    print(paint('bold', stage));
    const rows = lines.map(({ answer, what, why }) => {
      const [style, mark] = MARKS[answer];
      return [paint(style, `  ${mark}`), printable(what), printable(why)];
    });
    print(table(['', '', ''], rows).split('\n').slice(1).join('\n'));
  }
  const by = rule === '' ? '' : ` by ${printable(rule)}`;
  print(
    `${paint(verdict === 'permit' ? 'green' : 'red', verdict)}${reason === 'ok' ? '' : ` ${printable(reason)}`}${by}`,
  );
  if (detail !== '') print(`  ${printable(detail)}`);
};

const LIST = { type: 'string', array: true, nargs: 1 } as const;
const TEXT = { type: 'string', requiresArg: true } as const;

export const explainCommand: Command = {
  name: 'explain <file>',
  describe: 'Why one request is decided as it is: each stage, each rule',
  options: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'The policy, YAML' })
      .options({
        caller: { ...TEXT, describe: 'Agent ID of who calls, where the chain is one link' },
        chain: { ...LIST, describe: 'Agent IDs, the principal’s first delegatee first; once for each' },
        'chain-file': {
          ...TEXT,
          describe: 'A chain with its scopes, times and caveats, as delegate makes it',
        },
        scope: { ...LIST, describe: 'Scope of every link, patterns or sets; once for each' },
        principal: { ...TEXT, describe: 'At the root of the chain' },
        callee: { ...TEXT, describe: 'Agent ID of who is called' },
        destination: {
          ...TEXT,
          describe: 'In place of a callee: where it leaves the mesh for; a tunnel, without --path',
        },
        method: { ...TEXT, describe: 'HTTP method' },
        path: { ...TEXT, describe: 'With its query' },
        header: { ...LIST, describe: '"name: value"; once for each' },
        label: { ...LIST, describe: 'Of the data that the task has touched; once for each' },
        tool: { ...TEXT, describe: 'A call of this tool of MCP' },
        skill: { ...TEXT, describe: 'A message of A2A to this skill' },
        body: { ...TEXT, describe: 'As sent' },
        proof: {
          ...TEXT,
          choices: ['session', 'request', 'both'],
          describe: 'How the caller proves itself; request: without a sidecar',
        },
        tests: { ...TEXT, describe: 'File of tests, for --case' },
        case: { ...TEXT, describe: 'The request of this case' },
        log: { ...LIST, describe: 'Log file, for --hop; once for each' },
        hop: { ...TEXT, describe: 'The request of this hop, as far as the log has it' },
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example(
        '$0 policy explain policy.yaml --caller spiffe://company.com/client/alice --scope cloud:read --callee spiffe://company.com/agent/planning/1 --path /reviews/42',
        'a request that nobody sent',
      )
      .example(
        '$0 policy explain policy.yaml --tests policy.test.yaml --case "nothing is destroyed"',
        'why a test fails',
      )
      .example(
        '$0 policy explain policy.yaml --log audit.log --hop ID',
        'why it was, or would be, decided so',
      )
      .epilogue('Exits 0 whatever the verdict. ✓ goes on or matches, · does not, ? nobody can say.'),
  run: (given) =>
    withFaultLines(async () => {
      const options = given as unknown as ExplainOptions;
      const { log, hop, file, json } = options;
      if ((log === undefined) !== (hop === undefined)) throw usageError('--log and --hop belong together');
      const compiled = compilePolicy(policyInFile(file).policy);
      const explained =
        log === undefined || hop === undefined
          ? await explainSupposed(compiled, options)
          : explainRecorded(compiled, await recordIn(log, hop));
      if (json) printJson({ ok: true, ...explained });
      else printExplained(explained);
      return EXIT.ok;
    }),
};
