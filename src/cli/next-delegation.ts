/** What to type next, with names that are there: after a principal is registered, and after a chain is written. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { policyEndpoints } from '../api/policy.ts';
import { registryEndpoints } from '../api/registry.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { AGENT_FOLDER } from '../edge/verifier/agent-folder.ts';
import { type VerifierClient, VerifierError } from '../edge/verifier/client.ts';
import { folderNameOf, layoutOf } from '../verifier/local/layout.ts';
import { nameOf } from './join-siblings.ts';
import { shellWord } from './shell-word.ts';

/** Undefined where who asks may not know, or there is none yet. */
const orNone = async <T>(ask: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof VerifierError) return undefined;
    throw error;
  }
};

const LOOKED_AT = 50;

/** `hopgate delegate …`, to the first agent that lives and with the first scope set of the policy. */
export const nextDelegation = async (
  client: VerifierClient,
  keyFile: string,
  verifier: string | undefined,
): Promise<string> => {
  const known = await orNone(() =>
    client.call(registryEndpoints.listAgents, { query: { limit: LOOKED_AT } }),
  );
  const names = (known?.agents ?? [])
    .filter(({ state }) => state === 'live')
    .toSorted((a, b) => a.enrolledAt - b.enrolledAt)
    .flatMap(({ id }) => nameOf(id as AgentId) ?? []);
  const policy = await orNone(() => client.call(policyEndpoints.getCurrentPolicy, {}));
  const sets = policy?.policy.scopeSets;
  const [scope] = typeof sets === 'object' && sets !== null ? Object.keys(sets) : [];
  return [
    'hopgate delegate',
    ...(verifier === undefined ? [] : ['--verifier', shellWord(verifier)]),
    '--as',
    shellWord(keyFile.replace(/\.key$/, '')),
    '--to',
    names[0] ?? 'TYPE/INSTANCE',
    '--scope',
    scope === undefined ? 'SCOPE' : shellWord(scope),
    '--out task.chain',
  ].join(' ');
};

/** `hopgate task start …`, where the sidecar of the agent has its file on this machine. */
export const nextTaskStart = (chain: string, to: AgentId, dir: string | undefined): string | undefined => {
  const name = nameOf(to);
  if (name === undefined) return undefined;
  const folder = dir === undefined ? path.join('agents', folderNameOf(name)) : layoutOf(dir).agent(name);
  const config = path.join(folder, AGENT_FOLDER.sidecar);
  return existsSync(config)
    ? `hopgate task start --chain ${shellWord(chain)} --config ${shellWord(config)}`
    : undefined;
};
