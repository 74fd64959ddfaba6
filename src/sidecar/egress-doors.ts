/** The destinations beyond the mesh that this sidecar's configuration takes up: connections to each, and its credential. */
import { readFileSync } from 'node:fs';
import type { EgressEntry } from '../config/egress-schema.ts';
import type { Destination } from '../core/policy/destination.ts';
import { ApiConnections } from '../edge/egress/api-connections.ts';
import { type CredentialSource, FileCredential } from '../edge/egress/credential.ts';
import { destinationContext } from '../edge/egress/dial-tls.ts';
import { ExchangedCredential, type SubjectToken, subjectFile } from '../edge/egress/exchanged-credential.ts';
import { nowSeconds, type Parts } from './parts.ts';
import { subjectAssertion } from './subject-assertion.ts';

export interface ApiDoor {
  readonly destination: Destination;
  readonly connections: ApiConnections;
  readonly credential: CredentialSource | undefined;
  /** Header of the credential: whatever the agent sends under it is dropped. */
  readonly header: string | undefined;
}

export class EgressDoors {
  private readonly parts: Parts;
  private readonly apis = new Map<string, ApiDoor>();
  private readonly closing: (() => void)[] = [];

  /** Throws with a sentence about a CA file that can't be used. */
  constructor(parts: Parts) {
    this.parts = parts;
    for (const entry of parts.config.outbound?.egress ?? [])
      if (entry.mode === 'api') this.apis.set(entry.destination, this.apiDoor(entry));
  }

  api({ destination }: EgressEntry): ApiDoor | undefined {
    return this.apis.get(destination);
  }

  destroy(): void {
    for (const { connections } of this.apis.values()) connections.destroy();
    for (const close of this.closing.splice(0)) close();
  }

  private apiDoor(entry: EgressEntry): ApiDoor {
    const { network, config } = this.parts;
    const destination = entry.destination as Destination;
    return {
      destination,
      connections: new ApiConnections({
        destination,
        network,
        secureContext: this.contextOf(entry),
        most: config.limits.destinationConnections,
        timeoutMs: config.limits.connectTimeout * 1000,
      }),
      credential: this.credentialOf(entry),
      header: entry.credential?.header,
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

  private credentialOf({ destination, credential: config }: EgressEntry): CredentialSource | undefined {
    if (config === undefined) return undefined;
    const { fileAt, log, path } = this.parts;
    const options = { destination, config, fileAt, log };
    const { secretFile, exchange } = config;
    if (secretFile !== undefined) return new FileCredential({ ...options, file: fileAt(secretFile) });
    if (exchange === undefined) return undefined;
    const { subjectTokenFile } = exchange;
    const subjectToken: SubjectToken =
      subjectTokenFile === undefined
        ? (endpoint) => subjectAssertion(this.parts.identity(), endpoint, nowSeconds(this.parts))
        : subjectFile(fileAt(subjectTokenFile));
    const source = new ExchangedCredential({ ...options, exchange, clock: path.clock, subjectToken });
    this.closing.push(() => source.close());
    return source;
  }
}
