/** What people have at hand, to what is to be revoked. */
import { existsSync } from 'node:fs';
import { registryEndpoints } from '../api/registry.ts';
import type { RevocationTarget } from '../api/revocations.ts';
import { taskEndpoints } from '../api/tasks.ts';
import { parseLink, type UnverifiedLink } from '../core/delegation/link.ts';
import { isDigest } from '../core/encoding/members.ts';
import { MAX_CHAIN_BYTES } from '../core/limits.ts';
import { type AgentId, isAgentId, isPrincipal } from '../core/spiffe-id.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { CommandError } from './command.ts';
import { usageError } from './command-faults.ts';
import { findPrincipal } from './principals-words.ts';
import { isStandardInput, readSmallFile } from './standard-input.ts';
import { printable } from './terminal.ts';

export interface TargetOptions {
  readonly what: string;
  readonly link: string | undefined;
  readonly principal: string | undefined;
  readonly before: string | undefined;
}

export interface ReadChain {
  readonly text: string;
  readonly links: readonly UnverifiedLink[];
}

/** In form; the verifier judges it. */
export const readChain = async (file: string): Promise<ReadChain> => {
  const text = await readSmallFile(file, 2 * MAX_CHAIN_BYTES);
  const links = text.split('~').map((part, index) => {
    const link = parseLink(part, index === 0);
    if (!link.ok) throw new CommandError(`${file}: ${link.reason}: ${link.detail}`);
    return link.value;
  });
  return { text, links };
};

const isFile = (text: string): boolean => isStandardInput(text) || existsSync(text);

/** A chain's file, or the id of a link; `--link` names one that isn't the chain's last, by its id or its place from 0. */
export const linkTarget = async ({ what, link }: TargetOptions): Promise<RevocationTarget> => {
  if (!isFile(what)) {
    if (isDigest(what)) return { link: what };
    throw usageError(`"${printable(what)}" is neither a chain’s file nor a link id of 43 characters`);
  }
  const { text, links } = await readChain(what);
  const leaf = links.at(-1);
  const found = link === undefined ? leaf : (links.find(({ id }) => id === link) ?? links[Number(link)]);
  if (found === undefined) throw usageError(`--link ${printable(link ?? '')}: the chain has no such link`);
  return { chain: text, link: found.id };
};

export const keyTarget = ({ what }: TargetOptions): RevocationTarget => {
  if (isDigest(what)) return { key: what };
  throw usageError(`"${printable(what)}" is no thumbprint of a key: 43 characters of base64url`);
};

/** A SPIFFE ID, or `planning/1` of one that has enrolled. */
export const agentTarget = async (
  client: VerifierClient,
  { what }: TargetOptions,
): Promise<RevocationTarget> => {
  if (isAgentId(what)) return { agent: what };
  const suffix = what.startsWith('client/') ? `/${what}` : `/agent/${what}`;
  const found: AgentId[] = [];
  for (let after: string | undefined; ; ) {
    const { agents } = await client.call(registryEndpoints.listAgents, {
      query: { limit: 1000, ...(after !== undefined && { after }) },
    });
    found.push(...agents.map(({ id }) => id).filter((id) => id.endsWith(suffix)));
    after = agents.at(-1)?.id;
    if (agents.length < 1000) break;
  }
  const [only] = found;
  if (only !== undefined && found.length === 1) return { agent: only };
  throw new CommandError(
    found.length > 1
      ? `"${printable(what)}" is one of ${found.join(', ')}: say which`
      : `no agent "${printable(what)}" has enrolled; give its whole SPIFFE ID to revoke it all the same`,
  );
};

/** A chain's file, or the task id of an audit record together with `--principal`; alone where the verifier knows the task. */
export const taskTarget = async (
  client: VerifierClient | undefined,
  { what, principal }: TargetOptions,
): Promise<RevocationTarget & { readonly task: string; readonly principal: string }> => {
  if (isFile(what)) {
    const root = (await readChain(what)).links[0];
    if (root === undefined || !root.root) throw new CommandError(`${what} holds no chain`);
    return { task: root.renews ?? root.id, principal: root.principal };
  }
  if (!isDigest(what))
    throw usageError(`"${printable(what)}" is neither a chain’s file nor a task id of 43 characters`);
  if (principal !== undefined) return { task: what, principal };
  const { tasks } = (await client?.call(taskEndpoints.listTasks, { query: {} })) ?? { tasks: [] };
  const [only, ...more] = tasks.filter(({ task }) => task === what);
  if (only === undefined || more.length > 0)
    throw usageError(
      'whose task? --principal URI, as the audit record has it: a task’s id means nothing without',
    );
  return { task: what, principal: only.principal };
};

const secondsOf = (before: string): number => {
  const milliseconds = Date.parse(before);
  if (Number.isNaN(milliseconds))
    throw usageError(`--before ${printable(before)}: a time such as 2026-11-20T15:00:00Z`);
  return Math.floor(milliseconds / 1000);
};

export const principalTarget = async (
  client: VerifierClient,
  { what, before }: TargetOptions,
): Promise<RevocationTarget> => {
  const principal = what.includes(':') && isPrincipal(what) ? what : (await findPrincipal(client, what)).uri;
  return { principal, ...(before !== undefined && { before: secondsOf(before) }) };
};
