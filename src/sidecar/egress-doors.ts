/** The destinations beyond the mesh that this sidecar's configuration takes up: connections to each, and its credential. */
import { readFileSync } from 'node:fs';
import type { EgressEntry } from '../config/egress-schema.ts';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { Destination } from '../core/policy/destination.ts';
import { ApiConnections } from '../edge/egress/api-connections.ts';
import { type CredentialSource, FileCredential } from '../edge/egress/credential.ts';
import { destinationContext } from '../edge/egress/dial-tls.ts';
import { ExchangedCredential, type SubjectToken, subjectFile } from '../edge/egress/exchanged-credential.ts';
import { nowSeconds, type Parts } from './parts.ts';
import { subjectAssertion } from './subject-assertion.ts';

export interface ApiDoor {
  readonly entry: EgressEntry;
  readonly destination: Destination;
  readonly connections: ApiConnections;
  readonly credential: CredentialSource | undefined;
  /** Header of the credential: whatever the agent sends under it is dropped. */
  readonly header: string | undefined;
  /** Takes no new request; what is under way comes to its end. */
  close(): void;
}

export class EgressDoors {
  private readonly parts: Parts;
  private apis: ReadonlyMap<string, ApiDoor> = new Map();

  /** Throws with a sentence about a CA file that can't be used. */
  constructor(parts: Parts) {
    this.parts = parts;
    this.prepare(parts.config).commit();
  }

  /** What another configuration wants; entries that it has as they were keep their connections. Throws as the constructor. */
  prepare({ outbound }: SidecarConfig): { readonly commit: () => void; readonly abort: () => void } {
    const next = new Map<string, ApiDoor>();
    const made: ApiDoor[] = [];
    const abort = (): void => {
      for (const door of made) door.close();
    };
    try {
      for (const entry of outbound?.egress ?? []) {
        if (entry.mode !== 'api') continue;
        const known = this.apis.get(entry.destination);
        const door = known?.entry === entry ? known : this.apiDoor(entry);
        if (door !== known) made.push(door);
        next.set(entry.destination, door);
      }
    } catch (error) {
      abort();
      throw error;
    }
    const commit = (): void => {
      const before = this.apis;
      this.apis = next;
      for (const [destination, door] of before) if (next.get(destination) !== door) door.close();
    };
    return { commit, abort };
  }

  api({ destination }: EgressEntry): ApiDoor | undefined {
    return this.apis.get(destination);
  }

  destroy(): void {
    for (const { connections, close } of this.apis.values()) {
      connections.destroy();
      close();
    }
  }

  private apiDoor(entry: EgressEntry): ApiDoor {
    const { network, config } = this.parts;
    const destination = entry.destination as Destination;
    const { credential, close } = this.credentialOf(entry);
    const connections = new ApiConnections({
      destination,
      network,
      secureContext: this.contextOf(entry),
      most: config.limits.destinationConnections,
      timeoutMs: config.limits.connectTimeout * 1000,
    });
    return {
      entry,
      destination,
      connections,
      credential,
      header: entry.credential?.header,
      close: () => {
        connections.close();
        close();
      },
    };
  }

  private contextOf({ caFile, destination }: EgressEntry) {
    if (caFile === undefined) return destinationContext(undefined);
    try {
      return destinationContext(readFileSync(this.parts.fileAt(caFile), 'utf8'));
    } catch (error) {
      throw new Error(`outbound.egress: caFile of ${destination}: ${(error as Error).message}`);
    }
  }

  private credentialOf({ destination, credential: config }: EgressEntry): {
    readonly credential: CredentialSource | undefined;
    readonly close: () => void;
  } {
    const close = (): void => undefined;
    if (config === undefined) return { credential: undefined, close };
    const { fileAt, log, path } = this.parts;
    const options = { destination, config, fileAt, log };
    const { secretFile, exchange } = config;
    if (secretFile !== undefined)
      return { credential: new FileCredential({ ...options, file: fileAt(secretFile) }), close };
    if (exchange === undefined) return { credential: undefined, close };
    const { subjectTokenFile } = exchange;
    const subjectToken: SubjectToken =
      subjectTokenFile === undefined
        ? (endpoint) => subjectAssertion(this.parts.identity(), endpoint, nowSeconds(this.parts))
        : subjectFile(fileAt(subjectTokenFile));
    const credential = new ExchangedCredential({ ...options, exchange, clock: path.clock, subjectToken });
    return { credential, close: () => credential.close() };
  }
}
