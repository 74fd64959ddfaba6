/** `/healthz` and `/readyz`, and nothing else. Ready means it: SVID, trust, log and agent are looked at. */
import type { Server } from 'node:http';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { checkAge } from '../core/trust/freshness.ts';
import { createServer } from '../edge/http/node-http.ts';
import { answers } from './agent-port.ts';
import { nowSeconds, type Parts } from './parts.ts';

const REMEMBER_MS = 1000;
const NO_AGENT = 'the agent does not answer on its port';

/** Addresses of this machine that other machines can reach. */
const outerAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !(isIPv6(address) && address.startsWith('fe80:')))
    .map(({ address }) => address);

export interface HealthState {
  readonly isLogWritable: () => boolean;
  /** It is told to end: others should go elsewhere. */
  readonly isLeaving: () => boolean;
}

export class Health {
  private readonly parts: Parts;
  private readonly state: HealthState;
  private readonly server: Server;
  private checked: { readonly at: number; readonly faults: Promise<string[]> } | undefined;

  constructor(parts: Parts, state: HealthState) {
    this.parts = parts;
    this.state = state;
    this.server = createServer(
      { requestTimeout: 5000, headersTimeout: 5000, maxHeaderSize: 8192 },
      (request, response) => {
        if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405).end();
        else if (request.url === '/healthz')
          response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
        else if (request.url === '/readyz') {
          void this.faults().then((faults) => {
            response
              .writeHead(faults.length === 0 ? 200 : 503, { 'content-type': 'text/plain' })
              .end(`${faults.length === 0 ? 'ok' : faults.join('\n')}\n`);
          });
        } else response.writeHead(404).end();
      },
    );
  }

  /** Why the sidecar is not ready, a sentence each. */
  async faults(): Promise<string[]> {
    const { parts } = this;
    const faults: string[] = [];
    const now = nowSeconds(parts);
    const own = parts.identities.newest;
    const trust = parts.trust.current();
    if (this.state.isLeaving()) faults.push('draining');
    if (own === undefined) faults.push('there is no SVID yet');
    else {
      const { svidNotAfter, witExp } = own;
      if (now >= svidNotAfter) faults.push(`the SVID expired at ${svidNotAfter}, it is ${now}`);
      if (now >= witExp) faults.push(`the WIT expired at ${witExp}, it is ${now}`);
    }
    if (!trust.ok) faults.push(trust.detail);
    else {
      const { freshAt, maxStalenessSeconds } = trust.value;
      const stale = checkAge(freshAt, maxStalenessSeconds, now);
      if (stale !== undefined) faults.push(stale.detail);
    }
    if (!this.state.isLogWritable()) faults.push('the audit log can’t be written');
    return [...faults, ...(await this.agentFaults())];
  }

  private agentFaults(): Promise<string[]> {
    // It may have been seen to be gone since it was last asked.
    if (this.parts.guard.agent.state !== 'closed') return Promise.resolve([NO_AGENT]);
    const at = this.parts.path.clock.monotonic();
    if (this.checked === undefined || at - this.checked.at > REMEMBER_MS)
      this.checked = { at, faults: this.probeAgent() };
    return this.checked.faults;
  }

  private async probeAgent(): Promise<string[]> {
    const agent = this.parts.config.inbound?.agent;
    if (agent === undefined) return [];
    if (!(await answers(agent))) return [NO_AGENT];
    if ('path' in agent) return [];
    // An agent that listens to the world can be reached around the sidecar.
    const outer = await Promise.all(
      outerAddresses().map(async (host) => ((await answers({ host, port: agent.port })) ? host : undefined)),
    );
    return outer
      .filter((host) => host !== undefined)
      .map((host) => `the agent's port also answers on ${host}: bind it to loopback`);
  }

  listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port } = this.parts.config.health.listen;
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        const address = this.server.address();
        resolve(
          address !== null && typeof address === 'object'
            ? { host: address.address, port: address.port }
            : { host, port },
        );
      });
    });
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
