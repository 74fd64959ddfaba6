/**
 * The identities of this sidecar that still hold: the newest, and those before it until they end. What was begun under one of
 * them, a connection or a grant, goes on under its own.
 */
import type { AgentId } from '../core/spiffe-id.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { Clock } from '../ports.ts';

/** Renewals are at half-life: two overlap, and one more with a rotation between. */
const MOST = 8;

export class Identities {
  private readonly clock: Clock;
  /** The newest first. */
  private held: readonly SidecarIdentity[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Undefined before the first. */
  get newest(): SidecarIdentity | undefined {
    return this.held[0];
  }

  /** Throws before the first: no door is open then. */
  get current(): SidecarIdentity {
    const [newest] = this.held;
    if (newest === undefined) throw new Error('this sidecar has no identity yet');
    return newest;
  }

  take(identity: SidecarIdentity): void {
    const now = Math.floor(this.clock.now() / 1000);
    const others = this.held.filter(
      ({ notAfter, certificate }) => notAfter > now && certificate !== identity.certificate,
    );
    this.held = [identity, ...others].slice(0, MOST);
  }

  /** What came before the newest is ours no longer. */
  keepNewest(): void {
    this.held = this.held.slice(0, 1);
  }

  /** The one whose SVID TLS has shown on a connection, base64url SHA-256; the newest when it isn't one of ours. */
  shown(certificate: string | undefined): SidecarIdentity {
    return this.held.find((one) => one.certificate === certificate) ?? this.current;
  }

  /** The newest that has this agent key and has not ended. */
  holding(id: AgentId, x: string): SidecarIdentity | undefined {
    const now = Math.floor(this.clock.now() / 1000);
    return this.held.find((one) => one.id === id && one.key.x === x && one.notAfter > now);
  }

  /** One for each agent key, the newest first. */
  get byKey(): readonly SidecarIdentity[] {
    const seen = new Set<string>();
    return this.held.filter(({ key }) => !seen.has(key.x) && seen.add(key.x));
  }
}
