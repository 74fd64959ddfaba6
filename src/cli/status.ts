/** `hopgate status`: how the trust domain, one agent or one sidecar stands, and what needs somebody. */

import { statusEndpoints } from '../api/status.ts';
import { type AgentId, parseAgentId } from '../core/spiffe-id.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { agentIdIn, isAgentName } from '../verifier/local/layout.ts';
import { findSidecar } from './admin-call.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { showAgent, showDomain } from './status-domain.ts';
import { showSidecar } from './status-sidecar.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, withVerifier } from './verifier-connection.ts';

interface StatusOptions extends VerifierOptions {
  readonly agent: string | undefined;
  readonly config: string | undefined;
  readonly admin: string | undefined;
  readonly check: boolean;
  readonly json: boolean;
}

export const command: Command = {
  name: 'status [agent]',
  describe: 'How the trust domain, an agent or a sidecar stands, and what needs attention',
  options: (yargs) =>
    yargs
      .positional('agent', { type: 'string', describe: 'One agent: its SPIFFE ID, or TYPE/INSTANCE' })
      .options(VERIFIER_OPTIONS)
      .option('config', {
        type: 'string',
        requiresArg: true,
        describe: 'A sidecar on this machine, by its configuration',
      })
      .option('admin', { type: 'string', requiresArg: true, describe: 'The same, by its admin socket' })
      .option('check', {
        type: 'boolean',
        default: false,
        describe: 'Exit 1 when something needs attention; without it, 0 whenever the status could be read',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .conflicts('admin', 'config')
      .example('$0 status', 'the trust domain of the verifier in ./verifier')
      .example('$0 status planning/1', 'credentials of an agent, its score and why, its last report')
      .example('$0 status --config sidecar.yaml', 'a sidecar: identity, freshness, verifier, sessions')
      .example('$0 status --check --json', 'for a monitor'),
  run: (options) => withFaultLines(() => run(options as unknown as StatusOptions)),
};

const run = async (options: StatusOptions): Promise<ExitCode> => {
  const { agent, config, admin, check, json } = options;
  const exitOf = (needsAttention: boolean): ExitCode => (check && needsAttention ? EXIT.refused : EXIT.ok);
  if (config !== undefined || admin !== undefined) {
    if (agent !== undefined) throw usageError('--config and --admin are of one sidecar: without an agent');
    return exitOf(await showSidecar(findSidecar(options), json));
  }
  return withVerifier(options, async (client) =>
    exitOf(
      agent === undefined
        ? await showDomain(client, json)
        : await showAgent(client, await idOf(client, agent), json),
    ),
  );
};

const idOf = async (client: VerifierClient, name: string): Promise<AgentId> => {
  const id = parseAgentId(name);
  if (id !== undefined) return id;
  if (!isAgentName(name)) throw usageError(`${name}: an agent’s SPIFFE ID, or TYPE/INSTANCE`);
  const { trustDomain } = await client.call(statusEndpoints.getStatus, {});
  return agentIdIn(trustDomain, name);
};
