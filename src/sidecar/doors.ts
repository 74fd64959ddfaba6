/** The door in and the door out of one sidecar, each there if the configuration has it. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { TrustSnapshot } from '../ports.ts';
import type { DrainDoors } from './drain.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import type { Parts } from './parts.ts';

export interface DoorAddresses {
  readonly inbound: { readonly host: string; readonly port: number } | undefined;
  readonly outbound: string | undefined;
}

export class Doors implements DrainDoors {
  private readonly parts: Parts;
  private inbound: Inbound | undefined;
  private outbound: Outbound | undefined;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Once there are trust and identity. */
  make(): void {
    const { config } = this.parts;
    this.inbound ??= config.inbound === undefined ? undefined : new Inbound(this.parts);
    this.outbound ??= config.outbound === undefined ? undefined : new Outbound(this.parts);
  }

  async listen(stateDirectory: string): Promise<DoorAddresses> {
    const outbound = await this.outbound?.listen(stateDirectory);
    return { outbound, inbound: await this.inbound?.listen() };
  }

  /** Another SVID, or other CAs. */
  renew(): void {
    this.inbound?.renew();
    this.outbound?.peers.renew();
  }

  /** Throws where something of another configuration can't be had. */
  prepare(next: SidecarConfig): ReturnType<Outbound['prepare']> | undefined {
    return this.outbound?.prepare(next);
  }

  follow(config: SidecarConfig): void {
    this.inbound?.follow(config);
    this.outbound?.follow(config);
  }

  /** Ends sessions whose time is over or whose peer was revoked. */
  sweep(trust: TrustSnapshot, now: number): void {
    this.inbound?.sweep(trust, now);
    this.outbound?.peers.sweep(trust, now);
  }

  get peers() {
    return { inbound: this.inbound?.peers ?? [], outbound: this.outbound?.peers.sessions ?? [] };
  }

  /** Connections, by whom they are with and what they do. */
  get counts(): Readonly<Record<'inbound' | 'outbound' | 'agent', Readonly<Record<string, number>>>> {
    return {
      inbound: this.inbound?.counts ?? {},
      outbound: this.outbound?.peers.counts ?? {},
      agent: this.inbound?.agentConnections ?? {},
    };
  }

  hasPeers(): boolean {
    return this.peers.inbound.length > 0;
  }

  stopListening(): void {
    this.inbound?.stopListening();
  }

  closeIdle(): void {
    this.inbound?.closeIdle();
  }

  destroy(): void {
    this.inbound?.destroy();
    this.outbound?.destroy();
  }
}
