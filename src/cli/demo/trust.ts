/** The trust domain of the demo: a Trust Verifier in a process of its own, and who is registered, joins and revokes there. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { policyEndpoints } from '../../api/policy.ts';
import { registryEndpoints } from '../../api/registry.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { type JoinString, parseJoinString } from '../../core/trust/join-string.ts';
import { NewAgentFolder } from '../../edge/verifier/agent-folder.ts';
import { VerifierClient } from '../../edge/verifier/client.ts';
import { joinVerifier } from '../../edge/verifier/join.ts';
import { nowSeconds } from '../time-words.ts';
import { fetchAgentKey } from '../verifier-trust.ts';
import type { Child, Children } from './children.ts';
import { MAIN } from './programs.ts';
import { idOf, TRUST_DOMAIN } from './story.ts';

const WHY = 'the demo';

/** The line in which a verifier says where it listens. */
const readStarted = (line: string): string | undefined => {
  try {
    const said = JSON.parse(line) as { readonly msg?: string; readonly socket?: string };
    return said.msg === 'verifier started' ? said.socket : undefined;
  } catch {
    return undefined;
  }
};

export class DemoVerifier {
  private readonly child: Child;
  /** As whoever owns its socket. */
  readonly client: VerifierClient;

  private constructor(child: Child, client: VerifierClient) {
    this.child = child;
    this.client = client;
  }

  /** `hopgate verifier` in `directory/verifier`, on a port of its own. */
  static async start(directory: string, children: Children): Promise<DemoVerifier> {
    const config = path.join(directory, 'verifier.yaml');
    writeFileSync(
      config,
      stringify({
        apiVersion: 'hopgate.dev/v1',
        kind: 'Verifier',
        trustDomain: TRUST_DOMAIN,
        directory: 'verifier',
        listen: '127.0.0.1:0',
        metrics: { listen: 'off' },
      }),
    );
    const started = Promise.withResolvers<string>();
    const child = children.start({
      name: 'the verifier',
      args: [MAIN, 'verifier', '--config', config],
      logFile: path.join(directory, 'verifier.log'),
      onLine: (line) => {
        const socket = readStarted(line);
        if (socket !== undefined) started.resolve(socket);
      },
    });
    const socket = await Promise.race([started.promise, child.failed]);
    return new DemoVerifier(child, new VerifierClient({ kind: 'socket', path: socket }));
  }

  /** Makes a registration entry for an agent, and a join string, as `hopgate agents add` does. */
  async register(name: string): Promise<JoinString> {
    const id = idOf(name);
    const entry = await this.client.call(registryEndpoints.addEntry, {
      body: { id, selectors: [`join:id=${id}`], why: WHY },
    });
    const { joinString } = await this.client.call(registryEndpoints.addJoinToken, {
      params: { name: entry.name },
      body: { why: WHY },
    });
    const parsed = parseJoinString(joinString);
    if (!parsed.ok) throw new Error(`the join string of ${name}: ${parsed.detail}`);
    return parsed.value;
  }

  async publishPolicy(source: string): Promise<void> {
    await this.client.call(policyEndpoints.publishPolicy, { body: { source, why: WHY } });
  }

  /** Whether it ended by itself, and with code 0. */
  async stop(): Promise<boolean> {
    await this.client.close();
    return this.child.stop();
  }

  /** The public key to which somebody delegates, base64url. */
  keyOf(id: AgentId): Promise<string> {
    return fetchAgentKey(this.client, id);
  }
}

/** Becomes an agent, as `hopgate join` does: over HTTPS, past no verifier but the root's own, with keys made here. */
export const joinAgent = async (join: JoinString, directory: string): Promise<void> => {
  const folder = NewAgentFolder.reserve(directory);
  if (folder === undefined) throw new Error(`${directory} is there already`);
  try {
    const { enrolled, bundleText, timestamp } = await joinVerifier(join, nowSeconds);
    // Its sidecar file comes when the ports are known.
    folder.fill({ enrolled, root: join.root, bundle: bundleText, timestamp, sidecar: undefined });
  } finally {
    folder.release();
  }
};
