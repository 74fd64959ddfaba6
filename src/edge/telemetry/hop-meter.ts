/** How hops go, counted: a few additions to arrays for each request. What a peer sends is no label. */
import type { Direction, Outcome } from '../../core/audit/record.ts';
import { REASONS, type ReasonCode } from '../../core/reasons.ts';
import type { ExchangeResult, MeterPort } from '../../ports.ts';
import { type Family, Histogram, histogramFamily, labelled, type Put, readFamily, Tally } from './series.ts';

const STAGES = ['verify', 'decide', 'settle', 'audit', 'forward'] as const;
/** Seconds: a warm decision takes microseconds, and a human may take minutes. */
const STAGE_BOUNDS = [
  0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
  0.25, 0.5, 1, 2.5, 5, 10,
];
/** Seconds, as the HTTP conventions of OpenTelemetry have them; streams last longer. */
const DURATION_BOUNDS = [
  0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 60, 600, 3600,
];

const OUTCOMES = ['ok', 'denied', 'failed', 'aborted', 'cut'] as const;
const OUTCOME = { ok: 0, denied: 1, failed: 2, aborted: 3, cut: 4 } as const;
/** By the first digit of the status; 0 where none was sent. */
const CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Bad Gateway and Gateway Timeout: the agent, a peer or a destination is not there, or broke off. */
const OF_OTHERS = new Set([502, 504]);

/** How something ended that had been sent on. */
const outcomeOf = (result: Outcome): number => {
  if (result === 'ok') return OUTCOME.ok;
  if (result === 'client_aborted') return OUTCOME.aborted;
  return OF_OTHERS.has(REASONS[result].status) ? OUTCOME.failed : OUTCOME.cut;
};

/** Of one direction. */
class Way {
  readonly labels: string;
  readonly stages = STAGES.map(() => new Histogram(STAGE_BOUNDS));
  readonly duration = new Histogram(DURATION_BOUNDS);
  /** By outcome and class. */
  private readonly ends = new Float64Array(OUTCOMES.length * CLASSES.length);
  readonly denials = new Tally();
  readonly observed = new Tally();
  readonly interrupted = new Tally();
  decisions = 0;
  cached = 0;
  received = 0;
  sent = 0;

  constructor(direction: Direction) {
    this.labels = labelled({ direction });
  }

  /** `stage` as its place in {@link STAGES}. */
  took(stage: number, ms: number): void {
    this.stages[stage]?.observe(ms / 1000);
  }

  end(outcome: number, status: number): void {
    const at = outcome * CLASSES.length + Math.min(5, Math.max(0, (status / 100) | 0));
    this.ends[at] = (this.ends[at] as number) + 1;
  }

  writeEnds(put: Put): void {
    for (const [outcome, name] of OUTCOMES.entries())
      for (const [at, code] of CLASSES.entries()) {
        const count = this.ends[outcome * CLASSES.length + at] as number;
        // Success is there from the start, so that its rate is; what has not happened otherwise is no series.
        if (count > 0 || (name === 'ok' && code === '2xx'))
          put(count, `${this.labels},${labelled({ outcome: name, code })}`);
      }
  }
}

export class HopMeter implements MeterPort {
  private readonly inbound = new Way('inbound');
  private readonly outbound = new Way('outbound');
  private readonly ways = [this.inbound, this.outbound];

  private of(direction: Direction): Way {
    return direction === 'inbound' ? this.inbound : this.outbound;
  }

  verified(direction: Direction, ms: number): void {
    this.of(direction).took(0, ms);
  }

  decided(direction: Direction, ms: number, cached: boolean): void {
    const way = this.of(direction);
    way.decisions++;
    if (cached) way.cached++;
    way.took(1, ms);
  }

  settled(direction: Direction, ms: number): void {
    this.of(direction).took(2, ms);
  }

  recorded(direction: Direction, ms: number): void {
    this.of(direction).took(3, ms);
  }

  refused(direction: Direction, reason: ReasonCode): void {
    const way = this.of(direction);
    way.end(OUTCOME.denied, REASONS[reason].status);
    way.denials.add(reason);
  }

  observed(direction: Direction, reason: ReasonCode): void {
    this.of(direction).observed.add(reason);
  }

  ended(
    direction: Direction,
    { result, status, received, sent }: ExchangeResult,
    forwardMs: number,
    ms: number,
  ): void {
    const way = this.of(direction);
    way.took(4, forwardMs);
    way.duration.observe(ms / 1000);
    way.end(outcomeOf(result), status);
    way.received += received;
    way.sent += sent;
    if (result !== 'ok') way.interrupted.add(result);
  }

  /** Decisions that stood already, and all. */
  get decisions(): { readonly hits: number; readonly misses: number } {
    const hits = this.inbound.cached + this.outbound.cached;
    return { hits, misses: this.inbound.decisions + this.outbound.decisions - hits };
  }

  readonly families: readonly Family[] = [
    readFamily(
      'counter',
      'hopgate_requests_total',
      'Requests, when they ended: sent on and answered (ok), denied, broken off by whoever answers (failed) or by who asked (aborted), or cut here; by class of status.',
      ['direction', 'outcome', 'code'],
      (put) => {
        for (const way of this.ways) way.writeEnds(put);
      },
    ),
    histogramFamily(
      'hopgate_request_duration_seconds',
      'From the arrival of what was sent on to its end; streams as long as they last.',
      ['direction'],
      () => this.ways.map(({ labels, duration }) => [labels, duration] as const),
    ),
    histogramFamily(
      'hopgate_stage_duration_seconds',
      'Of each stage: verify (the chain), decide, settle (what a decision lacked: body, OPA, a human), audit (until the record is written), forward (until the end).',
      ['direction', 'stage'],
      () =>
        this.ways.flatMap(({ labels, stages }) =>
          stages.map(
            (histogram, at) => [`${labels},${labelled({ stage: STAGES[at] ?? '' })}`, histogram] as const,
          ),
        ),
    ),
    this.tallied(
      'hopgate_denials_total',
      'Requests that were denied, by reason code (docs/troubleshooting.md).',
      ({ denials }) => denials,
    ),
    this.tallied(
      'hopgate_observed_denials_total',
      'Requests that went on because their route is only observed, by the reason for which they would have been denied.',
      ({ observed }) => observed,
    ),
    this.tallied(
      'hopgate_interrupted_requests_total',
      'Requests that were sent on and did not end well, by reason code: broken off by either side, or cut by time, revocation or policy.',
      ({ interrupted }) => interrupted,
    ),
    this.summed(
      'hopgate_request_body_bytes_total',
      'Bodies of requests, sent on.',
      ({ received }) => received,
    ),
    this.summed('hopgate_response_body_bytes_total', 'Bodies of responses, sent back.', ({ sent }) => sent),
  ];

  private tallied(name: string, help: string, of: (way: Way) => Tally): Family {
    return readFamily('counter', name, help, ['direction', 'reason'], (put) => {
      for (const way of this.ways) of(way).write(put, 'reason', way.labels);
    });
  }

  private summed(name: string, help: string, of: (way: Way) => number): Family {
    return readFamily('counter', name, help, ['direction'], (put) => {
      for (const way of this.ways) put(of(way), way.labels);
    });
  }
}
