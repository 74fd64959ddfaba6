/**
 * How many connections may be on their way through TLS and handshake, per source and in total, and how many a second may begin.
 * Full means refuse. All of an IPv6 /64 is one source.
 */
import { networkOf } from '../edge/network-of.ts';

export interface AdmissionLimits {
  readonly handshakes: number;
  readonly handshakesPerSource: number;
  readonly connections: number;
}

export class Admission {
  private readonly limits: () => AdmissionLimits;
  private readonly isInPace: (source: string) => boolean;
  private readonly bySource = new Map<string, number>();
  private inFlight = 0;
  private open = 0;

  /** `isInPace` takes note of a connection, and says whether it is not one too many a second. */
  constructor(limits: () => AdmissionLimits, isInPace: (source: string) => boolean) {
    this.limits = limits;
    this.isInPace = isInPace;
  }

  get connections(): number {
    return this.open;
  }

  /** Takes a place for a handshake and a connection; undefined when there is none. */
  enter(address: string): { readonly proven: () => void; readonly left: () => void } | undefined {
    const source = networkOf(address);
    const mine = this.bySource.get(source) ?? 0;
    const { handshakes, handshakesPerSource, connections } = this.limits();
    if (this.inFlight >= handshakes || mine >= handshakesPerSource || this.open >= connections)
      return undefined;
    if (!this.isInPace(source)) return undefined;
    this.inFlight++;
    this.open++;
    this.bySource.set(source, mine + 1);
    let pending = true;
    let present = true;
    const proven = (): void => {
      if (!pending) return;
      pending = false;
      this.inFlight--;
      const rest = (this.bySource.get(source) ?? 1) - 1;
      if (rest === 0) this.bySource.delete(source);
      else this.bySource.set(source, rest);
    };
    const left = (): void => {
      proven();
      if (!present) return;
      present = false;
      this.open--;
    };
    return { proven, left };
  }
}
