/** How many connections may be on their way through TLS and handshake, per source and in total. Full means refuse. */
export interface AdmissionLimits {
  readonly handshakes: number;
  readonly handshakesPerSource: number;
  readonly connections: number;
}

export class Admission {
  private readonly limits: AdmissionLimits;
  private readonly bySource = new Map<string, number>();
  private inFlight = 0;
  private open = 0;

  constructor(limits: AdmissionLimits) {
    this.limits = limits;
  }

  get connections(): number {
    return this.open;
  }

  /** Takes a place for a handshake and a connection; undefined when there is none. */
  enter(source: string): { readonly proven: () => void; readonly left: () => void } | undefined {
    const mine = this.bySource.get(source) ?? 0;
    const { handshakes, handshakesPerSource, connections } = this.limits;
    if (this.inFlight >= handshakes || mine >= handshakesPerSource || this.open >= connections)
      return undefined;
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
