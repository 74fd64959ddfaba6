/** What the commands about policies have in common: where a policy comes from, and what two of them differ in. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { createTwoFilesPatch } from 'diff';
import { policyEndpoints, type WholePolicyRevision } from '../api/policy.ts';
import { type PlacedPolicy, parsePlacedPolicy } from '../config/policy.ts';
import type { JsonObject } from '../core/encoding/json.ts';
import { MAX_POLICY_BYTES } from '../core/limits.ts';
import type { Policy } from '../core/policy/model.ts';
import { readPolicy } from '../core/policy/read.ts';
import { type VerifierClient, VerifierError } from '../edge/verifier/client.ts';
import { type PolicyChange, policyChanges } from '../verifier/policy/changes.ts';
import { CommandError } from './command.ts';
import { isStandardInput } from './standard-input.ts';
import { paint, print, printable } from './terminal.ts';

export interface NamedPolicy {
  readonly name: string;
  readonly source: string;
  readonly policy: Policy;
}

const asksGit = promisify(execFile);
const GIT_TIMEOUT_MS = 5000;

/** Its descriptor. */
const STDIN = 0;

export interface PolicyFile extends NamedPolicy {
  readonly placed: PlacedPolicy;
}

/** A file, or with `-` stdin, checked: throws a `ConfigError` with every fault. */
export const policyInFile = (file: string): PolicyFile => {
  const name = isStandardInput(file) ? 'stdin' : file;
  const source = readFileSync(name === file ? file : STDIN, 'utf8');
  if (Buffer.byteLength(source) > MAX_POLICY_BYTES)
    throw new CommandError(`${name}: more than ${MAX_POLICY_BYTES} octets, which no policy has`);
  const placed = parsePlacedPolicy(source, name);
  return { name, source, policy: placed.policy, placed };
};

const named = ({ n, source, policy }: WholePolicyRevision): NamedPolicy => {
  const read = readPolicy(policy as JsonObject);
  if (!read.ok) throw new CommandError(`revision ${n} is not of this version of hopgate: ${read.detail}`);
  return { name: `revision ${n}`, source, policy: read.value };
};

/** The revision in force; undefined when there is none yet. */
export const inForce = async (client: VerifierClient): Promise<WholePolicyRevision | undefined> => {
  try {
    return await client.call(policyEndpoints.getCurrentPolicy, {});
  } catch (error) {
    if (error instanceof VerifierError && error.reason === 'policy_unavailable') return undefined;
    throw error;
  }
};

/** A number is a revision, anything else a file; nothing is what is in force. */
export const policyNamed = async (
  client: VerifierClient,
  what: string | undefined,
): Promise<NamedPolicy | undefined> => {
  if (what === undefined) {
    const current = await inForce(client);
    return current && named(current);
  }
  if (!/^[1-9][0-9]{0,7}$/.test(what)) return policyInFile(what);
  return named(await client.call(policyEndpoints.getPolicyRevision, { params: { n: Number(what) } }));
};

const MARKS = { added: ['green', '+'], removed: ['red', '-'], changed: ['yellow', '~'] } as const;

export const changesBetween = (from: NamedPolicy | undefined, to: NamedPolicy): readonly PolicyChange[] =>
  policyChanges(from?.policy, to.policy);

export const printChanges = (changes: readonly PolicyChange[]): void => {
  if (changes.length === 0) print('Nothing that is decided differs.');
  for (const { kind, what, details } of changes) {
    const [style, mark] = MARKS[kind];
    print(paint(style, `${mark} ${printable(what)} ${kind}`));
    for (const line of details) print(`    ${printable(line)}`);
  }
};

/** Line by line; empty when the texts are the same. */
export const textDiff = (from: NamedPolicy | undefined, to: NamedPolicy): string => {
  if (from?.source === to.source) return '';
  return createTwoFilesPatch(from?.name ?? 'nothing', to.name, from?.source ?? '', to.source, '', '', {
    context: 3,
  })
    .split('\n')
    .slice(1)
    .map((line) => {
      const text = line === '' ? '' : printable(line.replaceAll('\t', '    '));
      return line.startsWith('+') ? paint('green', text) : line.startsWith('-') ? paint('red', text) : text;
    })
    .join('\n')
    .trimEnd();
};

const git = async (directory: string, ...args: readonly string[]): Promise<string> => {
  // A repository's own settings may name programs to run; this one is for reading only.
  const safe = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null', '-C', directory];
  const { stdout } = await asksGit('git', [...safe, ...args], { timeout: GIT_TIMEOUT_MS });
  return stdout.trim();
};

/** The commit in which a file stands, `-dirty` where it doesn't quite; undefined outside of a repository. */
export const commitOf = async (file: string): Promise<string | undefined> => {
  if (isStandardInput(file)) return undefined;
  const directory = path.dirname(path.resolve(file));
  const name = path.basename(file);
  try {
    await git(directory, 'ls-files', '--error-unmatch', '--', name);
    const commit = await git(directory, 'rev-parse', 'HEAD');
    const changed = await git(directory, 'status', '--porcelain', '--', name);
    return changed === '' ? commit : `${commit}-dirty`;
  } catch {
    return undefined;
  }
};
