/** The agent behind the door in: over HTTP/1.1 or HTTP/2, a loopback port or a unix socket, as configured. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { Call } from '../edge/http/call.ts';
import { H1Pool } from '../edge/http/h1-pool.ts';
import { H2Pool } from '../edge/http/h2-pool.ts';
import type { Upstream } from '../edge/http/upstream.ts';

/** Requests that wait for a connection. */
const AGENT_QUEUE = 4096;
/** One connection of HTTP/2 carries so many requests or more. */
const AGENT_H2_STREAMS = 100;

export class AgentUpstream {
  private readonly speaks: 'h1' | 'h2c' | 'as-received';
  private readonly h1: H1Pool;
  private readonly h2: H2Pool;

  constructor({ inbound, limits }: Pick<SidecarConfig, 'inbound' | 'limits'>) {
    const { agent = { host: '127.0.0.1', port: 0 }, agentHttp = 'h1' } = inbound ?? {};
    this.speaks = agentHttp;
    const connectTimeoutMs = limits.connectTimeout * 1000;
    this.h1 = new H1Pool({
      address: agent,
      connectTimeoutMs,
      // As many as there may be requests: with fewer, those of some callers could hold them all, and the others' would wait.
      connections: limits.requests,
      queue: AGENT_QUEUE,
      queueTimeoutMs: connectTimeoutMs,
    });
    this.h2 = new H2Pool({
      address: agent,
      connectTimeoutMs,
      most: Math.ceil(limits.requests / AGENT_H2_STREAMS),
    });
  }

  /** Whether this request goes on over HTTP/2. */
  speaksH2({ version }: Pick<Call, 'version'>): boolean {
    return this.speaks === 'h2c' || (this.speaks === 'as-received' && version === '2');
  }

  /** An upgrade is HTTP/1.1's alone. */
  upstreamOf(call: Call): Upstream {
    return this.speaksH2(call) ? this.h2 : this.h1;
  }

  /** Connections, and requests that wait for one. */
  get counts(): { readonly open: number; readonly connecting: number; readonly waiting: number } {
    const { open, connecting, queued } = this.h1.counts;
    return { open: open + this.h2.size, connecting, waiting: queued };
  }

  destroy(): void {
    this.h1.destroy();
    this.h2.destroy();
  }
}
