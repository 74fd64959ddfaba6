/** What the `hopgate agents` commands show. */
import { type AgentView, type Entry, registryEndpoints } from '../api/registry.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { EXIT, type ExitCode } from './command.ts';
import { paint, print, printable, printError, printJson, table } from './terminal.ts';
import { describeExpiry, describeMoment, nowSeconds } from './time-words.ts';

const PAGE = 1000;

export interface ListOptions {
  readonly json: boolean;
}

const allAgents = async (client: VerifierClient): Promise<readonly AgentView[]> => {
  const all: AgentView[] = [];
  for (;;) {
    const after = all.at(-1)?.id;
    const { agents } = await client.call(registryEndpoints.listAgents, {
      query: { limit: PAGE, ...(after !== undefined && { after }) },
    });
    all.push(...agents);
    if (agents.length < PAGE) return all;
  }
};

const allEntries = async (client: VerifierClient): Promise<readonly Entry[]> => {
  const all: Entry[] = [];
  for (;;) {
    const after = all.at(-1)?.name;
    const { entries } = await client.call(registryEndpoints.listEntries, {
      query: { limit: PAGE, ...(after !== undefined && { after }) },
    });
    all.push(...entries);
    if (entries.length < PAGE) return all;
  }
};

export const listAgents = async (client: VerifierClient, { json }: ListOptions): Promise<ExitCode> => {
  const agents = await allAgents(client);
  const entries = await allEntries(client);
  if (json) {
    printJson({ ok: true, agents, entries });
    return EXIT.ok;
  }
  const now = nowSeconds();
  const served = new Set(agents.map(({ entry }) => entry));
  const waiting = entries.filter(({ name, state }) => state === 'active' && !served.has(name));
  if (agents.length + waiting.length === 0) {
    printError('No agent yet. Let one join: hopgate agents add planning/1');
    return EXIT.ok;
  }
  const said = new Map(entries.map(({ name, attributes }) => [name, wordsOf(attributes)]));
  // Most have none, and lines are long.
  const withAttributes = [...said.values()].some((words) => words !== '');
  const last = (entry: string): string[] =>
    withAttributes ? [entry, printable(said.get(entry) ?? '')] : [entry];
  print(
    table(
      ['AGENT', 'STATE', 'ATTESTED BY', 'SVID', 'ENTRY', ...(withAttributes ? ['ATTRIBUTES'] : [])],
      [
        ...agents.map(({ id, state, attestor, svidNotAfter, entry }) => [
          id,
          state === 'live' ? state : paint('yellow', state),
          attestor,
          state === 'retired' ? '-' : describeMoment(svidNotAfter, now),
          ...last(entry),
        ]),
        ...waiting.map(({ id, name }) => [id, paint('dim', 'waiting'), '-', '-', ...last(name)]),
      ],
    ),
  );
  return EXIT.ok;
};

const lines = (rows: readonly (readonly [string, string])[]): string =>
  rows.map(([name, value]) => `${name.padEnd(12)}${printable(value)}`).join('\n');

/** `env=prod team=finance` */
export const wordsOf = (attributes: Entry['attributes']): string =>
  Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');

/** One a line, as they are written. */
export const printAttributes = ({ id, attributes }: Entry): void => {
  const all = Object.entries(attributes);
  if (all.length === 0) printError(`${id} has no attributes.`);
  for (const [name, value] of all) print(printable(`${name}=${value}`));
};

export const printEntry = (entry: Entry): void => {
  const { name, id, selectors, attributes, svidTtlSeconds, hint, state } = entry;
  print(
    lines([
      ['entry', name],
      ['gives', id],
      ['state', state],
      ...selectors.map((selector, index): readonly [string, string] => [index === 0 ? 'to' : '', selector]),
      ...Object.entries(attributes).map(([attribute, value], index): readonly [string, string] => [
        index === 0 ? 'attributes' : '',
        `${attribute}=${value}`,
      ]),
      ...(svidTtlSeconds === undefined ? [] : ([['SVID', `${svidTtlSeconds} s`]] as const)),
      ...(hint === '' ? [] : ([['hint', hint]] as const)),
    ]),
  );
};

export const printAgent = (agent: AgentView | undefined): void => {
  if (agent === undefined) {
    print('agent       none has enrolled');
    return;
  }
  const now = nowSeconds();
  print(
    lines([
      ['agent', agent.id],
      ['is', agent.state],
      ['key', agent.thumbprint],
      ['SVID', describeExpiry(agent.svidNotAfter, now)],
      ['enrolled', describeMoment(agent.enrolledAt, now)],
      ['renewed', describeMoment(agent.renewedAt, now)],
      ['attested by', agent.attestor],
      ...agent.facts.map((fact, index): readonly [string, string] => [index === 0 ? 'facts' : '', fact]),
    ]),
  );
};

/** The string alone on stdout, `hopgate join "$(hopgate agents token planning/1)"`; repeated only where a person reads. */
export const printJoinString = (made: {
  readonly joinString: string;
  readonly id: string;
  readonly expires: number;
}): void => {
  print(made.joinString);
  printError(
    [
      `The join string of ${made.id}: a secret, good once, ${describeExpiry(made.expires, nowSeconds())}.`,
      'Next, where the agent runs:',
      `  hopgate join ${process.stdout.isTTY ? made.joinString : '<the join string>'}`,
    ].join('\n'),
  );
};
