/** Many requests, most of them bent: whatever we let through, every reader must take for what we took it for. */
import { isDeepStrictEqual } from 'node:util';
import type { Operation } from '../../src/core/message/message.ts';
import { readMessage } from '../../src/core/message/read-message.ts';
import { makeA2aOracle } from './a2a-oracle.ts';
import { askMcp } from './mcp-oracle.ts';
import { type Mutant, mutant, noise } from './mutate.ts';
import { type OtherReaders, otherReaders } from './other-languages.ts';
import { Random } from './random.ts';
import { a2aReadings, mcpReadings, type Reading, restReadings } from './readings.ts';
import { validRequest } from './valid.ts';

export interface Difference {
  readonly oracle: string;
  readonly mutations: readonly string[];
  readonly protocol: string;
  readonly request: string;
  readonly body: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

export interface Report {
  bodies: number;
  readonly seed: number;
  /** By how they were made; unchanged: by mutations that found nothing to change. */
  readonly made: { valid: number; mutated: number; unchanged: number; noise: number };
  readonly permitted: Record<'mcp' | 'a2a' | 'a2a-rest', number>;
  /** Of what we permitted: how often an oracle read it too, and how often it refused. */
  readonly oracles: Record<string, { read: number; refused: number }>;
  /** Mutation → our word for the request → how often. */
  readonly verdicts: Record<string, Record<string, number>>;
  differences: number;
  /** The first of them. */
  readonly examples: Difference[];
  /** Valid requests that we refused: none, or the property says nothing. */
  readonly validRefused: string[];
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Without prototypes, which readers give their objects and we don't; a negative zero stays one. */
const withoutPrototypes = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutPrototypes);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = Object.create(null);
  for (const [name, one] of Object.entries(value)) copy[name] = withoutPrototypes(one);
  return copy;
};

/** Whether the operation is the reading, in all that the reading says. */
const isSame = (operation: Operation, reading: Reading): boolean =>
  Object.entries(reading).every(([name, value]) => {
    const ours = operation[name as keyof Operation];
    return name === 'arguments'
      ? isDeepStrictEqual(withoutPrototypes(ours), withoutPrototypes(value ?? {}))
      : Object.is(ours, value) || (ours === undefined && value === undefined);
  });
const areSame = (operations: readonly Operation[], readings: readonly Reading[]): boolean =>
  operations.length === readings.length && operations.every((one, at) => isSame(one, readings[at] ?? {}));

const parsed = (octets: Uint8Array): unknown => {
  try {
    return JSON.parse(Buffer.from(octets).toString('utf8'));
  } catch {
    return undefined;
  }
};

/** What `JSON.parse` and plain code make of it; undefined where it throws. */
const plainReadings = (
  { protocol, input }: Mutant,
  operations: readonly Operation[],
): readonly Reading[] | undefined => {
  if (input.octets.length === 0) return undefined;
  const body = parsed(input.octets);
  if (body === undefined) return undefined;
  if (protocol === 'mcp') return mcpReadings(body);
  return protocol === 'a2a' ? a2aReadings(body) : restReadings(operations[0]?.method ?? '', body);
};

const BASE64 = /^=\?base64\?(.*)\?=$/;

/** Of one message, what its headers say it is. Of several operations in it, the first. */
const headerReading = (
  headers: readonly string[],
  operations: readonly Operation[],
): readonly Reading[] | undefined => {
  const header = (name: string) => {
    const at = headers.findIndex((one, index) => index % 2 === 0 && one.toLowerCase() === name);
    return at === -1 ? undefined : headers[at + 1];
  };
  const [method, sent] = [header('mcp-method'), header('mcp-name')];
  if (method === undefined && sent === undefined) return undefined;
  const [, base64] = BASE64.exec(sent ?? '') ?? [];
  const name = base64 === undefined ? sent : Buffer.from(base64, 'base64').toString('utf8');
  const [first, ...others] = operations;
  const ours = first && (first.tool || first.prompt || first.resource || first.taskId);
  const reading = {
    method: method ?? first?.method ?? '',
    ...(name === undefined || name === ours ? {} : { tool: `NAMED ${name}` }),
  };
  return [reading, ...others];
};

/** Asks every oracle of the protocol about a request that we permit. */
const askA2a = makeA2aOracle();
const askAll = async (
  one: Mutant,
  operations: readonly Operation[],
): Promise<readonly (readonly [string, readonly Reading[]])[]> => {
  const { protocol, input } = one;
  const isHttp = operations[0]?.kind === 'http';
  const plainly = plainReadings(one, operations);
  const all: (readonly [string, readonly Reading[]])[] = [];
  // Our own reader refuses what it can't parse; that it let a body through which JSON.parse does not read is a difference.
  if (input.octets.length > 0) all.push(['JSON.parse', plainly ?? [{ method: 'NOT JSON' }]]);
  if (protocol === 'mcp') {
    if (isHttp) return all;
    const [first = [], second = []] = await askMcp(input);
    const routed = headerReading(input.headers, operations);
    if (routed !== undefined) all.push(['a gateway that goes by Mcp-Method and Mcp-Name', routed]);
    all.push(['@modelcontextprotocol/sdk', first], ['@modelcontextprotocol/server', second]);
  } else if (!isHttp) all.push([`@a2a-js/sdk ${protocol}`, await askA2a(protocol, input)]);
  return all;
};

const makeOne = (random: Random): Mutant => {
  const kind = random.below(20);
  const valid = validRequest(random);
  if (kind === 0) return noise(valid, random);
  return mutant(valid, kind < 4 ? 0 : random.pick([1, 1, 1, 2, 2, 3]), random);
};

const shown = (one: Mutant, oracle: string, ours: unknown, theirs: unknown): Difference => ({
  oracle,
  mutations: one.mutations,
  protocol: one.protocol,
  request: `${one.input.method} ${one.input.path}?${one.input.query} ${JSON.stringify(one.input.headers)}`,
  body: Buffer.from(one.input.octets).toString('utf8'),
  ours,
  theirs,
});

export interface CampaignOptions {
  readonly bodies: number;
  readonly seed: number;
  /** Besides, readers in Go and Python, which must be there. */
  readonly languages?: boolean;
  readonly progress?: (report: Report) => void;
  /** Each of the first differences, as soon as it is found. */
  readonly onDifference?: (difference: Difference) => void;
}

interface Permitted {
  readonly one: Mutant;
  readonly operations: readonly Operation[];
}

const count = (of: Record<string, number>, name: string): void => {
  of[name] = (of[name] ?? 0) + 1;
};

const compare = (
  report: Report,
  { one, operations }: Permitted,
  oracle: string,
  readings: readonly Reading[],
  onDifference?: (difference: Difference) => void,
): void => {
  report.oracles[oracle] ??= { read: 0, refused: 0 };
  if (readings.length === 0) {
    report.oracles[oracle].refused++;
    return;
  }
  report.oracles[oracle].read++;
  if (areSame(operations, readings)) return;
  report.differences++;
  if (report.examples.length >= 20) return;
  const difference = shown(one, oracle, plain(operations), plain(readings));
  report.examples.push(difference);
  onDifference?.(difference);
};

/** Others read in rounds: a question to a process for each would be slow. */
const ROUND = 2000;

const askOthers = async (
  report: Report,
  others: OtherReaders,
  held: readonly Permitted[],
  onDifference?: (difference: Difference) => void,
): Promise<void> => {
  const some = held.filter(({ one }) => one.input.octets.length > 0);
  const found = await others.read(
    some.map(({ one, operations }) => ({ ...one, operation: operations[0]?.method ?? '' })),
  );
  for (const [name, readings] of found)
    for (const [at, permitted] of some.entries())
      compare(report, permitted, name, readings[at] ?? [], onDifference);
};

const kindOf = ({ mutations, changed }: Mutant): keyof Report['made'] => {
  if (mutations.length === 0) return 'valid';
  if (mutations[0] === 'noise') return 'noise';
  return changed ? 'mutated' : 'unchanged';
};

export const runCampaign = async (options: CampaignOptions): Promise<Report> => {
  const { bodies, seed, languages = false, progress, onDifference } = options;
  const random = new Random(seed);
  const others = languages ? otherReaders() : undefined;
  const report: Report = {
    bodies: 0,
    seed,
    made: { valid: 0, mutated: 0, unchanged: 0, noise: 0 },
    permitted: { mcp: 0, a2a: 0, 'a2a-rest': 0 },
    oracles: {},
    verdicts: {},
    differences: 0,
    examples: [],
    validRefused: [],
  };
  let held: Permitted[] = [];
  while (report.bodies < bodies) {
    const one = makeOne(random);
    report.bodies++;
    report.made[kindOf(one)]++;
    const verdict = readMessage(one.protocol, one.input);
    for (const name of one.mutations.length === 0 ? ['valid'] : new Set(one.mutations)) {
      report.verdicts[name] ??= {};
      count(report.verdicts[name], verdict.ok ? 'permitted' : verdict.reason);
    }
    if (verdict.ok) {
      const permitted = { one, operations: verdict.value.operations };
      report.permitted[one.protocol]++;
      for (const [oracle, readings] of await askAll(one, permitted.operations))
        compare(report, permitted, oracle, readings, onDifference);
      if (others !== undefined) held.push(permitted);
    } else if (one.mutations.length === 0 && report.validRefused.length < 20)
      report.validRefused.push(
        `${verdict.reason} ${verdict.detail}: ${JSON.stringify(shown(one, '', '', ''))}`,
      );
    if (others !== undefined && (held.length >= ROUND || report.bodies === bodies)) {
      await askOthers(report, others, held, onDifference);
      held = [];
    }
    if (report.bodies % 10_000 === 0) progress?.(report);
  }
  others?.end();
  return report;
};
