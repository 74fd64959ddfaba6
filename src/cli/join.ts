/** `hopgate join`: one line from the operator becomes an identity on this machine. */
import path from 'node:path';
import { REASONS } from '../core/reasons.ts';
import { type AgentId, agentTypeOf } from '../core/spiffe-id.ts';
import { type JoinString, parseJoinString } from '../core/trust/join-string.ts';
import { withLock } from '../edge/store/atomic-file.ts';
import { AGENT_FOLDER, NewAgentFolder } from '../edge/verifier/agent-folder.ts';
import { VerifierError } from '../edge/verifier/client.ts';
import { type Joined, joinVerifier } from '../edge/verifier/join.ts';
import { STARTER_SCOPE_SET } from '../verifier/policy/starter-policy.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import {
  type AgentPorts,
  addRoute,
  nameOf,
  neighbourhoodOf,
  type RouteOutcome,
  routeLines,
  routeTo,
  type SiblingRoute,
} from './join-siblings.ts';
import { joinedSidecar } from './join-sidecar.ts';
import { shellWord } from './shell-word.ts';
import { readSmallFile } from './standard-input.ts';
import { print, printable, printJson } from './terminal.ts';
import { describeExpiry, formatTime, nowSeconds } from './time-words.ts';

interface JoinOptions {
  readonly string: string;
  readonly dir: string | undefined;
  readonly json: boolean;
}

const MAX_JOIN_BYTES = 8192;

export const command: Command = {
  name: 'join <string>',
  describe: 'Become the agent that a join string is for',
  options: (yargs) =>
    yargs
      .positional('string', {
        type: 'string',
        demandOption: true,
        describe:
          'The join string from "hopgate agents add"; "-" reads it from stdin, where "ps" does not show it',
      })
      .option('dir', {
        type: 'string',
        requiresArg: true,
        describe: 'Folder to make; ./agents/<type>-<instance> or ./clients/<name> unless said',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 join hopgate-join:eyJ…', 'makes keys here, has them certified, writes a sidecar.yaml')
      .example('$0 join - --dir /etc/hopgate < join.txt', 'for scripts'),
  run: (options) => withFaultLines(() => run(options as unknown as JoinOptions)),
};

/** `agents/planning-1`, `clients/alice`. */
const folderFor = (id: AgentId): string => {
  const [, , , kind = '', ...rest] = id.split('/');
  return path.join(`${kind}s`, rest.join('-'));
};

const run = async ({ string, dir, json }: JoinOptions): Promise<ExitCode> => {
  const text = string === '-' ? (await readSmallFile('-', MAX_JOIN_BYTES)).trim() : string.trim();
  const parsed = parseJoinString(text);
  if (!parsed.ok) throw usageError(parsed.detail);
  const join = parsed.value;
  const directory = dir ?? folderFor(join.id);
  const isClient = agentTypeOf(join.id) === 'client';
  const folder = NewAgentFolder.reserve(directory);
  if (folder === undefined)
    throw new CommandError(
      `${directory} is there already and not empty: take another with --dir, or remove it`,
    );
  try {
    const joined = await joinVerifier(join, nowSeconds);
    const fill = (sidecar: string | undefined): void =>
      folder.fill({
        enrolled: joined.enrolled,
        root: join.root,
        bundle: joined.bundleText,
        timestamp: joined.timestamp,
        sidecar,
      });
    if (isClient) fill(undefined);
    // Two that join at once must not take the same ports, nor write one file over each other.
    const place = isClient
      ? undefined
      : await withLock(path.dirname(path.resolve(directory)), async () =>
          settle(join, directory, joined, fill),
        );
    report(join.verifiers, directory, joined, place, json);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof VerifierError) return refuse(error, json);
    throw error;
  } finally {
    folder.release();
  }
};

/** Where an agent has come to live: its ports, its routes to those beside it, and theirs to it. */
interface Place {
  readonly ports: AgentPorts;
  readonly routes: readonly SiblingRoute[];
  readonly back: readonly {
    readonly file: string;
    readonly route: SiblingRoute;
    readonly outcome: RouteOutcome;
  }[];
}

const settle = (
  join: JoinString,
  directory: string,
  { bundle }: Joined,
  fill: (sidecar: string) => void,
): Place => {
  const { siblings, ports } = neighbourhoodOf(directory, join.id, join.root);
  const name = nameOf(join.id);
  const names = [...siblings.map((sibling) => sibling.name), ...(name === undefined ? [] : [name])];
  // A grant needs words that the policy in force knows.
  const known = Object.hasOwn(bundle.policy?.scopeSets ?? {}, STARTER_SCOPE_SET);
  const scopeSet = known ? STARTER_SCOPE_SET : undefined;
  const routes = siblings.map((sibling) => routeTo(sibling, names, scopeSet));
  fill(joinedSidecar(join, ports, routes));
  if (name === undefined) return { ports, routes, back: [] };
  const route = routeTo({ id: join.id, name, address: `127.0.0.1:${ports.inbound}` }, names, scopeSet);
  const back = siblings.map(({ file }) => ({ file, route, outcome: addRoute(file, route) }));
  return { ports, routes, back };
};

const refuse = ({ reason, message }: VerifierError, json: boolean): ExitCode => {
  const detail = printable(message === '' ? REASONS[reason].meaning : message);
  if (!json) throw new CommandError(`${reason}: ${detail}`);
  printJson({ ok: false, reason, detail });
  return EXIT.refused;
};

const printBack = (file: string, route: SiblingRoute, outcome: RouteOutcome): void => {
  if (outcome === 'added')
    print(`  route   ${file} leads here as http://${route.host}; restart that sidecar if it runs`);
  if (outcome !== 'left') return;
  print(`  route   ${file} is left as it is; under "routes:" it would lead here with`);
  for (const line of routeLines(route)) print(line);
};

const report = (
  verifiers: readonly string[],
  directory: string,
  { enrolled, bundle }: Joined,
  place: Place | undefined,
  json: boolean,
): void => {
  const { id, credentials, keys } = enrolled;
  const sidecar = path.join(directory, AGENT_FOLDER.sidecar);
  if (json) {
    printJson({
      ok: true,
      id,
      directory,
      key: keys.agent.thumbprint,
      svidExpires: formatTime(credentials.svidNotAfter),
      bundle: `${bundle.epoch}.${bundle.seq}`,
      ...(place !== undefined && {
        config: sidecar,
        ports: place.ports,
        routes: place.routes.map(({ host, peer }) => ({ host, peer })),
        siblings: place.back.map(({ file, route, outcome }) => ({ file, host: route.host, route: outcome })),
      }),
    });
    return;
  }
  print(`Joined as ${id}`);
  print(`  folder  ${directory} (keys were made here and stay here)`);
  print(`  key     ${keys.agent.thumbprint}`);
  print(`  SVID    ${describeExpiry(credentials.svidNotAfter, nowSeconds())}`);
  if (place === undefined) {
    print('Next, say with each command who speaks; what this client may, its roles at the verifier say:');
    print(`  --verifier https://${verifiers[0]} --as ${shellWord(directory)}`);
    return;
  }
  const { ports, routes, back } = place;
  print(`  agent   listens on 127.0.0.1:${ports.agent}; peers connect to 127.0.0.1:${ports.inbound}`);
  for (const { host, peer } of routes) print(`  route   http://${host} leads to ${peer}, beside it`);
  for (const { file, route, outcome } of back) printBack(file, route, outcome);
  print('Next, start its sidecar:');
  print(`  hopgate sidecar --config ${shellWord(sidecar)}`);
};
