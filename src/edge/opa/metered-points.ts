/** Decision points, counted: what they said, and how long it took. */
import type { Clock, DecisionPoint, DecisionPoints, PointVerdict } from '../../ports.ts';
import { type Family, Histogram, histogramFamily, labelled, readFamily, Tally } from '../telemetry/series.ts';
import type { PointState } from './decision-points.ts';

/** Seconds: a policy in this process takes some ten microseconds. */
const BOUNDS = [
  0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
  1, 2.5,
];

/** Of one name, whatever stands behind it. */
class PointFigures {
  readonly durations = new Histogram(BOUNDS);
  readonly answers = new Tally();
}

class MeteredPoint implements DecisionPoint {
  readonly point: DecisionPoint;
  private readonly figures: PointFigures;
  private readonly clock: Clock;

  constructor(point: DecisionPoint, figures: PointFigures, clock: Clock) {
    this.point = point;
    this.figures = figures;
    this.clock = clock;
  }

  decide(path: string, input: Readonly<Record<string, unknown>>): PointVerdict | Promise<PointVerdict> {
    const started = this.clock.monotonic();
    const verdict = this.point.decide(path, input);
    return verdict instanceof Promise
      ? verdict.then((answer) => this.heard(answer, started))
      : this.heard(verdict, started);
  }

  private heard(verdict: PointVerdict, started: number): PointVerdict {
    const { durations, answers } = this.figures;
    durations.observe((this.clock.monotonic() - started) / 1000);
    answers.add(verdict.ok ? 'ok' : verdict.reason);
    return verdict;
  }
}

/** 1 if it would be asked and could answer. */
const isUp = (state: PointState): number =>
  state.kind === 'rest' ? Number(state.breaker !== 'open') : Number(state.revision !== undefined);

export interface WatchedPoints extends DecisionPoints {
  states(): ReadonlyMap<string, PointState>;
}

/** Another configuration may put another point behind a name: its figures go on. */
export class MeteredPoints implements DecisionPoints {
  private readonly inner: WatchedPoints;
  private readonly clock: Clock;
  private readonly figures = new Map<string, PointFigures>();
  private readonly metered = new Map<string, MeteredPoint>();

  constructor(inner: WatchedPoints, clock: Clock) {
    this.inner = inner;
    this.clock = clock;
  }

  get(name: string): DecisionPoint | undefined {
    const point = this.inner.get(name);
    if (point === undefined) return undefined;
    const known = this.metered.get(name);
    if (known?.point === point) return known;
    const figures = this.figures.get(name) ?? new PointFigures();
    this.figures.set(name, figures);
    const metered = new MeteredPoint(point, figures, this.clock);
    this.metered.set(name, metered);
    return metered;
  }

  private get all(): readonly (readonly [labels: string, figures: PointFigures])[] {
    return [...this.figures].map(([point, figures]) => [labelled({ point }), figures] as const);
  }

  private get states(): readonly (readonly [point: string, state: PointState])[] {
    return [...this.inner.states()];
  }

  readonly families: readonly Family[] = [
    readFamily(
      'gauge',
      'hopgate_decision_point_up',
      '0 while a decision point (OPA) is not asked since it does not answer, or has no bundle yet.',
      ['point'],
      (put) => {
        for (const [point, state] of this.states) put(isUp(state), labelled({ point }));
      },
    ),
    readFamily(
      'gauge',
      'hopgate_decision_point_breaker_info',
      'Always 1: the state of the breaker before a decision point that is asked over REST.',
      ['point', 'state'],
      (put) => {
        for (const [point, state] of this.states)
          if (state.kind === 'rest') put(1, labelled({ point, state: state.breaker }));
      },
    ),
    readFamily(
      'gauge',
      'hopgate_decision_point_bundle_faulty',
      '1 while the last bundle was refused or can’t be had, and an older one or none is in force.',
      ['point'],
      (put) => {
        for (const [point, state] of this.states)
          if (state.kind === 'bundle') put(Number(state.fault !== undefined), labelled({ point }));
      },
    ),
    readFamily(
      'counter',
      'hopgate_decision_point_answers_total',
      'What a decision point said: ok, or the reason code of the denial.',
      ['point', 'answer'],
      (put) => {
        for (const [labels, { answers }] of this.all) answers.write(put, 'answer', labels);
      },
    ),
    histogramFamily('hopgate_decision_point_duration_seconds', 'Until it said so.', ['point'], () =>
      this.all.map(([labels, { durations }]) => [labels, durations] as const),
    ),
  ];
}
