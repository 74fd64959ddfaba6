/** Handshakes, counted: TLS and proof of both agent keys, from the connection to the session or the refusal. */
import type { Direction } from '../../core/audit/record.ts';
import type { ReasonCode } from '../../core/reasons.ts';
import { type Family, Histogram, histogramFamily, labelled, readFamily, Tally } from './series.ts';

/** Seconds. */
const BOUNDS = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

interface Way {
  readonly labels: string;
  readonly durations: Histogram;
  readonly failures: Tally;
  done: number;
}

const wayOf = (direction: Direction): Way => ({
  labels: labelled({ direction }),
  durations: new Histogram(BOUNDS),
  failures: new Tally(),
  done: 0,
});

export class ConnectionMeter {
  private readonly ways = { inbound: wayOf('inbound'), outbound: wayOf('outbound') };

  /** A session began, so many milliseconds after its connection. */
  proven(direction: Direction, ms: number): void {
    const way = this.ways[direction];
    way.done++;
    way.durations.observe(ms / 1000);
  }

  failed(direction: Direction, reason: ReasonCode): void {
    this.ways[direction].failures.add(reason);
  }

  private get all(): readonly Way[] {
    return [this.ways.inbound, this.ways.outbound];
  }

  readonly families: readonly Family[] = [
    readFamily(
      'counter',
      'hopgate_handshakes_total',
      'Connections on which both sides proved their agent keys.',
      ['direction'],
      (put) => {
        for (const { done, labels } of this.all) put(done, labels);
      },
    ),
    readFamily(
      'counter',
      'hopgate_handshake_failures_total',
      'Connections that were refused or broke off before, by reason code.',
      ['direction', 'reason'],
      (put) => {
        for (const { failures, labels } of this.all) failures.write(put, 'reason', labels);
      },
    ),
    histogramFamily(
      'hopgate_handshake_duration_seconds',
      'From the connection to the session: TCP, TLS and the handshake.',
      ['direction'],
      () => this.all.map(({ labels, durations }) => [labels, durations] as const),
    ),
  ];
}
