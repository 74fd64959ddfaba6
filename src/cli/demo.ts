/** `hopgate demo`: the quarterly infrastructure review on a mesh of this machine, and ten attacks on it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { Children } from './demo/children.ts';
import { actionsOf, type DemoResult, runDemo } from './demo/run.ts';
import { AGENT_ROLES, AGENTS, ALICE, idOf } from './demo/story.ts';
import { recordsOf, SILENT, StoryTeller } from './demo/story-teller.ts';
import { TAKEN_BACK } from './demo/take-back.ts';
import { printJson } from './terminal.ts';

interface DemoOptions {
  readonly keep: boolean;
  readonly json: boolean;
  readonly policy: string | undefined;
}

export const command: Command = {
  name: 'demo',
  describe: 'Watch five agents do a review on Alice’s behalf, and ten attacks on them fail',
  options: (yargs) =>
    yargs
      .option('keep', {
        type: 'boolean',
        default: false,
        describe: 'Leave the mesh running until Ctrl-C, with commands to paste',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      // For those who try policies: the story has its own.
      .option('policy', { type: 'string', requiresArg: true, hidden: true, describe: 'Another policy' })
      .example('$0 demo', 'the whole story, in less than a minute')
      .example('$0 demo --keep', 'and then look around in it')
      .example('$0 demo --json | jq .attacks', 'for programs')
      .epilogue('Exits 1 if anything differs from what it should be. Writes only to a temporary folder.'),
  run: (options) => run(options as unknown as DemoOptions),
};

const PACKAGES = ['@a2a-js/sdk', 'express'] as const;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const run = async ({ keep, json, policy }: DemoOptions): Promise<ExitCode> => {
  checkPackages();
  const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-'));
  const children = new Children();
  const cleanUp = (): void => {
    children.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  // For an end that nobody catches; the ordinary one is below.
  process.once('exit', cleanUp);
  const interrupted = Promise.withResolvers<string>();
  for (const signal of SIGNALS) process.on(signal, interrupted.resolve);
  try {
    return await tell(directory, children, { keep, json, policy }, interrupted.promise);
  } finally {
    await children.stop();
    cleanUp();
    process.off('exit', cleanUp);
    for (const signal of SIGNALS) process.off(signal, interrupted.resolve);
  }
};

const tell = async (
  directory: string,
  children: Children,
  { keep, json, policy }: DemoOptions,
  interrupted: Promise<string>,
): Promise<ExitCode> => {
  const started = performance.now();
  const teller = json ? undefined : new StoryTeller();
  teller?.start();
  const running = runDemo({
    directory,
    children,
    keep,
    audience: teller ?? SILENT,
    policy: policy === undefined ? undefined : readFileSync(policy, 'utf8'),
  });
  const result = await Promise.race([running, interrupted]).catch((error: unknown) => {
    throw new CommandError(`the demo broke off: ${(error as Error).message}`);
  });
  if (typeof result === 'string') {
    // Without its processes it fails, which nobody wants to hear; but its folder is not removed under it.
    await children.stop();
    await running.catch(() => undefined);
    throw new CommandError(`ended by ${result}`);
  }
  const seconds = (performance.now() - started) / 1000;
  if (json) printJson(summaryOf(result, seconds));
  teller?.end(result.faults, seconds);
  if (keep) {
    teller?.keep(result);
    await interrupted;
  }
  return result.faults.length === 0 ? EXIT.ok : EXIT.refused;
};

const summaryOf = ({ trace, attacks, takenBack, report, task, faults }: DemoResult, seconds: number) => {
  const counts = actionsOf(trace);
  return {
    ok: faults.length === 0,
    actions: trace.actions,
    agents: Object.fromEntries(AGENT_ROLES.map((role) => [role, counts.get(idOf(AGENTS[role])) ?? 0])),
    principal: ALICE.uri,
    task,
    attacks: attacks.map(({ attack: { name, expected }, got }) => ({ name, expected, got })),
    takenBack: { expected: TAKEN_BACK, ...takenBack },
    audit: { records: recordsOf(report.files), ok: report.ok && report.unmatched.length === 0 },
    seconds: Math.round(seconds * 10) / 10,
    ...(faults.length === 0 ? {} : { faults }),
  };
};

/** The agents speak A2A with its own library, which an installation may leave out. */
const checkPackages = (): void => {
  const missing = PACKAGES.filter((name) => {
    try {
      import.meta.resolve(name);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length > 0)
    throw new CommandError(
      `the demo's agents need ${missing.join(' and ')}, left out at installation: npm install ${missing.join(' ')}`,
    );
};
